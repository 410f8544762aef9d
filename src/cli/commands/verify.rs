//! `trailmill verify`.

use crate::cli::args::{
    Format, NarrowArgs, OutputArgs, PlaceArgs, ReadingArgs, bytes, megabytes, now, passwords,
};
use crate::cli::buckets::Buckets;
use crate::cli::certificate_file::write_certificate;
use crate::cli::commands::LONG_VERSION;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::machine::threads;
use crate::cli::progress_display::{Shown, with_progress_of};
use crate::cli::report::{print, print_json, proven_text};
use crate::decode::{DEFAULT_MAX_OBJECT_BYTES, DEFAULT_MAX_RATIO};
use crate::engine::{DEFAULT_TABLE, Duplicates, Progress, Stage, Unwrap, runtime};
use crate::error::Result;
use crate::integrity::{LakeCertificate, ProvenPartition, Verdict, show_time};
use crate::keys::parse as parse_layout;
use crate::lake::{
    DataFile, Loss, Manifest, ObjectRecord, Upgrades, merged_units, read_gone, read_quarantine,
};
use crate::operations::{PartitionProof, open_lake, proven_rows};
use crate::source::keep_pipes;
use crate::storage::Storage;
use crate::text::clean;
use crate::units::{ByteCount, are, counted, counted_as, grouped};
use crate::verify::{
    ConvertedObject, ConvertedUnit, DEFAULT_MAX_DIFFERENCES, Difference, DuplicateRule, Partial,
    ProvenObjects, Step, VerifyOptions, VerifyReport, Wants, Wrappers, verify,
};
use clap::Args as Group;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Prove that the lake holds exactly the records of the sources.
///
/// Reads both sides with code that shares nothing with the converter, compares every documented
/// column and every free-form text of every record, and lists differences. Exit code 1 if there are
/// any.
///
/// With `--from`, `--to` and the like, only objects with matching keys are compared, with the
/// lake's rows less those that the ledger counts for other objects.
#[derive(Debug, Group)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub places: PlaceArgs,

    #[command(flatten)]
    pub narrow: NarrowArgs,

    /// Objects may have been removed from the sources since they were converted, as by a retention
    /// rule: the existing ones are compared, the others counted
    #[arg(long, help_heading = "Input")]
    pub source_may_be_partial: bool,

    /// Compare objects of the sources with the hashes that the lake keeps of those that CloudTrail's
    /// digests prove, and show which rows come from them; exit code 1 unless all do
    #[arg(long)]
    pub integrity: bool,

    /// Write a page to file: whether the rows are those of logs that CloudTrail signed for; HTML to print
    /// if the name ends in .html, JSON if it ends in .json
    #[arg(long, value_name = "FILE", requires = "integrity")]
    pub certificate: Option<PathBuf>,

    /// Base name of the tables
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TABLE)]
    pub table: String,

    /// Rule for copies that the lake was made with: drop or keep
    #[arg(long, value_name = "RULE", default_value = "drop")]
    pub duplicates: Duplicates,

    /// Largest decoded object, as the lake was made with
    #[arg(long, value_name = "BYTES", default_value = megabytes(DEFAULT_MAX_OBJECT_BYTES),
        value_parser = bytes(1))]
    pub max_object_size: ByteCount,

    /// Largest ratio of decoded to compressed bytes, as the lake was made with
    #[arg(long, value_name = "RATIO", default_value_t = DEFAULT_MAX_RATIO)]
    pub max_ratio: u64,

    #[command(flatten)]
    pub reading: ReadingArgs,

    /// File with the passwords of encrypted archives, one a line, as the lake was made with
    #[arg(long, value_name = "FILE")]
    pub archive_password_file: Option<PathBuf>,

    /// Differences to list; all are counted
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_MAX_DIFFERENCES)]
    pub max_differences: usize,

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub output: OutputArgs,
}

const COMPARING: Shown = Shown { verb: "comparing", noun: "file" };

impl From<Duplicates> for DuplicateRule {
    fn from(rule: Duplicates) -> Self {
        match rule {
            Duplicates::Drop => Self::Drop,
            Duplicates::Keep => Self::Keep,
        }
    }
}

