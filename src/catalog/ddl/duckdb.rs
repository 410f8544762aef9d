//! A table as a view over its files, which is all that `DuckDB` has for one.
//!
//! `read_parquet` takes a pattern and not a folder: special characters of patterns are put in
//! brackets, so that a lake in `logs[1]` is read, and one in `a*b` does not read its neighbours.
//! Partition values are taken from every part of a path that looks like one, also from those above
//! the table; where there are such, they are cut out of what lies below the table instead.

use super::Dialect;
use crate::catalog::{PartitionInput, TableInput};
use crate::error::{Error, Result};

/// How names of typed tables end.
const TYPED: &str = "_typed";

/// The column with a file's path, where partition values are cut out of it.
const FILE: &str = "_trailmill_file";

/// Returns the view of a table's files.
///
/// # Errors
/// `Config` for a folder with a backslash in its path, which `DuckDB` takes for a separator.
pub(super) fn create_view(
    database: &str,
    table: &TableInput,
    partitions: &[PartitionInput],
) -> Result<String> {
    let dialect = Dialect::DuckDb;
    let location = table.location();
    let folder = location.strip_prefix("file://").unwrap_or(location);
    if folder.contains('\\') {
        let message = "DuckDB cannot read a folder with a backslash in its path; move the lake";
        return Err(Error::config(message).at("location", location));
    }
    let mut files = dialect.text(&format!("{}**/*.parquet", literal(folder)));
    let mut above = folder;
    if partitions.iter().any(|it| !it.storage_descriptor.location.starts_with(location)) {
        // A compaction has moved some out of the table's folder: each is named, and stays below the lake.
        files = in_places(partitions);
        above = folder.trim_end_matches('/').rsplit_once('/').map_or("", |(lake, _)| lake);
    }
    let (selected, partitioning) = match looks_partitioned(folder) {
        true => cut_out(above, table),
        false => {
            let is_partitioned = !table.partition_keys.is_empty();
            (
                "*".to_owned(),
                format!("hive_partitioning = {is_partitioned}, hive_types_autocast = false"),
            )
        }
    };
    // Files of a typed table have the members that they have values for. Those of other tables have one schema:
    // reading every footer for it took 30 ms of processor time for 60 files, at each start and for each view.
    let union = if table.name.ends_with(TYPED) { ", union_by_name = true" } else { "" };
    Ok(format!(
        "CREATE OR REPLACE VIEW {}.{} AS\nSELECT {selected} FROM read_parquet({files}, \
         {partitioning}{union})",
        dialect.quote(database),
        dialect.quote(&table.name),
    ))
}

/// The files of partitions, wherever they lie.
fn in_places(partitions: &[PartitionInput]) -> String {
    let pattern = |partition: &PartitionInput| {
        let location = &partition.storage_descriptor.location;
        let folder = location.strip_prefix("file://").unwrap_or(location);
        Dialect::DuckDb.text(&format!("{}*.parquet", literal(folder)))
    };
    format!("[{}]", partitions.iter().map(pattern).collect::<Vec<_>>().join(", "))
}

/// Writes a path as a pattern that matches nothing else.
fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
        match c {
            '*' | '?' | '[' => pattern.extend(['[', c, ']']),
            c => pattern.push(c),
        }
    }
    pattern
}

/// Whether a part of a path looks like a partition.
fn looks_partitioned(folder: &str) -> bool {
    folder.split('/').any(|part| part.contains('='))
}

/// What is selected, and how files are read, when partition values are cut out of the paths below a
/// table.
fn cut_out(folder: &str, table: &TableInput) -> (String, String) {
    let dialect = Dialect::DuckDb;
    let below = format!("substr({}, {})", dialect.quote(FILE), folder.chars().count() + 1);
    let mut selected = format!("* EXCLUDE ({})", dialect.quote(FILE));
    for key in &table.partition_keys {
        let pattern = dialect.text(&format!("(?:^|/){}=([^/]*)/", key.name));
        let name = dialect.quote(&key.name);
        selected.push_str(&format!(", regexp_extract({below}, {pattern}, 1) AS {name}"));
    }
    (selected, format!("hive_partitioning = false, filename = {}", dialect.text(FILE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixtures::definition;

    fn view_in(folder: &str) -> Result<String> {
        let mut table = definition().table_input();
        table.storage_descriptor.location = format!("file://{folder}/cloudtrail/");
        create_view("lake", &table, &[])
    }

    #[test]
    fn a_path_is_read_as_it_is_and_nothing_beside_it() {
        for (folder, pattern) in [
            ("/a/logs[1]", "'/a/logs[[]1]/cloudtrail/**/*.parquet'"),
            ("/a/b*c?", "'/a/b[*]c[?]/cloudtrail/**/*.parquet'"),
            ("/o'brien/{x}", "'/o''brien/{x}/cloudtrail/**/*.parquet'"),
            ("/two\nlines", "'/two\nlines/cloudtrail/**/*.parquet'"),
        ] {
            let sql = view_in(folder).unwrap();
            assert!(sql.contains(pattern), "{sql}");
            assert!(sql.contains("hive_partitioning = true"), "{sql}");
        }
        assert!(view_in("/back\\slash").is_err());
    }

    #[test]
    fn what_looks_like_a_partition_above_the_table_is_none() {
        let sql = view_in("/data/region=eu/env=prod").unwrap();

        assert!(sql.contains("hive_partitioning = false"), "{sql}");
        assert!(sql.contains("'(?:^|/)region=([^/]*)/', 1) AS \"region\""), "{sql}");
        let folder = "/data/region=eu/env=prod/cloudtrail/";
        assert!(
            sql.contains(&format!("substr(\"_trailmill_file\", {})", folder.len() + 1)),
            "{sql}"
        );
    }
}
