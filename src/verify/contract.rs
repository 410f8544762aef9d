//! The tables and columns a lake must have, written down a second time.
//!
//! This copy of the contract is on purpose not the writer's: a column that the writer forgets,
//! renames or moves is then a difference and not a shared mistake.

/// Which table a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Family {
    Events,
    NetworkActivity,
    Insight,
    Aggregated,
    Digest,
}

impl Family {
    pub(super) const ALL: [Self; 5] =
        [Self::Events, Self::NetworkActivity, Self::Insight, Self::Aggregated, Self::Digest];

    /// Returns the name of the family's table, given the base name.
    pub(super) fn table(self, base: &str) -> String {
        match self {
            Self::Events => base.to_owned(),
            Self::NetworkActivity => format!("{base}_network_activity"),
            Self::Insight => format!("{base}_insight"),
            Self::Aggregated => format!("{base}_aggregated"),
            Self::Digest => format!("{base}_digest"),
        }
    }

    /// Returns the name of the table with the same rows and nested columns, given the base name.
    pub(super) fn typed_table(self, base: &str) -> String {
        format!("{}_typed", self.table(base))
    }

    /// Returns the columns that the typed table has from the other, in its order; they come first.
    pub(super) fn typed_columns(self) -> &'static [&'static str] {
        match self {
            Self::Events | Self::NetworkActivity => EVENTS_TYPED,
            Self::Insight => INSIGHT_TYPED,
            Self::Aggregated => AGGREGATED_TYPED,
            Self::Digest => &[],
        }
    }

    /// Returns the columns that are checked, in the order they are hashed.
    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Events | Self::NetworkActivity => EVENTS,
            Self::Insight => INSIGHT,
            Self::Aggregated => AGGREGATED,
            Self::Digest => DIGEST,
        }
    }
}

/// How a JSON value becomes a column's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// A string's content, any other value's JSON text.
    Text,
    /// The value's own JSON text, whatever it is.
    FreeForm,
    /// `true` or `false`, also as strings.
    Flag,
    Struct(&'static [Member]),
    /// An array of structs.
    List(&'static [Member]),
    /// An object with any keys.
    Map,
    /// Milliseconds since 1970 in UTC, from the event time.
    Instant,
    /// Fields without a column of their own.
    Extra,
}

/// One checked column: its name, and the JSON key spelled as AWS does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) shape: Shape,
}

/// One member of a struct, found by its key in lower case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

const fn column(name: &'static str, key: &'static str, shape: Shape) -> Column {
    Column { name, key, shape }
}

const fn text(name: &'static str) -> Member {
    Member { name, shape: Shape::Text }
}

const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, shape }
}

use Shape::{Extra, Flag, FreeForm, Instant, List, Map, Struct, Text};

const USER_IDENTITY: &[Member] = &[
    text("type"),
    text("principalid"),
    text("arn"),
    text("accountid"),
    text("invokedby"),
    text("accesskeyid"),
    text("username"),
    member("onbehalfof", Struct(&[text("userid"), text("identitystorearn")])),
    member("sessioncontext", Struct(SESSION_CONTEXT)),
    member("invokedbydelegate", Struct(&[text("accountid")])),
    member(
        "inscopeof",
        Struct(&[
            text("issuertype"),
            text("credentialsissuedto"),
            text("credentialsissuedtoversion"),
            text("sourcearn"),
            text("sourceaccount"),
        ]),
    ),
    text("credentialid"),
    text("identityprovider"),
];

const SESSION_CONTEXT: &[Member] = &[
    member(
        "attributes",
        Struct(&[
            text("mfaauthenticated"),
            text("creationdate"),
            text("sessioncredentialfromconsole"),
        ]),
    ),
    member(
        "sessionissuer",
        Struct(&[
            text("type"),
            text("principalid"),
            text("arn"),
            text("accountid"),
            text("username"),
        ]),
    ),
    text("ec2roledelivery"),
    member("webidfederationdata", Struct(&[text("federatedprovider"), member("attributes", Map)])),
    text("sourceidentity"),
    text("assumedroot"),
    text("signinsessionarn"),
    text("ec2issuedinvpc"),
];

const RESOURCE: &[Member] = &[text("arn"), text("accountid"), text("type"), text("arnprefix")];

const ADDENDUM: &[Member] =
    &[text("reason"), text("updatedfields"), text("originalrequestid"), text("originaleventid")];

const TLS_DETAILS: &[Member] = &[
    text("tlsversion"),
    text("ciphersuite"),
    text("clientprovidedhostheader"),
    text("keyexchange"),
];

/// How many of the events table's columns come first and in this order: AWS's own.
pub(super) const CONTRACT_COLUMNS: usize = 29;

