//! The kinds a field can have, and what the records of a unit were observed to hold.
//!
//! Kinds form a lattice: null below boolean, bigint, double and string; struct; list; *text* (a
//! string holding JSON) on top. [`Observed::resolve`] is the join of everything seen at a path; it
//! does not depend on the order in which values came.

use crate::schema::omit::{SECRETS, TOKENS, is_secret};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a column or a member of a nested column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A 64-bit integer.
    Bigint,
    /// A double.
    Double,
    /// Text; other scalars as their JSON text.
    String,
    /// A string holding the value's JSON text: the path has no one shape.
    Text,
    /// Members in their locked order.
    Struct(Vec<Field>),
    /// Elements of one kind.
    List(Box<Kind>),
    /// An object with open keys; values as text.
    Map,
    /// No column: the values are in the text alone.
    Omitted,
}

/// A named member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name in Parquet and in the catalog.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// The keys as the source spelled them, where they differ from `name`; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spellings: Vec<String>,
    /// Why the field is text although objects or lists were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Field {
    /// Creates a field without spellings or remarks.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind, spellings: Vec::new(), why: None }
    }
}

impl Kind {
    /// Returns the Hive type, as it goes into the catalog.
    pub fn hive_type(&self) -> String {
        let mut out = String::new();
        self.push_hive_type(&mut out);
        out
    }

    /// Returns whether there is nothing of it that could be a column.
    pub fn is_omitted(&self) -> bool {
        self.leaves() == 0
    }

    fn push_hive_type(&self, out: &mut String) {
        match self {
            Self::Omitted => {}
            Self::Boolean => out.push_str("boolean"),
            Self::Bigint => out.push_str("bigint"),
            Self::Double => out.push_str("double"),
            Self::String | Self::Text => out.push_str("string"),
            Self::Map => out.push_str("map<string,string>"),
            Self::List(element) => {
                out.push_str("array<");
                element.push_hive_type(out);
                out.push('>');
            }
            Self::Struct(fields) => {
                out.push_str("struct<");
                let present = fields.iter().filter(|field| !field.kind.is_omitted());
                for (i, field) in present.enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(&field.name);
                    out.push(':');
                    field.kind.push_hive_type(out);
                }
                out.push('>');
            }
        }
    }

    /// Returns the length of [`Kind::hive_type`] without building it.
    pub fn hive_len(&self) -> usize {
        match self {
            Self::Boolean => 7,
            Self::Bigint | Self::Double | Self::String | Self::Text => 6,
            Self::Map => 18,
            Self::List(element) => 7 + element.hive_len(),
            Self::Struct(fields) => {
                let present = || fields.iter().filter(|field| !field.kind.is_omitted());
                8 + present().count().saturating_sub(1)
                    + present().map(|f| f.name.len() + 1 + f.kind.hive_len()).sum::<usize>()
            }
            Self::Omitted => 0,
        }
    }

    /// Returns the number of scalar leaves.
    pub fn leaves(&self) -> usize {
        match self {
            Self::List(element) => element.leaves(),
            Self::Struct(fields) => fields.iter().map(|f| f.kind.leaves()).sum(),
            Self::Map => 2,
            Self::Omitted => 0,
            _ => 1,
        }
    }
}

/// Everything that was seen at one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// A boolean was seen.
    #[serde(skip_serializing_if = "is_false")]
    pub boolean: bool,
    /// A number that fits a 64-bit integer (also `243.0`).
    #[serde(skip_serializing_if = "is_false")]
    pub integer: bool,
    /// Any other number.
    #[serde(skip_serializing_if = "is_false")]
    pub float: bool,
    /// A string.
    #[serde(skip_serializing_if = "is_false")]
    pub string: bool,
    /// A string of random characters: see [`is_token`](crate::schema::is_token).
    #[serde(skip_serializing_if = "is_false")]
    pub token: bool,
    /// An object, also an empty one.
    #[serde(skip_serializing_if = "is_false")]
    pub object: bool,
    /// An array, also an empty one.
    #[serde(skip_serializing_if = "is_false")]
    pub list: bool,
    /// Why the objects here are not taken apart: their keys are data, or they are too deep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<Cow<'static, str>>,
    /// Members of the objects, sorted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ObservedField>,
    /// The elements of the arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<Box<Observed>>,
}

