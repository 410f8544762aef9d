//! What the benches share.

use std::path::{Path, PathBuf};
use trailmill::decode::Caps;
use trailmill::engine::{CatalogOptions, ConvertOptions, Duplicates, SchemaMode};
use trailmill::parquet::DEFAULT_COMPRESSION;
use trailmill::partition::DEFAULT_PARTITION_BY;
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
pub(crate) fn conversion(logs: &Path, lake: &Path, nested: bool, threads: usize) -> ConvertOptions {
    ConvertOptions {
        narrow: Default::default(),
        look_back_days: None,
        full: true,
        into_existing: false,
        restore: false,
        sources: vec![logs.to_owned().into()],
        lake: lake.to_owned().into(),
        s3: std::sync::Arc::default(),
        threads,
        memory: ByteCount::mib(512),
        unit_size: ByteCount::mib(64),
        target_file_size: ByteCount::mib(128),
        compression: DEFAULT_COMPRESSION,
        partition_by: DEFAULT_PARTITION_BY.parse().unwrap(),
        nested,
        strict: false,
        schema: SchemaMode::Evolve,
        duplicates: Duplicates::Drop,
        caps: Caps::default(),
        retry: trailmill::engine::Retry::default(),
        catalog: CatalogOptions::new("bench"),
    }
}