impl From<Unwrap> for Wrappers {
    fn from(unwrap: Unwrap) -> Self {
        match unwrap {
            Unwrap::Off => Self::Off,
            Unwrap::Known => Self::Known,
            Unwrap::Any => Self::Any,
        }
    }
}

fn note(progress: &Progress, step: Step) {
    match step {
        Step::Listed(files) => {
            progress.work.add(0, files);
            progress.work.end();
            progress.begin(Stage::Converting);
        }
        Step::File => _ = progress.objects.fetch_add(1, Ordering::Relaxed),
        Step::Records(count) => _ = progress.records.fetch_add(count, Ordering::Relaxed),
    }
}

pub(super) fn run(args: &VerifyArgs) -> Result<u8> {
    let PlaceArgs { sources, lake, aws } = args.places.clone();
    let (sources, _pipes) = keep_pipes(sources, &lake)?;
    let runtime = runtime()?;
    let s3 = aws.s3(None)?;
    let reach = Reach::of(sources.iter().chain([&lake]), false);
    say_identity(&aws, &s3, reach, args.output.quiet)?;
    let storage = runtime.block_on(open_lake(&lake, &s3))?;
    let passwords = passwords(args.archive_password_file.as_deref())?;
    let quarantined = runtime.block_on(read_quarantine(&storage))?;
    let (proven, partitions) = match args.integrity {
        true => runtime.block_on(proven(&storage))?,
        false => (None, Vec::new()),
    };
    let options = VerifyOptions {
        partial: runtime.block_on(partial(args, &storage))?,
        proven: proven.clone(),
        table: args.table.clone(),
        threads: threads(args.threads),
        max_differences: args.max_differences,
        duplicates: args.duplicates.into(),
        max_object_size: args.max_object_size.0,
        max_ratio: args.max_ratio,
        reads_hidden: args.reading.hidden,
        without_digests: args.reading.no_digests,
        unwrap: args.reading.unwrap.into(),
        assume_utc: args.reading.assume_utc,
        passwords: passwords.iter().map(str::to_owned).collect(),
        quarantined: quarantined
            .into_iter()
            .filter(|entry| entry.record.is_some())
            .map(|entry| (entry.object, entry.byte))
            .collect(),
        reads_ahead: s3.requests(),
        buckets: Some(Arc::new(Buckets { s3, runtime: runtime.handle().clone() })),
        ..VerifyOptions::new(sources, lake)
    };
    let progress = Progress::default();
    let report = with_progress_of(COMPARING, args.output.quiet, &progress, || {
        verify(&options, &|step| note(&progress, step))
    })?;
    let is_equal = report.proves() && !report.has_nothing();
    let is_proven = is_equal && (!args.integrity || is_proven(&report, &partitions));
    if let Some(file) = &args.certificate {
        certify(file, &certificate(args, &report, &partitions, is_proven), &report)?;
    }
    match args.output.report {
        Format::Json if args.integrity => {
            print_json(&WithPartitions { report: &report, partitions: &partitions })?;
        }
        Format::Json => print_json(&report)?,
        Format::Text => {
            let rows = if args.integrity { proven_text(&partitions) } else { String::new() };
            print(&format!("{}{rows}", text(&report)))?;
        }
    }
    Ok(if is_proven { EXIT_OK } else { EXIT_INCOMPLETE })
}

/// Writes the page to file, as its name says.
fn certify(file: &Path, certificate: &LakeCertificate, report: &VerifyReport) -> Result<()> {
    let json = json!({"certificate": "lake", "comparison": certificate, "report": report});
    let text = |program: &str| certificate.text(program);
    let html = |program: &str| certificate.html(program);
    write_certificate(file, LONG_VERSION, (&text, &html), json)
}

