//! One function per command: arguments to options, a room's call, a report, an exit code.

use crate::aws::AwsOptions;
use crate::catalog::{
    self, Catalog, Comparison, Dialect, GlueOptions, LocalCatalog, PartitionInput, TableInput,
};
use crate::cli::args::{
    Args, AwsArgs, CatalogArgs, CatalogCommand, CatalogLakeArgs, CatalogName, CatalogOptionArgs,
    ConvertArgs, DialectName, Format, OutputArgs, PlaceArgs, PlanArgs, QuarantineArgs, SampleArgs,
    SchemaArgs, SchemaCommand, Switch, VerifyArgs,
};
use crate::cli::progress::{clean, say, shown};
use crate::cli::report::{self, print, print_json};
use crate::cli::{EXIT_OK, EXIT_SET_ASIDE, EXIT_TRY_LATER};
use crate::commit::{Manifest, read_lock, read_quarantine};
use crate::decode::Caps;
use crate::error::{Error, Result};
use crate::partition::DEFAULT_PARTITION_BY;
use crate::pipeline::{
    self, CatalogKind, CatalogOptions, ConvertOptions, DEFAULT_DATABASE, DEFAULT_TABLE,
    DEFAULT_TARGET_FILE_SIZE, DEFAULT_UNIT_SIZE, Duplicates, MEMORY_PER_THREAD, Progress,
    SchemaMode, apply_plans, catalog_plan, open_catalog,
};
use crate::sample::{SampleOptions, generate};
use crate::schema::{Family, Lock, changes, render};
use crate::storage::{Lease, OWN, Storage};
use crate::units::ByteCount;
use crate::verify::VerifyOptions;
use clap::CommandFactory;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Worker threads when no option says: processors, as far as the cgroup allows.
fn threads(given: Option<u16>) -> usize {
    given
        .map(usize::from)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

fn convert_options(args: &ConvertArgs) -> ConvertOptions {
    let PlaceArgs { sources, lake } = args.places.clone();
    let threads = threads(args.work.threads);
    let default = MEMORY_PER_THREAD.0.saturating_mul(threads.max(2) as u64);
    ConvertOptions {
        catalog: catalog_options(&args.catalog, &lake, args.lake.table.clone()),
        aws: (&args.aws).into(),
        sources,
        lake,
        threads,
        memory: args.work.memory.unwrap_or(ByteCount(default)),
        unit_size: args.lake.unit_size,
        target_file_size: args.lake.target_file_size,
        compression: args.lake.compression,
        partition_by: args.lake.partition_by.clone(),
        nested: !args.lake.no_nested,
        strict: args.input.strict,
        schema: args.lake.schema,
        duplicates: args.input.duplicates,
        caps: Caps {
            max_object_bytes: args.input.max_object_size.0,
            max_ratio: args.input.max_ratio,
        },
    }
}

fn catalog_options(args: &CatalogOptionArgs, lake: &Path, table: String) -> CatalogOptions {
    let kind = args.catalog.map(|name| match name {
        CatalogName::Glue => CatalogKind::Glue,
        CatalogName::Local => CatalogKind::Local,
        CatalogName::None => CatalogKind::None,
    });
    CatalogOptions {
        kind,
        glue: GlueOptions {
            catalog_id: args.catalog_id.clone(),
            create_database: !args.no_create_database,
            retry: Duration::from_secs(args.catalog_retry_seconds),
        },
        partition_projection: args.partition_projection.map(|switch| switch == Switch::On),
        partition_index: args.partition_index,
        ..CatalogOptions::new(args.database.clone().unwrap_or_else(|| database_of(lake)), table)
    }
}

/// The database a lake is in already, else the default.
fn database_of(lake: &Path) -> String {
    let known = LocalCatalog::open(lake.join(OWN).join("catalog"))
        .and_then(|catalog| catalog.databases())
        .unwrap_or_default();
    known.into_iter().next().unwrap_or_else(|| DEFAULT_DATABASE.to_owned())
}

pub(super) fn convert(args: &ConvertArgs) -> Result<u8> {
    let options = convert_options(args);
    let progress = Progress::default();
    let stop = stop_on_signal(args.output.quiet)?;
    let report =
        shown(args.output.quiet, &progress, || pipeline::convert(&options, &progress, &stop))?;
    match args.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => {
            print(&report::conversion(&report, &options.lake.display().to_string()))?;
        }
    }
    Ok(if report.interrupted {
        EXIT_TRY_LATER
    } else if report.has_quarantine() {
        EXIT_SET_ASIDE
    } else {
        EXIT_OK
    })
}

