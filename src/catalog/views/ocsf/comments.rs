//! What the attributes are, for people: comments of the views' columns.

const COMMENTS: [(&str, &str); 34] = [
    ("activity_id", "activity of the class; 99: other"),
    ("activity_name", "the activity's name; of another one, that of the event"),
    ("actor", "who acted: user, session, identity provider"),
    ("api", "the call: operation, service, request, response"),
    ("category_name", "category of the class"),
    ("category_uid", "category: 3 identity and access, 6 application"),
    ("class_name", "class of the event"),
    ("class_uid", "class: 3001 account change, 3002 authentication, 6003 API activity"),
    ("cloud", "provider, region, account that received the event"),
    ("dst_endpoint", "what was logged in to"),
    ("http_request", "user agent"),
    ("is_mfa", "whether MFA was used"),
    ("metadata", "id, code and product of the event; version of OCSF"),
    ("observables", "addresses, host names, user names and resources, in one list"),
    ("policies", "policies that were attached or detached"),
    ("policy", "policy that was attached or detached"),
    ("resources", "resources of the event"),
    ("service", "service that was authenticated to"),
    ("session", "session that was made"),
    ("severity", "Informational"),
    ("severity_id", "1: informational"),
    ("src_endpoint", "where from: address or service, VPC endpoint"),
    ("status", "Success or Failure"),
    ("status_code", "error code"),
    ("status_detail", "error message"),
    ("status_id", "1: success, 2: failure"),
    ("time", "milliseconds since 1970"),
    ("time_dt", "time as a UTC timestamp"),
    ("type_name", "class and activity"),
    ("type_uid", "class_uid * 100 + activity_id"),
    ("unmapped", "other fields, by their names in CloudTrail"),
    ("user", "who was authenticated, or whose account was changed"),
    ("accountid", "account, as Security Lake names it"),
    ("eventday", "day as yyyymmdd, as Security Lake names it"),
];

/// Returns the comment of a column.
pub(super) fn comment(name: &str) -> &'static str {
    COMMENTS.iter().find(|(of, _)| *of == name).map_or("", |(_, comment)| comment)
}
