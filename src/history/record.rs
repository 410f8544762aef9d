//! A row as the JSON record that it was made of.
//!
//! Free-form columns hold the record's own text, `extra_fields` what no column holds, and the documented
//! structs are strings under lower-case names. So the record comes back with every value it had, except
//! for what the tables do not keep: the order of keys, members that were `null`, and whether a documented
//! scalar was written as a string (`readOnly` and `managementEvent` are written as booleans).

use crate::family::{Family, Role};
use crate::history::columns::Rows;
use crate::scan::Column;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// Members of documented structs as CloudTrail spells them; columns have them in lower case.
const SPELLED: &[&str] = &[
    "type",
    "principalId",
    "arn",
    "accountId",
    "invokedBy",
    "accessKeyId",
    "userName",
    "onBehalfOf",
    "userId",
    "identityStoreArn",
    "sessionContext",
    "attributes",
    "mfaAuthenticated",
    "creationDate",
    "sessionCredentialFromConsole",
    "sessionIssuer",
    "ec2RoleDelivery",
    "webIdFederationData",
    "federatedProvider",
    "sourceIdentity",
    "assumedRoot",
    "signInSessionArn",
    "ec2IssuedInVpc",
    "invokedByDelegate",
    "inScopeOf",
    "issuerType",
    "credentialsIssuedTo",
    "credentialsIssuedToVersion",
    "sourceArn",
    "sourceAccount",
    "credentialId",
    "identityProvider",
    "reason",
    "updatedFields",
    "originalRequestID",
    "originalEventID",
    "tlsVersion",
    "cipherSuite",
    "clientProvidedHostHeader",
    "keyExchange",
];

/// Members of `resources`, which are spelled otherwise than elsewhere.
const SPELLED_IN_RESOURCES: &[&str] = &["ARN", "accountId", "type", "ARNPrefix"];

static SPELLINGS: LazyLock<[BTreeMap<String, &'static str>; 2]> = LazyLock::new(|| {
    [SPELLED, SPELLED_IN_RESOURCES]
        .map(|names| names.iter().map(|name| (name.to_lowercase(), *name)).collect())
});

/// JSON that is put together.
#[derive(Debug)]
enum Json {
    Text(String),
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
}

/// Returns the columns that a record is put together from.
pub fn columns() -> Vec<&'static str> {
    let columns = Family::Events.spec().columns.iter();
    let is_source = |role: &Role| {
        matches!(
            role,
            Role::Text(_) | Role::Json(_) | Role::Typed(..) | Role::Boolean(_) | Role::Extra
        )
    };
    columns.filter(|column| is_source(&column.role)).map(|column| column.name).collect()
}

/// Returns a row as a JSON object of one line.
pub fn record(rows: &Rows, row: usize) -> String {
    let specs = Family::Events.spec().columns;
    let mut members = Vec::new();
    for (name, column) in rows.all() {
        let Some(spec) = specs.iter().find(|spec| spec.name == name) else { continue };
        let value = match spec.role {
            Role::Json(_) => column.text(row).map(|text| Json::Text(text.to_owned())),
            // Written as a boolean by CloudTrail, and kept as AWS documents the column.
            Role::Text("readOnly") => column.text(row).map(boolean_or_string),
            Role::Text(_) | Role::Typed(..) | Role::Boolean(_) => {
                json(column, row, &SPELLINGS[usize::from(name == "resources")])
            }
            _ => None,
        };
        members.extend(spec.key().map(str::to_owned).zip(value));
    }
    let extra = rows.column("extra_fields").and_then(|column| column.text(row));
    if let Some(extra) = extra.and_then(parsed) {
        merge(&mut members, extra);
    }
    let mut out = String::new();
    Json::Object(members).write(&mut out);
    out
}

fn boolean_or_string(text: &str) -> Json {
    match text {
        "true" | "false" => Json::Text(text.to_owned()),
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> Json {
    Json::Text(serde_json::Value::from(text).to_string())
}

/// Returns a value of a documented shape; nothing for a null.
fn json(column: &Column, row: usize, spellings: &BTreeMap<String, &'static str>) -> Option<Json> {
    match column {
        Column::Text(_) => column.text(row).map(quoted),
        Column::Flag(flags) => flags.get(row).map(|flag| Json::Text(flag.to_string())),
        Column::Number(numbers) => numbers.get(row).map(|number| Json::Text(number.to_string())),
        Column::Struct(is_there, members) => {
            if is_there.get(row) != Some(true) {
                return None;
            }
            let member = |(name, member): &(String, Column)| {
                let name = spellings.get(name).map_or(name.clone(), |name| (*name).to_owned());
                Some((name, json(member, row, spellings)?))
            };
            Some(Json::Object(members.iter().filter_map(member).collect()))
        }
        Column::List(..) => {
            let (elements, range) = column.elements(row)?;
            let empty = || Json::Object(Vec::new());
            let element = |at: usize| json(elements, at, spellings).unwrap_or_else(empty);
            Some(Json::List(range.map(element).collect()))
        }
        Column::Map(spans, keys, values) => {
            let (start, end) = (*spans.get(row)?)?;
            let pair = |at: usize| Some((keys.get(at)?.to_owned(), quoted(values.get(at)?)));
            Some(Json::Object((start..end).filter_map(pair).collect()))
        }
        Column::Other => None,
    }
}

/// The members of an object in their order, as their own text, however deep they are.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(Each)
    }
}

/// Returns an object's members in their order; nothing for text that is not an object.
fn parsed(text: &str) -> Option<Vec<(String, Json)>> {
    let members: Members<'_> = serde_json::from_str(text).ok()?;
    let own = |(key, value): (String, &RawValue)| (key, Json::Text(value.get().to_owned()));
    Some(members.0.into_iter().map(own).collect())
}

/// Adds leftovers where they were: into objects and lists that are there, else as new members.
fn merge(members: &mut Vec<(String, Json)>, extra: Vec<(String, Json)>) {
    for (key, value) in extra {
        let there = members.iter_mut().find(|(name, _)| *name == key).map(|(_, there)| there);
        match (there, &value) {
            (Some(Json::Object(inner)), Json::Text(text)) if text.starts_with('{') => {
                merge(inner, parsed(text).unwrap_or_default());
            }
            (Some(Json::List(elements)), Json::Text(text)) if text.starts_with('[') => {
                merge_elements(elements, text);
            }
            _ => members.push((key, value)),
        }
    }
}

fn merge_elements(elements: &mut Vec<Json>, text: &str) {
    let leftovers: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    for (at, leftover) in leftovers.into_iter().enumerate() {
        match elements.get_mut(at) {
            Some(Json::Object(inner)) => merge(inner, parsed(leftover.get()).unwrap_or_default()),
            Some(_) => {}
            None => elements.push(Json::Text(leftover.get().to_owned())),
        }
    }
}

impl Json {
    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Self::List(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    element.write(out);
                }
                out.push(']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_go_back_where_they_were() {
        let mut members = parsed(r#"{"a":1}"#).unwrap();
        let object = Json::Object(vec![("x".into(), Json::Text("1".into()))]);
        members.push(("o".into(), object));
        members.push(("l".into(), Json::List(vec![Json::Object(Vec::new())])));

        merge(&mut members, parsed(r#"{"o":{"y":1.50},"l":[{"z":2},3],"new":[1e5]}"#).unwrap());

        let mut out = String::new();
        Json::Object(members).write(&mut out);
        assert_eq!(out, r#"{"a":1,"o":{"x":1,"y":1.50},"l":[{"z":2},3],"new":[1e5]}"#);
    }
}
