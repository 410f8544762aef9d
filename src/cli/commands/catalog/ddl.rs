//! `trailmill catalog ddl`.

use crate::catalog::{Dialect, ddl, views};
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
    let mut statements = Vec::new();
    let mut last = String::new();
    for RegisteredTable { database, table, partitions } in catalog.tables().await? {
        if database != last {
            statements.push(ddl::create_database(dialect, &database));
        }
        statements.push(ddl::create_table(dialect, &database, &table, &partitions)?);
        statements.extend(ddl::add_partitions(dialect, &database, &table, &partitions));
        if !args.no_views {
            let views = views::views(dialect, &database, &table);
            statements.extend(views.into_iter().map(|view| view.sql));
        }
        last = database;
    }
    print(&ddl::script(statements))?;
    Ok(EXIT_OK)
}