/// Returns the page to file.
fn certificate(
    args: &VerifyArgs,
    report: &VerifyReport,
    partitions: &[PartitionProof],
    is_proven: bool,
) -> LakeCertificate {
    let text = text(report);
    let names = ["Comparison", "Records"].into_iter().chain(std::iter::repeat(""));
    let differences: Vec<String> =
        report.differences.iter().map(|one| difference(one).trim().to_owned()).collect();
    let facts = text.lines().take(text.lines().count().saturating_sub(differences.len()));
    let facts = names.zip(facts).map(|(name, line)| (name, line.trim().to_owned())).collect();
    let all = report.records_missing + report.records_unexpected + report.file_problems;
    let partition = |proof: &PartitionProof| ProvenPartition {
        table: proof.table.clone(),
        partition: proof.partition.clone(),
        proven: proof.rows_proven,
        not_proven: proof.rows_unproven + proof.rows_unchecked,
    };
    LakeCertificate {
        lake: args.places.lake.to_string(),
        sources: args.places.sources.iter().map(ToString::to_string).collect(),
        checked_at: show_time(now()),
        is_proven,
        facts,
        partitions: partitions.iter().map(partition).collect(),
        differences_omitted: all.saturating_sub(differences.len() as u64),
        differences,
    }
}

/// A report with the rows of each partition.
#[derive(Serialize)]
struct WithPartitions<'a> {
    #[serde(flatten)]
    report: &'a VerifyReport,
    partitions: &'a [PartitionProof],
}

/// Returns whether all rows come from proven objects that are in the sources as they were.
fn is_proven(report: &VerifyReport, partitions: &[PartitionProof]) -> bool {
    let counts = report.integrity.unwrap_or_default();
    let is_row_proven = |proof: &PartitionProof| proof.rows_unproven + proof.rows_unchecked == 0;
    counts.objects_unproven + counts.objects_changed == 0 && partitions.iter().all(is_row_proven)
}

/// Returns the hashes of proven objects, and the rows of each partition that come from them.
async fn proven(storage: &Storage) -> Result<(Option<Arc<ProvenObjects>>, Vec<PartitionProof>)> {
    let upgrades = Upgrades::read(storage).await?;
    let mut hashes = HashMap::new();
    for manifest in Manifest::read_all(storage).await? {
        for object in &manifest.objects {
            let is_proven = upgrades.verdict(&manifest.unit, object).is_some_and(Verdict::proves);
            if let Some(proof) = object.integrity.as_ref().filter(|_| is_proven) {
                hashes.insert(object.key.clone(), proof.sha256.clone());
            }
        }
    }
    let proven = Arc::new(ProvenObjects::new(hashes));
    Ok((Some(proven), proven_rows(storage).await?))
}

/// Returns the part of the sources to compare, with the ledger's counts for the rest; none for all
/// sources.
async fn partial(args: &VerifyArgs, storage: &Storage) -> Result<Option<Partial>> {
    let (narrow, may_be_gone) = (args.narrow.narrow()?, args.source_may_be_partial);
    if narrow.is_everything() && !may_be_gone {
        return Ok(None);
    }
    let object = |object: ObjectRecord| ConvertedObject {
        rows: object.tally.written,
        name: object.key,
        etag: object.etag,
    };
    let gone = read_gone(storage).await?;
    let restored: HashSet<&str> = gone
        .iter()
        .filter(|gone| gone.loss == Loss::Restored)
        .map(|gone| gone.file.key.as_str())
        .collect();
    let is_restored = |file: &&DataFile| restored.contains(file.key.as_str());
    let unit = |manifest: Manifest| ConvertedUnit {
        unit: manifest.unit.to_string(),
        rows_restored: manifest.files.iter().filter(is_restored).map(DataFile::records).sum(),
        objects: manifest.objects.into_iter().map(object).collect(),
    };
    let manifests = Manifest::read_all(storage).await?;
    let merged = merged_units(&manifests);
    let units = manifests.into_iter().map(unit).collect();
    let wants = Wants::new(move |name| narrow.wants(&parse_layout(name)));
    Ok(Some(Partial { wants, may_be_gone, units, merged }))
}

/// How many objects are proven, for people.
fn proven_objects(report: &VerifyReport) -> String {
    let Some(counts) = &report.integrity else { return String::new() };
    format!(
        "  {} proven, {} not proven, {} changed since\n",
        counted(counts.objects_proven, "object"),
        grouped(counts.objects_unproven),
        grouped(counts.objects_changed),
    )
}

