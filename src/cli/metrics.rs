//! Metrics for CloudWatch, as lines of the log.
//!
//! CloudWatch reads metrics out of log lines in its embedded metric format: a JSON object whose `_aws`
//! member says which of the others are metrics. They go to stderr, with everything else that is not
//! the report, and need no permission and no request.

use crate::cli::args::MetricsFormat;
use crate::cli::console::{event, is_json};
use crate::engine::{Progress, QueueReport, Report, UnitSummary};
use crate::operations::{WatchEvent, WindowSummary};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The namespace of the metrics.
const NAMESPACE: &str = "trailmill";

/// Returns the counters of a run. Every unit is reported: in an event if stderr is for programs, and as
/// metrics if they are requested.
pub(super) fn unit_progress(quiet: bool, metrics: Option<MetricsFormat>, lake: &str) -> Progress {
    let (tells_units, lake) = (!quiet && is_json(), lake.to_owned());
    let is_silent = !tells_units && metrics.is_none();
    let tell = move |unit: &UnitSummary| {
        if tells_units {
            write_unit(unit);
        }
        if metrics.is_some() {
            event(&of_unit(unit, &lake, now()));
        }
    };
    let mut progress = Progress::default();
    if !is_silent {
        progress.on_unit = Some(Box::new(tell));
    }
    progress
}

/// Writes the metrics of a run that has ended.
pub(super) fn write_run_metrics(metrics: Option<MetricsFormat>, report: &Report, lake: &str) {
    if metrics.is_some() {
        event(&of_run(report, lake, now()));
    }
}

fn write_unit(unit: &UnitSummary) {
    let Ok(Value::Object(mut line)) = serde_json::to_value(unit) else { return };
    line.insert("event".to_owned(), "unit".into());
    event(&Value::Object(line));
}

fn of_unit(unit: &UnitSummary, lake: &str, millis: u64) -> Value {
    let metrics = [
        ("Units", "Count", 1.0),
        ("Objects", "Count", unit.objects as f64),
        ("ObjectsQuarantined", "Count", unit.objects_quarantined as f64),
        ("RecordsRead", "Count", unit.records_read as f64),
        ("RecordsWritten", "Count", unit.records_written as f64),
        ("RecordsDuplicate", "Count", unit.records_duplicate as f64),
        ("RecordsQuarantined", "Count", unit.records_quarantined as f64),
        ("BytesJson", "Bytes", unit.bytes_json as f64),
        ("BytesParquet", "Bytes", unit.bytes_parquet as f64),
        ("Files", "Count", unit.files as f64),
    ];
    embed(&metrics, lake, millis)
}

/// Metrics that belong to no unit.
fn of_run(report: &Report, lake: &str, millis: u64) -> Value {
    let metrics = [
        ("Runs", "Count", 1.0),
        ("RunSeconds", "Seconds", report.seconds),
        ("RunsInterrupted", "Count", f64::from(u8::from(report.interrupted))),
        ("CatalogChanges", "Count", report.catalog_changes as f64),
        ("NewFields", "Count", report.new_fields.len() as f64),
    ];
    embed(&metrics, lake, millis)
}

/// Writes the metrics of a queue: of a conversion of its objects, or what was counted since the last line.
pub(super) fn write_queue_metrics(
    metrics: Option<MetricsFormat>,
    told: WatchEvent<'_>,
    lake: &str,
) {
    if metrics.is_none() {
        return;
    }
    event(&match told {
        WatchEvent::Converted(window) => of_window(window, lake, now()),
        WatchEvent::Counted(counts) => of_queue(counts, lake, now()),
    });
}

/// Of each count of a queue, what somebody may want to be told of. Left out are what follows from others (objects
/// that were repeated, conversions: as many as there are values of `WindowSeconds`), what nobody can act upon (tests
/// of the queue, events of other kinds, why a window closed, sweeps), and texts: each would be a metric that is paid for.
fn of_queue(counts: &QueueReport, lake: &str, millis: u64) -> Value {
    let metrics = [
        ("MessagesReceived", "Count", counts.messages_received as f64),
        ("MessagesDeleted", "Count", counts.messages_deleted as f64),
        ("MessagesLeft", "Count", counts.messages_left as f64),
        ("ObjectsNamed", "Count", counts.objects_named as f64),
        ("ObjectsIgnored", "Count", counts.objects_ignored as f64),
        ("ObjectsGone", "Count", counts.objects_gone as f64),
        ("ReceiptsExpired", "Count", counts.receipts_expired as f64),
        ("LeasesAwaited", "Count", counts.leases_awaited as f64),
    ];
    embed(&metrics, lake, millis)
}

fn of_window(window: &WindowSummary, lake: &str, millis: u64) -> Value {
    let mut metrics = vec![
        ("ObjectsKnown", "Count", window.objects_known as f64),
        ("WindowSeconds", "Seconds", window.seconds),
        ("OldestMessageAge", "Seconds", window.oldest_seconds),
    ];
    // Where nothing new was converted, nothing was late.
    let delays = [
        ("DelayP50", window.delay_p50_seconds),
        ("DelayP99", window.delay_p99_seconds),
        ("DelayFromPutP50", window.delay_from_put_p50_seconds),
        ("DelayFromPutP99", window.delay_from_put_p99_seconds),
    ];
    let known = delays.into_iter().filter_map(|(name, delay)| Some((name, "Seconds", delay?)));
    metrics.extend(known);
    embed(&metrics, lake, millis)
}

fn embed(metrics: &[(&str, &str, f64)], lake: &str, millis: u64) -> Value {
    // However the address is written, it is one dimension: dashboards and alarms name it without the slash.
    let lake = lake.trim_end_matches('/');
    let definitions: Vec<Value> =
        metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": millis,
            "CloudWatchMetrics": [
                { "Namespace": NAMESPACE, "Dimensions": [["Lake"]], "Metrics": definitions }
            ],
        },
        "Lake": lake,
    });
    for (name, _, value) in metrics {
        line[*name] = json!(value);
    }
    line
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_is_announced_has_a_value() {
        let report = Report { seconds: 1.5, ..Report::default() };

        let line = of_run(&report, "s3://lake/", 1000);

        let announced = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(announced["Namespace"], "trailmill");
        assert_eq!(line[announced["Dimensions"][0][0].as_str().unwrap()], "s3://lake");
        for metric in announced["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        assert_eq!(line["RunSeconds"], 1.5);
    }
}
