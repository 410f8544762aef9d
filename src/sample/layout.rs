//! Where objects lie: accounts, regions, delivery times and keys.
//!
//! The first six accounts show one layout each: two of an organisation, one below a prefix in
//! Control Tower's order, one of a plain trail, one in GovCloud and one in China. All others belong
//! to the organisation. The last day is fixed, so that a sample does not depend on the clock.

use super::dice::{Dice, LETTERS, clock, mix, put_letters};

/// 2026-10-31, the last day of every sample, in days since 1970.
const LAST_DAY: i64 = 20_757;
const DAY: i64 = 86_400;
const ORGANISATION: &str = "o-a1b2c3d4e5";

/// An account and the trail that logs it.
pub(super) struct Account {
    /// Twelve digits.
    pub(super) id: String,
    pub(super) partition: &'static str,
    /// What host names end in.
    pub(super) suffix: &'static str,
    /// Region of the global services.
    pub(super) home: &'static str,
    /// Folders before the account, with a closing slash.
    root: String,
    regions: &'static [(&'static str, u32)],
    weight: u32,
    /// Decides the account's users, roles, buckets and so on.
    pub(super) seed: u64,
}

const COMMERCIAL: &[(&str, u32)] = &[
    ("us-east-1", 46),
    ("eu-central-1", 20),
    ("eu-west-1", 12),
    ("us-west-2", 9),
    ("ap-southeast-2", 6),
    ("ap-northeast-1", 3),
    ("us-east-2", 2),
    ("sa-east-1", 1),
    ("me-central-1", 1),
];

/// Returns `count` accounts.
pub(super) fn accounts(count: usize, seed: u64) -> Vec<Account> {
    (0..count.max(1)).map(|index| account(index, seed)).collect()
}

fn account(index: usize, seed: u64) -> Account {
    let id = match index {
        0..6 => [
            "111122223333",
            "222233334444",
            "333344445555",
            "444455556666",
            "555566667777",
            "666677778888",
        ][index]
            .to_string(),
        _ => format!("7{:011}", mix(index as u64, 12) % 100_000_000_000),
    };
    let (partition, home, regions, organisation): (_, _, &[(&str, u32)], _) = match index {
        3 => ("aws", "us-east-1", COMMERCIAL, None),
        4 => {
            let regions = &[("us-gov-west-1", 4), ("us-gov-east-1", 1)];
            ("aws-us-gov", "us-gov-west-1", regions, Some("o-g0vw3st456"))
        }
        5 => {
            let regions = &[("cn-north-1", 3), ("cn-northwest-1", 1)];
            ("aws-cn", "cn-north-1", regions, Some("o-cnn0rth789"))
        }
        _ => ("aws", "us-east-1", COMMERCIAL, Some(ORGANISATION)),
    };
    let root = match (organisation, index) {
        (Some(organisation), 2) => format!("{organisation}/AWSLogs/{organisation}/"),
        (Some(organisation), _) => format!("AWSLogs/{organisation}/"),
        (None, _) => "AWSLogs/".to_string(),
    };
    let weight = match index {
        0 => 40,
        1 => 24,
        2..4 => 12,
        4..6 => 8,
        _ => 10,
    };
    let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let seed = mix(seed, 0xacc0 + index as u64);
    Account { id, partition, suffix, home, root, regions, weight, seed }
}

/// The kinds of objects a trail writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Events,
    Insight,
    NetworkActivity,
    Aggregated,
    Digest,
}

impl Family {
    /// Returns the folder's name, which the file name repeats.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Events => "CloudTrail",
            Self::Insight => "CloudTrail-Insight",
            Self::NetworkActivity => "CloudTrail-NetworkActivity",
            Self::Aggregated => "CloudTrail-Aggregated",
            Self::Digest => "CloudTrail-Digest",
        }
    }
}

/// Where and when an object was delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) family: Family,
    /// Index of the account.
    pub(super) account: usize,
    pub(super) region: &'static str,
    /// Seconds since 1970, a whole minute.
    pub(super) delivered: i64,
    /// Decides the unique part of the name.
    pub(super) unique: u64,
}

impl Address {
    /// Draws an address within the last `days` days, business hours more often.
    pub(super) fn draw(dice: &mut Dice, accounts: &[Account], days: u32, family: Family) -> Self {
        let account = dice.weighted(accounts.iter().map(|account| account.weight));
        let regions = accounts[account].regions;
        let region = regions[dice.weighted(regions.iter().map(|region| region.1))].0;
        Self { family, account, region, delivered: delivery(dice, days), unique: dice.word() }
    }

    /// Returns the key below the sample's folder.
    pub(super) fn key(&self, accounts: &[Account]) -> String {
        let Account { id, root, .. } = &accounts[self.account];
        let folder = self.family.folder();
        let region = self.region;
        let [year, month, day, hour, minute, second] = clock(self.delivered);
        let path = format!("{root}{id}/{folder}/{region}/{year:04}/{month:02}/{day:02}");
        if self.family == Family::Digest {
            let home = accounts[self.account].home;
            return format!(
                "{path}/{id}_{folder}_{region}_org-trail_{home}_\
                 {year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z.json.gz"
            );
        }
        let mut unique = Vec::new();
        put_letters(&mut unique, &mut Dice::new(self.unique), 16, LETTERS);
        let unique = String::from_utf8_lossy(&unique);
        format!(
            "{path}/{id}_{folder}_{region}_\
             {year:04}{month:02}{day:02}T{hour:02}{minute:02}Z_{unique}.json.gz"
        )
    }
}

/// Draws a delivery: weekends are quiet, 08 to 18 UTC is busy, some files come just after midnight.
fn delivery(dice: &mut Dice, days: u32) -> i64 {
    let days = days.max(1);
    let mut day = LAST_DAY - i64::from(dice.below(days));
    // 1970-01-01 was a Thursday: 2 and 3 are Saturday and Sunday.
    if matches!(day.rem_euclid(7), 2 | 3) && dice.chance(5_000) {
        day = LAST_DAY - i64::from(dice.below(days));
    }
    if dice.chance(120) {
        return day * DAY + i64::from(dice.below(2)) * 300;
    }
    let hour = dice.weighted((0..24).map(|hour| if (8..18).contains(&hour) { 5 } else { 2 }));
    day * DAY + hour as i64 * 3600 + i64::from(dice.below(12)) * 300
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_layouts_that_trails_write() {
        let accounts = accounts(6, 1);
        let key = |account: usize| {
            let region = accounts[account].home;
            let delivered = LAST_DAY * DAY + 18 * 3600 + 300;
            Address { family: Family::Events, account, region, delivered, unique: 5 }.key(&accounts)
        };
        assert!(key(0).starts_with(
            "AWSLogs/o-a1b2c3d4e5/111122223333/CloudTrail/us-east-1/2026/10/31/\
             111122223333_CloudTrail_us-east-1_20261031T1805Z_"
        ));
        assert!(key(2).starts_with("o-a1b2c3d4e5/AWSLogs/o-a1b2c3d4e5/333344445555/CloudTrail/"));
        assert!(key(3).starts_with("AWSLogs/444455556666/CloudTrail/"));
        assert!(key(4).contains("/us-gov-west-1/") && key(5).contains("/cn-north-1/"));
        assert!(key(0).ends_with(".json.gz"));
    }
}
