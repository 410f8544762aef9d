//! The tables of a lake and the columns each one always has.
//!
//! The first 29 columns of the event tables are the contract: AWS's documented Athena DDL, same
//! lower-case names, types and order. Members and columns that AWS's page lacks come after them.

use crate::schema::kind::{Field, Kind};
use serde::{Deserialize, Serialize};

/// A family of CloudTrail objects; each has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Management and data events, folder `CloudTrail`.
    Events,
    /// Network activity events, folder `CloudTrail-NetworkActivity`.
    NetworkActivity,
    /// Insights events, folder `CloudTrail-Insight`.
    Insight,
    /// Aggregated events, folder `CloudTrail-Aggregated`.
    Aggregated,
}

impl Family {
    /// All families, in the order of their tables.
    pub const ALL: [Self; 4] =
        [Self::Events, Self::NetworkActivity, Self::Insight, Self::Aggregated];

    /// Returns what the table's name ends with after the base name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Events => "",
            Self::NetworkActivity => "_network_activity",
            Self::Insight => "_insight",
            Self::Aggregated => "_aggregated",
        }
    }

    /// Returns the table's name for a base name such as `cloudtrail`.
    pub fn table(self, base: &str) -> String {
        format!("{base}{}", self.suffix())
    }

    /// Returns the position in [`Family::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Returns a sentence for the catalog.
    pub fn description(self) -> &'static str {
        match self {
            Self::Events => "CloudTrail management and data events",
            Self::NetworkActivity => "CloudTrail network activity events",
            Self::Insight => "CloudTrail Insights events",
            Self::Aggregated => "CloudTrail aggregated events",
        }
    }
}

