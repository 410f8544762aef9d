//! The warm loop from decoded bytes to columns allocates nothing per record.

use assert_no_alloc::{AllocDisabler, assert_no_alloc, reset_violation_count, violation_count};
use std::fmt::Write;
use trailmill::family::Family;
use trailmill::parse::{Chunks, Parser};
use trailmill::partition::{DEFAULT_PARTITION_BY, PartitionBy};
use trailmill::rows::{ObjectFacts, Scratch, TableRows, Taking, Texts};

/// Counts what a thread allocates and frees, where a test says so.
#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const RECORDS: usize = 4000;

/// Returns how often `work` allocated or freed; a buffer that grows counts as both.
fn allocations(work: impl FnOnce()) -> u32 {
    reset_violation_count();
    assert_no_alloc(work);
    violation_count()
}

/// Records as services write them: no two alike, in three partitions, with nested fields.
fn records() -> String {
    let mut out = String::new();
    for n in 0..RECORDS {
        let (day, second, user) = (n % 3 + 1, n % 60, n % 97);
        let region = ["eu-west-1", "us-east-1"][n % 2];
        let comma = if n > 0 { "," } else { "" };
        write!(
            out,
            r#"{comma}{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROA{user}:s-{n}","arn":"arn:aws:sts::111122223333:assumed-role/r{user}/s-{n}","accountId":"111122223333","sessionContext":{{"sessionIssuer":{{"type":"Role","userName":"r{user}"}},"attributes":{{"creationDate":"2026-10-0{day}T00:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-10-0{day}T10:20:{second:02}Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"{region}","sourceIPAddress":"10.0.{user}.7","userAgent":"[aws-sdk \"{user}\"]","requestParameters":{{"bucketName":"b{user}","key":"k/{n}","list":[1,2,{{"x":{n}}}]}},"responseElements":null,"additionalEventData":{{"bytesTransferredIn":{n},"x-amz-id-2":"v{n}"}},"requestID":"r{n}","eventID":"e-{n}","readOnly":true,"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::b{user}/k/{n}"}}],"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data","tlsDetails":{{"tlsVersion":"TLSv1.3"}}}}"#
        )
        .unwrap();
    }
    out
}

struct Worker {
    parser: Parser,
    scratch: Scratch,
    texts: Texts,
    table: TableRows,
}

impl Worker {
    fn new(typed: bool) -> Self {
        Self {
            parser: Parser::default(),
            scratch: Scratch::default(),
            texts: Texts::default(),
            table: TableRows::new(Family::Events, typed, &PartitionBy::default()),
        }
    }

    fn take(&mut self, json: &str, by: &PartitionBy, facts: &ObjectFacts) {
        let Self { parser, scratch, texts, table } = self;
        for chunk in Chunks::new(json.as_bytes(), 0..json.len()) {
            let take = |mut cursor: trailmill::parse::Cursor<'_>, count| {
                for _ in 0..count {
                    let with = Taking { object: 0, facts, by, is_utc: false, known: b"" };
                    table.take(&mut cursor, texts, scratch, with).unwrap();
                    cursor.end_entry();
                }
            };
            parser.parse(json.as_bytes(), chunk.range, take).unwrap();
        }
    }
}

#[test]
fn a_record_allocates_nothing_once_buffers_are_warm() {
    let json = records();
    let by: PartitionBy = DEFAULT_PARTITION_BY.parse().unwrap();
    let facts = ObjectFacts::default();
    let mut worker = Worker::new(false);
    worker.take(&json, &by, &facts);
    worker.texts.clear();
    worker.table.clear();

    let count = allocations(|| worker.take(&json, &by, &facts));

    assert_eq!(worker.table.rows.len(), RECORDS);
    // The paths of six partitions are noted anew.
    assert!((6..=20).contains(&count), "{count} allocations for {RECORDS} records");
}

#[test]
fn nested_values_allocate_only_as_their_columns_grow() {
    let json = records();
    let by: PartitionBy = DEFAULT_PARTITION_BY.parse().unwrap();
    let facts = ObjectFacts::default();
    let mut worker = Worker::new(true);
    for _ in 0..3 {
        worker.take(&json, &by, &facts);
    }

    let count = allocations(|| worker.take(&json, &by, &facts));

    // There are some 110 columns and paths, and going from 12,000 to 16,000 entries grows each once, if
    // at all.
    assert!(count <= 220, "{count} allocations for {RECORDS} records");
}
