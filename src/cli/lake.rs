//! Lakes and catalogs as commands open them.

use crate::catalog::GlueOptions;
use crate::cli::args::{CatalogName, CatalogPlaceArgs, PublicationArgs, Switch};
use crate::engine::{CatalogKind, CatalogOptions};
use crate::error::{Error, Result};
use crate::lake::{Known, Snapshot, read_lock};
use crate::location::Location;
use crate::schema::Lock;
use crate::storage::{OWN, S3, Storage};
use std::time::Duration;

/// A lake that must be there already.
pub(super) async fn open_lake(lake: &Location, s3: &S3) -> Result<Storage> {
    let is_absent =
        || Error::config("this is no lake: it has no `_trailmill` folder").at("lake", lake);
    if let Some(folder) = lake.local()
        && !folder.join(OWN).is_dir()
    {
        return Err(is_absent());
    }
    let storage = Storage::open(lake, s3).await?;
    if lake.is_s3() && storage.is_empty(OWN).await? {
        return Err(is_absent());
    }
    Ok(storage)
}

/// The schema lock of a lake that must be there.
pub(super) async fn lake_lock(lake: &Location, s3: &S3) -> Result<Lock> {
    let storage = open_lake(lake, s3).await?;
    read_lock(&storage, &Known::read(&storage).await?.snapshot).await
}

/// The base name that the lake's tables were made with.
pub(super) fn base_table(lake: &Snapshot) -> String {
    crate::operations::base_table(lake.tables())
}

pub(super) fn catalog_options(
    args: &CatalogPlaceArgs,
    publication: &PublicationArgs,
    retry_timeout: u64,
    table: String,
) -> CatalogOptions {
    let kind = args.catalog.map(|name| match name {
        CatalogName::Glue => CatalogKind::Glue,
        CatalogName::Local => CatalogKind::Local,
        CatalogName::None => CatalogKind::None,
    });
    CatalogOptions {
        kind,
        glue: GlueOptions {
            catalog_id: args.catalog_id.clone(),
            create_database: !args.no_create_database,
            retry: Duration::from_secs(retry_timeout),
        },
        partition_projection: publication.partition_projection.map(|switch| switch == Switch::On),
        partition_index: publication.partition_index,
        database: args.database.clone(),
        ..CatalogOptions::new(table)
    }
}
