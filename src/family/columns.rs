//! The columns of each family's tables.
//!
//! The first 29 columns of the event tables are the contract: AWS's documented Athena DDL, same
//! lower-case names, types and order. Members and columns that AWS's page lacks come after them. The
//! typed tables repeat some of them, and add what is inferred from JSON texts.

use super::comments::comment_of;

/// Where a column's values come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// A top-level key: a string's content, other values as JSON text.
    Text(&'static str),
    /// A top-level key: the value's own JSON text.
    Json(&'static str),
    /// A top-level key with a documented shape.
    Typed(&'static str, Documented),
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
    /// The value that a partition key would have.
    Place(Place),
}

/// What a row can be partitioned by, and has a column for in layouts without that partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The account.
    Account,
    /// The region.
    Region,
    /// The day of the event, UTC.
    EventDate,
}

/// One column that a table always has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnSpec {
    /// The name in Parquet and in the catalog.
    pub name: &'static str,
    /// Where its values come from.
    pub role: Role,
    /// What it holds, for the catalog; at most 255 characters.
    pub comment: &'static str,
    /// Whether hardly any two values are equal: looking for equal ones, or a dictionary, would only cost.
    pub is_id: bool,
}

impl ColumnSpec {
    /// Returns the top-level key whose value the column holds.
    pub fn key(&self) -> Option<&'static str> {
        match self.role {
            Role::Text(key) | Role::Json(key) | Role::Typed(key, _) | Role::Boolean(key) => {
                Some(key)
            }
            _ => None,
        }
    }
}

/// The columns of a family's typed table.
#[derive(Clone, Copy, Debug)]
pub struct TypedColumns {
    /// Names of columns that it shares with the family's main table, in its order.
    pub shared: &'static [&'static str],
    /// The structs that are inferred, after those.
    pub inferred: &'static [ColumnSpec],
}

/// The columns after all others, each in layouts without the partition key of its name.
pub const PLACES: [ColumnSpec; 3] = [
    plain("account", Role::Place(Place::Account), "account the event belongs to"),
    plain("region", Role::Place(Place::Region), "region of the event"),
    plain("event_date", Role::Place(Place::EventDate), "day of the event, UTC"),
];

/// A documented shape; every leaf is a string.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Documented {
    /// Text; other scalars as their JSON text.
    String,
    /// An object with open keys; values as text.
    Map,
    /// Elements of one shape.
    List(&'static Documented),
    /// Members, in their order.
    Struct(&'static [Member]),
}

/// A member of a documented shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// The name in Parquet and in the catalog.
    pub name: &'static str,
    /// What it holds.
    pub shape: Documented,
}

/// A member that is a string.
const fn string(name: &'static str) -> Member {
    Member { name, shape: Documented::String }
}

const fn structure(name: &'static str, members: &'static [Member]) -> Member {
    Member { name, shape: Documented::Struct(members) }
}

const fn plain(name: &'static str, role: Role, comment: &'static str) -> ColumnSpec {
    ColumnSpec { name, role, comment, is_id: false }
}

const fn text(name: &'static str, key: &'static str) -> ColumnSpec {
    plain(name, Role::Text(key), comment_of(name))
}

const fn id(name: &'static str, key: &'static str) -> ColumnSpec {
    ColumnSpec { is_id: true, ..text(name, key) }
}

const fn json(name: &'static str, key: &'static str) -> ColumnSpec {
    plain(name, Role::Json(key), comment_of(name))
}

const fn typed(name: &'static str, key: &'static str, shape: Documented) -> ColumnSpec {
    plain(name, Role::Typed(key, shape), comment_of(name))
}

/// `userIdentity`, documented members first.
const USER_IDENTITY: Documented = Documented::Struct(&[
    string("type"),
    string("principalid"),
    string("arn"),
    string("accountid"),
    string("invokedby"),
    string("accesskeyid"),
    string("username"),
    structure("onbehalfof", &[string("userid"), string("identitystorearn")]),
    structure(
        "sessioncontext",
        &[
            structure(
                "attributes",
                &[
                    string("mfaauthenticated"),
                    string("creationdate"),
                    string("sessioncredentialfromconsole"),
                ],
            ),
            structure(
                "sessionissuer",
                &[
                    string("type"),
                    string("principalid"),
                    string("arn"),
                    string("accountid"),
                    string("username"),
                ],
            ),
            string("ec2roledelivery"),
            structure(
                "webidfederationdata",
                &[
                    string("federatedprovider"),
                    Member { name: "attributes", shape: Documented::Map },
                ],
            ),
            string("sourceidentity"),
            string("assumedroot"),
            string("signinsessionarn"),
            string("ec2issuedinvpc"),
        ],
    ),
    structure("invokedbydelegate", &[string("accountid")]),
    structure(
        "inscopeof",
        &[
            string("issuertype"),
            string("credentialsissuedto"),
            string("credentialsissuedtoversion"),
            string("sourcearn"),
            string("sourceaccount"),
        ],
    ),
    string("credentialid"),
    string("identityprovider"),
]);

const RESOURCES: Documented = Documented::List(&Documented::Struct(&[
    string("arn"),
    string("accountid"),
    string("type"),
    string("arnprefix"),
]));

const ADDENDUM: Documented = Documented::Struct(&[
    string("reason"),
    string("updatedfields"),
    string("originalrequestid"),
    string("originaleventid"),
]);

const TLS_DETAILS: Documented = Documented::Struct(&[
    string("tlsversion"),
    string("ciphersuite"),
    string("clientprovidedhostheader"),
    string("keyexchange"),
]);

