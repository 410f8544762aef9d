//! `trailmill catalog diff`, and the text of what differs.

use crate::catalog::CatalogDiff;
use crate::cli::args::{CatalogLakeArgs, Format, OutputArgs, PublicationArgs, ViewsArgs};
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::report::{print, print_json};
use crate::error::Result;
use crate::lake::Loss;
use crate::operations::{Differences, FileCheck, open_lake};
use crate::storage::S3;
use crate::text::clean;
use crate::units::{are, counted};
use clap::Args as Group;
use std::fmt::Write as _;

/// Print what differs between the lake and its catalog; exit code 1 if anything does.
///
/// Compares everything, including the columns of every partition.
#[derive(Debug, Group)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    pub lake: CatalogLakeArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
    #[command(flatten)]
    views: ViewsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) async fn run(args: &DiffArgs, s3: &S3) -> Result<u8> {
    let storage = open_lake(&args.lake.place.lake, s3).await?;
    let options = args.views.options(&args.lake, &args.publication)?;
    let found = Differences::find(&storage, &options, s3).await?;
    print_differences(&found, args.output.report)?;
    Ok(if found.is_empty() { EXIT_OK } else { EXIT_INCOMPLETE })
}

/// Prints the differences, table by table and file by file.
pub(super) fn print_differences(found: &Differences, format: Format) -> Result<()> {
    match format {
        Format::Json => {
            let tables: Vec<_> = found.tables.iter().map(CatalogDiff::report).collect();
            print_json(&serde_json::json!({ "tables": tables, "files": found.files }))
        }
        Format::Text if found.is_empty() => print("The catalog is in line with the lake.\n"),
        Format::Text => {
            print(&files_text(&found.files))?;
            found.tables.iter().try_for_each(|diff| print(&diff.to_string()))
        }
    }
}

/// Data files that differ from the manifests, for people.
fn files_text(check: &FileCheck) -> String {
    let mut out = String::new();
    let list = |out: &mut String, what: &str, keys: &[String]| {
        for key in keys {
            let _ = writeln!(out, "  {what} {}", clean(key));
        }
    };
    list(&mut out, "- orphaned file, removed:", &check.orphaned);
    for gone in check.gone.iter().filter(|gone| gone.loss == Loss::Lost) {
        let (rows, key) = (counted(gone.file.records(), "record"), clean(&gone.file.key));
        let _ = writeln!(out, "  ! missing file with {rows}: {key}");
    }
    list(&mut out, "+ file that is back:", &check.returned);
    let doubled = "! file that is back after its records were restored in other files, so that \
                   they are doubled unless `trailmill verify` says otherwise:";
    list(&mut out, doubled, &check.doubled);
    list(&mut out, "! foreign file, which queries read too:", &check.foreign);
    if !check.missing.is_empty() {
        let _ = writeln!(
            out,
            "  {} with {} {} missing: bring back what is lost with `trailmill convert --restore \
             SOURCE... LAKE`, or accept the loss with `trailmill catalog sync --accept-loss LAKE`",
            counted(check.missing.len() as u64, "file"),
            counted(check.rows_missing, "record"),
            are(check.missing.len() as u64),
        );
    }
    if out.is_empty() { out } else { format!("files\n{out}") }
}
