//! One writer per lake at a time.
//!
//! In a folder the lease is an advisory lock: it ends with its holder, also when the holder is killed.
//! In a bucket it is an object that its holder replaces every few seconds. A holder on this machine is
//! known to be alive or dead at once. Any other lease is watched: its holder is alive if the lease changes,
//! and gone if it does not change for the time it names, whatever any clock says. The storage that
//! [`Lease::storage`] returns confirms the lease before it changes anything.
//!
//! A bucket that ignores the conditions of a put cannot have one writer: taking the lease tries them.

use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::storage::fence::{Fence, Leased, Locked};
use crate::storage::holder::{Document, Holder, host, salt};
use crate::storage::{Bucket, Kind, OWN, Put, Storage};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tracing::debug;

/// The limit for releasing a lease; after it the next run waits until the lease is old.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// The right to write to a lake; ends when it is dropped.
#[derive(Debug)]
pub struct Lease {
    storage: Storage,
    /// Renews the lease of a bucket.
    renewing: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes a lake's lease.
    ///
    /// # Errors
    /// `Busy` when another run holds it; the message names the holder. `Config` when the bucket ignores
    /// the conditions of puts.
    pub async fn take(storage: &Storage) -> Result<Self> {
        Self::take_as(storage, false).await
    }

    /// Takes a lake's lease, as a run that gives it back between short conversions: others wait for it.
    ///
    /// # Errors
    /// As [`Lease::take`].
    pub async fn take_briefly(storage: &Storage) -> Result<Self> {
        Self::take_as(storage, true).await
    }

    async fn take_as(storage: &Storage, gives_way: bool) -> Result<Self> {
        debug!(lake = storage.address(), "taking the lease");
        match &storage.0 {
            Kind::Folder(folder) => {
                let locked = take_folder(&folder.root, gives_way)?;
                let storage = storage.behind(Fence::Folder(Arc::new(locked)));
                Ok(Self { storage, renewing: None })
            }
            Kind::Bucket { bucket, prefix } => {
                let key = format!("{prefix}{OWN}/lease.json");
                let leased = Arc::new(take_bucket(bucket, key, gives_way).await?);
                let renewing = tokio::spawn(keep_renewing(Arc::clone(&leased)));
                let storage = storage.behind(Fence::Bucket(leased));
                Ok(Self { storage, renewing: Some(renewing) })
            }
        }
    }

    /// Returns whether a lease that was just found held will be free soon: its holder gives it back between short
    /// conversions, or has given it back by now.
    ///
    /// # Errors
    /// `Unavailable`, `Denied` or `Io` from the store.
    pub async fn is_free_soon(storage: &Storage) -> Result<bool> {
        Ok(match &storage.0 {
            Kind::Folder(folder) => {
                let text = std::fs::read_to_string(lease_file(&folder.root)).unwrap_or_default();
                // Its holder may be about to write it.
                serde_json::from_str::<FolderLease>(&text).map_or(true, |lease| lease.gives_way)
            }
            Kind::Bucket { bucket, prefix } => {
                let there = bucket.get_with_etag(&format!("{prefix}{OWN}/lease.json")).await?;
                let document = there.and_then(|(bytes, _)| Document::parse(&bytes));
                document.is_none_or(|document| document.released || document.gives_way)
            }
        })
    }

    /// Returns the lake's storage for its one writer: it changes nothing once the lease is lost.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Makes sure that the lease is still ours.
    ///
    /// # Errors
    /// `Busy` when another run has taken it; `Unavailable` when that cannot be known.
    pub async fn confirm(&self) -> Result<()> {
        self.storage.confirm().await
    }

    /// Ends a run: gives the lease back, and returns the run's outcome. If the lease was lost, or that
    /// cannot be known, that replaces the run's own error, which may be about a lake of another run by now.
    ///
    /// # Errors
    /// That of the run; `Busy` when the lease was lost; `Unavailable` when that cannot be known.
    pub async fn conclude<T>(self, outcome: Result<T>) -> Result<T> {
        let outcome = match outcome {
            Err(err) if err.kind().reaction() == Reaction::Stop => {
                match self.storage.confirm_now().await {
                    Err(lost) if lost.kind().reaction() == Reaction::TryLater => {
                        Err(lost.because(err))
                    }
                    _ => Err(err),
                }
            }
            outcome => outcome,
        };
        self.release().await;
        outcome
    }

