//! Partition values: which ones, from what, and whether they may become a path.

use crate::error::{Error, Result};
use crate::units::{EpochMillis, civil};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What data is partitioned by, unless an option says otherwise.
pub const DEFAULT_PARTITION_BY: &str = "account,region,event_date";

/// The value where neither the record nor its object's key has one.
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
            let Some((key, _)) = ALL.iter().find(|(_, known)| *known == name) else {
                let known: Vec<_> = ALL.iter().map(|(_, name)| *name).collect();
                return Err(Error::config(format!(
                    "unknown partition key `{name}`: expected auto alone, or {}",
                    known.join(", ")
                )));
            };
            keys.push(*key);
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
    ///
    /// # Errors
    /// `BadInput` with the key's name when a value may not become part of a path; `out` is then
    /// unusable. The value itself is not quoted.
    pub fn write_path(&self, facts: &Facts<'_>, out: &mut Vec<u8>) -> Result<()> {
        for (i, key) in self.0.iter().enumerate() {
            if i > 0 {
                out.push(b'/');
            }
            out.extend_from_slice(key.name().as_bytes());
            out.push(b'=');
            key.write_value(facts, out)?;
        }
        Ok(())
    }
}

impl PartitionKey {
    /// Appends the value that a record has for the key.
    ///
    /// # Errors
    /// As [`PartitionBy::write_path`].
    pub fn write_value(self, facts: &Facts<'_>, out: &mut Vec<u8>) -> Result<()> {
        let (year, month, day, hour) = civil(facts.instant);
        match self {
            Self::Account => text(facts.account, b"", "account", out)?,
            Self::Region => text(facts.region, b"", "region", out)?,
            Self::EventSource => text(facts.event_source, b".", "event source", out)?,
            Self::Organization => text(facts.organization, b"", "organization", out)?,
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
        Ok(())
    }
}

fn text(value: &[u8], also: &[u8], name: &'static str, out: &mut Vec<u8>) -> Result<()> {
    if value.is_empty() {
        out.extend_from_slice(UNKNOWN.as_bytes());
        return Ok(());
    }
    let is_fit = value.len() <= 64
        && value[0].is_ascii_alphanumeric()
        && value.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || also.contains(b));
    if !is_fit {
        return Err(Error::bad_input(format!("{name} cannot be part of a path")));
    }
    out.extend_from_slice(value);
    Ok(())
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

    fn path(by: &str, account: &str) -> Result<String> {
        let facts = Facts {
            account: account.as_bytes(),
            region: b"us-gov-west-1",
            event_source: b"s3.amazonaws.com",
            organization: b"",
            instant: 1_714_564_800_123,
        };
        let mut out = Vec::new();
        by.parse::<PartitionBy>()?.write_path(&facts, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn paths_are_hive_style_in_the_chosen_order() {
        assert_eq!(
            path(DEFAULT_PARTITION_BY, "012345678901").unwrap(),
            "account=012345678901/region=us-gov-west-1/event_date=2024-05-01"
        );
        assert_eq!(
            path("organization,event_source,year,month,day,hour", "").unwrap(),
            "organization=unknown/event_source=s3.amazonaws.com/year=2024/month=05/day=01/hour=12"
        );
        assert_eq!(values_of("a=1/b=2"), ["1", "2"]);
        assert_eq!(PartitionBy::default(), DEFAULT_PARTITION_BY.parse().unwrap());
    }

    #[test]
    fn values_that_try_to_leave_the_path_are_refused() {
        for account in ["../../etc", "a/b", ".hidden", "_x", "a=b", "-", "a\0", &"1".repeat(65)] {
            assert!(path("account", account).is_err(), "{account}");
        }
        assert!("account,account".parse::<PartitionBy>().is_err());
        assert!("date".parse::<PartitionBy>().is_err());
    }
}
