//! What every store of a lake must do alike: a folder, a bucket in memory, one that loses requests or
//! answers, and S3 where `TRAILMILL_TEST_LAKE` names a prefix of a bucket that is empty.

use crate::failing_store::{Failing, Faults, Lost};
use futures::future::join_all;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;
use trailmill::aws::AwsOptions;
use trailmill::error::ErrorKind;
use trailmill::location::Location;
use trailmill::storage::{Bucket, Put, S3, S3Options, Storage};

/// A store, and what is known of it.
struct Store {
    name: &'static str,
    storage: Storage,
    /// The bucket with the prefix, where it is one.
    bucket: Option<(Bucket, String)>,
    /// Whether answers get lost: then nobody can tell who has put what is there.
    loses_answers: bool,
    _folder: Option<tempfile::TempDir>,
}

async fn in_bucket(name: &'static str, s3: S3, lake: &Location, loses_answers: bool) -> Store {
    let Location::S3 { bucket, prefix } = lake else { panic!("{lake} is no bucket") };
    let prefix = format!("{}/", prefix.trim_matches('/'));
    let bucket = Some((s3.bucket(bucket).await.unwrap(), prefix));
    let storage = Storage::open(lake, &s3).await.unwrap();
    Store { name, storage, bucket, loses_answers, _folder: None }
}

async fn failing(name: &'static str, faults: Faults) -> Store {
    let options = S3Options { retry_timeout: Duration::from_secs(60), ..S3Options::default() };
    let store = Arc::new(Failing::new(&Arc::default(), faults));
    let s3 = S3::new(AwsOptions::default(), options).with_store("lake", store);
    let loses_answers = matches!(faults, Faults::EachFirst(Lost::Answer));
    in_bucket(name, s3, &"s3://lake/a/lake".parse().unwrap(), loses_answers).await
}

async fn stores() -> Vec<Store> {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::local(folder.path()).unwrap();
    let local =
        Store { name: "local", storage, bucket: None, loses_answers: false, _folder: Some(folder) };
    let memory = S3::default().with_store("lake", Arc::new(InMemory::new()));
    let memory = in_bucket("memory", memory, &"s3://lake/a/lake".parse().unwrap(), false).await;
    let mut stores = vec![
        local,
        memory,
        failing("failing requests", Faults::EachFirst(Lost::Request)).await,
        failing("lost answers", Faults::EachFirst(Lost::Answer)).await,
    ];
    if let Ok(lake) = std::env::var("TRAILMILL_TEST_LAKE") {
        // Tests run side by side, and each wants an empty one.
        let unique = tempfile::tempdir().unwrap();
        let name = unique.path().file_name().unwrap().to_string_lossy().replace('.', "t");
        let lake = format!("{lake}/{name}").parse().unwrap();
        stores.push(in_bucket("S3", S3::default(), &lake, false).await);
    }
    stores
}

fn names(listed: &[trailmill::storage::Listed]) -> Vec<&str> {
    listed.iter().map(|listed| listed.key.as_str()).collect()
}

#[tokio::test]
async fn the_first_put_stays_and_a_second_is_told_what_is_there() {
    for Store { name, storage, loses_answers, .. } in &stores().await {
        assert_eq!(storage.read("a/x").await.unwrap(), None, "{name}");
        assert_eq!(storage.put_new("a/x", "one").await.unwrap(), Put::Created, "{name}");
        assert_eq!(storage.put_new("a/x", "two").await.unwrap(), Put::Differs, "{name}");
        let again = storage.put_new("a/x", "one").await.unwrap();
        let is_known = !loses_answers || again == Put::Same;
        assert!(matches!(again, Put::Same | Put::Created) && is_known, "{name}: {again:?}");
        assert_eq!(storage.read("a/x").await.unwrap().unwrap(), "one", "{name}");
        storage.put_once("a/x", "one").await.unwrap();
        let other = storage.put_once("a/x", "three").await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Damaged, "{name}");
    }
}

