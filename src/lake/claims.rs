//! Which of a plan's units a record belongs to that several have.
//!
//! Units of a plan are converted at once, by processes that do not wait for one another, and copies of
//! a record may lie in any of them. For each [`Scope`] there is a log: entries numbered from 0, each put
//! if-absent, each naming a part of a unit and the fingerprints that are its own. Who wants to write
//! records of the scope reads the log to its end, leaves out what others own, and puts the next entry;
//! whoever was faster is read first. An entry holds for every attempt at its unit: one that runs again
//! finds its own entry and writes the same records again. Nothing is waited for, and an entry costs one
//! request where nobody else has records of the scope.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::copies::{Scope, decode_fingerprints, encode_fingerprints};
use crate::lake::names;
use crate::storage::{Put, Storage};
use crate::units::Day;
use hashbrown::HashSet;

/// The logs of a plan.
#[derive(Clone, Debug)]
pub struct Claims {
    storage: Storage,
    folder: String,
}

/// A log, as far as it has been read: owners and what they own, in order.
#[derive(Debug, Default)]
pub struct ClaimLog(Vec<(String, HashSet<u128>)>);

impl Claims {
    /// Returns the logs in a folder of the lake.
    pub fn new(storage: &Storage, folder: String) -> Self {
        Self { storage: storage.clone(), folder }
    }

    /// Claims fingerprints of a scope for `owner`, a part of a unit; returns those that are its own.
    /// The log is read from where it was read to, and no further than is needed.
    ///
    /// # Errors
    /// `Damaged` for an entry that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn claim(
        &self,
        scope: Scope,
        owner: &str,
        mut wanted: Vec<u128>,
        log: &mut ClaimLog,
    ) -> Result<Vec<u128>> {
        for number in 0.. {
            if wanted.is_empty() {
                break;
            }
            if number == log.0.len() && self.put_or_read(scope, owner, &wanted, log).await? {
                break;
            }
            let (by, theirs) = &log.0[number];
            if by == owner {
                // An earlier attempt, or one at the same time: what it claimed holds for all of them.
                wanted = theirs.iter().copied().collect();
                wanted.sort_unstable();
                break;
            }
            wanted.retain(|fingerprint| !theirs.contains(fingerprint));
        }
        Ok(wanted)
    }

    /// Puts the next entry; if somebody has done so, reads that one, and returns `false`.
    async fn put_or_read(
        &self,
        scope: Scope,
        owner: &str,
        wanted: &[u128],
        log: &mut ClaimLog,
    ) -> Result<bool> {
        let key = self.key(scope, log.0.len());
        let is_put = match self.storage.put_new(&key, encode(owner, wanted)).await? {
            Put::Created | Put::Same => true,
            Put::Differs => false,
        };
        if is_put {
            log.0.push((owner.to_owned(), wanted.iter().copied().collect()));
        } else {
            let damaged = || Error::new(ErrorKind::Damaged, "claim is damaged").at("key", &key);
            let bytes = self.storage.read(&key).await?.ok_or_else(damaged)?;
            log.0.push(decode(&bytes).ok_or_else(damaged)?);
        }
        Ok(is_put)
    }

    fn key(&self, scope: Scope, number: usize) -> String {
        names::claim(&self.folder, scope.place, Day(scope.day), number)
    }
}

fn encode(owner: &str, fingerprints: &[u128]) -> Vec<u8> {
    let mut out = vec![owner.len() as u8];
    out.extend_from_slice(owner.as_bytes());
    encode_fingerprints(fingerprints, &mut out);
    out
}

fn decode(bytes: &[u8]) -> Option<(String, HashSet<u128>)> {
    let (length, rest) = bytes.split_first()?;
    let (owner, values) = rest.split_at_checked(usize::from(*length))?;
    let owner = std::str::from_utf8(owner).ok()?.to_owned();
    (values.len() % 16 == 0).then(|| (owner, decode_fingerprints(values).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope = Scope { day: 19_844, place: 7 };

    #[tokio::test]
    async fn a_record_belongs_to_who_claims_it_first_and_at_every_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let claims = Claims::new(&Storage::local(folder.path()).unwrap(), "claims".into());
        let claim = async |owner: &str, wanted: &[u128]| {
            let mut log = ClaimLog::default();
            claims.claim(SCOPE, owner, wanted.to_vec(), &mut log).await.unwrap()
        };

        assert_eq!(claim("a", &[3, 1, 2]).await, [3, 1, 2]);
        assert_eq!(claim("b", &[2, 4]).await, [4]);
        assert_eq!(claim("a", &[3, 1, 2]).await, [3, 1, 2], "again");
        assert_eq!(claim("a", &[3, 1, 2, 9]).await, [1, 2, 3], "the first claim holds");
        assert_eq!(claim("b", &[2, 4]).await, [4], "again");
        assert_eq!(claim("c", &[2, 1]).await, [0_u128; 0]);
        assert_eq!(claim("c", &[]).await, [0_u128; 0]);
    }

    #[tokio::test]
    async fn what_a_unit_claimed_is_still_its_own_after_another_has_read_the_claim() {
        let folder = tempfile::tempdir().unwrap();
        let claims = Claims::new(&Storage::local(folder.path()).unwrap(), "claims".into());
        let claim = async |owner: &str, wanted: &[u128], log: &mut ClaimLog| {
            claims.claim(SCOPE, owner, wanted.to_vec(), log).await.unwrap()
        };
        claim("b", &[1, 2], &mut ClaimLog::default()).await;

        let mut log = ClaimLog::default();

        assert_eq!(claim("a", &[1, 7], &mut log).await, [7]);
        assert_eq!(claim("b", &[1, 2], &mut log).await, [1, 2]);
        assert_eq!(claim("c", &[1, 2, 7, 8], &mut log).await, [8]);
    }

    #[tokio::test]
    async fn many_at_once_share_out_every_record_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let claims = Claims::new(&Storage::local(folder.path()).unwrap(), "claims".into());
        let mut tasks = tokio::task::JoinSet::new();
        for owner in 0_u128..12 {
            let claims = claims.clone();
            tasks.spawn(async move {
                let wanted = (owner * 3..owner * 3 + 10).collect();
                let mut log = ClaimLog::default();
                claims.claim(SCOPE, &owner.to_string(), wanted, &mut log).await.unwrap()
            });
        }

        let mut owned: Vec<u128> = tasks.join_all().await.into_iter().flatten().collect();

        owned.sort_unstable();
        assert_eq!(owned, (0..43).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_cut_is_no_claim() {
        let bytes = encode("unit", &[1, 2]);
        assert_eq!(decode(&bytes), Some(("unit".to_owned(), [1, 2].into())));
        for end in [0, 3, bytes.len() - 1] {
            assert_eq!(decode(&bytes[..end]), None);
        }
    }
}
