//! Whether options go together, and with the lake: said before anything is written.

use crate::catalog::is_name;
use crate::engine::{CatalogOptions, ConvertOptions, DEFAULT_DATABASE};
use crate::error::{Error, Result};
use crate::family::{TYPED_SUFFIX, tables};
use crate::lake::{OutputSettings, Snapshot};
use crate::location::Location;

/// Folders of this machine have no listing to save.
pub(super) fn check_from_digests(options: &ConvertOptions) -> Result<()> {
    if options.from_digests && !options.sources.iter().any(Location::is_s3) {
        let message = "`--from-digests` requires a source in S3: folders are always listed whole";
        return Err(Error::config(message));
    }
    Ok(())
}

/// A lake inside its source would be read as a source the next time.
pub(super) fn check_places(options: &ConvertOptions) -> Result<()> {
    check_from_digests(options)?;
    let inside = |lake: &dyn std::fmt::Display, source: &Location| {
        Error::config("the lake and a source overlap: one is inside the other")
            .at("lake", lake)
            .at("source", source)
    };
    let lake = match &options.lake {
        Location::S3 { bucket, prefix } => {
            let slashed = |prefix: &str| match prefix.trim_matches('/') {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            };
            let prefix = slashed(prefix);
            return options.sources.iter().try_for_each(|source| match source {
                Location::S3 { bucket: other, prefix: from }
                    if other == bucket
                        && (prefix.starts_with(from) || slashed(from).starts_with(&prefix)) =>
                {
                    Err(inside(&options.lake, source))
                }
                _ => Ok(()),
            });
        }
        Location::Local(lake) => std::path::absolute(lake)
            .map_err(|err| Error::config("invalid lake path").because(err))?,
    };
    let lake = lake.canonicalize().unwrap_or(lake);
    for source in &options.sources {
        let Some(Ok(path)) = source.local().map(std::path::Path::canonicalize) else { continue };
        if path.starts_with(&lake) || (lake.starts_with(&path) && path.is_dir()) {
            return Err(inside(&lake.display(), source));
        }
    }
    Ok(())
}

/// Names become folders and identifiers of every engine.
pub(super) fn check_names(options: &ConvertOptions) -> Result<()> {
    let CatalogOptions { database, table, .. } = &options.catalog;
    if *table != options.output.table {
        return Err(Error::config("the catalog's tables are named unlike those of the lake"));
    }
    let database = database.as_deref().unwrap_or(DEFAULT_DATABASE);
    for (what, name) in [("database", database), ("table", table)] {
        // The longest suffix of a table must fit, too.
        if !is_name(name) || name.starts_with('_') || name.len() > 200 {
            return Err(Error::config(format!(
                "invalid {what} name `{name}`: expected a-z, 0-9 and _, beginning with a letter"
            )));
        }
    }
    if table.ends_with(TYPED_SUFFIX) {
        let message = format!(
            "invalid table name `{table}`: names that end with `{TYPED_SUFFIX}` are those of typed \
             tables"
        );
        return Err(Error::config(message));
    }
    Ok(())
}

/// Takes over what a lake keeps.
pub(super) fn adopt(options: &mut ConvertOptions, last: OutputSettings) {
    if options.is_layout_chosen {
        options.output.partition_by = last.partition_by;
    }
    options.output.typed &= last.typed;
}

/// A lake keeps the partition keys, the tables and their base name that it began with.
pub(super) fn check_lake(options: &ConvertOptions, lake: &Snapshot) -> Result<()> {
    let Some(last) = lake.last() else { return Ok(()) };
    if last.settings.partition_by != options.output.partition_by {
        return Err(Error::config(format!(
            "the lake is partitioned by {}; give the same `--partition-by` or another lake",
            last.settings.partition_by
        )));
    }
    if last.settings.typed && !options.output.typed {
        let message = "the lake has typed tables; leave out `--no-typed`, or give another lake";
        return Err(Error::config(message));
    }
    let base = &options.output.table;
    let names = tables(base);
    match lake.tables().find(|table| !names.contains(table)) {
        Some(table) => Err(Error::config(format!(
            "the lake holds the table `{table}`; give the same `--table` or another lake"
        ))),
        None => Ok(()),
    }
}