/// Sets a flag on SIGTERM or Ctrl-C; a second signal ends the process at once, which is safe.
#[expect(clippy::exit, reason = "the second signal: somebody wants the process gone")]
fn stop_on_signal(quiet: bool) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| Error::io("cannot watch for signals", err))?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            for is_second in [false, true] {
                wait_for_signal().await;
                if is_second {
                    break;
                }
                flag.store(true, Ordering::Relaxed);
                say(quiet, "stopping: what is in flight is being committed; once more to end now");
            }
        });
        // The lake is safe at any instant; nothing needs to be tidied up.
        std::process::exit(i32::from(EXIT_TRY_LATER))
    });
    Ok(stop)
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
}

pub(super) fn plan(args: &PlanArgs) -> Result<u8> {
    let report = pipeline::plan(&convert_options(&args.convert))?;
    match args.convert.output.report {
        Format::Json => print_json(&report)?,
        Format::Text => print(&report::plan(&report))?,
    }
    Ok(EXIT_OK)
}

/// For commands that only read a lake's documents.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| Error::io("cannot start the I/O threads", err))
}

/// A lake that must be there already.
fn open_lake(lake: &Path) -> Result<Storage> {
    if !lake.join(OWN).is_dir() {
        return Err(Error::config("this is no lake: it has no `_trailmill` folder")
            .at("path", lake.display()));
    }
    Storage::local(lake)
}

/// What the documents of a lake say.
struct Known {
    storage: Storage,
    manifests: Vec<Manifest>,
    lock: Lock,
    options: CatalogOptions,
}

fn read_lake(lake: &Path) -> Result<Known> {
    let storage = open_lake(lake)?;
    let runtime = runtime()?;
    let (manifests, lock) = runtime.block_on(async {
        let manifests = Manifest::read_all(&storage).await?;
        let lock = read_lock(&storage, &manifests).await?;
        Ok::<_, Error>((manifests, lock))
    })?;
    let options = CatalogOptions::new(database_of(lake), base_table(&manifests));
    Ok(Known { storage, manifests, lock, options })
}

/// The base name that the lake's tables were made with.
fn base_table(manifests: &[Manifest]) -> String {
    let name = manifests.iter().flat_map(|m| &m.files).map(|file| file.table.as_str()).min();
    let name = name.unwrap_or(DEFAULT_TABLE);
    let suffix =
        Family::ALL.iter().map(|f| f.suffix()).find(|s| !s.is_empty() && name.ends_with(s));
    name.strip_suffix(suffix.unwrap_or("")).unwrap_or(name).to_owned()
}

pub(super) fn catalog(args: &CatalogArgs) -> Result<u8> {
    let runtime = runtime()?;
    match &args.command {
        CatalogCommand::Show { lake, table, depth, output } => {
            let found = runtime.block_on(Opened::new(lake))?;
            runtime.block_on(show(&found, table.as_deref(), *depth, output.report))
        }
        CatalogCommand::Ddl { lake, dialect, no_views } => {
            let found = runtime.block_on(Opened::new(lake))?;
            runtime.block_on(ddl(&found, *dialect, !no_views))
        }
        CatalogCommand::Diff { lake, output } => {
            let known = read_lake(&lake.lake)?;
            runtime.block_on(diff(lake, known, output.report))
        }
        CatalogCommand::Sync { lake, dry_run, output } => {
            let known = read_lake(&lake.lake)?;
            runtime.block_on(sync(lake, known, *dry_run, output))
        }
    }
}

/// A lake's catalog, and the names that its tables have there.
struct Opened {
    catalog: Catalog,
    database: String,
    names: Vec<String>,
}

impl Opened {
    async fn new(args: &CatalogLakeArgs) -> Result<Self> {
        let storage = open_lake(&args.lake)?;
        let mut options = catalog_options(&args.catalog, &args.lake, DEFAULT_TABLE.to_owned());
        let catalog = opened(&storage, &options, &args.aws).await?;
        if let Catalog::Glue(_) = catalog {
            options.table = base_table(&Manifest::read_all(&storage).await?);
        }
        let names = Family::ALL.iter().map(|family| family.table(&options.table)).collect();
        Ok(Self { catalog, database: options.database, names })
    }