/// A comparison, for people.
fn text(report: &VerifyReport) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} of {} against {} of {}",
        match report.proves() {
            true if report.has_nothing() => "NOTHING TO COMPARE".to_owned(),
            true if report.objects_gone + report.objects_unwanted > 0 =>
                format!("Equal, as far as compared{}", quarantine_note(report)),
            true => format!("Equal{}", quarantine_note(report)),
            false if report.is_equal_as_far_as_read() => "EQUAL AS FAR AS READ".to_owned(),
            false => "DIFFERENT".to_owned(),
        },
        counted(report.records_expected, "source record"),
        counted(report.objects_read, "object"),
        counted(report.rows_checked, "row"),
        counted(report.files_read, "file"),
    );
    let _ = writeln!(
        out,
        "  {} missing, {} unexpected, {}, {} and {} quarantined in the source",
        grouped(report.records_missing),
        grouped(report.records_unexpected),
        counted(report.file_problems, "file problem"),
        counted(report.records_duplicate, "duplicate"),
        grouped(report.records_quarantined),
    );
    if report.typed_files_read > 0 {
        let rows = counted(report.typed_rows_checked, "row");
        let files = counted(report.typed_files_read, "file");
        let _ = writeln!(out, "  {rows} of {files} of typed tables compared with those");
    }
    if report.typed_members_not_compared > 0 {
        let members = counted(report.typed_members_not_compared, "member");
        let _ = writeln!(out, "  {members} of nested columns not compared: their keys are data");
    }
    if report.objects_gone + report.objects_unwanted > 0 {
        let _ = writeln!(
            out,
            "  not compared: {} gone and {} left out by options, with {}; lost of their units: {}",
            counted(report.objects_gone, "object"),
            grouped(report.objects_unwanted),
            counted(report.rows_not_compared, "row"),
            counted(report.rows_lost, "row"),
        );
    }
    out.push_str(&proven_objects(report));
    not_compared(&mut out, report);
    out.extend(report.differences.iter().map(difference));
    out
}

/// What of the sources is not compared, by reason.
fn not_compared(out: &mut String, report: &VerifyReport) {
    if report.objects_not_read > 0 {
        let (one, many) = ("object or folder", "objects or folders");
        let count = counted_as(report.objects_not_read, one, many);
        let reasons = by_count(&report.not_read_by_reason);
        let _ =
            writeln!(out, "  {count} of the source not read, which may hold records: {reasons}");
    }
    let without: u64 = report.without_records.values().sum();
    if without > 0 {
        let count = counted(without, "object");
        let kinds = by_count(&report.without_records);
        let _ = writeln!(out, "  {count} without records, of which nothing is compared: {kinds}");
    }
    if report.names_hidden > 0 {
        let count = counted(report.names_hidden, "name");
        let _ = writeln!(out, "  {count} with `.` or `_` in front not read; `--hidden` reads them");
    }
}

/// Counts with what they are of, the largest first.
fn by_count(counts: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<(&String, u64)> = counts.iter().map(|(what, count)| (what, *count)).collect();
    all.sort_by_key(|(what, count)| (std::cmp::Reverse(*count), *what));
    let parts = all.into_iter().map(|(what, count)| format!("{} {what}", grouped(count)));
    parts.collect::<Vec<_>>().join(", ")
}

/// The line of a difference.
fn difference(difference: &Difference) -> String {
    let kind = format!("{:?}", difference.kind).to_lowercase();
    let mut parts = vec![kind, clean(&difference.table)];
    let mut part = |name: &str, value: Option<String>| {
        parts.extend(value.map(|value| format!("{name} {}", clean(&value))));
    };
    part("column", difference.column.clone());
    part("event", difference.event_id.clone());
    part("object", difference.object.clone());
    part("record", difference.record.map(|n| n.to_string()));
    part("file", difference.file.clone());
    format!("  {}\n", parts.join("  "))
}

/// Quarantined records and objects of the sources, and objects without records.
fn quarantine_note(report: &VerifyReport) -> String {
    let without: u64 = report.without_records.values().sum();
    let beside = match without {
        0 => String::new(),
        _ => format!(", beside {} without records", counted(without, "object")),
    };
    let (records, objects) = (report.records_quarantined, report.objects_quarantined);
    let parts = [(records, "record"), (objects, "object")].into_iter();
    let parts: Vec<String> =
        parts.filter(|(count, _)| *count > 0).map(|(count, noun)| counted(count, noun)).collect();
    match parts.is_empty() {
        true => beside,
        false => {
            let are = are(records + objects);
            format!(", but for {} that {are} in the quarantine{beside}", parts.join(" and "))
        }
    }
}
