//! Logs against the digests that list them.

use crate::integrity::chain::JudgedChain;
use crate::integrity::content::Problem;
use crate::integrity::digest::{Hash, ListedLog};
use crate::integrity::digest_name::{file_name, log_time};
use crate::integrity::inventory::{FoundLog, HOUR, Period, is_copy_of, verdict_of};
use crate::integrity::verdict::{Finding, Subject, Verdict};
use crate::units::EpochMillis;

/// What is known of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// No digest lists it.
    None,
    /// Only digests of trails that are not asked about list it.
    Foreign,
    /// A digest lists it.
    Listed { verdict: Verdict, window: (EpochMillis, EpochMillis) },
}

/// The verdicts of all logs.
#[derive(Debug, Default)]
pub(super) struct JudgedLogs {
    /// One for each log that is asked about.
    pub verdicts: Vec<(Verdict, Option<Finding>)>,
    /// Logs that are listed and not there.
    pub missing: Vec<Finding>,
    /// Logs that no digest lists, by their number, with their time.
    pub unlisted: Vec<(usize, EpochMillis)>,
}

/// Judges logs, sorted by [`file_name`], by the chains that are asked about and by others.
pub(super) fn judge_logs(
    logs: &[FoundLog],
    chains: &[JudgedChain<'_>],
    wants: impl Fn(&JudgedChain<'_>) -> bool,
    period: &Period,
) -> JudgedLogs {
    let mut out = JudgedLogs::default();
    let mut claims = vec![Claim::None; logs.len()];
    // What a verified digest says comes first: another one only claims what is left.
    for proven in [true, false] {
        for chain in chains {
            let is_wanted = wants(chain);
            let digests = chain.digests.iter().filter(|judged| judged.verdict.proves() == proven);
            for (judged, digest) in digests.filter_map(|judged| Some((judged, judged.digest()?))) {
                let window = (digest.start, digest.end);
                for listed in &digest.logs {
                    let mut is_there = false;
                    for at in candidates(logs, listed) {
                        is_there = true;
                        claim(&mut claims[at], &logs[at], listed, (proven, is_wanted), window);
                    }
                    let is_asked = is_wanted && judged.is_wanted && period.wants(&listed.key);
                    if proven && !is_there && is_asked {
                        let address = format!("s3://{}/{}", listed.bucket, listed.key);
                        let missing = Finding::new(Subject::Log, Verdict::Missing, address);
                        out.missing.push(missing.between(Some(window.0), Some(window.1)));
                    }
                }
            }
        }
    }
    for (at, (log, claim)) in logs.iter().zip(claims).enumerate() {
        out.add(at, log, claim, period);
    }
    out
}

impl JudgedLogs {
    fn add(&mut self, at: usize, log: &FoundLog, claim: Claim, period: &Period) {
        let time = log_time(&log.address);
        let (verdict, window) = match claim {
            Claim::Foreign => return,
            Claim::Listed { verdict, window } => (verdict, (Some(window.0), Some(window.1))),
            Claim::None if time.is_some_and(|time| period.is_pending(time)) => {
                (Verdict::Pending, (None, None))
            }
            Claim::None => {
                self.unlisted.extend(time.map(|time| (at, time)));
                (Verdict::InNoDigest, (time, time))
            }
        };
        let finding = (!verdict.is_good()).then(|| {
            let finding = Finding::new(Subject::Log, verdict, &*log.address);
            let finding = finding.between(window.0, window.1);
            match &log.content {
                Err(Problem::Unreadable(why)) => finding.saying(why),
                _ => finding,
            }
        });
        self.verdicts.push((verdict, finding));
    }
}

/// The places among the logs of those that may be a listed one.
fn candidates<'l>(logs: &'l [FoundLog], listed: &'l ListedLog) -> impl Iterator<Item = usize> + 'l {
    let name = file_name(&listed.key);
    let first = logs.partition_point(|log| file_name(&log.address) < name);
    let same = logs.iter().enumerate().skip(first);
    same.take_while(move |(_, log)| file_name(&log.address) == name)
        .filter(|(_, log)| is_copy_of(&listed.key, &log.address))
        .map(|(at, _)| at)
}

fn claim(
    claim: &mut Claim,
    log: &FoundLog,
    listed: &ListedLog,
    (proven, is_wanted): (bool, bool),
    window: (EpochMillis, EpochMillis),
) {
    if !is_wanted {
        if *claim == Claim::None {
            *claim = Claim::Foreign;
        }
        return;
    }
    let verdict = verdict(log, listed, proven);
    match claim {
        // The worse of what verified digests say counts.
        Claim::Listed { verdict: known, .. } if !proven || *known >= verdict => {}
        _ => *claim = Claim::Listed { verdict, window },
    }
}

fn verdict(log: &FoundLog, listed: &ListedLog, proven: bool) -> Verdict {
    let hash: &Hash = match &log.content {
        Ok(hash) => hash,
        Err(problem) => return verdict_of(problem),
    };
    if *hash != listed.hash {
        return Verdict::HashMismatch;
    }
    if !proven {
        return Verdict::Unproven;
    }
    let home = log.address.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    match home == Some((&listed.bucket, &listed.key)) {
        true => Verdict::Verified,
        false => Verdict::VerifiedRelocated,
    }
}

/// The end of the chains of one account and region, against logs that no digest lists.
pub(super) fn truncated(chain: &JudgedChain<'_>, until: EpochMillis, why: &str) -> Option<Finding> {
    (until > chain.last + 2 * HOUR).then(|| {
        let finding = Finding::new(Subject::Chain, Verdict::Truncated, chain.id.to_string());
        finding.between(Some(chain.last), Some(until)).saying(why)
    })
}