const EVENTS: &[Column] = &[
    column("eventversion", "eventVersion", Text),
    column("useridentity", "userIdentity", Struct(USER_IDENTITY)),
    column("eventtime", "eventTime", Text),
    column("eventsource", "eventSource", Text),
    column("eventname", "eventName", Text),
    column("awsregion", "awsRegion", Text),
    column("sourceipaddress", "sourceIPAddress", Text),
    column("useragent", "userAgent", Text),
    column("errorcode", "errorCode", Text),
    column("errormessage", "errorMessage", Text),
    column("requestparameters", "requestParameters", FreeForm),
    column("responseelements", "responseElements", FreeForm),
    column("additionaleventdata", "additionalEventData", FreeForm),
    column("requestid", "requestID", Text),
    column("eventid", "eventID", Text),
    column("resources", "resources", List(RESOURCE)),
    column("eventtype", "eventType", Text),
    column("apiversion", "apiVersion", Text),
    column("readonly", "readOnly", Text),
    column("recipientaccountid", "recipientAccountId", Text),
    column("serviceeventdetails", "serviceEventDetails", FreeForm),
    column("sharedeventid", "sharedEventID", Text),
    column("vpcendpointid", "vpcEndpointId", Text),
    column("vpcendpointaccountid", "vpcEndpointAccountId", Text),
    column("eventcategory", "eventCategory", Text),
    column("addendum", "addendum", Struct(ADDENDUM)),
    column("sessioncredentialfromconsole", "sessionCredentialFromConsole", Text),
    column("edgedevicedetails", "edgeDeviceDetails", FreeForm),
    column("tlsdetails", "tlsDetails", Struct(TLS_DETAILS)),
    column("event_timestamp", "", Instant),
    column("managementevent", "managementEvent", Flag),
    column("extra_fields", "", Extra),
];

const INSIGHT: &[Column] = &[
    column("eventversion", "eventVersion", Text),
    column("eventtime", "eventTime", Text),
    column("awsregion", "awsRegion", Text),
    column("eventid", "eventID", Text),
    column("eventtype", "eventType", Text),
    column("recipientaccountid", "recipientAccountId", Text),
    column("sharedeventid", "sharedEventID", Text),
    column("insightdetails", "insightDetails", FreeForm),
    column("eventcategory", "eventCategory", Text),
    column("event_timestamp", "", Instant),
    column("extra_fields", "", Extra),
];

const AGGREGATED: &[Column] = &[
    column("eventversion", "eventVersion", Text),
    column("eventid", "eventId", Text),
    column("accountid", "accountId", Text),
    column("awsregion", "awsRegion", Text),
    column("eventtype", "eventType", Text),
    column("eventcategory", "eventCategory", Text),
    column(
        "timewindow",
        "timeWindow",
        Struct(&[text("windowstart"), text("windowend"), text("windowsize")]),
    ),
    column("summary", "summary", FreeForm),
    column("event_timestamp", "", Instant),
    column("extra_fields", "", Extra),
];

const LOG_FILE: &[Member] = &[
    text("s3bucket"),
    text("s3object"),
    text("hashvalue"),
    text("hashalgorithm"),
    text("newesteventtime"),
    text("oldesteventtime"),
];

const DIGEST: &[Column] = &[
    column("awsaccountid", "awsAccountId", Text),
    column("digeststarttime", "digestStartTime", Text),
    column("digestendtime", "digestEndTime", Text),
    column("digests3bucket", "digestS3Bucket", Text),
    column("digests3object", "digestS3Object", Text),
    column("digestpublickeyfingerprint", "digestPublicKeyFingerprint", Text),
    column("digestsignaturealgorithm", "digestSignatureAlgorithm", Text),
    column("newesteventtime", "newestEventTime", Text),
    column("oldesteventtime", "oldestEventTime", Text),
    column("previousdigests3bucket", "previousDigestS3Bucket", Text),
    column("previousdigests3object", "previousDigestS3Object", Text),
    column("previousdigesthashvalue", "previousDigestHashValue", Text),
    column("previousdigesthashalgorithm", "previousDigestHashAlgorithm", Text),
    column("previousdigestsignature", "previousDigestSignature", Text),
    column("logfiles", "logFiles", List(LOG_FILE)),
    column("event_timestamp", "", Instant),
    column("extra_fields", "", Extra),
];

/// The keys that make a CloudTrail record.
pub(super) const FIELDS: [&str; 21] = [
    "awsAccountId",
    "digestEndTime",
    "digestS3Bucket",
    "digestS3Object",
    "digestStartTime",
    "eventVersion",
    "eventTime",
    "eventName",
    "eventSource",
    "eventID",
    "eventId",
    "awsRegion",
    "userIdentity",
    "recipientAccountId",
    "insightDetails",
    "timeWindow",
    "eventType",
    "eventCategory",
    "requestParameters",
    "sourceIPAddress",
    "userAgent",
];

