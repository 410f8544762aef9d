//! The panels of a report, in their order on the page.

use crate::report::panel::{Drawing, Kept, Measure, Panel, Stack};

use Measure::{Count, CountIf, First, Last};

/// Events whose request, response or additional data a panel reads.
pub const WITH_TEXTS: [&str; 9] = [
    "ConsoleLogin",
    "PutBucketPolicy",
    "PutBucketAcl",
    "PutObjectAcl",
    "CreateBucket",
    "PutBucketPublicAccessBlock",
    "DeleteBucketPublicAccessBlock",
    "PutAccountPublicAccessBlock",
    "DeleteAccountPublicAccessBlock",
];

const EVENTS: (&str, Measure) = ("events", Count);
const ERRORS: (&str, Measure) = ("errors", CountIf("{is_error}"));
const DENIED: (&str, Measure) = ("denied", CountIf("{is_denied}"));
const WRITES: (&str, Measure) = ("writes", CountIf("readonly = 'false'"));
const FIRST: (&str, Measure) = ("first_seen", First);
const LAST: (&str, Measure) = ("last_seen", Last);

const COUNTS: &[(&str, Measure)] = &[EVENTS, ERRORS, DENIED];
const WITH_TIMES: &[(&str, Measure)] = &[EVENTS, ERRORS, FIRST, LAST];
const CHANGES: &[(&str, Measure)] = &[EVENTS, ERRORS, LAST];

const PRINCIPAL: (&str, &str) = ("principal", "{principal}");
const SESSION: (&str, &str) = ("principal", "{session}");
const EVENT: (&str, &str) = ("eventname", "COALESCE(eventname, '')");
const SOURCE: (&str, &str) = ("eventsource", "COALESCE(eventsource, '')");
const ACCOUNT: (&str, &str) = ("account", "account");
const PERIOD: (&str, &str) = ("period", "date_trunc('{grain}', event_timestamp)");

/// What panels have unless they say otherwise.
const PANEL: Panel = Panel {
    id: "",
    section: "",
    title: "",
    note: "",
    keys: &[],
    measures: COUNTS,
    filter: "",
    kept: Kept::Top,
    drawing: Drawing::Table,
    reads_texts: false,
};

const ACTIVITY: &str = "Activity";
const WHO: &str = "Who and from where";
const SIGN_IN: &str = "Root and console";
const DATA: &str = "Data access";
const CHANGED: &str = "Changes to watch";
const NEW: &str = "Seen for the first time";

