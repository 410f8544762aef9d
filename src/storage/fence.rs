//! The fence between a writer and its lake: the lease, confirmed before each put and delete.
//!
//! The holder of a bucket's lease trusts a young renewal. If the last renewal is old, or a clock jumped,
//! it renews again to find out. Age includes the time that the machine slept. Once the
//! lease is lost, waiting requests are abandoned and no more are sent. A request sent earlier may still
//! arrive; the numbers of manifests make it harmless (see `lake`).

use crate::error::{Error, ErrorKind, Result};
use crate::storage::Bucket;
use crate::storage::guard::Guard;
use crate::storage::holder::Document;
use async_trait::async_trait;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, watch};

/// The lease of a lake, as its storage sees it.
#[derive(Clone, Debug)]
pub(super) enum Fence {
    Folder(Arc<Locked>),
    Bucket(Arc<Leased>),
}

/// The locked file of a local lake's lease.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

/// The lease of a lake in a bucket.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) bucket: Bucket,
    pub(super) key: String,
    /// As it was taken.
    document: Document,
    /// When the last renewal that succeeded was sent.
    renewed: Lock<Moment>,
    state: Mutex<State>,
    is_lost: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    etag: String,
    renewals: u64,
}

impl Fence {
    /// Makes sure that the lease is still held.
    ///
    /// # Errors
    /// `Busy` when another run has the lake; `Unavailable` when that cannot be known.
    pub(super) async fn confirm(&self) -> Result<()> {
        match self {
            Self::Folder(locked) => locked.confirm(),
            Self::Bucket(leased) => leased.confirm_by_age().await,
        }
    }

    /// Like [`Fence::confirm`], but asks the bucket even if the last renewal is young: the caller was the only
    /// writer until now, whatever any clock says.
    ///
    /// # Errors
    /// As [`Fence::confirm`].
    pub(super) async fn confirm_now(&self) -> Result<()> {
        match self {
            Self::Folder(locked) => locked.confirm(),
            Self::Bucket(leased) => leased.confirm_now().await,
        }
    }

    /// Returns the error for further writes if the lease is known to be lost.
    pub(super) fn lost(&self) -> Option<Error> {
        match self {
            Self::Folder(_) => None,
            Self::Bucket(leased) => leased.is_lost.borrow().then(|| leased.taken_over()),
        }
    }
}

impl Locked {
    /// Compares the open file with the named one: a lock on a file that lost its name protects nothing.
    fn confirm(&self) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let id = |found: std::fs::Metadata| (found.dev(), found.ino());
            let ours = self.file.metadata().map(id);
            let named = std::fs::metadata(&self.path).map(id);
            if !matches!((ours, named), (Ok(ours), Ok(named)) if ours == named) {
                let message = "the lake's lease was removed while this run held it; run again";
                return Err(Error::new(ErrorKind::Busy, message).at("path", self.path.display()));
            }
        }
        Ok(())
    }
}

impl Leased {
    pub(super) fn new(bucket: Bucket, key: String, document: Document, etag: String) -> Self {
        Self {
            bucket,
            key,
            document,
            renewed: Lock::new(Moment::now()),
            state: Mutex::new(State { etag, renewals: 0 }),
            is_lost: watch::Sender::new(false),
        }
    }

    /// How often the holder renews.
    pub(super) fn renew_every(&self) -> Duration {
        self.document.patience() / 6
    }

    async fn confirm_by_age(&self) -> Result<()> {
        if self.is_sure() {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        // Another caller may have asked while this one waited.
        if self.is_sure() { Ok(()) } else { self.renew_locked(&mut state).await }
    }

    /// Renews the lease, or learns that it is lost.
    pub(super) async fn confirm_now(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        self.renew_locked(&mut state).await
    }

    fn is_sure(&self) -> bool {
        let age = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).age();
        !*self.is_lost.borrow() && age < self.document.patience() / 3
    }

