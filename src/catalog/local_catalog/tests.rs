//! What the files hold, and what is not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Applied, LocalCatalog};
use crate::catalog::fixtures::{definition, partition};
use crate::catalog::{Column, OnExtraPartition, PartitionDefinition, TableDefinition, diff};
use crate::error::ErrorKind;

fn sync(
    catalog: &LocalCatalog,
    table: &TableDefinition,
    partitions: &[PartitionDefinition],
    on_extra: OnExtraPartition,
) -> Applied {
    let existing = catalog.existing(&table.database, &table.name).expect("readable");
    let diff = diff(table, partitions, &existing, on_extra).expect("a diff");
    catalog.apply(&diff).expect("applied")
}

fn folder(root: &Path) -> PathBuf {
    root.join("databases/lake/tables/cloudtrail")
}

fn days() -> [PartitionDefinition; 2] {
    [partition("us-east-1", "2026-01-02"), partition("eu-west-1", "2026-01-02")]
}

#[test]
fn an_empty_folder_is_an_empty_catalog() {
    let dir = tempfile::tempdir().expect("a folder");

    let catalog = LocalCatalog::open(dir.path().join("catalog")).expect("a catalog");

    assert!(catalog.databases().expect("listed").is_empty());
    assert!(catalog.tables("lake").expect("listed").is_empty());
    assert!(catalog.table("lake", "cloudtrail").expect("read").is_none());
    assert!(catalog.partitions("lake", "cloudtrail").expect("read").is_empty());
}

#[test]
fn what_was_applied_is_read_back_and_nothing_is_left_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = LocalCatalog::open(dir.path()).expect("a catalog");
    let table = definition();

    let applied = sync(&catalog, &table, &days(), OnExtraPartition::Delete);

    assert_eq!(applied, Applied { files: 3, partitions: 2 });
    assert_eq!(catalog.databases().expect("listed"), ["lake"]);
    assert_eq!(catalog.tables("lake").expect("listed"), ["cloudtrail"]);
    assert_eq!(catalog.table("lake", "cloudtrail").expect("read"), Some(table.table_input()));
    let mut wanted = table.partition_inputs(&days());
    wanted.reverse();
    assert_eq!(catalog.partitions("lake", "cloudtrail").expect("read"), wanted);
    let existing = catalog.existing("lake", "cloudtrail").expect("read");
    let again = diff(&table, &days(), &existing, OnExtraPartition::Delete).expect("a diff");
    assert!(again.is_empty());
}

#[test]
fn a_plan_applied_twice_writes_nothing_the_second_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = LocalCatalog::open(dir.path()).expect("a catalog");
    let existing = catalog.existing("lake", "cloudtrail").expect("read");
    let diff = diff(&definition(), &days(), &existing, OnExtraPartition::Keep).expect("a diff");
    catalog.apply(&diff).expect("applied");
    let old = SystemTime::UNIX_EPOCH;
    let path = folder(dir.path()).join("table.json");
    fs::File::options().append(true).open(&path).expect("open").set_modified(old).expect("set");

    let applied = catalog.apply(&diff).expect("applied");

    assert_eq!(applied, Applied::default());
    assert_eq!(fs::metadata(&path).expect("there").modified().expect("a time"), old);
}

#[test]
fn no_temporary_file_is_left_and_the_columns_are_written_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = LocalCatalog::open(dir.path()).expect("a catalog");
    sync(&catalog, &definition(), &days(), OnExtraPartition::Keep);

    let mut names: Vec<_> = fs::read_dir(folder(dir.path()))
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    let lines = fs::read_to_string(folder(dir.path()).join("partitions.jsonl")).expect("read");

    assert_eq!(names, ["partitions.jsonl", "table.json"]);
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.starts_with(r#"{"Values":["111122223333","eu-west-1","2026-01-02"],"#));
    assert!(!lines.contains("\"Columns\""));
}

#[test]
fn a_partition_that_was_not_updated_keeps_the_columns_it_had() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = LocalCatalog::open(dir.path()).expect("a catalog");
    sync(&catalog, &definition(), &days(), OnExtraPartition::Keep);
    let mut grown = definition();
    grown.columns.push(Column::new("request", "struct<a:string>"));

    sync(&catalog, &grown, &days()[..1], OnExtraPartition::Keep);

    let partitions = catalog.partitions("lake", "cloudtrail").expect("read");
    let counts: Vec<_> = partitions.iter().map(|p| p.storage_descriptor.columns.len()).collect();
    assert_eq!(counts, [35, 36]);
    assert_eq!(sync(&catalog, &grown, &days(), OnExtraPartition::Keep).partitions, 1);
}

#[test]
fn extra_partitions_are_deleted_and_foreign_keys_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = LocalCatalog::open(dir.path()).expect("a catalog");
    sync(&catalog, &definition(), &days(), OnExtraPartition::Keep);
    let path = folder(dir.path()).join("table.json");
    let text = fs::read_to_string(&path).expect("read");
    let edited = text.replacen("\"Name\":", "\"Owner\": \"soc\",\n  \"Name\":", 1);
    fs::write(&path, &edited).expect("written");

    let applied = sync(&catalog, &definition(), &days()[..1], OnExtraPartition::Delete);

    assert_eq!(applied, Applied { files: 1, partitions: 1 });
    assert_eq!(fs::read_to_string(&path).expect("read"), edited);
    let mut more = definition();
    more.rows += 1;
    sync(&catalog, &more, &days()[..1], OnExtraPartition::Delete);
    let table = catalog.table("lake", "cloudtrail").expect("read").expect("there");
    assert_eq!(table.other["Owner"], "soc");
    assert_eq!(catalog.partitions("lake", "cloudtrail").expect("read").len(), 1);
}

#[test]
fn damage_is_told_with_its_path_and_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = LocalCatalog::open(dir.path()).expect("a catalog");
    sync(&catalog, &definition(), &days(), OnExtraPartition::Keep);
    let path = folder(dir.path()).join("partitions.jsonl");
    let good = fs::read_to_string(&path).expect("read");
    let first = good.lines().next().expect("a line").to_owned();
    let short = first.replace("\"111122223333\",", "");

    for bad in ["{", "[]", "null", "{\"Values\":7}", &"[".repeat(10_000), &first, &short] {
        fs::write(&path, format!("{first}\n{bad}\n")).expect("written");

        let err = catalog.partitions("lake", "cloudtrail").expect_err("damaged");

        assert_eq!(err.kind(), ErrorKind::Damaged, "{bad:.40}");
        assert!(err.to_string().ends_with("partitions.jsonl, line 2)"), "{err}");
    }
    fs::write(folder(dir.path()).join("table.json"), good.as_bytes()).expect("written");
    let err = catalog.table("lake", "cloudtrail").expect_err("damaged");
    assert_eq!(err.kind(), ErrorKind::Damaged);
}

#[test]
fn a_name_that_is_no_name_never_becomes_a_path() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = LocalCatalog::open(dir.path()).expect("a catalog");

    for name in ["..", "a/b", "", "A", "a.b", "/etc"] {
        assert_eq!(catalog.tables(name).expect_err("refused").kind(), ErrorKind::Config);
        assert!(catalog.table("lake", name).is_err());
    }
}