    /// Database, table and partitions of each of the lake's tables.
    async fn tables(&self) -> Result<Vec<(String, TableInput, Vec<PartitionInput>)>> {
        let mut all = Vec::new();
        for database in self.catalog.databases(&self.database).await? {
            for table in self.catalog.tables(&database, &self.names).await? {
                let partitions = self.catalog.partitions(&database, &table).await?;
                all.push((database.clone(), table, partitions));
            }
        }
        Ok(all)
    }
}

async fn opened(storage: &Storage, options: &CatalogOptions, aws: &AwsArgs) -> Result<Catalog> {
    let none = || Error::config("there is no catalog to look at with `--catalog none`");
    open_catalog(storage, options, &aws.into()).await?.ok_or_else(none)
}

async fn show(opened: &Opened, table: Option<&str>, depth: usize, format: Format) -> Result<u8> {
    let mut summaries = Vec::new();
    for (database, input, partitions) in opened.tables().await? {
        if table == Some(&input.name) {
            match format {
                Format::Json => {
                    print_json(&serde_json::json!({
                        "database": database, "table": input, "partitions": partitions,
                    }))?;
                }
                Format::Text => {
                    print(&catalog::show::table(&database, &input, &partitions, depth))?;
                }
            }
            return Ok(EXIT_OK);
        }
        summaries.push(catalog::show::TableSummary::new(&database, &input, &partitions));
    }
    if let Some(name) = table {
        return Err(Error::config(format!("the catalog has no table `{name}`")));
    }
    match format {
        Format::Json => print_json(&summaries)?,
        Format::Text => print(&catalog::show::tables(&summaries))?,
    }
    Ok(EXIT_OK)
}

async fn ddl(opened: &Opened, dialect: DialectName, with_views: bool) -> Result<u8> {
    let dialect = match dialect {
        DialectName::Athena => Dialect::Athena,
        DialectName::Spark => Dialect::Spark,
        DialectName::Duckdb => Dialect::DuckDb,
    };
    let mut statements = Vec::new();
    let mut last = String::new();
    for (database, table, partitions) in opened.tables().await? {
        if database != last {
            statements.push(catalog::ddl::create_database(dialect, &database));
        }
        statements.push(catalog::ddl::create_table(dialect, &database, &table)?);
        statements.extend(catalog::ddl::add_partitions(dialect, &database, &table, &partitions));
        if with_views {
            let views = catalog::views::views(dialect, &database, &table);
            statements.extend(views.into_iter().map(|view| view.sql));
        }
        last = database;
    }
    print(&catalog::ddl::script(statements))?;
    Ok(EXIT_OK)
}

async fn diff(args: &CatalogLakeArgs, known: Known, format: Format) -> Result<u8> {
    let Known { storage, manifests, lock, options } = known;
    let options = catalog_options(&args.catalog, &args.lake, options.table);
    let catalog = opened(&storage, &options, &args.aws).await?;
    let plans =
        catalog_plan(&catalog, &storage, &manifests, &lock, &options, Comparison::Full).await?;
    print_plans(&plans, format)?;
    let in_sync = plans.iter().all(catalog::Plan::is_empty);
    Ok(if in_sync { EXIT_OK } else { EXIT_SET_ASIDE })
}

async fn sync(
    args: &CatalogLakeArgs,
    known: Known,
    dry_run: bool,
    output: &OutputArgs,
) -> Result<u8> {
    let Known { storage, manifests, lock, options } = known;
    let options = catalog_options(&args.catalog, &args.lake, options.table);
    let _lease = if dry_run { None } else { Some(Lease::take(&storage)?) };
    let catalog = opened(&storage, &options, &args.aws).await?;
    let plans =
        catalog_plan(&catalog, &storage, &manifests, &lock, &options, Comparison::Full).await?;
    print_plans(&plans, output.report)?;
    if !dry_run {
        apply_plans(&catalog, &plans).await?;
    }
    say_usage(output.quiet, &catalog.usage());
    Ok(EXIT_OK)
}

/// Says what a service was asked, to those who pay for it or are throttled by it.
fn say_usage(quiet: bool, usage: &catalog::Usage) {
    if usage.calls > 0 {
        say(
            quiet,
            &format!(
                "the catalog was asked {} times, {} of them to change something; {} throttled, {} \
                 not answered",
                usage.calls, usage.writes, usage.throttled, usage.unanswered
            ),
        );
    }
}

fn print_plans(plans: &[catalog::Plan], format: Format) -> Result<()> {
    match format {
        Format::Json => print_json(&plans.iter().map(catalog::Plan::report).collect::<Vec<_>>()),
        Format::Text if plans.iter().all(catalog::Plan::is_empty) => {
            print("The catalog is in line with the lake.\n")
        }
        Format::Text => plans.iter().try_for_each(|plan| print(&plan.to_string())),
    }
}

