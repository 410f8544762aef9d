//! Partition values: which ones, from what, and whether they may become a path.

use crate::error::{Error, Result};
use crate::units::{EpochMillis, civil};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What data is partitioned by, unless an option says otherwise.
pub const DEFAULT_PARTITION_BY: &str = "account,region,event_date";

/// The value where neither the record nor its object's key has one that can be part of a path.
pub const UNKNOWN: &str = "unknown";

/// One partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionKey {
    /// `recipientAccountId`, else the account of the object's key.
    Account,
    /// `awsRegion`, else the region of the object's key.
    Region,
    /// `YYYY-MM-DD` of the event, UTC.
    EventDate,
    /// `YYYY`.
    Year,
    /// `MM`.
    Month,
    /// `DD`.
    Day,
    /// `HH`.
    Hour,
    /// `eventSource`.
    EventSource,
    /// The organization of the object's key.
    Organization,
}

const ALL: [(PartitionKey, &str); 9] = [
    (PartitionKey::Account, "account"),
    (PartitionKey::Region, "region"),
    (PartitionKey::EventDate, "event_date"),
    (PartitionKey::Year, "year"),
    (PartitionKey::Month, "month"),
    (PartitionKey::Day, "day"),
    (PartitionKey::Hour, "hour"),
    (PartitionKey::EventSource, "event_source"),
    (PartitionKey::Organization, "organization"),
];

impl PartitionKey {
    /// Returns the name in paths and in the catalog.
    pub fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    /// Returns the key of a name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, known)| *known == name).map(|(key, _)| *key)
    }

    /// Returns what its values are, for the catalog.
    pub fn comment(self) -> &'static str {
        match self {
            Self::Account => "account the event belongs to",
            Self::Region => "region of the event",
            Self::EventDate => "day of the event, UTC: yyyy-mm-dd",
            Self::Year => "year of the event, UTC",
            Self::Month => "month of the event, UTC: 01 to 12",
            Self::Day => "day of the month of the event, UTC: 01 to 31",
            Self::Hour => "hour of the event, UTC: 00 to 23",
            Self::EventSource => "service of the event, as eventsource",
            Self::Organization => "organization whose trail delivered the event",
        }
    }
}

/// An ordered choice of partition keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PartitionKey>")]
pub struct PartitionBy(Vec<PartitionKey>);

impl PartitionBy {
    /// Returns the keys in order.
    pub fn keys(&self) -> &[PartitionKey] {
        &self.0
    }

    /// Returns whether a key is among them.
    pub fn has(&self, key: PartitionKey) -> bool {
        self.0.contains(&key)
    }

    /// Returns the names in order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|key| key.name().to_owned()).collect()
    }
}

impl Default for PartitionBy {
    /// Returns [`DEFAULT_PARTITION_BY`].
    fn default() -> Self {
        Self(vec![PartitionKey::Account, PartitionKey::Region, PartitionKey::EventDate])
    }
}

impl TryFrom<Vec<PartitionKey>> for PartitionBy {
    type Error = Error;

    fn try_from(keys: Vec<PartitionKey>) -> Result<Self> {
        for (at, key) in keys.iter().enumerate() {
            if keys[..at].contains(key) {
                let name = key.name();
                return Err(Error::config(format!("duplicate partition key `{name}`")));
            }
        }
        Ok(Self(keys))
    }
}

impl FromStr for PartitionBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut keys = Vec::new();
        for name in text.split(',').map(str::trim) {
            let Some(key) = PartitionKey::named(name) else {
                let known: Vec<_> = ALL.iter().map(|(_, name)| *name).collect();
                return Err(Error::config(format!(
                    "unknown partition key `{name}`: expected auto alone, or {}",
                    known.join(", ")
                )));
            };
            keys.push(key);
        }
        keys.try_into()
    }
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

/// What a record's partition is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The account; empty when nobody says.
    pub account: &'a [u8],
    /// The region; empty when nobody says.
    pub region: &'a [u8],
    /// The event source; empty when missing.
    pub event_source: &'a [u8],
    /// The organization of the object's key; empty when none.
    pub organization: &'a [u8],
    /// The instant of the event.
    pub instant: EpochMillis,
}

