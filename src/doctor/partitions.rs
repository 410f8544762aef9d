//! Whether the partitions of a lake are large enough, by the files that are there.

use super::{Doctor, Outcome};
use crate::storage::{Bucket, OWN};
use crate::units::{ByteCount, counted};
use std::collections::BTreeMap;
use std::path::Path;
use walkdir::WalkDir;

/// Files that are looked at.
const MOST_FILES: usize = 10_000;

/// Partitions that are too few to be warned of.
const FEW: usize = 100;

/// Bytes of a partition, on average, below which it is small: 1 MB.
const SMALL: u64 = 1_000_000;

/// Keys of data files below a lake, with their sizes.
#[derive(Debug, Default)]
struct Partitions {
    /// Bytes by the folder of a partition.
    bytes: BTreeMap<String, u64>,
}

impl Partitions {
    /// Adds a file, by its path below the lake.
    fn add(&mut self, key: &str, bytes: u64) {
        let Some((folder, name)) = key.rsplit_once('/') else { return };
        let is_data = name.ends_with(".parquet") && !key.starts_with('_') && folder.contains('=');
        if is_data {
            *self.bytes.entry(folder.to_owned()).or_default() += bytes;
        }
    }

    /// Returns what is wrong with them.
    fn problem(&self) -> Option<String> {
        let count = self.bytes.len();
        let mean = self.bytes.values().sum::<u64>().checked_div(count as u64)?;
        (count > FEW && mean < SMALL).then(|| {
            let partitions = counted(count as u64, "partition");
            format!("{partitions} of those looked at have {} each, on average", ByteCount(mean))
        })
    }
}

impl Doctor<'_> {
    /// Warns of a lake whose partitions are small.
    fn warn_small(&mut self, partitions: &Partitions, place: &str) {
        if let Some(problem) = partitions.problem() {
            self.note(Outcome::Warning, "partitions", place, problem);
            self.fix(
                "small files cost readers more than they hold: begin another lake, whose partitions \
                 fit the volume (`--partition-by auto`), or raise `--unit-size`",
            );
        }
    }

    /// Looks at the partitions of a lake in a folder.
    pub(super) fn partitions_of_folder(&mut self, lake: &Path, place: &str) {
        let mut partitions = Partitions::default();
        let is_ours = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().as_encoded_bytes();
            entry.depth() == 0 || !matches!(name.first(), Some(b'_' | b'.'))
        };
        let walk = WalkDir::new(lake).into_iter().filter_entry(is_ours).flatten();
        for entry in walk.filter(|entry| entry.file_type().is_file()).take(MOST_FILES) {
            let Ok(below) = entry.path().strip_prefix(lake) else { continue };
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            partitions.add(&below.to_string_lossy(), bytes);
        }
        self.warn_small(&partitions, place);
    }

    /// Looks at the first data files of a lake, which come after the documents below `_trailmill/`.
    pub(super) async fn partitions_of_bucket(&mut self, bucket: &Bucket, below: &str, place: &str) {
        let list = self.options.s3.client(bucket).await.list_objects_v2();
        let list = list.bucket(bucket.name()).prefix(below).start_after(format!("{below}{OWN}0"));
        // The first request has said what is missing, if anything is.
        let Ok(listed) = list.set_request_payer(self.payer()).send().await else { return };
        let mut partitions = Partitions::default();
        for object in listed.contents() {
            let key = object.key().and_then(|key| key.strip_prefix(below));
            let bytes = object.size().and_then(|size| u64::try_from(size).ok());
            partitions.add(key.unwrap_or(""), bytes.unwrap_or(0));
        }
        self.warn_small(&partitions, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_partitions_are_a_problem_and_few_or_large_ones_are_not() {
        let partitions = |count: usize, bytes| {
            let mut partitions = Partitions::default();
            for n in 0..count {
                partitions.add(&format!("cloudtrail/region=r{n}/part-a.parquet"), bytes);
                partitions.add("_trailmill/manifests/0.json.gz", 1 << 40);
            }
            partitions.problem()
        };

        let said = partitions(200, 40_000).unwrap();
        assert_eq!(said, "200 partitions of those looked at have 40.0 kB each, on average");
        assert_eq!(partitions(200, 2_000_000), None);
        assert_eq!(partitions(100, 40_000), None);
        assert_eq!(partitions(0, 0), None);
    }
}