const TIME_WINDOW: Documented =
    Documented::Struct(&[string("windowstart"), string("windowend"), string("windowsize")]);

/// Of events and network activity events.
pub(super) const EVENTS: &[ColumnSpec] = &[
    text("eventversion", "eventVersion"),
    typed("useridentity", "userIdentity", USER_IDENTITY),
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
    id("requestid", "requestID"),
    id("eventid", "eventID"),
    typed("resources", "resources", RESOURCES),
    text("eventtype", "eventType"),
    text("apiversion", "apiVersion"),
    text("readonly", "readOnly"),
    text("recipientaccountid", "recipientAccountId"),
    json("serviceeventdetails", "serviceEventDetails"),
    id("sharedeventid", "sharedEventID"),
    text("vpcendpointid", "vpcEndpointId"),
    text("vpcendpointaccountid", "vpcEndpointAccountId"),
    text("eventcategory", "eventCategory"),
    typed("addendum", "addendum", ADDENDUM),
    text("sessioncredentialfromconsole", "sessionCredentialFromConsole"),
    json("edgedevicedetails", "edgeDeviceDetails"),
    typed("tlsdetails", "tlsDetails", TLS_DETAILS),
    plain("event_timestamp", Role::Timestamp, "eventtime as a UTC timestamp"),
    plain("managementevent", Role::Boolean("managementEvent"), comment_of("managementevent")),
    plain("s3_bucket", Role::S3Bucket, "bucket of an S3 event"),
    plain("s3_key", Role::S3Key, "object key of an S3 event"),
    plain("lambda_function", Role::LambdaFunction, "function name of a Lambda event"),
    plain("extra_fields", Role::Extra, "JSON object of fields that no other column holds"),
];

pub(super) const EVENTS_TYPED: TypedColumns = TypedColumns {
    shared: &[
        "useridentity",
        "eventtime",
        "eventsource",
        "eventname",
        "awsregion",
        "sourceipaddress",
        "useragent",
        "errorcode",
        "errormessage",
        "requestid",
        "eventid",
        "eventtype",
        "readonly",
        "recipientaccountid",
        "event_timestamp",
    ],
    inferred: &[
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
    ],
};

pub(super) const INSIGHT: &[ColumnSpec] = &[
    text("eventversion", "eventVersion"),
    text("eventtime", "eventTime"),
    text("awsregion", "awsRegion"),
    id("eventid", "eventID"),
    text("eventtype", "eventType"),
    text("recipientaccountid", "recipientAccountId"),
    id("sharedeventid", "sharedEventID"),
    json("insightdetails", "insightDetails"),
    text("eventcategory", "eventCategory"),
    plain("event_timestamp", Role::Timestamp, "eventtime as a UTC timestamp"),
    plain("extra_fields", Role::Extra, "JSON object of fields that no other column holds"),
];

pub(super) const INSIGHT_TYPED: TypedColumns = TypedColumns {
    shared: &[
        "eventtime",
        "awsregion",
        "eventid",
        "eventtype",
        "recipientaccountid",
        "sharedeventid",
        "event_timestamp",
    ],
    inferred: &[plain("insight", Role::Nested("insightDetails"), "inferred from insightdetails")],
};

pub(super) const AGGREGATED: &[ColumnSpec] = &[
    text("eventversion", "eventVersion"),
    id("eventid", "eventId"),
    text("accountid", "accountId"),
    text("awsregion", "awsRegion"),
    text("eventtype", "eventType"),
    text("eventcategory", "eventCategory"),
    typed("timewindow", "timeWindow", TIME_WINDOW),
    json("summary", "summary"),
    plain("event_timestamp", Role::Timestamp, "start of the time window as a UTC timestamp"),
    plain("extra_fields", Role::Extra, "JSON object of fields that no other column holds"),
];

const LOG_FILES: Documented = Documented::List(&Documented::Struct(&[
    string("s3bucket"),
    string("s3object"),
    string("hashvalue"),
    string("hashalgorithm"),
    string("newesteventtime"),
    string("oldesteventtime"),
]));

pub(super) const DIGEST: &[ColumnSpec] = &[
    text("awsaccountid", "awsAccountId"),
    text("digeststarttime", "digestStartTime"),
    text("digestendtime", "digestEndTime"),
    text("digests3bucket", "digestS3Bucket"),
    id("digests3object", "digestS3Object"),
    text("digestpublickeyfingerprint", "digestPublicKeyFingerprint"),
    text("digestsignaturealgorithm", "digestSignatureAlgorithm"),
    text("newesteventtime", "newestEventTime"),
    text("oldesteventtime", "oldestEventTime"),
    text("previousdigests3bucket", "previousDigestS3Bucket"),
    id("previousdigests3object", "previousDigestS3Object"),
    id("previousdigesthashvalue", "previousDigestHashValue"),
    text("previousdigesthashalgorithm", "previousDigestHashAlgorithm"),
    id("previousdigestsignature", "previousDigestSignature"),
    typed("logfiles", "logFiles", LOG_FILES),
    plain("event_timestamp", Role::Timestamp, "digestendtime as a UTC timestamp"),
    plain("extra_fields", Role::Extra, "JSON object of fields that no other column holds"),
];

pub(super) const AGGREGATED_TYPED: TypedColumns = TypedColumns {
    shared: &["eventid", "accountid", "awsregion", "eventtype", "timewindow", "event_timestamp"],
    inferred: &[plain("aggregate", Role::Nested("summary"), "inferred from summary")],
};

/// Digests have nothing to infer, and no typed table.
pub(super) const DIGEST_TYPED: TypedColumns = TypedColumns { shared: &[], inferred: &[] };