/// The member of `extra_fields` with what a wrapper said; it is not compared.
pub(super) const WRAPPER: &str = "_wrapper";

const EVENTS_TYPED: &[&str] = &[
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
];

const INSIGHT_TYPED: &[&str] = &[
    "eventtime",
    "awsregion",
    "eventid",
    "eventtype",
    "recipientaccountid",
    "sharedeventid",
    "event_timestamp",
];

const AGGREGATED_TYPED: &[&str] =
    &["eventid", "accountid", "awsregion", "eventtype", "timewindow", "event_timestamp"];

/// Facts about the records of an object, from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// The name says the family.
    Of(Family),
    /// Another service's log: never converted.
    Ignored,
    /// Nothing; each record says what it is.
    Silent,
}

/// Folders of other services, in lower case.
const SERVICES: &str = " appfabric cloudfront clientvpn config directconnect ecs eks elasticloadbalancing \
     globalaccelerator guardduty inspector2 networkfirewall network-firewall redshift securityhub verifiedaccess \
     vpcdnsquerylogs vpcflowlogs vpc-lattice waflogs ";

/// Reads the family from an object's name: `AWSLogs/[o-…/]<account>/<service>/…`, else a file name
/// `…<account>_<service>_<region>_…` of CloudTrail's. What is in a folder of no service says itself what it is.
pub(super) fn folder(name: &str) -> Folder {
    let (path, file) = name.rsplit_once('/').unwrap_or(("", name));
    let segments: Vec<&str> = path.split('/').collect();
    let is_root = |segment: &&str| segment.eq_ignore_ascii_case("awslogs");
    if let Some(logs) = segments.iter().rposition(is_root) {
        let is_organization = segments.get(logs + 1).is_some_and(|s| s.starts_with("o-"));
        let account = logs + 1 + usize::from(is_organization);
        if let (Some(id), Some(service)) = (segments.get(account), segments.get(account + 1))
            && is_account(id)
        {
            let is_other = SERVICES.contains(&format!(" {} ", service.to_ascii_lowercase()));
            let below = &segments[account + 1..];
            return match below.iter().find_map(|segment| by_name(segment)) {
                _ if is_other => Folder::Ignored,
                Some(found) => found,
                None => by_file(file),
            };
        }
    }
    by_file(file)
}

fn by_file(file: &str) -> Folder {
    let parts: Vec<&str> = file.split('_').collect();
    let mut found = parts.windows(3).rev().filter(|parts| is_account(parts[0]));
    found.find_map(|parts| by_name(parts[1])).unwrap_or(Folder::Silent)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn by_name(folder: &str) -> Option<Folder> {
    Some(match folder.to_ascii_lowercase().as_str() {
        "cloudtrail" => Folder::Of(Family::Events),
        "cloudtrail-networkactivity" => Folder::Of(Family::NetworkActivity),
        "cloudtrail-insight" => Folder::Of(Family::Insight),
        "cloudtrail-aggregated" => Folder::Of(Family::Aggregated),
        "cloudtrail-digest" => Folder::Of(Family::Digest),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_the_first_29_columns() {
        assert_eq!(EVENTS[CONTRACT_COLUMNS - 1].name, "tlsdetails");
        for column in EVENTS.iter().chain(INSIGHT).chain(AGGREGATED).chain(DIGEST) {
            assert!(column.key.is_empty() || column.key.to_ascii_lowercase() == column.name);
        }
    }

    #[test]
    fn folders_name_the_family() {
        for (name, expected) in [
            ("AWSLogs/123456789012/CloudTrail/r/x.gz", Folder::Of(Family::Events)),
            ("p/AWSLogs/o-a/123456789012/CloudTrail-Insight/x", Folder::Of(Family::Insight)),
            ("AWSLogs/123456789012/CloudTrail-Digest/x.gz", Folder::Of(Family::Digest)),
            ("AWSLogs/123456789012/Config/x.gz", Folder::Ignored),
            ("awslogs/123456789012/case/cloudtrail/x.gz", Folder::Of(Family::Events)),
            ("AWSLogs/123456789012/case/x.gz", Folder::Silent),
            (
                "AWSLogs_123456789012_CloudTrail_r_123456789012_CloudTrail_r_x",
                Folder::Of(Family::Events),
            ),
            ("AWSLogs/1/CloudTrail-Digest/x.gz", Folder::Silent),
            ("CloudTrail-Aggregated/x", Folder::Silent),
            ("x/123456789012_CloudTrail_r_1.gz", Folder::Of(Family::Events)),
            ("123456789012_CloudTrail-Digest_r_1.gz", Folder::Of(Family::Digest)),
            ("123456789012_Config_r_1.gz", Folder::Silent),
            ("CloudTrail", Folder::Silent),
            ("AWSLogs/x.json", Folder::Silent),
        ] {
            assert_eq!(folder(name), expected, "{name}");
        }
    }
}
