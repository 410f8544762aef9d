//! The catalog and the data files against the lake: what differs, and bringing it in line.

use crate::catalog::{Catalog, CatalogDiff, Comparison, Usage};
use crate::engine::CatalogOptions;
use crate::error::Result;
use crate::lake::{Manifest, Snapshot, read_lock};
use crate::operations::check_files::{FileCheck, check_files, repair_files};
use crate::operations::lake_catalog::{options_of, require_catalog};
use crate::operations::register::{after_commit, apply_diffs, catalog_diffs};
use crate::operations::switch::finish_exchanges;
use crate::operations::take_turn::take_turn;
use crate::storage::{S3, Storage};

/// What a sync may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Compare only; by default, everything that differs is brought in line.
    pub dry_run: bool,
    /// Accept for good that rows of missing files are lost.
    pub accepts_loss: bool,
}

/// What differs between a lake, its files and its catalog.
#[derive(Debug)]
pub struct Differences {
    storage: Storage,
    catalog: Catalog,
    /// One for each table, empty ones included.
    pub tables: Vec<CatalogDiff>,
    /// Data files against manifests.
    pub files: FileCheck,
}

impl Differences {
    /// Compares everything, the columns of every partition included; writes nothing.
    ///
    /// # Errors
    /// `Config` for a lake without a catalog; `Damaged`, `Denied`, `Unavailable`, `Io`.
    pub async fn find(storage: &Storage, options: &CatalogOptions, s3: &S3) -> Result<Self> {
        // Only manifests name every file, so checkpoints are not read.
        let manifests = Manifest::read_all(storage).await?;
        let mut lake: Snapshot = manifests.iter().collect();
        let lock = read_lock(storage, &lake).await?;
        let options = options_of(&lake, options);
        let catalog = require_catalog(storage, &lake, &options, s3).await?;
        let files = check_files(storage, &manifests).await?;
        lake.replace_gone(&files.gone);
        let comparison = Comparison::Full;
        let tables = catalog_diffs(&catalog, storage, &lake, &lock, &options, comparison).await?;
        Ok(Self { storage: storage.clone(), catalog, tables, files })
    }

    /// Returns whether the catalog and the files are in line with the lake.
    pub fn is_empty(&self) -> bool {
        let is_in_line = |table: &CatalogDiff| table.is_empty() && !table.has_refused();
        self.files.is_clean() && self.tables.iter().all(is_in_line)
    }

    /// Returns whether a sync leaves nothing to do: it can bring no file back, and removes no file and
    /// changes no view that is not the lake's own.
    pub fn can_be_resolved(&self, how: SyncOptions) -> bool {
        let is_whole = self.files.missing.is_empty() || how.accepts_loss;
        let is_ours = !self.tables.iter().any(CatalogDiff::has_refused);
        is_whole && is_ours && self.files.foreign.is_empty() && self.files.doubled.is_empty()
    }

    /// Returns what the catalog was asked.
    pub fn usage(&self) -> Usage {
        self.catalog.usage()
    }

    async fn resolve(&self, accepts_loss: bool) -> Result<()> {
        repair_files(&self.storage, &self.files, accepts_loss).await.map_err(after_commit)?;
        apply_diffs(&self.catalog, &self.tables).await.map_err(after_commit)?;
        Ok(())
    }
}

/// Brings files and catalog in line with the lake, under its lease; `tell` is called with what differs
/// before anything is changed. A dry run takes no lease and changes nothing.
///
/// # Errors
/// As for [`Differences::find`], those of `tell`, and `Busy` while another run holds the lake.
pub async fn sync(
    storage: &Storage,
    options: &CatalogOptions,
    how: SyncOptions,
    s3: &S3,
    tell: impl Fn(&Differences) -> Result<()>,
) -> Result<Differences> {
    if how.dry_run {
        let found = Differences::find(storage, options, s3).await?;
        tell(&found)?;
        return Ok(found);
    }
    let lease = take_turn(storage, None).await?;
    let outcome = sync_leased(lease.storage(), options, how, s3, tell).await;
    lease.conclude(outcome).await
}

async fn sync_leased(
    storage: &Storage,
    options: &CatalogOptions,
    how: SyncOptions,
    s3: &S3,
    tell: impl Fn(&Differences) -> Result<()>,
) -> Result<Differences> {
    finish_exchanges(storage).await?;
    let found = Differences::find(storage, options, s3).await?;
    tell(&found)?;
    found.resolve(how.accepts_loss).await?;
    Ok(found)
}
