//! Files of partitions that do not lie in their table's folder: `trailmill compact` has put them elsewhere.
//!
//! `_trailmill/compacted/<table>/<partition>/<unit>/` counts in the place of the partition's folder if the unit is
//! committed: if there is a manifest of its number and identity. Of several, the last counts.

use super::files::{Files, no_buckets};
use crate::error::{Error, Result};
use crate::location::Location;
use flate2::bufread::MultiGzDecoder;
use hashbrown::HashMap;
use std::io::Read;

/// Where such files lie, for a table.
pub(super) fn folder(table: &str) -> String {
    format!("_trailmill/compacted/{table}")
}

/// The parts of a path below such a folder: partition, unit, file.
pub(super) fn parts(below: &str) -> Option<(&str, &str, &str)> {
    let (folder, file) = below.rsplit_once('/')?;
    let (partition, unit) = folder.rsplit_once('/')?;
    Some((partition, unit, file))
}

/// Returns, by partition, the last committed unit among those of some paths below such a folder.
///
/// # Errors
/// `Io` or what the bucket says when a manifest cannot be read.
pub(super) fn last_units<'n>(
    lake: &Location,
    buckets: Option<&dyn Files>,
    below: impl Iterator<Item = &'n str>,
) -> Result<HashMap<&'n str, &'n str>> {
    let mut is_committed: HashMap<&str, bool> = HashMap::new();
    let mut last: HashMap<&str, &str> = HashMap::new();
    for (partition, unit, _) in below.filter_map(parts) {
        let is_it = match is_committed.get(unit) {
            Some(known) => *known,
            None => {
                let found = has_manifest(lake, buckets, unit)?;
                is_committed.insert(unit, found);
                found
            }
        };
        if is_it {
            let newest = last.entry(partition).or_insert(unit);
            // Numbers have eight digits or more.
            if (unit.len(), unit) > (newest.len(), *newest) {
                *newest = unit;
            }
        }
    }
    Ok(last)
}

fn has_manifest(lake: &Location, buckets: Option<&dyn Files>, unit: &str) -> Result<bool> {
    let Some((number, identity)) = unit.split_once('-') else { return Ok(false) };
    let name = format!("_trailmill/manifests/{number}.json.gz");
    let bytes = match lake {
        Location::Local(folder) => match std::fs::read(folder.join(name)) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            read => {
                read.map_err(|err| Error::io("cannot read a manifest", err).at("unit", unit))?
            }
        },
        Location::S3 { bucket, prefix } => {
            let buckets = buckets.ok_or_else(|| no_buckets(&lake.to_string()))?;
            let prefix = prefix.trim_matches('/');
            let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let found = buckets.list(bucket, &key)?.into_iter().find(|file| file.key == key);
            let Some(file) = found.filter(|file| file.size > 0) else { return Ok(false) };
            buckets.read(&file, 0..file.size)()?
        }
    };
    let mut json = Vec::new();
    if MultiGzDecoder::new(&bytes[..]).read_to_end(&mut json).is_err() {
        return Ok(false);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
    Ok(manifest["unit"]["identity"].as_str() == Some(identity))
}