    /// Gives the lease back, so that the next run need not wait.
    pub async fn release(self) {
        if let Some(renewing) = &self.renewing {
            renewing.abort();
        }
        if let Some(Fence::Bucket(leased)) = &self.storage.1 {
            // Where it fails, the next run waits until the lease is old.
            let _ = tokio::time::timeout(RELEASE_TIMEOUT, leased.release()).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match &self.storage.1 {
            // Others may still hold the file.
            Some(Fence::Folder(locked)) => drop(locked.file.unlock()),
            _ => self.renewing.iter().for_each(JoinHandle::abort),
        }
    }
}

async fn take_bucket(bucket: &Bucket, key: String, gives_way: bool) -> Result<Leased> {
    let holder = Holder::this();
    loop {
        let there = bucket.get_with_etag(&key).await?;
        let other = there.as_ref().and_then(|(bytes, _)| Document::parse(bytes));
        let document = Document {
            holder: holder.clone(),
            epoch: other.as_ref().map_or(0, |other| other.epoch) + 1,
            salt: salt(),
            renewals: 0,
            seconds: bucket.lease_seconds(),
            released: false,
            gives_way,
        };
        let etag = match &there {
            None => put_lease(bucket, &key, &document).await?,
            Some((_, etag)) => {
                wait_until_free(bucket, &key, etag, other.as_ref()).await?;
                bucket.replace_patiently(&key, etag, document.render()?.into()).await?
            }
        };
        // The answer may have been lost, or another run may have been faster.
        let ours = match etag {
            Some(etag) => Some(etag),
            None => bucket.get_with_etag(&key).await?.and_then(|(bytes, etag)| {
                let is_ours = |there: &Document| there.is_same_lease(&document);
                Document::parse(&bytes).is_some_and(|there| is_ours(&there)).then_some(etag)
            }),
        };
        if let Some(etag) = ours {
            refuse_without_conditions(bucket, &key).await?;
            return Ok(Leased::new(bucket.clone(), key, document, etag));
        }
    }
}

/// Puts the lease of a lake that has none; returns `None` if another run was faster.
async fn put_lease(bucket: &Bucket, key: &str, document: &Document) -> Result<Option<String>> {
    let bytes = document.render()?;
    match bucket.put_new(key, bytes.clone().into()).await? {
        Put::Differs => Ok(None),
        Put::Created | Put::Same => {
            let there = bucket.get_with_etag(key).await?;
            Ok(there.filter(|(there, _)| *there == bytes).map(|(_, etag)| etag))
        }
    }
}

/// Returns once a lease may be replaced.
async fn wait_until_free(
    bucket: &Bucket,
    key: &str,
    etag: &str,
    other: Option<&Document>,
) -> Result<()> {
    let is_alive = match other {
        Some(other) if other.released => Some(false),
        Some(other) => other.holder.is_alive(),
        None => None,
    };
    match is_alive {
        Some(true) => Err(busy(bucket, key, other)),
        Some(false) => Ok(()),
        None => watch(bucket, key, etag, other).await,
    }
}

/// Tests both conditions of puts on the lease, where they must fail: a store that ignores them would let
/// two runs write to the same lake.
async fn refuse_without_conditions(bucket: &Bucket, key: &str) -> Result<()> {
    let other = || bytes::Bytes::from_static(b"{}");
    let wrong = "00000000000000000000000000000000";
    let ignored = if bucket.put_new(key, other()).await? != Put::Differs {
        "If-None-Match"
    } else if bucket.replace_patiently(key, wrong, other()).await?.is_some() {
        "If-Match"
    } else {
        return Ok(());
    };
    bucket.delete(key).await?;
    let message = format!(
        "this S3-compatible store ignores `{ignored}` on puts, so that two runs could write the same \
         lake at once: use a store that honors conditional writes, or convert into a local folder"
    );
    Err(Error::config(message)
        .at("lake", bucket.address(key.trim_end_matches("_trailmill/lease.json"))))
}

/// Waits until it is certain that a lease's holder is gone.
async fn watch(bucket: &Bucket, key: &str, etag: &str, other: Option<&Document>) -> Result<()> {
    let patience = other.map_or(super::DEFAULT_LEASE, Document::patience);
    let look_every = match other {
        // Its pauses are short.
        Some(other) if other.gives_way => Duration::from_millis(250),
        _ => Duration::from_secs(1),
    };
    let started = Instant::now();
    while started.elapsed() < patience {
        tokio::time::sleep(look_every.min(patience / 4)).await;
        match bucket.get_with_etag(key).await? {
            None => return Ok(()),
            Some((_, now)) if now == etag => {}
            Some((now, _)) => match Document::parse(&now) {
                Some(now) if now.released => return Ok(()),
                now => return Err(busy(bucket, key, now.as_ref().or(other))),
            },
        }
    }
    Ok(())
}

fn busy(bucket: &Bucket, key: &str, other: Option<&Document>) -> Error {
    let holder = other.map(|other| &other.holder);
    let who = holder
        .map_or_else(String::new, |holder| format!(": process {} on {}", holder.pid, holder.host));
    let message = format!("another run is writing to this lake{who}");
    Error::new(ErrorKind::Busy, message).at("lease", bucket.address(key))
}

async fn keep_renewing(leased: Arc<Leased>) {
    loop {
        tokio::time::sleep(leased.renew_every()).await;
        // A failure is not the end: the next turn tries again, and a write makes sure.
        if leased.confirm_now().await.is_err_and(|err| err.kind() == ErrorKind::Busy) {
            return;
        }
    }
}

/// The content of a folder's lease, which is written by its holder.
#[derive(Debug, Serialize, Deserialize)]
struct FolderLease {
    pid: u32,
    host: String,
    #[serde(default)]
    gives_way: bool,
}

fn lease_file(root: &Path) -> PathBuf {
    root.join(OWN).join("lease.json")
}

fn take_folder(root: &Path, gives_way: bool) -> Result<Locked> {
    let path = lease_file(root);
    let io = |err| Error::io("cannot take the lake's lease", err).at("path", path.display());
    std::fs::create_dir_all(root.join(OWN)).map_err(io)?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy_folder(file, root)),
        Err(TryLockError::Error(err)) => return Err(io(err)),
    }
    let holder = FolderLease { pid: std::process::id(), host: host(), gives_way };
    let holder = serde_json::to_string(&holder)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot render the lease").because(err))?;
    file.set_len(0).and_then(|()| writeln!(file, "{holder}")).map_err(io)?;
    Ok(Locked { file, path })
}