#[tokio::test]
async fn of_puts_at_once_one_wins() {
    for Store { name, storage, loses_answers, .. } in &stores().await {
        let put = async |n: usize| storage.put_new("k/x", format!("writer {n}")).await.unwrap();
        let outcomes = join_all((0..8).map(put)).await;

        let won = outcomes.iter().filter(|outcome| **outcome == Put::Created).count();
        let there = storage.read("k/x").await.unwrap().unwrap();
        assert_eq!((won, outcomes.len()), (1, 8), "{name}, answers lost: {loses_answers}");
        let winner = outcomes.iter().position(|outcome| *outcome == Put::Created).unwrap();
        assert_eq!(there, format!("writer {winner}"), "{name}");
    }
}

#[tokio::test]
async fn what_is_put_over_is_read_at_once() {
    for Store { name, storage, .. } in &stores().await {
        for n in 0..3 {
            storage.put_over("a/x", format!("{n}")).await.unwrap();
            assert_eq!(storage.read("a/x").await.unwrap().unwrap(), format!("{n}"), "{name}");
        }
        storage.put_hashed("a/y", "one").await.unwrap();
        storage.put_hashed("a/y", "two").await.unwrap();
        storage.put_of_unit("a/z", "one").await.unwrap();
        storage.put_of_unit("a/z", "one").await.unwrap();
        storage.sync().unwrap();
        let sizes: Vec<u64> =
            storage.list("a").await.unwrap().iter().map(|listed| listed.size).collect();
        assert_eq!(sizes, [1, 3, 3], "{name}");
    }
}

#[tokio::test]
async fn an_absent_object_is_deleted_without_a_word() {
    for Store { name, storage, .. } in &stores().await {
        storage.delete("a/x").await.unwrap();
        storage.delete_all("a").await.unwrap();
        for key in ["a/x", "a/b/y", "ab/z"] {
            storage.put_new(key, key).await.unwrap();
        }
        storage.delete("a/x").await.unwrap();
        storage.delete("a/x").await.unwrap();
        assert_eq!(storage.read("a/x").await.unwrap(), None, "{name}");
        assert_eq!(storage.put_new("a/x", "again").await.unwrap(), Put::Created, "{name}");
        storage.delete_all("a").await.unwrap();
        storage.delete_all("a").await.unwrap();
        assert!(storage.is_empty("a").await.unwrap(), "{name}");
        assert_eq!(storage.read("ab/z").await.unwrap().unwrap(), "ab/z", "{name}: a sibling");
    }
}

