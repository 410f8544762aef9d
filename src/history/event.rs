//! What a table, a CSV or a count shows of an event.

use crate::history::columns::Rows;
use crate::history::resources::{Resource, resources};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The instant, in milliseconds since 1970.
    pub instant: i64,
    /// `eventTime`, as delivered.
    pub time: String,
    /// The user as CloudTrail's console names it, see `user_name`.
    pub user: String,
    /// The access key.
    pub access_key: String,
    /// The ARN of the identity.
    pub arn: String,
    /// `eventSource`.
    pub source: String,
    /// `eventName`.
    pub name: String,
    /// `awsRegion`.
    pub region: String,
    /// `recipientAccountId`.
    pub account: String,
    /// `sourceIPAddress`: an address, or the name of a service.
    pub ip: String,
    /// `userAgent`.
    pub agent: String,
    /// `errorCode`.
    pub error: String,
    /// Resources, as far as the record tells.
    pub resources: Vec<Resource>,
    /// `requestID`.
    pub request_id: String,
    /// `eventID`.
    pub id: String,
    /// `readOnly`: `true` or `false`.
    pub read_only: String,
    /// `eventType`.
    pub kind: String,
    /// `eventCategory`.
    pub category: String,
}

/// Something to count events by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The user, see `user_name`.
    User,
    /// The event's name.
    Event,
    /// The service.
    Source,
    /// The source address.
    Ip,
    /// The access key.
    AccessKey,
    /// The account.
    Account,
    /// The region.
    Region,
    /// The error code.
    Error,
    /// The user agent.
    Agent,
    /// The day, in UTC.
    Day,
    /// The hour, in UTC.
    Hour,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 11] = [
        Self::User,
        Self::Event,
        Self::Source,
        Self::Ip,
        Self::AccessKey,
        Self::Account,
        Self::Region,
        Self::Error,
        Self::Agent,
        Self::Day,
        Self::Hour,
    ];

    /// Returns the columns that its value is taken from.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::User => &[
                "useridentity.type",
                "useridentity.principalid",
                "useridentity.invokedby",
                "useridentity.username",
            ],
            Self::Event => &["eventname"],
            Self::Source => &["eventsource"],
            Self::Ip => &["sourceipaddress"],
            Self::AccessKey => &["useridentity.accesskeyid"],
            Self::Account => &["recipientaccountid"],
            Self::Region => &["awsregion"],
            Self::Error => &["errorcode"],
            Self::Agent => &["useragent"],
            Self::Day | Self::Hour => &["eventtime"],
        }
    }

    /// Returns its name on the command line, and as a title.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Event => "event",
            Self::Source => "source",
            Self::Ip => "ip",
            Self::AccessKey => "access-key",
            Self::Account => "account",
            Self::Region => "region",
            Self::Error => "error",
            Self::Agent => "agent",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

/// The columns that [`Event::read`] takes values from.
pub const COLUMNS: &[&str] = &[
    "useridentity.type",
    "useridentity.principalid",
    "useridentity.arn",
    "useridentity.invokedby",
    "useridentity.accesskeyid",
    "useridentity.username",
    "eventtime",
    "eventsource",
    "eventname",
    "awsregion",
    "sourceipaddress",
    "useragent",
    "errorcode",
    "requestparameters",
    "requestid",
    "eventid",
    "resources",
    "eventtype",
    "readonly",
    "recipientaccountid",
    "eventcategory",
    "event_timestamp",
];

impl Event {
    /// Takes an event from a row.
    pub fn read(rows: &Rows, row: usize) -> Self {
        let text = |name: &str| rows.text(name, row).to_owned();
        Self {
            instant: rows.instant(row),
            time: text("eventtime"),
            user: user_name(rows, row),
            access_key: rows.identity(&["accesskeyid"], row).to_owned(),
            arn: rows.identity(&["arn"], row).to_owned(),
            source: text("eventsource"),
            name: text("eventname"),
            region: text("awsregion"),
            account: text("recipientaccountid"),
            ip: text("sourceipaddress"),
            agent: text("useragent"),
            error: text("errorcode"),
            resources: resources(rows, row),
            request_id: text("requestid"),
            id: text("eventid"),
            read_only: text("readonly"),
            kind: text("eventtype"),
            category: text("eventcategory"),
        }
    }

    /// Returns the value that events are counted by.
    pub fn field(&self, field: Field) -> &str {
        match field {
            Field::User => &self.user,
            Field::Event => &self.name,
            Field::Source => &self.source,
            Field::Ip => &self.ip,
            Field::AccessKey => &self.access_key,
            Field::Account => &self.account,
            Field::Region => &self.region,
            Field::Error => &self.error,
            Field::Agent => &self.agent,
            Field::Day => self.time.get(..10).unwrap_or(&self.time),
            Field::Hour => self.time.get(..13).unwrap_or(&self.time),
        }
    }
}

/// Returns the user as CloudTrail's event history names it: `root`, the name of an IAM user, the session
/// name of an assumed role; the service for events of a service.
pub(super) fn user_name(rows: &Rows, row: usize) -> String {
    let identity = |path: &[&str]| rows.identity(path, row);
    let name = match identity(&["type"]) {
        "Root" => "root",
        "AssumedRole" | "FederatedUser" => session_name(rows, row),
        "AWSService" => identity(&["invokedby"]),
        _ => identity(&["username"]),
    };
    let name = if name.is_empty() { identity(&["username"]) } else { name };
    name.to_owned()
}

/// Returns the session name of an assumed role: what follows the colon of its principal ID.
pub(super) fn session_name(rows: &Rows, row: usize) -> &str {
    session_of(rows.identity(&["principalid"], row))
}

/// Returns the session name in a principal ID; empty where there is none.
pub(super) fn session_of(principal: &str) -> &str {
    principal.split_once(':').map_or("", |(_, session)| session)
}
