//! The wrappers that CloudTrail records come in, one a line.
//!
//! To add one: its name, and the path from the wrapper to the record. Arrays on the way are passed through,
//! a text that holds JSON is read like the JSON in it, and what is found may be another wrapper. The first
//! path that leads to a record counts. `verify` has a list of its own, in `verify/wrapped.rs`.

/// A wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapper {
    /// Where it comes from.
    pub name: &'static str,
    /// The keys that lead to the record.
    pub path: &'static [&'static str],
    /// What is at the end of the path.
    pub holds: Holds,
}

/// What is at the end of a wrapper's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A record or a list of them, as JSON or as a text that holds JSON.
    Json,
    /// The same in base64, gzipped or not.
    Base64,
    /// Rows, each a list of cells: `[{"column": "value"}, …]` or `[{"field": "column", "value": "value"}, …]`.
    Rows,
}

const fn json(name: &'static str, path: &'static [&'static str]) -> Wrapper {
    Wrapper { name, path, holds: Holds::Json }
}

const fn base64(name: &'static str, path: &'static [&'static str]) -> Wrapper {
    Wrapper { name, path, holds: Holds::Base64 }
}

const fn rows(name: &'static str, path: &'static [&'static str]) -> Wrapper {
    Wrapper { name, path, holds: Holds::Rows }
}

/// All wrappers that are known.
pub const WRAPPERS: &[Wrapper] = &[
    json("LookupEvents", &["Events", "CloudTrailEvent"]),
    json("LookupEvents", &["CloudTrailEvent"]),
    json("LookupEvents of the SDK for Java", &["events", "cloudTrailEvent"]),
    json("LookupEvents of the SDK for Java", &["cloudTrailEvent"]),
    json("EventBridge", &["detail"]),
    json("EventBridge PutEvents", &["Entries", "Detail"]),
    json("EventBridge PutEvents", &["Detail"]),
    json("CloudWatch Logs subscription", &["logEvents", "message"]),
    base64("CloudWatch Logs subscription for Lambda", &["awslogs", "data"]),
    json("CloudWatch Logs FilterLogEvents", &["events", "message"]),
    rows("CloudWatch Logs Insights results", &["results"]),
    json("CloudWatch Logs Insights export", &["@message"]),
    rows("CloudTrail Lake query results", &["QueryResultRows"]),
    json("CloudTrail Lake event", &["eventJson"]),
    json("SNS for Lambda", &["Records", "Sns", "Message"]),
    json("SQS for Lambda", &["Records", "body"]),
    json("SQS ReceiveMessage", &["Messages", "Body"]),
    json("SNS", &["Message"]),
    json("SQS", &["Body"]),
    json("HTTP response, SQS", &["body"]),
    base64("Kinesis for Lambda", &["Records", "kinesis", "data"]),
    base64("Kinesis for Lambda", &["kinesis", "data"]),
    base64("Kinesis GetRecords", &["Records", "Data"]),
    base64("Firehose for Lambda", &["records", "data"]),
    json("Splunk REST export", &["result", "_raw"]),
    json("Splunk search results", &["results", "_raw"]),
    json("Splunk, Cribl", &["_raw"]),
    json("Splunk rows", &["rows"]),
    json("Splunk columns", &["columns"]),
    json("Sumo Logic", &["map", "_raw"]),
    json("Elasticsearch search results", &["hits", "hits", "_source"]),
    json("Elasticsearch, OpenSearch", &["_source"]),
    json("Elasticsearch bulk update", &["doc"]),
    json("Elasticsearch fields", &["fields", "event.original"]),
    json("Elasticsearch fields", &["fields", "message"]),
    json("Elastic Common Schema", &["event", "original"]),
    json("Elastic Common Schema", &["event.original"]),
    json("Splunk HTTP Event Collector", &["event"]),
    json("Wazuh", &["data", "aws"]),
    json("Wazuh", &["full_log"]),
    json("Wazuh", &["aws"]),
    json("Datadog", &["data", "attributes", "attributes"]),
    json("Datadog", &["attributes", "attributes"]),
    json("GELF", &["full_message"]),
    json("GELF", &["short_message"]),
    json("Filebeat", &["json"]),
    json("Logstash, Vector, Fluentd", &["message"]),
    json("Fluent Bit, Docker", &["log"]),
    json("systemd journal", &["MESSAGE"]),
    json("Google Cloud Logging", &["jsonPayload"]),
    json("Google Cloud Logging", &["textPayload"]),
    json("OCSF, Security Lake", &["raw_data"]),
    json("OpenTelemetry", &["resourceLogs", "scopeLogs", "logRecords", "body", "stringValue"]),
    json("OpenTelemetry", &["body", "stringValue"]),
    json("envelope in an envelope, or as text", &["Records"]),
    json("list of events", &["Events"]),
    json("list of events", &["events"]),
    json("list of events", &["Event"]),
    json("list of records", &["records"]),
    base64("Kinesis, Firehose", &["Data"]),
    base64("Kinesis, Firehose", &["data"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_listed_once() {
        for (at, wrapper) in WRAPPERS.iter().enumerate() {
            assert!(!wrapper.path.is_empty() && !wrapper.name.is_empty());
            assert!(WRAPPERS[..at].iter().all(|other| other.path != wrapper.path), "{wrapper:?}");
        }
    }
}