#[tokio::test]
async fn listings_are_in_the_order_of_bytes_and_exclude_their_bounds() {
    let keys = ["d/00", "d/1", "d/A/1", "d/A/2", "d/A0", "d/B=x/1", "d/_", "d/a", "d/a-b", "d/é"];
    for Store { name, storage, .. } in &stores().await {
        join_all(keys.iter().rev().map(async |key| storage.put_hashed(key, *key).await.unwrap()))
            .await;
        storage.put_hashed("d0", "not in the folder").await.unwrap();

        assert_eq!(names(&storage.list("d").await.unwrap()), keys, "{name}");
        assert_eq!(names(&storage.list_after("d", Some("d/A/1")).await.unwrap()), keys[3..]);
        let between = storage.list_between("d", Some("d/A"), Some("d/a")).await.unwrap();
        assert_eq!(names(&between), keys[2..7], "{name}");
        assert_eq!(storage.folders("d").await.unwrap(), ["A", "B=x"], "{name}");
        assert!(storage.list("nowhere").await.unwrap().is_empty(), "{name}");
        assert!(!storage.has_nothing().await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn listings_go_on_over_pages() {
    for Store { name, storage, .. } in &stores().await {
        let key = |n: usize| format!("p/{}/{n:05}", n / 600);
        join_all((0..1_100).map(async |n| storage.put_hashed(&key(n), "x").await.unwrap())).await;

        let listed = storage.list("p").await.unwrap();

        assert_eq!(listed.len(), 1_100, "{name}");
        assert!(listed.iter().enumerate().all(|(n, listed)| listed.key == key(n)), "{name}");
        assert_eq!(storage.folders("p").await.unwrap(), ["0", "1"], "{name}");
        if name != &"failing requests" && name != &"lost answers" {
            storage.delete_all("p").await.unwrap();
            assert!(storage.is_empty("p").await.unwrap(), "{name}");
        }
    }
}

#[tokio::test]
async fn names_with_odd_characters_are_kept() {
    let keys = ["o/a b", "o/a%20b", "o/a&b=c", "o/a+b", "o/a'b", "o/a,b;c", "o/日本", "o/(~)!"];
    for Store { name, storage, .. } in &stores().await {
        for key in keys {
            storage.put_once(key, key).await.unwrap();
        }
        for key in keys {
            assert_eq!(storage.read(key).await.unwrap().unwrap(), key, "{name}");
        }
        let mut want = keys;
        want.sort_unstable();
        assert_eq!(names(&storage.list("o").await.unwrap()), want, "{name}");
        for key in keys {
            storage.delete(key).await.unwrap();
        }
        assert!(storage.is_empty("o").await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_file_is_staged_out_of_sight_or_put_under_its_name() {
    for Store { name, storage, bucket, .. } in &stores().await {
        let is_staged = storage.stage("u1", "t/p=1/f", b"rows").unwrap();
        assert_eq!(is_staged, bucket.is_none(), "{name}");
        assert_eq!(storage.read("t/p=1/f").await.unwrap(), None, "{name}");
        if !is_staged {
            storage.put_once("t/p=1/f", "rows").await.unwrap();
        }
        storage.promote("u1".to_owned(), vec!["t/p=1/f".to_owned()]).await.unwrap();
        assert_eq!(storage.read("t/p=1/f").await.unwrap().unwrap(), "rows", "{name}");
        storage.clear_half_written().unwrap();
        assert_eq!(storage.put_staged("u1", "m/1", "one").await.unwrap(), Put::Created, "{name}");
        storage.sync_names("m").unwrap();
        assert!(storage.list("_trailmill").await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_bucket_replaces_only_what_is_as_it_was_seen_and_reads_parts() {
    for Store { name, storage, bucket, loses_answers, .. } in &stores().await {
        let Some((bucket, prefix)) = bucket else { continue };
        storage.put_new("r/x", "0123456789").await.unwrap();
        let key = format!("{prefix}r/x");
        let part = bucket.get_part(&key, None, 2..5).await.unwrap().unwrap();
        assert_eq!(part, "234", "{name}");
        assert_eq!(bucket.get_part(&format!("{key}y"), None, 2..5).await.unwrap(), None, "{name}");
        let (bytes, etag) = bucket.get_with_etag(&key).await.unwrap().unwrap();
        assert_eq!(bytes, "0123456789", "{name}");
        let other = format!("{etag}0");
        // One attempt: where it is not answered, the caller reads what is there.
        let replace = async |key: &str, etag: &str, bytes: &'static str| {
            let bytes = bytes::Bytes::from_static(bytes.as_bytes());
            match bucket.replace(key, etag, bytes.clone()).await {
                Err(err) if err.kind() == ErrorKind::Unavailable => {
                    bucket.replace(key, etag, bytes).await.unwrap()
                }
                outcome => outcome.unwrap(),
            }
        };
        assert_eq!(replace(&key, &other, "no").await, None, "{name}");
        assert_eq!(replace(&format!("{key}y"), &etag, "no").await, None, "{name}");
        let new = replace(&key, &etag, "yes").await;
        assert!(new.is_some() && new.as_deref() != Some(&etag) || *loses_answers, "{name}");
        assert_eq!(replace(&key, &etag, "late").await, None, "{name}");
        assert_eq!(storage.read("r/x").await.unwrap().unwrap(), "yes", "{name}");
    }
}
