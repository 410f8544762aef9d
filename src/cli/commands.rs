//! One function per command: arguments to options, a room's call, a report, an exit code.

use crate::cli::args::{
    Args, ConversionArgs, ConvertArgs, Format, LakePlace, PlaceArgs, PublicationArgs,
    QuarantineArgs, RetryName, SampleArgs, SchemaArgs, SchemaCommand, VerifyArgs, sources_and_lake,
};
use crate::cli::array::{convert_plan, shard};
use crate::cli::buckets::Buckets;
use crate::cli::identity::{Reach, say_identity};
use crate::cli::lake::{catalog_options, lake_lock, open_lake};
use crate::cli::machine::{memory, threads};
use crate::cli::metrics::{tell_run, watched};
use crate::cli::progress::{say, say_begin, shown};
use crate::cli::report::{self, print, print_json};
use crate::cli::signals::stop_on_signal;
use crate::cli::{EXIT_OK, EXIT_SET_ASIDE, EXIT_TRY_LATER};
use crate::decode::Caps;
use crate::engine::{
    CatalogKind, ConvertOptions, OutputSettings, Progress, Report, Retry, runtime,
};
use crate::error::{Error, Result};
use crate::keys::parse as parse_layout;
use crate::lake::{
    DataFile, Loss, Manifest, ObjectRecord, Quarantined, Unavailable, read_gone, read_quarantine,
};
use crate::location::Location;
use crate::operations;
use crate::sample::{SampleOptions, generate};
use crate::schema::{Lock, changes, render};
use crate::source::Narrow;
use crate::storage::{S3, Storage};
use crate::text::{clean, clean_lines};
use crate::units::ByteCount;
use crate::verify::{ConvertedObject, ConvertedUnit, Partial, VerifyOptions, Wants};
use clap::CommandFactory;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The options of a conversion.
pub(super) fn conversion_options(
    args: &ConversionArgs,
    publication: &PublicationArgs,
    sources: Vec<Location>,
    lake: Location,
) -> Result<ConvertOptions> {
    let threads = threads(args.work.threads);
    let (table, retry) = (args.lake.table.clone(), args.aws.retry_timeout);
    Ok(ConvertOptions {
        s3: args.aws.s3(Some(&args.encryption))?,
        catalog: catalog_options(&args.catalog, publication, retry, table),
        sources,
        lake,
        into_existing: args.lake.into_existing,
        threads,
        memory: memory(args.work.memory, threads),
        narrow: args.input.narrow.narrow()?,
        look_back_days: args.input.look_back,
        full: args.input.full,
        strict: args.input.strict,
        output: output_settings(args),
        retry: Retry {
            quarantined: args.input.retry.contains(&RetryName::Quarantined),
            ignored: args.input.retry.contains(&RetryName::Ignored),
        },
    })
}

/// The settings that change what a conversion writes.
fn output_settings(args: &ConversionArgs) -> OutputSettings {
    let ConversionArgs { lake, input, .. } = args;
    OutputSettings {
        partition_by: lake.partition_by.clone(),
        nested: !lake.no_nested,
        schema: lake.schema,
        duplicates: input.duplicates,
        compression: lake.compression,
        target_file_size: lake.target_file_size,
        unit_size: lake.unit_size,
        caps: Caps { max_object_bytes: input.max_object_size.0, max_ratio: input.max_ratio },
        table: lake.table.clone(),
        ..OutputSettings::default()
    }
}

/// How far a conversion with these options reaches.
pub(super) fn reach_of(options: &ConvertOptions) -> Reach {
    let places = options.sources.iter().chain([&options.lake]);
    Reach::of(places, options.catalog.kind == Some(CatalogKind::Glue))
}

pub(super) fn convert(args: &ConvertArgs) -> Result<u8> {
    if let Some(plan) = &args.plan {
        return convert_plan(args, plan, shard(args)?);
    }
    let (sources, lake) = sources_and_lake(&args.places)?;
    if shard(args)?.is_some() {
        let message = "children of an array job convert a plan: give `--plan`, and no sources";
        return Err(Error::config(message));
    }
    let mut options = conversion_options(&args.conversion, &args.publication, sources, lake)?;
    options.output.restores = args.restore;
    let (quiet, metrics, lake) = (args.output.quiet, args.ending.metrics, options.lake.to_string());
    let stop = stop_on_signal(quiet)?;
    say_identity(&args.conversion.aws, &options.s3, reach_of(&options), quiet)?;
    say_begin(quiet, options.threads, options.memory.0);
    let progress = watched(quiet, metrics, &lake);
    let report = shown(quiet, &progress, || operations::convert(&options, &progress, &stop))?;
    tell_run(metrics, &report, &lake);
    let text = || report::conversion(&report, &lake);
    ended(&report, args.output.report, text, args.ending.allow_quarantine)
}

