//! `trailmill catalog ddl`.

use crate::catalog::{Dialect, OcsfVersion, ViewSelection, ViewSet, ddl, views};
use crate::cli::args::CatalogLakeArgs;
use crate::cli::exit::EXIT_OK;
use crate::cli::report::print;
use crate::error::Result;
use crate::operations::{LakeCatalog, RegisteredTable, open_lake};
use crate::storage::S3;
use clap::{Args as Group, ValueEnum};

/// Print the SQL that creates the tables, their partitions and views for BI tools.
#[derive(Debug, Group)]
pub(super) struct DdlArgs {
    #[command(flatten)]
    pub lake: CatalogLakeArgs,
    /// SQL dialect
    #[arg(long, value_enum, default_value = "athena")]
    dialect: DialectName,
    /// Leave out the views
    #[arg(long)]
    no_views: bool,
    /// Print the views alone
    #[arg(long, conflicts_with = "no_views")]
    views_only: bool,
    /// Add views of the events in this version of OCSF
    #[arg(long, value_enum, value_name = "VERSION", conflicts_with = "no_views")]
    ocsf: Option<OcsfName>,
}

/// A version of OCSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OcsfName {
    /// 1.1.0, the version of Security Lake
    #[value(name = "1.1")]
    V1_1,
    /// 1.8.0
    #[value(name = "1.8")]
    V1_8,
}

impl From<OcsfName> for OcsfVersion {
    fn from(name: OcsfName) -> Self {
        match name {
            OcsfName::V1_1 => Self::V1_1,
            OcsfName::V1_8 => Self::V1_8,
        }
    }
}

/// An SQL dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DialectName {
    /// Athena engine version 3
    Athena,
    /// Spark SQL
    Spark,
    /// DuckDB: views over the files
    Duckdb,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Athena => Self::Athena,
            DialectName::Spark => Self::Spark,
            DialectName::Duckdb => Self::DuckDb,
        }
    }
}

pub(super) async fn run(args: &DdlArgs, s3: &S3) -> Result<u8> {
    let storage = open_lake(&args.lake.place.lake, s3).await?;
    let catalog = LakeCatalog::open(&storage, &args.lake.options(), s3).await?;
    let dialect = Dialect::from(args.dialect);
    let mut selection =
        if args.no_views { ViewSelection::none() } else { ViewSelection::default() };
    if let Some(version) = args.ocsf {
        selection = selection.with(ViewSet::Ocsf(version.into()));
    }
    let mut statements = Vec::new();
    let mut last = String::new();
    for RegisteredTable { database, table, partitions, .. } in catalog.tables().await? {
        if !args.views_only {
            if database != last {
                statements.push(ddl::create_database(dialect, &database));
            }
            statements.push(ddl::create_table(dialect, &database, &table, &partitions)?);
            statements.extend(ddl::add_partitions(dialect, &database, &table, &partitions));
        }
        let views = views::views(dialect, &database, &table, &selection);
        statements.extend(views.iter().map(|view| view.create(dialect, &database)));
        last = database;
    }
    print(&ddl::script(statements))?;
    Ok(EXIT_OK)
}