/// A member that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedField {
    /// The column name.
    pub name: String,
    /// The keys as they were spelled; sorted.
    pub spellings: Vec<String>,
    /// What it held.
    pub value: Observed,
}

impl Observed {
    /// Joins what `other` saw into this: commutative, associative and idempotent.
    pub fn join(&mut self, other: Observed) {
        self.boolean |= other.boolean;
        self.integer |= other.integer;
        self.float |= other.float;
        self.string |= other.string;
        self.token |= other.token;
        self.object |= other.object;
        self.list |= other.list;
        self.opaque = self.opaque.take().max(other.opaque);
        for field in other.fields {
            match self.fields.binary_search_by(|mine| mine.name.cmp(&field.name)) {
                Ok(at) => {
                    let mine = &mut self.fields[at];
                    mine.value.join(field.value);
                    mine.spellings.extend(field.spellings);
                    mine.spellings.sort();
                    mine.spellings.dedup();
                }
                Err(at) => self.fields.insert(at, field),
            }
        }
        if let Some(theirs) = other.element {
            self.element.get_or_insert_default().join(*theirs);
        }
    }

    /// Returns the kind that holds everything seen, or `None` while nothing has a shape yet: only
    /// nulls, `{}` or `[]` were seen.
    pub fn resolve(&self) -> Option<Kind> {
        match (self.has_scalar(), self.object, self.list) {
            (false, false, false) => None,
            (true, false, false) => Some(self.resolve_scalar()),
            (false, true, false) if self.opaque.is_some() => Some(Kind::Text),
            (false, true, false) => {
                let fields: Vec<_> =
                    self.fields.iter().filter_map(ObservedField::resolve).collect();
                // Without anything that could be a column it has no shape yet: new columns go to the end.
                let has_column = fields.iter().any(|field| !field.kind.is_omitted());
                has_column.then_some(Kind::Struct(fields))
            }
            (false, false, true) if self.opaque.is_some() => Some(Kind::Text),
            (false, false, true) => match self.element.as_ref()?.resolve()? {
                Kind::Omitted => Some(Kind::Omitted),
                kind => Some(Kind::List(Box::new(kind))),
            },
            _ => Some(Kind::Text),
        }
    }

    fn has_scalar(&self) -> bool {
        self.boolean || self.integer || self.float || self.string || self.token
    }

    fn resolve_scalar(&self) -> Kind {
        match (self.boolean, self.integer, self.float, self.string) {
            (false, false, false, false) => Kind::Omitted,
            _ if self.token => Kind::String,
            (true, false, false, false) => Kind::Boolean,
            (false, true, false, false) => Kind::Bigint,
            (false, _, true, false) => Kind::Double,
            _ => Kind::String,
        }
    }

