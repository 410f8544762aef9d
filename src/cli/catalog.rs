//! The commands about the catalog.

use crate::catalog::{self, Catalog, Comparison, Dialect, PartitionInput, TableInput};
use crate::cli::args::{
    CatalogArgs, CatalogCommand, CatalogLakeArgs, CatalogName, DialectName, Format, OutputArgs,
};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::lake::{base_table, catalog_options, open_lake};
use crate::cli::progress::say;
use crate::cli::report::{self, print, print_json};
use crate::cli::{EXIT_OK, EXIT_SET_ASIDE};
use crate::engine::{CatalogOptions, runtime};
use crate::error::{Error, Result};
use crate::lake::{Known, Manifest, Summary, read_lock};
use crate::operations::{
    FileCheck, after_commit, apply_plans, catalog_plan, check_files, open_catalog, repair_files,
};
use crate::schema::Family;
use crate::storage::{Lease, S3, Storage};

pub(super) fn catalog(args: &CatalogArgs) -> Result<u8> {
    let (lake, encryption, quiet) = match &args.command {
        CatalogCommand::Show { lake, output, .. } | CatalogCommand::Diff { lake, output } => {
            (lake, None, output.quiet)
        }
        CatalogCommand::Ddl { lake, .. } => (lake, None, false),
        CatalogCommand::Sync { lake, encryption, output, .. } => {
            (lake, Some(encryption), output.quiet)
        }
    };
    let s3 = lake.place.aws.s3(encryption)?;
    let in_glue = lake.catalog.catalog == Some(CatalogName::Glue);
    let reach = Reach::of([&lake.place.lake], in_glue);
    say_identity(&lake.place.aws, &s3, reach, quiet)?;
    runtime()?.block_on(async {
        match &args.command {
            CatalogCommand::Show { lake, table, depth, output } => {
                show(&Opened::new(lake, &s3).await?, table.as_deref(), *depth, output.report).await
            }
            CatalogCommand::Ddl { lake, dialect, no_views } => {
                ddl(&Opened::new(lake, &s3).await?, *dialect, !no_views).await
            }
            CatalogCommand::Diff { lake, output } => diff(lake, output, &s3).await,
            CatalogCommand::Sync { lake, dry_run, accept_loss, output, .. } => {
                let how = Syncing { dry_run: *dry_run, accepts_loss: *accept_loss };
                sync(lake, how, output, &s3).await
            }
        }
    })
}

/// A lake's catalog, and the names that its tables have there.
struct Opened {
    catalog: Catalog,
    database: String,
    names: Vec<String>,
}

impl Opened {
    async fn new(args: &CatalogLakeArgs, s3: &S3) -> Result<Self> {
        let storage = open_lake(&args.place.lake, s3).await?;
        let lake = Known::read(&storage).await?.summary;
        let options = options(args, base_table(&lake));
        let catalog = opened(&storage, &lake, &options, s3).await?;
        let names = Family::ALL.iter().map(|family| family.table(&options.table)).collect();
        Ok(Self { catalog, database: options.database_of(&lake), names })
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

fn options(args: &CatalogLakeArgs, table: String) -> CatalogOptions {
    catalog_options(&args.catalog, &args.publication, args.place.aws.retry_timeout, table)
}

async fn opened(
    storage: &Storage,
    lake: &Summary,
    options: &CatalogOptions,
    s3: &S3,
) -> Result<Catalog> {
    let none = || Error::config("there is no catalog to look at with `--catalog none`");
    open_catalog(storage, lake, options, s3).await?.ok_or_else(none)
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

/// What differs between a lake, its files and its catalog.
struct Differences {
    storage: Storage,
    catalog: Catalog,
    plans: Vec<catalog::Plan>,
    check: FileCheck,
}

impl Differences {
    /// Compares. Every file by its name is in the manifests and in no checkpoint, so that they alone
    /// are read.
    async fn find(args: &CatalogLakeArgs, storage: Storage, s3: &S3) -> Result<Self> {
        let manifests = Manifest::read_all(&storage).await?;
        let mut lake: Summary = manifests.iter().collect();
        let lock = read_lock(&storage, &lake).await?;
        let options = options(args, base_table(&lake));
        let catalog = opened(&storage, &lake, &options, s3).await?;
        let check = check_files(&storage, &manifests).await?;
        lake.gone = check.gone.clone();
        let comparison = Comparison::Full;
        let plans = catalog_plan(&catalog, &storage, &lake, &lock, &options, comparison).await?;
        Ok(Self { storage, catalog, plans, check })
    }

    fn print(&self, format: Format) -> Result<()> {
        let Self { plans, check, .. } = self;
        let reports = || plans.iter().map(catalog::Plan::report).collect::<Vec<_>>();
        match format {
            Format::Json => print_json(&serde_json::json!({ "tables": reports(), "files": check })),
            Format::Text if plans.iter().all(catalog::Plan::is_empty) && check.is_clean() => {
                print("The catalog is in line with the lake.\n")
            }
            Format::Text => {
                print(&report::files(check))?;
                plans.iter().try_for_each(|plan| print(&plan.to_string()))
            }
        }
    }
}

async fn diff(args: &CatalogLakeArgs, output: &OutputArgs, s3: &S3) -> Result<u8> {
    let storage = open_lake(&args.place.lake, s3).await?;
    let found = Differences::find(args, storage, s3).await?;
    found.print(output.report)?;
    let in_sync = found.check.is_clean() && found.plans.iter().all(catalog::Plan::is_empty);
    Ok(if in_sync { EXIT_OK } else { EXIT_SET_ASIDE })
}

/// What a sync may do.
#[derive(Clone, Copy)]
struct Syncing {
    dry_run: bool,
    accepts_loss: bool,
}

async fn sync(args: &CatalogLakeArgs, how: Syncing, output: &OutputArgs, s3: &S3) -> Result<u8> {
    let storage = open_lake(&args.place.lake, s3).await?;
    if how.dry_run {
        return sync_with(args, storage, how, output, s3).await;
    }
    let lease = Lease::take(&storage).await?;
    let outcome = sync_with(args, lease.storage().clone(), how, output, s3).await;
    lease.conclude(outcome).await
}

async fn sync_with(
    args: &CatalogLakeArgs,
    storage: Storage,
    how: Syncing,
    output: &OutputArgs,
    s3: &S3,
) -> Result<u8> {
    let found = Differences::find(args, storage, s3).await?;
    found.print(output.report)?;
    let Differences { storage, catalog, plans, check } = &found;
    if !how.dry_run {
        repair_files(storage, check, how.accepts_loss).await.map_err(after_commit)?;
        apply_plans(catalog, plans).await.map_err(after_commit)?;
    }
    say_usage(output.quiet, &catalog.usage());
    // What is gone cannot be repaired from here, nor is it ours to remove what is not ours.
    let is_whole = check.missing.is_empty() || how.accepts_loss;
    let is_clean = is_whole && check.foreign.is_empty() && check.doubled.is_empty();
    Ok(if is_clean { EXIT_OK } else { EXIT_SET_ASIDE })
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
