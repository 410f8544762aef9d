//! In which order the column chunks of a row group lie in a file.
//!
//! The schema has its own order, which is the contract's; a footer says where each chunk is. Readers of object
//! stores fetch what lies less than some distance apart in one request (Trino and Athena: 1 MB,
//! `parquet.max-merge-distance`), and pay for what is between. So the columns that questions filter by lie together at
//! the beginning, and long texts between them and the times, of which a question wants few pages.

use crate::parquet::encode::Chunk;
use polars::prelude::PlSmallStr;
use polars_parquet::parquet::metadata::ColumnDescriptor;

/// What questions filter by, small columns first.
const ASKED: [&str; 11] = [
    "errorcode",
    "readonly",
    "useridentity.type",
    "eventsource",
    "eventname",
    "sourceipaddress",
    "useridentity.arn",
    "useridentity.accesskeyid",
    "useridentity.sessioncontext.sessionissuer.arn",
    "s3_bucket",
    "s3_key",
];

/// The columns that come last, with all of their leaves.
const LAST: [&str; 11] = [
    "responseelements",
    "serviceeventdetails",
    "extra_fields",
    "additionaleventdata",
    "requestparameters",
    "resources",
    "eventtime",
    "event_timestamp",
    "sharedeventid",
    "requestid",
    "eventid",
];

/// Appends the chunks of a row group to a file, each from the bytes that it is in, in the order in which they are placed.
/// Returns them in the order of the leaves; Bloom filters only if wanted.
pub(super) fn place(
    leaves: &[ColumnDescriptor],
    chunks: &[(&[u8], &Chunk)],
    has_blooms: bool,
    file: &mut Vec<u8>,
) -> Vec<Chunk> {
    let mut placed: Vec<(usize, Chunk)> = Vec::with_capacity(chunks.len());
    for leaf in placement(leaves) {
        let Some((bytes, chunk)) = chunks.get(leaf) else { continue };
        let bloom = chunk.bloom.clone().filter(|_| has_blooms);
        placed.push((leaf, Chunk { bloom, ..chunk.copy(bytes, file) }));
    }
    placed.sort_by_key(|(leaf, _)| *leaf);
    placed.into_iter().map(|(_, chunk)| chunk).collect()
}

/// Returns the numbers of leaves in the order in which their chunks are placed. The first one stays the first: readers
/// that divide a file take a row group to begin with the chunk of its first column.
fn placement(leaves: &[ColumnDescriptor]) -> Vec<usize> {
    placed(leaves.iter().map(|leaf| leaf.path_in_schema.iter().map(PlSmallStr::as_str)))
}

fn placed<'p>(paths: impl Iterator<Item = impl Iterator<Item = &'p str>>) -> Vec<usize> {
    let place = |names: &[&str], path: &str| names.iter().position(|name| *name == path);
    let rank = |(leaf, path): (usize, Vec<&str>)| {
        let column = path.first().copied().unwrap_or_default();
        let rank = match (place(&ASKED, &path.join(".")), place(&LAST, column)) {
            _ if leaf == 0 => (0, 0),
            (Some(at), _) => (1, at),
            (None, None) => (2, leaf),
            (None, Some(at)) => (3, at),
        };
        (rank, leaf)
    };
    let mut ranks: Vec<((u8, usize), usize)> =
        paths.map(Iterator::collect).enumerate().map(rank).collect();
    ranks.sort_unstable();
    ranks.into_iter().map(|(_, leaf)| leaf).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_lies_together_and_every_leaf_is_placed_once() {
        let paths = [
            "eventversion",
            "eventtime",
            "useridentity.type",
            "eventid",
            "vpcendpointid",
            "errorcode",
        ];

        let placed = placed(paths.iter().map(|path| path.split('.')));

        assert_eq!(placed, [0, 5, 2, 4, 1, 3]);
    }
}