/// Where a column's values come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// A top-level key: a string's content, other values as JSON text.
    Text(&'static str),
    /// A top-level key: the value's own JSON text.
    Json(&'static str),
    /// A top-level key with a documented shape.
    Typed(&'static str, Kind),
    /// A top-level boolean, also when written as a string.
    Boolean(&'static str),
    /// The instant of the event, INT64 milliseconds, UTC.
    Timestamp,
    /// The bucket an S3 event is about.
    S3Bucket,
    /// The object key an S3 event is about.
    S3Key,
    /// The name of the function a Lambda event is about.
    LambdaFunction,
    /// The struct inferred from the JSON text column of this key.
    Nested(&'static str),
    /// A JSON object with everything that no other column holds.
    Extra,
}

/// One column that a table always has.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// The name in Parquet and in the catalog.
    pub name: &'static str,
    /// Where its values come from.
    pub role: Role,
    /// What it holds, for the catalog; at most 255 characters.
    pub comment: &'static str,
}

fn strings(names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| Field::new(*name, Kind::String)).collect()
}

fn structure(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, Kind::Struct(fields))
}

/// `userIdentity`, documented members first.
fn user_identity() -> Kind {
    let web_identity = structure(
        "webidfederationdata",
        vec![Field::new("federatedprovider", Kind::String), Field::new("attributes", Kind::Map)],
    );
    let mut attributes = strings(&["mfaauthenticated", "creationdate"]);
    attributes.extend(strings(&["sessioncredentialfromconsole"]));
    let mut session = vec![
        structure("attributes", attributes),
        structure(
            "sessionissuer",
            strings(&["type", "principalid", "arn", "accountid", "username"]),
        ),
        Field::new("ec2roledelivery", Kind::String),
        web_identity,
    ];
    session.extend(strings(&[
        "sourceidentity",
        "assumedroot",
        "signinsessionarn",
        "ec2issuedinvpc",
    ]));
    let mut fields = strings(&[
        "type",
        "principalid",
        "arn",
        "accountid",
        "invokedby",
        "accesskeyid",
        "username",
    ]);
    fields.push(structure("onbehalfof", strings(&["userid", "identitystorearn"])));
    fields.push(structure("sessioncontext", session));
    fields.push(Field::new("invokedbydelegate", Kind::Struct(strings(&["accountid"]))));
    fields.push(structure(
        "inscopeof",
        strings(&[
            "issuertype",
            "credentialsissuedto",
            "credentialsissuedtoversion",
            "sourcearn",
            "sourceaccount",
        ]),
    ));
    fields.extend(strings(&["credentialid", "identityprovider"]));
    Kind::Struct(fields)
}

/// Returns the columns of the family's table, nested ones included.
pub fn columns(family: Family) -> Vec<ColumnSpec> {
    match family {
        Family::Events | Family::NetworkActivity => event_columns(),
        Family::Insight => insight_columns(),
        Family::Aggregated => aggregated_columns(),
    }
}

/// Returns the top-level keys whose values are inferred, with their nested columns.
pub fn nested_columns(family: Family) -> Vec<(&'static str, &'static str)> {
    columns(family)
        .into_iter()
        .filter_map(|column| match column.role {
            Role::Nested(key) => Some((key, column.name)),
            _ => None,
        })
        .collect()
}

fn text(name: &'static str, key: &'static str) -> ColumnSpec {
    ColumnSpec { name, role: Role::Text(key), comment: "" }
}

fn json(name: &'static str, key: &'static str) -> ColumnSpec {
    ColumnSpec { name, role: Role::Json(key), comment: "JSON text as delivered" }
}

fn event_columns() -> Vec<ColumnSpec> {
    let typed = |name, key, kind| ColumnSpec { name, role: Role::Typed(key, kind), comment: "" };
    let resource = Kind::Struct(strings(&["arn", "accountid", "type", "arnprefix"]));
    let addendum = strings(&["reason", "updatedfields", "originalrequestid", "originaleventid"]);
    let tls = strings(&["tlsversion", "ciphersuite", "clientprovidedhostheader", "keyexchange"]);
    let plain = |name, role, comment| ColumnSpec { name, role, comment };
    vec![
        text("eventversion", "eventVersion"),
        typed("useridentity", "userIdentity", user_identity()),
        text("eventtime", "eventTime"),
        text("eventsource", "eventSource"),
        text("eventname", "eventName"),
        text("awsregion", "awsRegion"),
        text("sourceipaddress", "sourceIPAddress"),
        text("useragent", "userAgent"),
        text("errorcode", "errorCode"),
        text("errormessage", "errorMessage"),
        json("requestparameters", "requestParameters"),
        json("responseelements", "responseElements"),
        json("additionaleventdata", "additionalEventData"),
        text("requestid", "requestID"),
        text("eventid", "eventID"),
        typed("resources", "resources", Kind::List(Box::new(resource))),
        text("eventtype", "eventType"),
        text("apiversion", "apiVersion"),
        text("readonly", "readOnly"),
        text("recipientaccountid", "recipientAccountId"),
        json("serviceeventdetails", "serviceEventDetails"),
        text("sharedeventid", "sharedEventID"),
        text("vpcendpointid", "vpcEndpointId"),
        text("vpcendpointaccountid", "vpcEndpointAccountId"),
        text("eventcategory", "eventCategory"),
        typed("addendum", "addendum", Kind::Struct(addendum)),
        text("sessioncredentialfromconsole", "sessionCredentialFromConsole"),
        json("edgedevicedetails", "edgeDeviceDetails"),
        typed("tlsdetails", "tlsDetails", Kind::Struct(tls)),
        plain("event_timestamp", Role::Timestamp, "eventtime as a UTC timestamp"),
        plain("managementevent", Role::Boolean("managementEvent"), ""),
        plain("s3_bucket", Role::S3Bucket, "bucket of an S3 event"),
        plain("s3_key", Role::S3Key, "object key of an S3 event"),
        plain("lambda_function", Role::LambdaFunction, "function name of a Lambda event"),
        plain("request", Role::Nested("requestParameters"), "inferred from requestparameters"),
        plain("response", Role::Nested("responseElements"), "inferred from responseelements"),
        plain(
            "additional",
            Role::Nested("additionalEventData"),
            "inferred from additionaleventdata",
        ),
        plain(
            "service_details",
            Role::Nested("serviceEventDetails"),
            "inferred from serviceeventdetails",
        ),
        plain("extra_fields", Role::Extra, "JSON object of fields that no other column holds"),
    ]
}

fn insight_columns() -> Vec<ColumnSpec> {
    vec![
        text("eventversion", "eventVersion"),
        text("eventtime", "eventTime"),
        text("awsregion", "awsRegion"),
        text("eventid", "eventID"),
        text("eventtype", "eventType"),
        text("recipientaccountid", "recipientAccountId"),
        text("sharedeventid", "sharedEventID"),
        json("insightdetails", "insightDetails"),
        text("eventcategory", "eventCategory"),
        ColumnSpec {
            name: "event_timestamp",
            role: Role::Timestamp,
            comment: "eventtime as a UTC timestamp",
        },
        ColumnSpec {
            name: "insight",
            role: Role::Nested("insightDetails"),
            comment: "inferred from insightdetails",
        },
        ColumnSpec {
            name: "extra_fields",
            role: Role::Extra,
            comment: "JSON object of fields that no other column holds",
        },
    ]
}

fn aggregated_columns() -> Vec<ColumnSpec> {
    vec![
        text("eventversion", "eventVersion"),
        text("eventid", "eventId"),
        text("accountid", "accountId"),
        text("awsregion", "awsRegion"),
        text("eventtype", "eventType"),
        text("eventcategory", "eventCategory"),
        ColumnSpec {
            name: "timewindow",
            role: Role::Typed(
                "timeWindow",
                Kind::Struct(strings(&["windowstart", "windowend", "windowsize"])),
            ),
            comment: "",
        },
        json("summary", "summary"),
        ColumnSpec {
            name: "event_timestamp",
            role: Role::Timestamp,
            comment: "start of the time window as a UTC timestamp",
        },
        ColumnSpec {
            name: "aggregate",
            role: Role::Nested("summary"),
            comment: "inferred from summary",
        },
        ColumnSpec {
            name: "extra_fields",
            role: Role::Extra,
            comment: "JSON object of fields that no other column holds",
        },
    ]
}

/// Returns the Hive type of a column that is not nested.
pub fn hive_type(role: &Role) -> Option<String> {
    match role {
        Role::Typed(_, kind) => Some(kind.hive_type()),
        Role::Boolean(_) => Some("boolean".to_owned()),
        Role::Timestamp => Some("timestamp".to_owned()),
        Role::Nested(_) => None,
        _ => Some("string".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/columns.md, written down a second time so that a change of the code is a change here.
    #[test]
    fn the_contract_columns_have_their_names_types_and_order() {
        let wanted = "eventversion useridentity eventtime eventsource eventname awsregion \
            sourceipaddress useragent errorcode errormessage requestparameters responseelements \
            additionaleventdata requestid eventid resources eventtype apiversion readonly \
            recipientaccountid serviceeventdetails sharedeventid vpcendpointid \
            vpcendpointaccountid eventcategory addendum sessioncredentialfromconsole \
            edgedevicedetails tlsdetails";
        let columns = columns(Family::Events);
        let names: Vec<_> = columns.iter().take(29).map(|c| c.name).collect();
        assert_eq!(names.join(" "), wanted.split_whitespace().collect::<Vec<_>>().join(" "));
        let identity = hive_type(&columns[1].role).unwrap();
        assert!(identity.starts_with(
            "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,\
             accesskeyid:string,username:string,\
             onbehalfof:struct<userid:string,identitystorearn:string>,\
             sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string,"
        ));
        assert!(identity.contains(
            "ec2roledelivery:string,\
             webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>,"
        ));
        assert_eq!(
            hive_type(&columns[15].role).unwrap(),
            "array<struct<arn:string,accountid:string,type:string,arnprefix:string>>"
        );
        for column in columns.iter().take(29) {
            if !matches!(column.role, Role::Typed(..)) {
                assert_eq!(hive_type(&column.role).unwrap(), "string", "{}", column.name);
            }
        }
    }
}
