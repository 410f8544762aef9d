//! `trailmill integrity`.

use crate::cli::args::{
    AwsArgs, EvidenceArgs, Format, NarrowArgs, OutputArgs, bytes, location, megabytes, now,
    passwords, show_path,
};
use crate::cli::certificate_file::write_certificate;
use crate::cli::commands::LONG_VERSION;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::machine::threads;
use crate::cli::progress_display::{Shown, with_progress_of};
use crate::cli::report::{print, print_json};
use crate::decode::DEFAULT_MAX_OBJECT_BYTES;
use crate::engine::{Progress, Stage, runtime};
use crate::error::{Error, Result};
use crate::integrity::{
    Finding, IntegrityOptions, IntegrityReport, KeySource, Outcome, Subject, Validation, Verdict,
    certificate_html, certificate_json, certificate_text, validate,
};
use crate::location::Location;
use crate::text::clean;
use crate::units::{ByteCount, counted, grouped};
use clap::Args as Group;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Findings of a text report; the JSON report has more.
const SHOWN: usize = 50;

/// Prove with CloudTrail's signed digests that logs are those that were delivered.
///
/// Finds the chains of digests of every account, region and trail in the sources, walks each from
/// the newest to the oldest, checks signatures and hashes, and hashes every log that they list.
/// Sources may be buckets or copies of them. Exit code 0 only if everything is proven; nothing to
/// prove is exit code 1.
///
/// A copy on disk has lost the signatures that S3 keeps as metadata: each digest is then proven by
/// its successor, and the newest of each chain by --signatures.
#[derive(Debug, Group)]
pub(super) struct IntegrityArgs {
    /// Folders, files or s3://bucket/prefix to validate
    #[arg(required = true, value_name = "SOURCE", value_parser = location())]
    pub sources: Vec<Location>,

    #[command(flatten)]
    pub narrow: NarrowArgs,

    /// Only the chains of this trail
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub trail: Option<String>,

    #[command(flatten)]
    pub evidence: EvidenceArgs,

    /// Write keys.json, signatures.json and integrity.json into this folder: with them a copy of the
    /// sources can be validated years later, without AWS
    #[arg(long, value_name = "FOLDER", help_heading = "Evidence")]
    pub save_evidence: Option<PathBuf>,

    /// Write a page to file: what was validated, with which keys, what is proven and what is not;
    /// HTML to print if the name ends in .html, JSON with the whole report if it ends in .json
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub certificate: Option<PathBuf>,

    /// Largest decoded log
    #[arg(long, value_name = "BYTES", default_value = megabytes(DEFAULT_MAX_OBJECT_BYTES),
        value_parser = bytes(1), help_heading = "Input")]
    pub max_object_size: ByteCount,

    /// File with the passwords of encrypted archives, one a line
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub archive_password_file: Option<PathBuf>,

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Work")]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub aws: AwsArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

const CHECKING: Shown = Shown { verb: "checking", noun: "object" };

pub(super) fn run(args: &IntegrityArgs) -> Result<u8> {
    let runtime = runtime()?;
    let s3 = args.aws.s3(None)?;
    let reach = Reach::of(&args.sources, args.evidence.keys.is_none());
    say_identity(&args.aws, &s3, reach, args.output.quiet)?;
    let signatures = args.evidence.signatures()?;
    let keys = args.evidence.key_ring()?;
    let keys_from = match &args.evidence.keys {
        Some(path) => format!("the file {}", show_path(path)),
        None => "CloudTrail, by cloudtrail:ListPublicKeys".to_owned(),
    };
    let key_source = keys.is_none().then(|| {
        let aws = Arc::clone(runtime.block_on(s3.aws()));
        KeySource::new(aws, Duration::from_secs(args.aws.retry_timeout))
    });
    let options = IntegrityOptions {
        sources: args.sources.clone(),
        s3,
        narrow: args.narrow.narrow()?,
        trail: args.trail.clone(),
        keys: keys.unwrap_or_default(),
        keys_from,
        key_source,
        signatures,
        threads: threads(args.threads),
        largest_log: args.max_object_size.0,
        passwords: passwords(args.archive_password_file.as_deref())?,
        now: now(),
    };
    let progress = Arc::new(Progress::default());
    let seen = Arc::clone(&progress);
    let on_progress = move |bytes| {
        seen.objects.fetch_add(1, Ordering::Relaxed);
        seen.bytes.fetch_add(bytes, Ordering::Relaxed);
    };
    progress.begin(Stage::Converting);
    let mut validation = with_progress_of(CHECKING, args.output.quiet, &progress, || {
        runtime.block_on(validate(options, Arc::new(on_progress)))
    })?;
    if let Some(path) = args.evidence.keys.as_deref().filter(|path| is_within(path, &args.sources))
    {
        validation.report.keys.warnings.insert(format!(
            "{} lies in the source: keys that came with an archive prove nothing against its maker",
            show_path(path)
        ));
    }
    if let Some(folder) = &args.save_evidence {
        save(folder, &validation)?;
    }
    if let Some(file) = &args.certificate {
        certify(file, &validation.report)?;
    }
    match args.output.report {
        Format::Json => print_json(&validation.report)?,
        Format::Text => print(&text(&validation.report))?,
    }
    Ok(if validation.report.proves() { EXIT_OK } else { EXIT_INCOMPLETE })
}

