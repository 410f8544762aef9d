//! Which of a plan's units a record belongs to that several have.
//!
//! Units of a plan are converted at once, by processes that do not wait for one another, and copies of
//! a record may lie in any of them. For each [`Scope`] there is a log: entries numbered from 0, each put
//! if-absent, each naming a part of a unit and the fingerprints that are its own. Who wants to write
//! records of the scope reads the log to its end, leaves out what others own, and puts the next entry;
//! whoever was faster is read first. An entry holds for every attempt at its unit: one that runs again
//! finds its own entry and writes the same records again. Nothing is waited for, and an entry costs one
//! request where nobody else has records of the scope.

use crate::commit::copies::{Scope, decode_fingerprints, encode_fingerprints};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Put, Storage};
use crate::units::Day;
use hashbrown::HashSet;

/// The logs of a plan.
#[derive(Clone, Debug)]
pub struct Claims {
    storage: Storage,
    folder: String,
}

/// How a claim ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The fingerprints that are the claimant's own.
    pub own: Vec<u128>,
    /// Those of the entries that were read.
    pub others: Vec<u128>,
    /// The number of the first entry that was not read.
    pub next: u32,
}

impl Claims {
    /// Returns the logs in a folder of the lake.
    pub fn new(storage: &Storage, folder: String) -> Self {
        Self { storage: storage.clone(), folder }
    }

    /// Claims fingerprints of a scope for `owner`, a part of a unit. Entries before `next` have been
    /// read before, and `wanted` has nothing of theirs.
    ///
    /// # Errors
    /// `Damaged` for an entry that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn claim(
        &self,
        scope: Scope,
        owner: &str,
        mut wanted: Vec<u128>,
        next: u32,
    ) -> Result<Claimed> {
        let mut claimed = Claimed { next, ..Claimed::default() };
        while !wanted.is_empty() {
            let key = self.key(scope, claimed.next);
            claimed.next += 1;
            match self.storage.put_new(&key, encode(owner, &wanted)).await? {
                Put::Created | Put::Same => {
                    claimed.own = wanted;
                    break;
                }
                Put::Differs => {}
            }
            let damaged = || Error::new(ErrorKind::Damaged, "claim is damaged").at("key", &key);
            let bytes = self.storage.read(&key).await?.ok_or_else(damaged)?;
            let (by, theirs) = decode(&bytes).ok_or_else(damaged)?;
            if by == owner {
                // An earlier attempt, or one at the same time: what it claimed holds for all of them.
                claimed.own = theirs;
                break;
            }
            let taken: HashSet<u128> = theirs.iter().copied().collect();
            wanted.retain(|fingerprint| !taken.contains(fingerprint));
            claimed.others.extend(theirs);
        }
        Ok(claimed)
    }

    /// The place comes first: keys that begin with dates would all lie in one part of a bucket.
    fn key(&self, scope: Scope, number: u32) -> String {
        format!("{}/{:016x}-{}/{number:06}.bin", self.folder, scope.place, Day(scope.day))
    }
}

fn encode(owner: &str, fingerprints: &[u128]) -> Vec<u8> {
    let mut out = vec![owner.len() as u8];
    out.extend_from_slice(owner.as_bytes());
    encode_fingerprints(fingerprints, &mut out);
    out
}

fn decode(bytes: &[u8]) -> Option<(String, Vec<u128>)> {
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
        let claim = async |owner: &str, wanted: &[u128], next| {
            claims.claim(SCOPE, owner, wanted.to_vec(), next).await.unwrap()
        };

        assert_eq!(claim("a", &[3, 1, 2], 0).await.own, [3, 1, 2]);
        let second = claim("b", &[2, 4], 0).await;
        assert_eq!((&second.own[..], second.next), (&[4][..], 2));
        assert_eq!(claim("a", &[3, 1, 2], 0).await.own, [3, 1, 2], "again");
        assert_eq!(claim("a", &[3, 1, 2, 9], 0).await.own, [1, 2, 3], "the first claim holds");
        assert_eq!(claim("b", &[2, 4], 0).await.own, [4], "again");
        let third = claim("c", &[2, 1], 0).await;
        assert_eq!(third, Claimed { own: vec![], others: vec![1, 2, 3], next: 1 });
        assert_eq!(claim("c", &[9], 1).await.next, 3, "what was read is not read again");
        assert_eq!(claim("c", &[], 0).await, Claimed::default(), "nothing costs nothing");
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
                claims.claim(SCOPE, &owner.to_string(), wanted, 0).await.unwrap().own
            });
        }

        let mut owned: Vec<u128> = tasks.join_all().await.into_iter().flatten().collect();

        owned.sort_unstable();
        assert_eq!(owned, (0..43).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_cut_is_no_claim() {
        let bytes = encode("unit", &[1, 2]);
        assert_eq!(decode(&bytes), Some(("unit".to_owned(), vec![1, 2])));
        for end in [0, 3, bytes.len() - 1] {
            assert_eq!(decode(&bytes[..end]), None);
        }
    }
}
