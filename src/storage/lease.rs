//! One writer per lake at a time.
//!
//! In a folder the lease is an advisory lock: it ends with its holder, also when the holder is killed.
//! In a bucket it is an object that its holder replaces every few seconds. Whether a process of this
//! machine lives is known at once. Any other lease is watched: if it changes, its holder lives; if it
//! does not for [`DEAD_AFTER`], its holder is gone, whatever anybody's clock says. A holder asks again
//! before each commit whether the lease is still its own.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Bucket, Kind, OWN, Put, Storage};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// A holder replaces its lease this often.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// A lease that was not renewed for this long has lost its holder.
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// A holder that has not renewed for this long makes sure before it commits.
const SURE_FOR: Duration = Duration::from_secs(15);

/// The right to write to a lake; ends when it is dropped.
#[derive(Debug)]
pub struct Lease(Held);

#[derive(Debug)]
enum Held {
    Folder(File),
    Bucket { shared: Arc<Shared>, renewing: JoinHandle<()> },
}

#[derive(Debug)]
struct Shared {
    bucket: Bucket,
    key: String,
    holder: Holder,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    etag: String,
    renewals: u64,
    renewed: Instant,
    is_lost: bool,
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    host: String,
    pid: u32,
    /// When the process began, in the kernel's ticks: a number of a process is used again.
    #[serde(default)]
    began: String,
    /// The running kernel and its namespace of processes: only there does the number mean anything.
    #[serde(default)]
    kernel: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(flatten)]
    holder: Holder,
    renewals: u64,
}

impl Lease {
    /// Takes a lake's lease.
    ///
    /// # Errors
    /// `Busy` when another run holds it; the message names the holder.
    pub async fn take(storage: &Storage) -> Result<Self> {
        match &storage.0 {
            Kind::Folder(folder) => take_folder(&folder.root).map(|file| Self(Held::Folder(file))),
            Kind::Bucket { bucket, prefix } => {
                let key = format!("{prefix}{OWN}/lease.json");
                take_bucket(bucket.clone(), key).await.map(Self)
            }
        }
    }

    /// Makes sure that the lease is still ours.
    ///
    /// # Errors
    /// `Busy` when another run has taken it; `Unavailable` when that cannot be known.
    pub async fn confirm(&self) -> Result<()> {
        let Held::Bucket { shared, .. } = &self.0 else { return Ok(()) };
        let mut state = shared.state.lock().await;
        if !state.is_lost && state.renewed.elapsed() > SURE_FOR {
            shared.renew(&mut state).await?;
        }
        if state.is_lost {
            return Err(Error::new(ErrorKind::Busy, "another run has taken over this lake")
                .at("lease", shared.bucket.address(&shared.key)));
        }
        Ok(())
    }

