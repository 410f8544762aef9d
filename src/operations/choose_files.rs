//! Which files of which partitions are compacted together.

use crate::family::main_table;
use crate::history::Pattern;
use crate::lake::{
    DataFile, FileBatch, GoneFile, LeftPartition, Loss, Manifest, PartitionFiles, live_files,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a partition must be like.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'o> {
    /// Its newest event is before this instant.
    pub before: i64,
    /// Files of half of this size are large enough.
    pub target: u64,
    /// Bytes of files that are merged together, of both tables.
    pub most_bytes: u64,
    /// How many small files there are, at least.
    pub min_files: usize,
    /// Globs over its path; all without any.
    pub partitions: &'o [Pattern],
}

/// Chooses what to compact, in the order of tables and partitions.
pub(super) fn choose(
    manifests: &[Manifest],
    gone: &[GoneFile],
    wanted: &Wanted<'_>,
) -> (Vec<PartitionFiles>, Vec<LeftPartition>) {
    let is_gone: BTreeSet<&str> = gone.iter().map(|gone| gone.file.key.as_str()).collect();
    let is_lost = |gone: &&GoneFile| gone.loss == Loss::Lost;
    let lost: BTreeSet<(&str, &str)> = gone
        .iter()
        .filter(is_lost)
        .map(|gone| (main_table(&gone.file.table), gone.file.partition.as_str()))
        .collect();
    let mut places: BTreeMap<(&str, &str), Vec<&DataFile>> = BTreeMap::new();
    for file in live_files(manifests).filter(|file| !is_gone.contains(file.key.as_str())) {
        places.entry((main_table(&file.table), &file.partition)).or_default().push(file);
    }
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for ((table, partition), files) in places {
        let is_wanted = wanted.partitions.is_empty()
            || wanted.partitions.iter().any(|pattern| pattern.matches(partition));
        let is_closed = files.iter().all(|file| file.max_instant < wanted.before);
        if !is_wanted || !is_closed {
            continue;
        }
        let (table, partition) = (table.to_owned(), partition.to_owned());
        let (batches, kept) = batches(files, wanted);
        if batches.is_empty() {
            continue;
        }
        if lost.contains(&(table.as_str(), partition.as_str())) {
            let reason = "data files are missing: run `trailmill convert --restore`".to_owned();
            left_out.push(LeftPartition { table, partition, reason });
            continue;
        }
        chosen.push(PartitionFiles { table, partition, batches, kept });
    }
    (chosen, left_out)
}

/// Sorts a partition's files into batches and those that stay.
fn batches(mut files: Vec<&DataFile>, wanted: &Wanted<'_>) -> (Vec<FileBatch>, Vec<DataFile>) {
    files.sort_by(|a, b| a.key.cmp(&b.key));
    let name = |file: &DataFile| file.key.rsplit('/').next().unwrap_or_default().to_owned();
    let is_main = |file: &&DataFile| main_table(&file.table) == file.table;
    let (mains, typed): (Vec<&DataFile>, Vec<&DataFile>) = files.into_iter().partition(is_main);
    let mut typed: BTreeMap<String, &DataFile> =
        typed.into_iter().map(|file| (name(file), file)).collect();
    let mut kept: Vec<DataFile> = Vec::new();
    // Files with a counterpart, and files without.
    let mut classes: [Vec<(&DataFile, Option<&DataFile>)>; 2] = Default::default();
    for main in mains {
        let beside = typed.remove(&name(main)).filter(|typed| typed.rows == main.rows);
        let size = main.bytes.max(beside.map_or(0, |file| file.bytes));
        if size < wanted.target / 2 {
            classes[usize::from(beside.is_some())].push((main, beside));
        } else {
            kept.push(main.clone());
            kept.extend(beside.cloned());
        }
    }
    kept.extend(typed.into_values().cloned());
    let mut batches = Vec::new();
    for class in classes {
        let is_enough = class.len() >= wanted.min_files.max(2);
        for batch in cut(&class, wanted) {
            let (main, typed): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
            let batch = FileBatch {
                main: main.into_iter().cloned().collect(),
                typed: typed.into_iter().flatten().cloned().collect(),
            };
            match is_enough && batch.main.len() > 1 {
                true => batches.push(batch),
                false => kept.extend(batch.main.into_iter().chain(batch.typed)),
            }
        }
    }
    (batches, kept)
}

