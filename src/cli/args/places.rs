//! Sources and lakes.

use crate::cli::args::aws::AwsArgs;
use crate::cli::args::values::location;
use crate::error::{Error, Result};
use crate::location::Location;
use clap::Args as Group;

#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct PlaceArgs {
    /// Folders, files, archives (tar, zip, 7z; gzip, zstd, bzip2, xz) or s3://bucket/prefix to read
    #[arg(required = true, value_name = "SOURCE", value_parser = location())]
    pub sources: Vec<Location>,

    /// The lake: a folder or s3://bucket/prefix
    #[arg(value_name = "LAKE", value_parser = location())]
    pub lake: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// An existing lake.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct LakePlace {
    /// The lake: a folder or s3://bucket/prefix
    #[arg(value_name = "LAKE", value_parser = location())]
    pub lake: Location,

    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Tells sources from the lake, which comes last.
///
/// # Errors
/// `Config` when there are no two places.
pub(in crate::cli) fn sources_and_lake(places: &[Location]) -> Result<(Vec<Location>, Location)> {
    match places {
        [sources @ .., lake] if !sources.is_empty() => Ok((sources.to_vec(), lake.clone())),
        _ => Err(Error::config("expected at least one source, then the lake")),
    }
}