fn busy_folder(mut file: File, root: &Path) -> Error {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let who = serde_json::from_str::<FolderLease>(&text).map_or_else(
        |_| String::new(),
        |holder| format!(": process {} on {}", holder.pid, holder.host),
    );
    let message = format!("another run is writing to this lake{who}");
    Error::new(ErrorKind::Busy, message).at("lake", root.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::AwsOptions;
    use crate::storage::{S3, S3Options};
    use object_store::memory::InMemory;
    use object_store::throttle::{ThrottleConfig, ThrottledStore};

    #[tokio::test]
    async fn a_second_writer_is_told_who_holds_the_lake() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let lease = Lease::take(&storage).await.unwrap();

        let err = Lease::take(&storage).await.unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Busy);
        assert!(err.to_string().contains(&std::process::id().to_string()), "{err}");
        lease.release().await;
        Lease::take(&storage).await.unwrap();
    }

    #[tokio::test]
    async fn of_two_writers_of_a_process_that_ask_at_the_same_moment_one_gets_the_lease() {
        let wait = Duration::from_millis(20);
        let slow = ThrottleConfig { wait_put_per_call: wait, ..ThrottleConfig::default() };
        let store = Arc::new(ThrottledStore::new(InMemory::new(), slow));
        let s3 = S3::new(AwsOptions::default(), S3Options::default()).with_store("lake", store);
        let storage = Storage::open(&"s3://lake/".parse().unwrap(), &s3).await.unwrap();
        // The first time there is no lease, later one that was given back.
        for round in 0..3 {
            let (one, other) = tokio::join!(Lease::take(&storage), Lease::take(&storage));

            let (lease, refused) = match (one, other) {
                (Ok(lease), Err(err)) | (Err(err), Ok(lease)) => (lease, err),
                (one, _) => panic!("{round}: both have it, or none: {}", one.is_ok()),
            };
            assert_eq!(refused.kind(), ErrorKind::Busy, "{round}: {refused}");
            lease.confirm().await.unwrap();
            lease.release().await;
        }
    }

    #[tokio::test]
    async fn a_lease_says_whether_it_is_given_back_between_conversions() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        for gives_way in [false, true] {
            let lease = Lease::take_as(&storage, gives_way).await.unwrap();

            let err = Lease::take(&storage).await.unwrap_err();

            assert_eq!(err.kind(), ErrorKind::Busy);
            assert_eq!(Lease::is_free_soon(&storage).await.unwrap(), gives_way);
            lease.release().await;
        }
    }

    #[tokio::test]
    async fn a_writer_whose_lock_was_removed_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let lease = Lease::take(&storage).await.unwrap();
        lease.storage().put_once("a", "1").await.unwrap();
        std::fs::remove_file(folder.path().join("_trailmill/lease.json")).unwrap();
        let second = Lease::take(&storage).await.unwrap();

        let put = lease.storage().put_new("b", "1").await.unwrap_err();
        let delete = lease.storage().delete("a").await.unwrap_err();

        assert_eq!([put.kind(), delete.kind()], [ErrorKind::Busy; 2]);
        assert!(lease.confirm().await.is_err());
        second.storage().put_once("b", "2").await.unwrap();
        assert_eq!(storage.read("a").await.unwrap().unwrap(), "1");
    }
}
