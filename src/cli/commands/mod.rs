//! The commands, a file each: arguments, run, text.

mod catalog;
mod child;
mod compact;
mod completions;
mod convert;
mod doctor;
mod finish;
mod history;
mod ignored;
mod integrity;
mod man;
mod plan;
mod quarantine;
mod query;
mod repair;
mod report;
mod sample;
mod schema;
mod verify;
mod watch;

use crate::cli::args::ConsoleArgs;
use crate::cli::signals::end_on_signal;
use crate::error::Result;
use catalog::CatalogArgs;
use clap::{CommandFactory, Parser, Subcommand};
use compact::CompactArgs;
use completions::CompletionsArgs;
use convert::ConvertArgs;
use doctor::DoctorArgs;
use finish::FinishArgs;
use history::HistoryArgs;
use ignored::IgnoredArgs;
use integrity::IntegrityArgs;
use man::ManArgs;
use plan::PlanArgs;
use quarantine::QuarantineArgs;
use query::QueryArgs;
use repair::RepairArgs;
use report::ReportArgs;
use sample::SampleArgs;
use schema::SchemaArgs;
use verify::VerifyArgs;
use watch::WatchArgs;

const EXAMPLES: &str = "\
Examples:
  trailmill sample logs --size 100MB        make an archive to try things on
  trailmill convert logs lake               convert it; run again when there are new logs
  trailmill watch https://sqs.eu-west-1.amazonaws.com/111122223333/logs s3://lake/x
                                            convert objects as they arrive
  trailmill catalog show lake               see tables, partitions and columns
  trailmill catalog ddl lake --dialect duckdb | duckdb
  trailmill doctor s3://logs s3://lake/x    try every permission before the first run
  trailmill verify logs lake                prove that nothing is lost or doubled
  trailmill history lake --user alice --since 3d
                                            search events: who did what, from where, when
  trailmill query lake                      ask in SQL, as in Athena: an argument, stdin or a prompt
  trailmill report lake -o report.html      one page with charts; open it in a browser
  trailmill integrity logs --keys keys.json prove with signed digests that logs are unchanged

An array job of AWS Batch, where one machine is not enough:
  trailmill plan s3://logs s3://lake/x --children auto
  trailmill convert --plan s3://lake/x      each child; the array index selects its part
  trailmill finish --plan s3://lake/x       when all children are done

Exit codes:
  0  all done                     1  done, but some input was quarantined, or something differs
  2  wrong usage                  3  stopped by a permanent error
  75 try again later: another run holds the lake, this run was interrupted, or units are not done";

/// What a report of a fault needs; `build.rs` knows the commit.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("TRAILMILL_BUILD"));

/// Convert AWS CloudTrail logs to partitioned Parquet with its own catalog, no crawler.
///
/// Reads folders, files and archives of CloudTrail objects in any of their layouts, infers the
/// nested schema, and writes a lake that Athena, Spark, DuckDB and Polars read. Nothing is lost,
/// nothing is doubled, and the next run finishes one that was killed.
#[derive(Debug, Parser)]
#[command(name = "trailmill", version, long_version = LONG_VERSION)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    pub console: ConsoleArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(Box<ConvertArgs>),
    Watch(Box<WatchArgs>),
    Plan(Box<PlanArgs>),
    Finish(Box<FinishArgs>),
    Catalog(CatalogArgs),
    Compact(Box<CompactArgs>),
    Repair(Box<RepairArgs>),
    Schema(SchemaArgs),
    Verify(VerifyArgs),
    History(Box<HistoryArgs>),
    Query(Box<QueryArgs>),
    Report(Box<ReportArgs>),
    Integrity(Box<IntegrityArgs>),
    Quarantine(QuarantineArgs),
    Ignored(IgnoredArgs),
    Doctor(Box<DoctorArgs>),
    Sample(SampleArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Runs a command; returns its exit code.
///
/// # Errors
/// Those of the command.
pub(super) fn run(args: Args) -> Result<u8> {
    // A conversion commits what is in flight first.
    if !matches!(args.command, Command::Convert(_) | Command::Watch(_)) {
        end_on_signal()?;
    }
    match args.command {
        Command::Convert(args) => convert::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Finish(args) => finish::run(&args),
        Command::Catalog(args) => catalog::run(&args),
        Command::Compact(args) => compact::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::History(args) => history::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Quarantine(args) => quarantine::run(&args),
        Command::Ignored(args) => ignored::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Integrity(args) => integrity::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Completions(args) => completions::run(&args, Args::command()),
        Command::Man(args) => man::run(&args, Args::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_help_text() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Args::command());
    }
}