pub(super) fn schema(args: &SchemaArgs) -> Result<u8> {
    match &args.command {
        SchemaCommand::Show { lake, output } => {
            let lock = match lake {
                Some(lake) => read_lake(lake)?.lock,
                None => Lock::seed()?,
            };
            print_lock(&lock, output.report)?;
            Ok(EXIT_OK)
        }
        SchemaCommand::Infer { sources, bare, output } => {
            let options = reading_options(sources.clone())?;
            print_lock(&pipeline::infer(&options, !bare)?, output.report)?;
            Ok(EXIT_OK)
        }
        SchemaCommand::Diff { old, new, output } => {
            let found = changes(&lock_of(old)?, &lock_of(new)?);
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
    match change {
        Added { path, hive_type } => format!("+ {path}: {hive_type}\n"),
        Removed { path, hive_type } => format!("- {path}: {hive_type}\n"),
        Retyped { path, from, to } => format!("~ {path}: {from} -> {to}\n"),
    }
}

fn print_lock(lock: &Lock, format: Format) -> Result<()> {
    match format {
        Format::Json => print_json(lock),
        Format::Text => print(&clean(&render(lock))),
    }
}

/// A lake's lock, a lock in a file, or the seed.
fn lock_of(place: &Path) -> Result<Lock> {
    if place == Path::new("seed") {
        return Lock::seed();
    }
    if place.is_dir() {
        return Ok(read_lake(place)?.lock);
    }
    let wrong = || Error::config("cannot read a schema").at("path", place.display());
    let bytes = std::fs::read(place).map_err(|err| wrong().because(err))?;
    serde_json::from_slice(&bytes).map_err(|err| wrong().because(err))
}

/// Options for reading sources without a lake.
fn reading_options(sources: Vec<PathBuf>) -> Result<ConvertOptions> {
    Ok(ConvertOptions {
        sources,
        lake: PathBuf::new(),
        threads: 1,
        memory: MEMORY_PER_THREAD,
        unit_size: DEFAULT_UNIT_SIZE,
        target_file_size: DEFAULT_TARGET_FILE_SIZE,
        compression: crate::write::DEFAULT_COMPRESSION,
        partition_by: DEFAULT_PARTITION_BY.parse()?,
        nested: true,
        strict: false,
        schema: SchemaMode::Evolve,
        duplicates: Duplicates::Drop,
        caps: Caps::default(),
        catalog: CatalogOptions::new(DEFAULT_DATABASE, DEFAULT_TABLE),
        aws: AwsOptions::default(),
    })
}

pub(super) fn verify(args: &VerifyArgs) -> Result<u8> {
    let PlaceArgs { sources, lake } = args.places.clone();
    let storage = open_lake(&lake)?;
    let runtime = runtime()?;
    let set_aside = runtime.block_on(read_quarantine(&storage))?;
    let options = VerifyOptions {
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

pub(super) fn quarantine(args: &QuarantineArgs) -> Result<u8> {
    let storage = open_lake(&args.lake)?;
    let runtime = runtime()?;
    let entries = runtime.block_on(read_quarantine(&storage))?;
    if let Some(number) = args.raw {
        let entry = entries.get(number).ok_or_else(|| {
            Error::config(format!(
                "there is no entry {number}; the quarantine has {}",
                entries.len()
            ))
        })?;
        let bytes = runtime.block_on(storage.read(&entry.raw))?.unwrap_or_default();
        let start = entry.raw_offset as usize;
        let raw = bytes.get(start..start + entry.length as usize).unwrap_or_default();
        use std::io::Write;
        std::io::stdout().write_all(raw).map_err(|err| Error::io("cannot write to stdout", err))?;
        return Ok(EXIT_OK);
    }
    match args.output.report {
        Format::Json => print_json(&entries)?,
        Format::Text if entries.is_empty() => print("Nothing was set aside.\n")?,
        Format::Text => {
            for (number, entry) in entries.iter().enumerate() {
                let record =
                    entry.record.map_or("whole object".to_owned(), |n| format!("record {n}"));
                let stopped = entry.error_byte.map(|at| format!(" (at byte {at})"));
                print(&format!(
                    "{number:>5}  {}  {record}, byte {}, {} bytes: {}{}\n",
                    clean(&entry.object),
                    entry.byte,
                    entry.length,
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
            args.folder.display(),
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