type Pair<'f> = (&'f DataFile, Option<&'f DataFile>);

/// Cuts files where the next one would be too much.
fn cut<'c, 'f>(class: &'c [Pair<'f>], wanted: &Wanted<'_>) -> Vec<&'c [Pair<'f>]> {
    let bytes = |pair: &Pair<'_>| (pair.0.bytes, pair.1.map_or(0, |file| file.bytes));
    let (mut out, mut start) = (Vec::new(), 0);
    let (mut main, mut typed) = (0, 0);
    for (at, pair) in class.iter().enumerate() {
        let (of_main, of_typed) = bytes(pair);
        (main, typed) = (main + of_main, typed + of_typed);
        let is_full = main.max(typed) > wanted.target || main + typed > wanted.most_bytes;
        if is_full && at > start {
            out.push(&class[start..at]);
            start = at;
            (main, typed) = (of_main, of_typed);
        }
    }
    out.push(&class[start..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::UnitId;

    fn file(table: &str, day: &str, number: u64, bytes: u64) -> DataFile {
        let partition = format!("event_date={day}");
        DataFile {
            key: format!("{table}/{partition}/part-{number}.parquet"),
            table: table.to_owned(),
            partition,
            rows: 10,
            bytes,
            min_instant: 0,
            max_instant: 1_000,
        }
    }

    fn manifest(files: Vec<DataFile>) -> Manifest {
        let unit = UnitId { number: 0, identity: "0123456789abcdef".into() };
        Manifest { files, ..Manifest::empty(unit, None, String::new(), Default::default()) }
    }

    fn wanted() -> Wanted<'static> {
        Wanted { before: 2_000, target: 100, most_bytes: 150, min_files: 2, partitions: &[] }
    }

    #[test]
    fn small_files_of_closed_partitions_are_chosen_with_their_counterparts() {
        let mut files = vec![
            file("t", "1", 0, 10),
            file("t_typed", "1", 0, 20),
            file("t", "1", 1, 10),
            file("t_typed", "1", 1, 20),
            file("t", "1", 2, 60),
            file("t_typed", "1", 2, 20),
            file("t", "2", 0, 10),
            file("t", "3", 0, 10),
            file("t", "3", 1, 10),
        ];
        files[8].max_instant = 3_000;

        let (chosen, left_out) = choose(&[manifest(files.clone())], &[], &wanted());

        assert!(left_out.is_empty());
        let [chosen] = &chosen[..] else { panic!("{chosen:?}") };
        assert_eq!(chosen.partition, "event_date=1");
        assert_eq!(chosen.batches.len(), 1);
        assert_eq!(chosen.inputs().count(), 4);
        assert_eq!(chosen.kept.len(), 2);
        let lost = GoneFile { file: file("t", "1", 9, 1), loss: Loss::Lost };
        let (chosen, left_out) = choose(&[manifest(files)], &[lost], &wanted());
        assert_eq!((chosen.len(), left_out.len()), (0, 1));
    }

    #[test]
    fn batches_are_no_larger_than_the_target_or_the_memory() {
        let files = (0..10).map(|number| file("t", "1", number, 30)).collect();
        let (chosen, _) = choose(&[manifest(files)], &[], &wanted());
        let sizes: Vec<usize> = chosen[0].batches.iter().map(|batch| batch.main.len()).collect();
        assert_eq!(sizes, [3, 3, 3]);
        assert_eq!(chosen[0].kept.len(), 1, "one file is not worth writing again");

        let pairs = (0..4).flat_map(|n| [file("t", "1", n, 30), file("t_typed", "1", n, 40)]);
        let (chosen, _) = choose(&[manifest(pairs.collect())], &[], &wanted());
        assert_eq!(chosen[0].batches.len(), 2);

        let few = Wanted { min_files: 5, ..wanted() };
        let files = (0..4).map(|number| file("t", "1", number, 10)).collect();
        assert!(choose(&[manifest(files)], &[], &few).0.is_empty());
    }
}