    async fn renew_locked(&self, state: &mut State) -> Result<()> {
        if *self.is_lost.borrow() {
            return Err(self.taken_over());
        }
        let asked = tokio::time::timeout(self.document.patience() / 2, self.ask(state)).await;
        let is_ours = asked.unwrap_or_else(|_| {
            let message = "cannot confirm the lake's lease: S3 does not respond";
            Err(Error::new(ErrorKind::Unavailable, message).at("lease", self.address()))
        })?;
        if is_ours {
            return Ok(());
        }
        self.is_lost.send_replace(true);
        Err(self.taken_over())
    }

    /// Renews the lease and returns whether it is still ours.
    async fn ask(&self, state: &mut State) -> Result<bool> {
        let asked = Moment::now();
        let renewals = state.renewals + 1;
        let bytes = Document { renewals, ..self.document.clone() }.render()?;
        let etag = match self.bucket.replace(&self.key, &state.etag, bytes.into()).await? {
            Some(etag) => etag,
            // A renewal whose answer was lost looks like a loss: read whose lease it is now.
            None => match self.bucket.get_with_etag(&self.key).await? {
                Some((bytes, etag)) if self.is_ours(&bytes) => etag,
                _ => return Ok(false),
            },
        };
        *state = State { etag, renewals };
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        Ok(true)
    }

    fn is_ours(&self, bytes: &[u8]) -> bool {
        Document::parse(bytes).is_some_and(|there| there.is_same_lease(&self.document))
    }

    /// Gives the lease back, unless another run has taken it.
    pub(super) async fn release(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        while !*self.is_lost.borrow() {
            let (renewals, released) = (state.renewals, true);
            let bytes = Document { renewals, released, ..self.document.clone() }.render()?;
            if self.bucket.replace(&self.key, &state.etag, bytes.into()).await?.is_some() {
                break;
            }
            // A renewal may have been on its way when renewing was stopped.
            match self.bucket.get_with_etag(&self.key).await? {
                Some((bytes, etag)) if self.is_ours(&bytes) => state.etag = etag,
                _ => break,
            }
        }
        Ok(())
    }

    fn taken_over(&self) -> Error {
        let message = "another run took over this lake while this run could not reach it; nothing \
                       more was written";
        Error::new(ErrorKind::Busy, message).at("lease", self.address())
    }

    fn address(&self) -> String {
        self.bucket.address(&self.key)
    }
}

#[async_trait]
impl Guard for Leased {
    async fn confirm(&self) -> Result<()> {
        self.confirm_by_age().await
    }

    async fn lost(&self) -> Error {
        let mut lost = self.is_lost.subscribe();
        // The sender is ours, and lives as long as the call.
        let _ = lost.wait_for(|is_lost| *is_lost).await;
        self.taken_over()
    }
}

/// A moment on two clocks: one that runs while the machine sleeps, and the wall clock, which is corrected
/// after a virtual machine was paused.
#[derive(Clone, Copy, Debug)]
struct Moment {
    boot: Duration,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        Self { boot: since_boot(), wall: SystemTime::now() }
    }

    /// Returns the longer of the two clocks' elapsed times.
    fn age(&self) -> Duration {
        let boot = since_boot().saturating_sub(self.boot);
        boot.max(self.wall.elapsed().unwrap_or_default())
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumped_makes_a_moment_old() {
        let now = Moment::now();
        assert!(now.age() < Duration::from_secs(5));
        let jumped = Moment { wall: now.wall - Duration::from_secs(60), ..now };
        assert!(jumped.age() >= Duration::from_secs(60));
        let slept = Moment { boot: now.boot.saturating_sub(Duration::from_secs(60)), ..now };
        assert!(slept.age() > now.age());
        let set_back = Moment { wall: now.wall + Duration::from_secs(60), ..now };
        assert!(set_back.age() < Duration::from_secs(5));
    }
}
