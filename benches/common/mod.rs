//! What the benches share.

use std::path::{Path, PathBuf};
use trailmill::engine::{CatalogOptions, ConvertOptions, OutputSettings};
use trailmill::units::ByteCount;

/// The objects of management and data events below a folder, in the order of their names.
pub(crate) fn event_objects(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = walkdir::WalkDir::new(folder)
        .follow_links(true)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file() && path.to_string_lossy().contains("/CloudTrail/"))
        .collect();
    paths.sort();
    paths
}

/// A conversion of a folder into a new lake, with the program's defaults.
pub(crate) fn conversion(logs: &Path, lake: &Path, typed: bool, threads: usize) -> ConvertOptions {
    ConvertOptions {
        full: true,
        sources: vec![logs.to_owned().into()],
        lake: lake.to_owned().into(),
        threads,
        memory: ByteCount::mib(512),
        output: OutputSettings { typed, table: "bench".into(), ..OutputSettings::default() },
        catalog: CatalogOptions::new("bench"),
        ..ConvertOptions::default()
    }
}