/// Prints what a run did; returns its exit code.
pub(super) fn ended(
    report: &Report,
    format: Format,
    text: impl FnOnce() -> String,
    allows_quarantine: bool,
) -> Result<u8> {
    for warning in &report.warnings {
        // Who wants to see no progress wants to know this all the same.
        say(false, &format!("warning: {warning}"));
    }
    match format {
        Format::Json => print_json(report)?,
        Format::Text => print(&text())?,
    }
    Ok(if report.interrupted {
        EXIT_TRY_LATER
    } else if report.nothing_recognized
        || report.restored.as_ref().is_some_and(|restored| restored.files_left > 0)
        || report.has_quarantine() && !allows_quarantine
    {
        EXIT_SET_ASIDE
    } else {
        EXIT_OK
    })
}

pub(super) fn schema(args: &SchemaArgs) -> Result<u8> {
    match &args.command {
        SchemaCommand::Show { lake, aws, output } => {
            let lock = match lake {
                Some(lake) => {
                    let s3 = aws.s3(None)?;
                    say_identity(aws, &s3, Reach::of([lake], false), output.quiet)?;
                    runtime()?.block_on(lake_lock(lake, &s3))?
                }
                None => Lock::seed()?,
            };
            print_lock(&lock, output.report)?;
            Ok(EXIT_OK)
        }
        SchemaCommand::Infer { sources, aws, narrow, bare, output } => {
            let options = reading_options(sources.clone(), aws.s3(None)?, narrow.narrow()?);
            say_identity(aws, &options.s3, Reach::of(sources, false), output.quiet)?;
            print_lock(&operations::infer(&options, !bare)?, output.report)?;
            Ok(EXIT_OK)
        }
        SchemaCommand::Diff { old, new, aws, output } => {
            let s3 = aws.s3(None)?;
            say_identity(aws, &s3, Reach::of([old, new], false), output.quiet)?;
            let found = changes(&lock_of(old, &s3)?, &lock_of(new, &s3)?);
            match output.report {
                Format::Json => print_json(&found)?,
                Format::Text => found.iter().try_for_each(|change| print(&change_line(change)))?,
            }
            Ok(if found.is_empty() { EXIT_OK } else { EXIT_SET_ASIDE })
        }
    }
}

fn change_line(change: &crate::schema::Change) -> String {
    use crate::schema::Change::{Added, Removed, Retyped};
    let line = |text: String| clean(&text) + "\n";
    match change {
        Added { path, hive_type } => line(format!("+ {path}: {hive_type}")),
        Removed { path, hive_type } => line(format!("- {path}: {hive_type}")),
        Retyped { path, from, to } => line(format!("~ {path}: {from} -> {to}")),
    }
}

fn print_lock(lock: &Lock, format: Format) -> Result<()> {
    match format {
        Format::Json => print_json(lock),
        Format::Text => print(&clean_lines(&render(lock))),
    }
}

/// A lake's lock, a lock in a file, or the seed.
fn lock_of(place: &Location, s3: &S3) -> Result<Lock> {
    let path = match place.local() {
        Some(path) if path == Path::new("seed") => return Lock::seed(),
        Some(path) if !path.is_dir() => path,
        _ => return runtime()?.block_on(lake_lock(place, s3)),
    };
    let wrong = || Error::config("cannot read a schema").at("path", path.display());
    let bytes = std::fs::read(path).map_err(|err| wrong().because(err))?;
    serde_json::from_slice(&bytes).map_err(|err| wrong().because(err))
}

/// Options for reading sources without a lake.
fn reading_options(sources: Vec<Location>, s3: Arc<S3>, narrow: Narrow) -> ConvertOptions {
    ConvertOptions { sources, s3, narrow, full: true, ..ConvertOptions::default() }
}

pub(super) fn verify(args: &VerifyArgs) -> Result<u8> {
    let PlaceArgs { sources, lake, aws } = args.places.clone();
    let runtime = runtime()?;
    let s3 = aws.s3(None)?;
    let reach = Reach::of(sources.iter().chain([&lake]), false);
    say_identity(&aws, &s3, reach, args.output.quiet)?;
    let storage = runtime.block_on(open_lake(&lake, &s3))?;
    let set_aside = runtime.block_on(read_quarantine(&storage))?;
    let options = VerifyOptions {
        partial: runtime.block_on(partial(args, &storage))?,
        table: args.table.clone(),
        threads: threads(args.threads),
        max_differences: args.max_differences,
        duplicates: args.duplicates.into(),
        max_object_size: args.max_object_size.0,
        set_aside: set_aside
            .into_iter()
            .filter(|entry| entry.record.is_some())
            .map(|entry| (entry.object, entry.byte))
            .collect(),
        reads_ahead: s3.requests(),
        buckets: Some(Arc::new(Buckets { s3, runtime: runtime.handle().clone() })),
        ..VerifyOptions::new(sources, lake)
    };
    let progress = Progress::default();
    let report = shown(args.output.quiet, &progress, || {
        crate::verify::verify(&options, &|count| {
            progress.records.fetch_add(count, Ordering::Relaxed);
        })
    })?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&report::verification(&report))?,
    }
    Ok(if report.proves() { EXIT_OK } else { EXIT_SET_ASIDE })
}