    /// Gives the lease back, so that the next run need not wait.
    pub async fn release(self) {
        if let Held::Bucket { shared, renewing } = &self.0 {
            renewing.abort();
            let state = shared.state.lock().await;
            if !state.is_lost {
                // Whoever comes next takes it for dead after a while.
                let _ = shared.bucket.delete(&shared.key).await;
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match &self.0 {
            // Closing the file would do; this makes the order plain.
            Held::Folder(file) => drop(file.unlock()),
            Held::Bucket { renewing, .. } => renewing.abort(),
        }
    }
}

impl Shared {
    fn document(&self, renewals: u64) -> Result<Vec<u8>> {
        document(&self.holder, renewals)
    }

    async fn renew(&self, state: &mut State) -> Result<()> {
        let began = Instant::now();
        let bytes = self.document(state.renewals + 1)?;
        match self.bucket.replace(&self.key, &state.etag, bytes.into()).await? {
            Some(etag) => state.etag = etag,
            // An answer that was lost looks like a loss: whose is it now?
            None => match self.bucket.get_with_etag(&self.key).await? {
                Some((bytes, etag)) if holder_of(&bytes) == Some(self.holder.clone()) => {
                    state.etag = etag;
                }
                _ => {
                    state.is_lost = true;
                    return Ok(());
                }
            },
        }
        state.renewals += 1;
        state.renewed = began;
        Ok(())
    }
}

fn document(holder: &Holder, renewals: u64) -> Result<Vec<u8>> {
    serde_json::to_vec(&Document { holder: holder.clone(), renewals })
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot render the lease").because(err))
}

fn holder_of(bytes: &[u8]) -> Option<Holder> {
    serde_json::from_slice::<Document>(bytes).ok().map(|document| document.holder)
}

async fn take_bucket(bucket: Bucket, key: String) -> Result<Held> {
    let holder = Holder::this();
    let bytes = document(&holder, 0)?;
    loop {
        match bucket.put_new(&key, bytes.clone().into()).await? {
            Put::Created | Put::Same => {}
            Put::Differs => {
                let Some((there, etag)) = bucket.get_with_etag(&key).await? else { continue };
                let other = holder_of(&there);
                match other.as_ref().and_then(Holder::is_alive) {
                    Some(true) => return Err(busy(&bucket, &key, other.as_ref())),
                    Some(false) => {}
                    None => watch(&bucket, &key, &etag, other.as_ref()).await?,
                }
                if bucket.replace(&key, &etag, bytes.clone().into()).await?.is_none() {
                    // Somebody else was faster.
                    continue;
                }
            }
        }
        let Some((there, etag)) = bucket.get_with_etag(&key).await? else { continue };
        if holder_of(&there).as_ref() != Some(&holder) {
            continue;
        }
        let state = State { etag, renewals: 0, renewed: Instant::now(), is_lost: false };
        let shared = Arc::new(Shared { bucket, key, holder, state: Mutex::new(state) });
        let renewing = tokio::spawn(keep_renewing(Arc::clone(&shared)));
        return Ok(Held::Bucket { shared, renewing });
    }
}

/// Waits until it is certain that a lease's holder is gone.
async fn watch(bucket: &Bucket, key: &str, etag: &str, holder: Option<&Holder>) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < DEAD_AFTER {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match bucket.get_with_etag(key).await? {
            None => return Ok(()),
            Some((_, now)) if now == etag => {}
            Some(_) => return Err(busy(bucket, key, holder)),
        }
    }
    Ok(())
}

fn busy(bucket: &Bucket, key: &str, holder: Option<&Holder>) -> Error {
    let who = holder
        .map_or_else(String::new, |holder| format!(": process {} on {}", holder.pid, holder.host));
    let message = format!("another run is writing to this lake{who}");
    Error::new(ErrorKind::Busy, message).at("lease", bucket.address(key))
}

async fn keep_renewing(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let mut state = shared.state.lock().await;
        // A failure is not the end: the next turn tries again, and a commit makes sure.
        let _ = shared.renew(&mut state).await;
        if state.is_lost {
            return;
        }
    }
}

impl Holder {
    /// This process.
    fn this() -> Self {
        let pid = std::process::id();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            host: host(),
            pid,
            began: began(pid).unwrap_or_default(),
            kernel: format!("{} {}", kernel.trim(), space.display()),
        }
    }

    /// Whether the holder lives; nothing where it is no process of this machine, and nobody can know.
    fn is_alive(&self) -> Option<bool> {
        let this = Self::this();
        let is_here = self.host == this.host && self.kernel == this.kernel;
        (is_here && !self.began.is_empty()).then(|| began(self.pid).as_deref() == Some(&self.began))
    }
}

/// When a process began: field 22 of `/proc/<pid>/stat` (proc(5)); nothing where there is no such
/// process. The second field is a name in parentheses, which may hold spaces.
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let is_dead = matches!(fields.next(), Some("Z" | "X" | "x"));
    fields.nth(18).filter(|_| !is_dead).map(str::to_owned)
}

fn take_folder(root: &Path) -> Result<File> {
    let folder = root.join(OWN);
    let path = folder.join("lease.json");
    let io = |err| Error::io("cannot take the lake's lease", err).at("path", path.display());
    std::fs::create_dir_all(&folder).map_err(io)?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(Error::new(
                ErrorKind::Busy,
                format!("another run is writing to this lake: {}", holder.trim()),
            )
            .at("lake", root.display()));
        }
        Err(TryLockError::Error(err)) => return Err(io(err)),
    }
    let holder = serde_json::json!({ "pid": std::process::id(), "host": host() });
    file.set_len(0).and_then(|()| writeln!(file, "{holder}")).map_err(io)?;
    Ok(file)
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    #[cfg(target_os = "linux")]
    fn whether_a_process_of_this_machine_lives_is_known_at_once() {
        let this = Holder::this();
        assert_eq!(this.is_alive(), Some(true));
        let earlier = Holder { began: "1".into(), ..this.clone() };
        assert_eq!(earlier.is_alive(), Some(false), "its number is another's now");
        let elsewhere = Holder { host: "elsewhere".into(), ..earlier };
        assert_eq!(elsewhere.is_alive(), None, "nobody can know");
    }
}