/// Returns whether a file lies in one of the sources.
fn is_within(path: &Path, sources: &[Location]) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let Some(path) = real(path) else { return false };
    let folders = sources.iter().filter_map(Location::local).filter_map(real);
    folders.into_iter().any(|folder| path.starts_with(folder))
}

/// Writes the certificate, as its name says.
fn certify(file: &Path, report: &IntegrityReport) -> Result<()> {
    let text = |program: &str| certificate_text(report, program);
    let html = |program: &str| certificate_html(report, program);
    write_certificate(file, LONG_VERSION, (&text, &html), certificate_json(report))
}

/// Writes what validates a copy later.
fn save(folder: &Path, validation: &Validation) -> Result<()> {
    let failed = |err| Error::io("cannot write evidence", err).at("path", show_path(folder));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let report = serde_json::to_vec_pretty(&validation.report)
        .map_err(|err| Error::io("cannot render the report", err))?;
    for (name, bytes) in [
        ("keys.json", validation.keys.to_json()?),
        ("signatures.json", validation.signatures.to_json()?),
        ("integrity.json", report),
    ] {
        std::fs::write(folder.join(name), bytes).map_err(failed)?;
    }
    Ok(())
}

/// A validation, for people.
fn text(report: &IntegrityReport) -> String {
    let mut out = headline(report);
    for chain in &report.chains {
        let _ = writeln!(
            out,
            "  {}: {} of {} verified, {} listed{}",
            clean(&chain.id.to_string()),
            grouped(chain.digests_verified),
            counted(chain.digests, "digest"),
            counted(chain.logs_listed, "log"),
            if chain.windows.is_empty() { "" } else { ", proven" },
        );
        for [from, to] in &chain.windows {
            let _ = writeln!(out, "    from {from} to {to}");
        }
    }
    for (noun, counts) in [("digest", &report.digests), ("log", &report.logs)] {
        for (verdict, count) in counts.iter().filter(|(_, count)| **count > 0) {
            let _ = writeln!(out, "  {}: {}", counted(*count, noun), verdict.words());
        }
    }
    if report.objects_other > 0 {
        let objects = counted(report.objects_other, "object");
        let _ = writeln!(out, "  {objects} outside of the layout of trails: not judged");
    }
    let _ = writeln!(out, "Keys from {}", report.keys.from);
    for warning in &report.keys.warnings {
        let _ = writeln!(out, "  warning: {}", clean(warning));
    }
    for finding in report.findings.iter().take(SHOWN) {
        out.push_str(&line(finding));
    }
    let more = report.findings.len().saturating_sub(SHOWN) as u64 + report.findings_omitted;
    if more > 0 {
        let _ = writeln!(out, "… and {} more; see --report json", grouped(more));
    }
    out
}

fn headline(report: &IntegrityReport) -> String {
    let proven = |counts: &BTreeMap<Verdict, u64>| IntegrityReport::count(counts, Verdict::proves);
    let all = |counts: &BTreeMap<Verdict, u64>| IntegrityReport::count(counts, |_| true);
    let word = match report.outcome {
        Outcome::AllProven => "Proven",
        Outcome::NotProven => "NOT PROVEN",
        Outcome::NothingToProve => {
            let logs = counted(all(&report.logs), "log");
            return format!("NOTHING TO PROVE: no digests found, beside {logs}\n");
        }
    };
    format!(
        "{word}: {} of {} and {} of {} verified, {} hashed\n",
        grouped(proven(&report.digests)),
        counted(all(&report.digests), "digest"),
        grouped(proven(&report.logs)),
        counted(all(&report.logs), "log"),
        ByteCount(report.bytes_hashed),
    )
}

fn line(finding: &Finding) -> String {
    let noun = match finding.subject {
        Subject::Chain => "chain",
        Subject::Digest => "digest",
        Subject::Log => "log",
        Subject::Folder => "folder",
        Subject::Archive => "archive",
    };
    let mut line = format!("{noun} {}: {}", clean(&finding.object), finding.verdict.words());
    match (&finding.from, &finding.to) {
        (Some(from), Some(to)) if from == to => {
            let _ = write!(line, ", delivered {from}");
        }
        (Some(from), Some(to)) => {
            let _ = write!(line, ", {from} to {to}");
        }
        (None, Some(to)) => {
            let _ = write!(line, ", until {to}");
        }
        _ => {}
    }
    if let Some(detail) = &finding.detail {
        let _ = write!(line, " ({})", clean(detail));
    }
    line.push('\n');
    line
}