impl PartitionBy {
    /// Appends the Hive-style path, `account=…/region=…`, to `out`.
    pub fn write_path(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for (i, key) in self.0.iter().enumerate() {
            if i > 0 {
                out.push(b'/');
            }
            out.extend_from_slice(key.name().as_bytes());
            out.push(b'=');
            key.write_value(facts, out);
        }
    }
}

impl PartitionKey {
    /// Appends the value that a record has for the key. One that cannot be part of a path, such as a redacted
    /// account, is [`UNKNOWN`]; spaces around a value do not count.
    pub fn write_value(self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let (year, month, day, hour) = civil(facts.instant);
        match self {
            Self::Account => text(facts.account, is_account, out),
            Self::Region => text(facts.region, is_name, out),
            Self::Organization => text(facts.organization, is_name, out),
            Self::EventSource => text(facts.event_source, is_host_name, out),
            Self::EventDate => {
                number(year, 4, out);
                out.push(b'-');
                number(month.into(), 2, out);
                out.push(b'-');
                number(day.into(), 2, out);
            }
            Self::Year => number(year, 4, out),
            Self::Month => number(month.into(), 2, out),
            Self::Day => number(day.into(), 2, out),
            Self::Hour => number(hour.into(), 2, out),
        }
    }
}

fn is_account(value: &[u8]) -> bool {
    value.len() == 12 && value.iter().all(u8::is_ascii_digit)
}

/// Whether a value has only letters, digits and dashes, and begins with no dash.
fn is_name(value: &[u8]) -> bool {
    !value.contains(&b'.') && is_host_name(value)
}

fn is_host_name(value: &[u8]) -> bool {
    value.len() <= 64
        && value.first().is_some_and(u8::is_ascii_alphanumeric)
        && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// Appends a value, or [`UNKNOWN`] in place of one that may not become part of a path.
fn text(value: &[u8], is_fit: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
    let value = value.trim_ascii();
    out.extend_from_slice(if is_fit(value) { value } else { UNKNOWN.as_bytes() });
}

fn number(value: i64, digits: u32, out: &mut Vec<u8>) {
    for place in (0..digits).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

/// Splits a Hive-style path into its values, in order.
pub fn values_of(path: &str) -> Vec<String> {
    path.split('/')
        .filter_map(|part| part.split_once('=').map(|(_, value)| value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(by: &str, account: &str, region: &str) -> String {
        let facts = Facts {
            account: account.as_bytes(),
            region: region.as_bytes(),
            event_source: b"s3.amazonaws.com",
            organization: b"",
            instant: 1_714_564_800_123,
        };
        let mut out = Vec::new();
        by.parse::<PartitionBy>().unwrap().write_path(&facts, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_are_hive_style_in_the_chosen_order() {
        assert_eq!(
            path(DEFAULT_PARTITION_BY, "012345678901", "us-gov-west-1"),
            "account=012345678901/region=us-gov-west-1/event_date=2024-05-01"
        );
        assert_eq!(
            path("organization,event_source,year,month,day,hour", "", ""),
            "organization=unknown/event_source=s3.amazonaws.com/year=2024/month=05/day=01/hour=12"
        );
        assert_eq!(values_of("a=1/b=2"), ["1", "2"]);
        assert_eq!(PartitionBy::default(), DEFAULT_PARTITION_BY.parse().unwrap());
        assert!("account,account".parse::<PartitionBy>().is_err());
        assert!("date".parse::<PartitionBy>().is_err());
    }

    #[test]
    fn values_that_try_to_leave_the_path_are_unknown_there() {
        for value in
            ["../../etc", "a/b", ".hidden", "_x", "a=b", "-", "a\0", "%2e", &"1".repeat(65)]
        {
            assert_eq!(path("account,region", value, value), "account=unknown/region=unknown");
        }
    }

    #[test]
    fn accounts_and_regions_that_are_none_are_unknown_and_padded_ones_trimmed() {
        for account in [
            "************",
            "<account-id>",
            "REDACTED",
            "arn:aws:iam::111122223333:root",
            "1111",
            " ",
        ] {
            assert_eq!(path("account", account, ""), "account=unknown", "{account}");
        }
        assert_eq!(
            path("account,region", " 111122223333\t", "us-east-1 "),
            "account=111122223333/region=us-east-1"
        );
        assert_eq!(path("region", "", "<region>"), "region=unknown");
        assert_eq!(path("region", "", "Global"), "region=Global");
    }
}
