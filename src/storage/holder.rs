//! Who holds a lake's lease, and the document that says so.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) host: String,
    pub(super) pid: u32,
    /// When the process began, in the kernel's ticks: process numbers are used again.
    #[serde(default)]
    began: String,
    /// The running kernel and its process namespace: the process number means nothing elsewhere.
    #[serde(default)]
    kernel: String,
}

/// The lease of a lake in a bucket. It stays when it is released, so that its epoch only grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    #[serde(flatten)]
    pub(super) holder: Holder,
    /// Counts how often the lease was taken; no two holders share a number.
    #[serde(default)]
    pub(super) epoch: u64,
    /// Drawn when the lease is taken: two writers of one process that ask for it at the same moment would
    /// write the same document without it, and each would find its own there.
    #[serde(default)]
    pub(super) salt: u64,
    pub(super) renewals: u64,
    /// Seconds without a renewal after which others may take the lease.
    #[serde(default = "default_seconds")]
    pub(super) seconds: u64,
    #[serde(default)]
    pub(super) released: bool,
    /// Whether the holder gives the lease back between short conversions, so that waiting for it is worthwhile.
    #[serde(default)]
    pub(super) gives_way: bool,
}

fn default_seconds() -> u64 {
    super::DEFAULT_LEASE.as_secs()
}

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn render(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|err| Error::new(ErrorKind::Bug, "cannot render the lease").because(err))
    }

    /// Whether the document is this one, renewed or not.
    pub(super) fn is_same_lease(&self, other: &Self) -> bool {
        (&self.holder, self.epoch, self.salt) == (&other.holder, other.epoch, other.salt)
            && !self.released
    }

    /// How long the lease must go without a renewal before it may be taken, an hour at most.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.seconds.clamp(1, 3600))
    }
}

impl Holder {
    /// This process.
    pub(super) fn this() -> Self {
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

    /// Returns whether the holder is alive; `None` if it is not a process of this machine.
    pub(super) fn is_alive(&self) -> Option<bool> {
        let this = Self::this();
        let is_here = self.host == this.host && self.kernel == this.kernel;
        (is_here && !self.began.is_empty()).then(|| began(self.pid).as_deref() == Some(&self.began))
    }
}

/// When a process began: field 22 of `/proc/<pid>/stat` (proc(5)); `None` without such a
/// process. The second field is a name in parentheses, which may hold spaces.
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let is_dead = matches!(fields.next(), Some("Z" | "X" | "x"));
    fields.nth(18).filter(|_| !is_dead).map(str::to_owned)
}

pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Returns a number that tells what is made now from everything else that was ever made.
pub fn salt() -> u64 {
    // Each has keys of its own, which the operating system draws.
    RandomState::new().hash_one(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_of_this_machine_is_known_to_live_or_not_at_once() {
        let this = Holder::this();
        assert_eq!(this.is_alive(), Some(true));
        let earlier = Holder { began: "1".into(), ..this.clone() };
        assert_eq!(earlier.is_alive(), Some(false), "another process has its number now");
        let elsewhere = Holder { host: "elsewhere".into(), ..earlier };
        assert_eq!(elsewhere.is_alive(), None, "nobody can know");
    }

    #[test]
    fn a_lease_is_told_from_a_later_one_of_the_same_process() {
        let lease = Document {
            holder: Holder::this(),
            epoch: 3,
            salt: 7,
            renewals: 0,
            seconds: 30,
            released: false,
            gives_way: false,
        };
        assert!(Document { renewals: 9, ..lease.clone() }.is_same_lease(&lease));
        assert!(!Document { epoch: 4, ..lease.clone() }.is_same_lease(&lease));
        assert!(!Document { salt: 8, ..lease.clone() }.is_same_lease(&lease));
        assert!(!Document { released: true, ..lease.clone() }.is_same_lease(&lease));
        assert_eq!(Document::parse(&lease.render().unwrap()), Some(lease));
        assert_eq!(Document::parse(b"{}"), None);
    }
}