    /// Returns why a path that has objects or lists is text.
    pub fn why_text(&self) -> Option<String> {
        if let Some(why) = &self.opaque {
            return Some(why.clone().into_owned());
        }
        let seen: Vec<_> =
            [(self.has_scalar(), "scalar"), (self.object, "object"), (self.list, "array")]
                .into_iter()
                .filter_map(|(is_seen, name)| is_seen.then_some(name))
                .collect();
        (seen.len() > 1).then(|| format!("seen as {}", seen.join(" and ")))
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl ObservedField {
    /// Returns the field as it would be locked.
    pub fn resolve(&self) -> Option<Field> {
        let (kind, why) = match self.value.resolve()? {
            _ if is_secret(&self.name) => (Kind::Omitted, Some(SECRETS.to_owned())),
            Kind::Omitted => (Kind::Omitted, Some(TOKENS.to_owned())),
            Kind::Text => (Kind::Text, self.value.why_text()),
            kind => (kind, None),
        };
        let spellings = self.spellings.iter().filter(|s| **s != self.name).cloned().collect();
        Some(Field { name: self.name.clone(), kind, spellings, why })
    }
}

/// Returns the column name for a source key: lower case, everything outside `[a-z0-9_]` becomes
/// `_`, and a leading digit gets a `_` before it (readers' grammars end a name there).
pub fn column_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 1);
    for c in key.chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => name.push(c),
            'A'..='Z' => name.push(c.to_ascii_lowercase()),
            _ => name.push('_'),
        }
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn awkward_keys_become_valid_names() {
        for (key, name) in [
            ("x-amz-id-2", "x_amz_id_2"),
            ("aws:s3:arn", "aws_s3_arn"),
            ("Tagging", "tagging"),
            ("1stKey", "_1stkey"),
            ("", "_"),
            ("naïve", "na_ve"),
        ] {
            assert_eq!(column_name(key), name);
        }
    }

    #[test]
    fn hive_length_is_the_length_of_the_type() {
        let kind = Kind::Struct(vec![
            Field::new("a", Kind::List(Box::new(Kind::Bigint))),
            Field::new("bc", Kind::Struct(vec![Field::new("d", Kind::Map)])),
        ]);
        assert_eq!(kind.hive_type(), "struct<a:array<bigint>,bc:struct<d:map<string,string>>>");
        assert_eq!(kind.hive_len(), kind.hive_type().len());
    }

    #[test]
    fn polymorphic_paths_become_text_or_string() {
        let number = Observed { integer: true, ..Default::default() };
        let string = Observed { string: true, ..Default::default() };
        let object = Observed { object: true, ..Default::default() };
        let mut policy = string.clone();
        policy.join(object.clone());
        assert_eq!(policy.resolve(), Some(Kind::Text));
        assert_eq!(policy.why_text().as_deref(), Some("seen as scalar and object"));
        let mut max_results = number;
        max_results.join(string);
        assert_eq!(max_results.resolve(), Some(Kind::String));
        assert_eq!(object.resolve(), None, "an empty object has no shape yet");
    }

    #[test]
    fn tokens_and_secrets_are_no_columns_and_leave_no_trace_in_the_type() {
        let seen = |name: &str, value| ObservedField {
            name: name.into(),
            spellings: vec![name.into()],
            value,
        };
        let token = Observed { token: true, ..Default::default() };
        let string = Observed { string: true, ..Default::default() };
        let list = |element| Observed {
            list: true,
            element: Some(Box::new(element)),
            ..Default::default()
        };
        let mut both = token.clone();
        both.join(string.clone());
        let mut fields = vec![
            seen("a", token.clone()),
            seen("b", list(token.clone())),
            seen("password", string.clone()),
        ];
        let object = |fields| Observed { object: true, fields, ..Default::default() };
        assert_eq!(object(fields.clone()).resolve(), None, "there is nothing to be a column");
        fields.push(seen("z", both));
        let kind = object(fields).resolve().unwrap();

        assert_eq!(kind.hive_type(), "struct<z:string>");
        assert_eq!((kind.hive_len(), kind.leaves()), (kind.hive_type().len(), 1));
        let Kind::Struct(fields) = kind else { panic!() };
        let whys: Vec<_> = fields.iter().map(|field| field.why.as_deref()).collect();
        assert_eq!(whys, [Some(TOKENS), Some(TOKENS), Some(SECRETS), None]);
    }

    fn observed() -> impl Strategy<Value = Observed> {
        let leaf = any::<(bool, bool, bool, bool, bool, bool)>().prop_map(|b| Observed {
            boolean: b.0,
            integer: b.1,
            float: b.2,
            string: b.3,
            object: b.4,
            list: b.5,
            ..Default::default()
        });
        leaf.prop_recursive(3, 12, 3, |inner| {
            (
                prop::collection::btree_map("[abc]", inner.clone(), 0..3),
                prop::option::of(inner),
                any::<bool>(),
                any::<bool>(),
                prop::option::of(Just("too deep".into())),
            )
                .prop_map(|(fields, element, string, token, opaque)| Observed {
                    string,
                    token,
                    opaque,
                    object: !fields.is_empty(),
                    list: element.is_some(),
                    fields: fields
                        .into_iter()
                        .map(|(name, value)| ObservedField {
                            spellings: vec![name.clone()],
                            name,
                            value,
                        })
                        .collect(),
                    element: element.map(Box::new),
                    ..Default::default()
                })
        })
    }

    proptest! {
        #[test]
        fn joining_does_not_depend_on_order(a in observed(), b in observed(), c in observed()) {
            let join = |x: &Observed, y: &Observed| { let mut x = x.clone(); x.join(y.clone()); x };
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a);
        }
    }
}