/// Which part of the sources is compared, with what the ledger says about the rest; none for all of them.
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
        rows_restored: manifest.files.iter().filter(is_restored).map(|file| file.rows).sum(),
        objects: manifest.objects.into_iter().map(object).collect(),
    };
    let units = Manifest::read_all(storage).await?.into_iter().map(unit).collect();
    let wants = Wants::new(move |name| narrow.wants(&parse_layout(name)));
    Ok(Some(Partial { wants, may_be_gone, units }))
}

/// The number of the unit that set something aside.
fn unit_of(entry: &Quarantined) -> Option<u64> {
    entry.unit().map(|unit| unit.number)
}

/// Everything that was set aside: what was read, and what could not be.
async fn set_aside(storage: &Storage) -> Result<Vec<Quarantined>> {
    let mut entries = read_quarantine(storage).await?;
    if !entries.is_empty() {
        // What a later unit has read again, as it is now or under other limits, is settled.
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for manifest in Manifest::read_all(storage).await? {
            let keys = manifest.objects.into_iter().map(|object| object.key);
            last.extend(keys.map(|key| (key, manifest.unit.number)));
        }
        entries.retain(|entry| unit_of(entry) >= last.get(&entry.object).copied());
    }
    let unavailable = Unavailable::read(storage).await?.objects;
    entries.extend(unavailable.into_iter().map(|object| Quarantined {
        object: object.object,
        record: None,
        records: 1,
        byte: 0,
        length: 0,
        sha256: None,
        error_byte: None,
        reason: format!("not read: {}", object.reason),
        raw: String::new(),
        raw_offset: 0,
        raw_length: 0,
    }));
    Ok(entries)
}

pub(super) fn quarantine(args: &QuarantineArgs) -> Result<u8> {
    let runtime = runtime()?;
    let LakePlace { lake, aws } = &args.place;
    let s3 = aws.s3(None)?;
    say_identity(aws, &s3, Reach::of([lake], false), args.output.quiet)?;
    let storage = runtime.block_on(open_lake(lake, &s3))?;
    let entries = runtime.block_on(set_aside(&storage))?;
    if let Some(number) = args.raw {
        let entry = entries.get(number).ok_or_else(|| {
            Error::config(format!(
                "there is no entry {number}; the quarantine has {}",
                entries.len()
            ))
        })?;
        if entry.raw.is_empty() {
            return Err(Error::config("it could not be read: nothing of it is kept"));
        }
        let bytes = runtime.block_on(storage.read(&entry.raw))?.unwrap_or_default();
        let start = entry.raw_offset as usize;
        let raw = bytes.get(start..start + entry.raw_length as usize).unwrap_or_default();
        use std::io::Write;
        std::io::stdout().write_all(raw).map_err(|err| Error::io("cannot write to stdout", err))?;
        return Ok(EXIT_OK);
    }
    match args.output.report {
        Format::Json => print_json(&entries)?,
        Format::Text if entries.is_empty() => print("Nothing was set aside.\n")?,
        Format::Text => {
            for (number, entry) in entries.iter().enumerate() {
                let record = match (entry.record, entry.records) {
                    (None, _) => "whole object".to_owned(),
                    (Some(n), 1) => format!("record {n}"),
                    (Some(n), more) => format!("record {n} and {} after it", more - 1),
                };
                let cut = (entry.raw_length < entry.length)
                    .then(|| format!(" ({} kept)", entry.raw_length));
                let stopped = entry.error_byte.map(|at| format!(" (at byte {at})"));
                print(&format!(
                    "{number:>5}  {}  {record}, byte {}, {} bytes{}: {}{}\n",
                    clean(&entry.object),
                    entry.byte,
                    entry.length,
                    cut.unwrap_or_default(),
                    clean(&entry.reason),
                    stopped.unwrap_or_default(),
                ))?;
            }
        }
    }
    Ok(EXIT_OK)
}

pub(super) fn sample(args: &SampleArgs) -> Result<u8> {
    let options = SampleOptions {
        size: args.size.0,
        seed: args.seed,
        accounts: args.accounts,
        days: args.days,
        threads: threads(args.threads),
        small_objects: args.small_objects,
        ..SampleOptions::new(&args.folder)
    };
    let progress = Progress::default();
    progress.bytes_total.store(args.size.0, Ordering::Relaxed);
    let report = shown(args.output.quiet, &progress, || {
        generate(&options, &|bytes| progress.bytes.store(bytes, Ordering::Relaxed))
    })?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&format!(
            "Wrote {} records in {} objects to {}: {} of JSON, {} compressed\n",
            report::grouped(report.records),
            report::grouped(report.objects),
            clean(&args.folder.display().to_string()),
            ByteCount(report.bytes_json),
            ByteCount(report.bytes_compressed),
        ))?,
    }
    Ok(EXIT_OK)
}

pub(super) fn man(folder: &Path) -> Result<u8> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Args::command(), folder))
        .map_err(|err| Error::io("cannot write the manual pages", err))?;
    Ok(EXIT_OK)
}