/// All panels.
pub const PANELS: &[Panel] = &[
    Panel {
        id: "totals",
        section: "Coverage",
        title: "Totals",
        note: "Events of the table in the window.",
        measures: &[EVENTS, WRITES, ERRORS, DENIED, FIRST, LAST],
        kept: Kept::All,
        drawing: Drawing::Tiles,
        ..PANEL
    },
    Panel {
        id: "coverage",
        section: "Coverage",
        title: "Accounts and regions by day",
        note: "A gap, in red, is a day without events in a region that otherwise has some on two days of \
               three; what is used on fewer than three days has none.",
        keys: &[ACCOUNT, ("region", "region"), ("event_date", "event_date")],
        measures: &[EVENTS],
        kept: Kept::All,
        drawing: Drawing::Coverage,
        ..PANEL
    },
    Panel {
        id: "activity",
        section: ACTIVITY,
        title: "Activity over time",
        note: "Events by category, and what they did: calls that change something are writes.",
        keys: &[
            PERIOD,
            ("category", "COALESCE(eventcategory, 'not stated')"),
            (
                "access",
                "CASE readonly WHEN 'true' THEN 'read' WHEN 'false' THEN 'write' ELSE 'not stated' END",
            ),
        ],
        measures: &[EVENTS],
        kept: Kept::All,
        drawing: Drawing::Timeline(&[
            Stack::Key("category", "By category"),
            Stack::Key("access", "Reads and writes"),
        ]),
        ..PANEL
    },
    Panel {
        id: "errors",
        section: ACTIVITY,
        title: "Errors and denials over time",
        note: "Calls that failed, and those among them that were denied.",
        keys: &[PERIOD],
        measures: &[DENIED, ("other_errors", CountIf("COALESCE({is_denied}, false) = false"))],
        filter: "{is_error}",
        kept: Kept::All,
        drawing: Drawing::Timeline(&[Stack::Measures(
            &[("denied", "access denied"), ("other_errors", "other errors")],
            "Failed calls",
        )]),
        ..PANEL
    },
    Panel {
        id: "error_codes",
        section: ACTIVITY,
        title: "Errors",
        note: "A failed console login has a message and no code.",
        keys: &[("errorcode", "COALESCE(errorcode, errormessage)")],
        measures: &[EVENTS, FIRST, LAST],
        filter: "{is_error}",
        ..PANEL
    },
    Panel {
        id: "denials",
        section: ACTIVITY,
        title: "Denied most often",
        note: "Who was denied what.",
        keys: &[PRINCIPAL, EVENT],
        measures: &[EVENTS, FIRST, LAST],
        filter: "{is_denied}",
        ..PANEL
    },
    Panel {
        id: "principals",
        section: WHO,
        title: "Principals",
        note: "Sessions of a role count as the role.",
        keys: &[PRINCIPAL, ("type", "COALESCE(useridentity.type, '')")],
        ..PANEL
    },
    Panel {
        id: "source_addresses",
        section: WHO,
        title: "Source addresses",
        note: "Calls that AWS services made are left out.",
        keys: &[("sourceipaddress", "sourceipaddress")],
        filter: "{is_address}",
        ..PANEL
    },
    Panel {
        id: "services",
        section: WHO,
        title: "Services",
        note: "",
        keys: &[SOURCE],
        measures: &[EVENTS, WRITES, ERRORS, DENIED],
        ..PANEL
    },
    Panel {
        id: "event_names",
        section: WHO,
        title: "Events",
        note: "",
        keys: &[SOURCE, EVENT],
        ..PANEL
    },
    Panel {
        id: "user_agents",
        section: WHO,
        title: "User agents",
        note: "As the caller wrote it: anybody can write anything.",
        keys: &[("useragent", "COALESCE(useragent, '')")],
        ..PANEL
    },
    Panel {
        id: "root",
        section: SIGN_IN,
        title: "Use of the root user",
        note: "Calls that services made on behalf of root are left out.",
        keys: &[ACCOUNT, SOURCE, EVENT],
        measures: WITH_TIMES,
        filter: "{is_root}",
        ..PANEL
    },
    Panel {
        id: "logins",
        section: SIGN_IN,
        title: "Console logins over time",
        note: "Whether a second factor was used is what the sign-in said of itself; logins through an \
               identity provider count as without.",
        keys: &[PERIOD, ("outcome", "{login}")],
        measures: &[EVENTS],
        filter: "{is_login}",
        kept: Kept::All,
        drawing: Drawing::Timeline(&[Stack::Key("outcome", "Console logins")]),
        reads_texts: true,
    },
    Panel {
        id: "login_users",
        section: SIGN_IN,
        title: "Who logged in",
        note: "",
        keys: &[
            (
                "principal",
                "COALESCE(useridentity.arn, useridentity.username, useridentity.principalid, '')",
            ),
            ("outcome", "{login}"),
        ],
        measures: &[EVENTS, FIRST, LAST],
        filter: "{is_login}",
        reads_texts: true,
        ..PANEL
    },
    Panel {
        id: "s3_access",
        section: DATA,
        title: "S3 by bucket and prefix",
        note: "The prefix is the key up to its first slash. Object calls are here if a trail records \
               data events.",
        keys: &[
            ("s3_bucket", "s3_bucket"),
            ("prefix", "CASE WHEN s3_key LIKE '%/%' THEN split_part(s3_key, '/', 1) ELSE '' END"),
        ],
        measures: &[EVENTS, WRITES, ERRORS, DENIED],
        filter: "eventsource = 's3.amazonaws.com' AND s3_bucket IS NOT NULL",
        ..PANEL
    },
    Panel {
        id: "lambda_invocations",
        section: DATA,
        title: "Lambda invocations by function and caller",
        note: "",
        keys: &[("lambda_function", "COALESCE(lambda_function, '')"), PRINCIPAL],
        filter: "eventsource = 'lambda.amazonaws.com' AND eventname LIKE 'Invoke%'",
        ..PANEL
    },
    Panel {
        id: "trail_changes",
        section: CHANGED,
        title: "Trails",
        note: "Whatever changed what CloudTrail records, or tried to.",
        keys: &[EVENT, SESSION, ACCOUNT],
        measures: CHANGES,
        filter: "eventsource = 'cloudtrail.amazonaws.com' AND readonly = 'false'",
        kept: Kept::Latest,
        ..PANEL
    },
    Panel {
        id: "iam_changes",
        section: CHANGED,
        title: "IAM",
        note: "Users, roles, keys and policies that were changed.",
        keys: &[EVENT, SESSION],
        measures: CHANGES,
        filter: "eventsource = 'iam.amazonaws.com' AND readonly = 'false'",
        ..PANEL
    },
    Panel {
        id: "kms_changes",
        section: CHANGED,
        title: "KMS keys",
        note: "Uses of a key to encrypt and decrypt are left out.",
        keys: &[EVENT, SESSION],
        measures: CHANGES,
        filter: "eventsource = 'kms.amazonaws.com' AND eventname IN ('CancelKeyDeletion', 'CreateAlias', \
                 'CreateGrant', 'CreateKey', 'DeleteAlias', 'DeleteImportedKeyMaterial', 'DisableKey', \
                 'DisableKeyRotation', 'EnableKey', 'EnableKeyRotation', 'ImportKeyMaterial', \
                 'PutKeyPolicy', 'ReplicateKey', 'RetireGrant', 'RevokeGrant', 'ScheduleKeyDeletion', \
                 'UpdateAlias', 'UpdatePrimaryRegion')",
        ..PANEL
    },
    Panel {
        id: "public_grants",
        section: CHANGED,
        title: "Buckets opened to the public",
        note: "Grants to everybody or to every AWS customer, policies that allow something to the principal \
               `*` (look at their conditions), and public access blocks taken away.",
        keys: &[("s3_bucket", "COALESCE(s3_bucket, '')"), EVENT, SESSION],
        measures: CHANGES,
        filter: "eventsource IN ('s3.amazonaws.com', 's3-control.amazonaws.com') AND (\
                 eventname IN ('DeleteBucketPublicAccessBlock', 'DeleteAccountPublicAccessBlock') OR \
                 eventname IN ('PutBucketPublicAccessBlock', 'PutAccountPublicAccessBlock') AND \
                 requestparameters LIKE '%:false%' OR \
                 eventname IN ('PutBucketAcl', 'PutObjectAcl', 'CreateBucket') AND \
                 (requestparameters LIKE '%/global/AllUsers%' OR \
                 requestparameters LIKE '%/global/AuthenticatedUsers%' OR \
                 requestparameters LIKE '%\"public-read%' OR \
                 requestparameters LIKE '%\"authenticated-read\"%') OR \
                 eventname = 'PutBucketPolicy' AND requestparameters LIKE '%\"Effect\":\"Allow\"%' AND \
                 (requestparameters LIKE '%\"Principal\":\"*\"%' OR \
                 requestparameters LIKE '%\"AWS\":\"*\"%' OR requestparameters LIKE '%\"AWS\":[\"*\"]%'))",
        kept: Kept::Latest,
        reads_texts: true,
        ..PANEL
    },
    Panel {
        id: "new_principals",
        section: NEW,
        title: "Principals",
        keys: &[PRINCIPAL],
        measures: WITH_TIMES,
        kept: Kept::New,
        ..PANEL
    },
    Panel {
        id: "new_addresses",
        section: NEW,
        title: "Source addresses",
        keys: &[("sourceipaddress", "sourceipaddress")],
        measures: WITH_TIMES,
        filter: "{is_address}",
        kept: Kept::New,
        ..PANEL
    },
    Panel {
        id: "new_regions",
        section: NEW,
        title: "Accounts and regions",
        keys: &[ACCOUNT, ("region", "region")],
        measures: WITH_TIMES,
        kept: Kept::New,
        ..PANEL
    },
    Panel {
        id: "new_events",
        section: NEW,
        title: "Events",
        keys: &[SOURCE, EVENT],
        measures: WITH_TIMES,
        kept: Kept::New,
        ..PANEL
    },
];
