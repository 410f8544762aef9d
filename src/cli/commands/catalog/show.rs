//! `trailmill catalog show`.

use crate::catalog::TableInput;
use crate::catalog::show::{DEFAULT_DEPTH, TableSummary, table, tables, view, views};
use crate::cli::args::{CatalogLakeArgs, Format, OutputArgs};
use crate::cli::exit::EXIT_OK;
use crate::cli::report::{print, print_json, proven_text};
use crate::error::{Error, Result};
use crate::operations::{LakeCatalog, RegisteredTable, open_lake, proven_rows};
use crate::storage::S3;
use clap::Args as Group;

/// Show the tables, or one of them with its columns.
#[derive(Debug, Group)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub lake: CatalogLakeArgs,
    /// Table or view to show with its columns
    table: Option<String>,
    /// Depth to which nested types are shown
    #[arg(long, default_value_t = DEFAULT_DEPTH)]
    depth: usize,
    /// Show which rows of each partition come from objects that CloudTrail's digests prove; reads every
    /// manifest
    #[arg(long, conflicts_with = "table")]
    integrity: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) async fn run(args: &ShowArgs, s3: &S3) -> Result<u8> {
    let storage = open_lake(&args.lake.place.lake, s3).await?;
    if args.integrity {
        let partitions = proven_rows(&storage).await?;
        match args.output.report {
            Format::Json => print_json(&partitions)?,
            Format::Text => print(&proven_text(&partitions))?,
        }
        return Ok(EXIT_OK);
    }
    let found = LakeCatalog::open(&storage, &args.lake.options(), s3).await?.tables().await?;
    match &args.table {
        Some(name) => {
            let none = || Error::config(format!("the catalog has no table or view `{name}`"));
            let table = found.iter().find(|found| found.table.name == *name);
            let of_view = |found: &RegisteredTable| {
                let view = found.views.iter().find(|view| view.name == *name)?;
                Some((found.database.clone(), view.clone()))
            };
            match (table, found.iter().find_map(of_view)) {
                (Some(table), _) => show_table(table, args)?,
                (None, Some((database, view))) => show_view(&database, &view, args)?,
                (None, None) => return Err(none()),
            }
        }
        None => {
            let summary = |found: &RegisteredTable| {
                TableSummary::new(&found.database, &found.table, &found.partitions)
                    .with_views(&found.views)
            };
            let summaries: Vec<_> = found.iter().map(summary).collect();
            match args.output.report {
                Format::Json => print_json(&summaries)?,
                Format::Text => {
                    print(&tables(&summaries))?;
                    print(&views(&summaries))?;
                }
            }
        }
    }
    Ok(EXIT_OK)
}

fn show_view(database: &str, shown: &TableInput, args: &ShowArgs) -> Result<()> {
    match args.output.report {
        Format::Json => print_json(&serde_json::json!({ "database": database, "view": shown })),
        Format::Text => print(&view(database, shown, args.depth)),
    }
}

fn show_table(found: &RegisteredTable, args: &ShowArgs) -> Result<()> {
    match args.output.report {
        Format::Json => print_json(&serde_json::json!({
            "database": found.database, "table": found.table, "partitions": found.partitions,
        })),
        Format::Text => print(&table(&found.database, &found.table, &found.partitions, args.depth)),
    }
}
