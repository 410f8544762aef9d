//! `trailmill schema`: show, infer and compare schemas.

mod diff;
mod infer;
mod show;

use crate::error::Result;
use clap::{Args as Group, Subcommand};
use diff::DiffArgs;
use infer::InferArgs;
use show::ShowArgs;

/// Show, infer and compare schemas of the nested columns.
#[derive(Debug, Group)]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    Show(ShowArgs),
    Infer(InferArgs),
    Diff(DiffArgs),
}

pub(super) fn run(args: &SchemaArgs) -> Result<u8> {
    match &args.command {
        SchemaCommand::Show(args) => show::run(args),
        SchemaCommand::Infer(args) => infer::run(args),
        SchemaCommand::Diff(args) => diff::run(args),
    }
}
