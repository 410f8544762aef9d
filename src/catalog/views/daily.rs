//! Views of which a row counts the events of a day: small answers over few columns, as dashboards ask.

use super::shape::Shape;

/// The views, in their order.
pub(super) const SHAPES: [Shape; 5] = [
    Shape {
        suffix: "daily_activity",
        description: "events per day by account, region, service, event and actor",
        columns: &[
            "event_day",
            "eventcategory",
            "eventsource",
            "eventname",
            "user_type",
            "actor",
            "read_only",
        ],
        measures: &["events", "errors", "denials"],
        filter: None,
        is_of_events: false,
    },
    Shape {
        suffix: "daily_errors",
        description: "failed calls per day by error, service, event and actor",
        columns: &["event_day", "error_code", "eventsource", "eventname", "actor"],
        measures: &["errors", "denials"],
        filter: Some("{is_error}"),
        is_of_events: false,
    },
    Shape {
        suffix: "daily_clients",
        description: "events per day by source address, user agent and actor",
        columns: &["event_day", "sourceipaddress", "useragent", "actor"],
        measures: &["events", "errors", "denials"],
        filter: None,
        is_of_events: false,
    },
    Shape {
        suffix: "daily_s3",
        description: "S3 calls per day by bucket, prefix, event and actor",
        columns: &["event_day", "s3_bucket", "s3_prefix", "eventname", "actor"],
        measures: &["events", "writes", "errors", "denials", "total_bytes_in", "total_bytes_out"],
        filter: Some("eventsource = 's3.amazonaws.com' AND s3_bucket IS NOT NULL"),
        is_of_events: true,
    },
    Shape {
        suffix: "daily_lambda",
        description: "Lambda invocations per day by function and actor",
        columns: &["event_day", "lambda_function", "actor", "invoked_by"],
        measures: &["events", "errors", "denials"],
        filter: Some("eventsource = 'lambda.amazonaws.com' AND eventname LIKE 'Invoke%'"),
        is_of_events: true,
    },
];
