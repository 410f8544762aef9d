//! The part of the sources that is wanted: narrows the listing itself, not only its result.
//!
//! Options narrow by the facts in keys. With `--account`, an object whose key names no account is passed
//! over and counted: only its records could tell. The look-back leaves out only objects whose keys show an
//! older date.

use crate::keys::{Folder, Layout};
use crate::source::{NamedDays, RegionDays, is_hidden};
use crate::units::Day;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Objects of one answer to a LIST request.
const PAGE: i64 = 1000;

/// What is wanted; by default everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrow {
    /// The first delivery date.
    pub from: Option<Day>,
    /// The last delivery date.
    pub to: Option<Day>,
    /// Accounts, twelve digits each; empty for all.
    pub accounts: BTreeSet<String>,
    /// Regions; empty for all.
    pub regions: BTreeSet<String>,
    /// Organizations, `o-…`; empty for all.
    pub organizations: BTreeSet<String>,
    /// Whether digests are listed.
    pub digests: DigestFolders,
}

/// What becomes of the folders of digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestFolders {
    /// They are ignored.
    #[default]
    LeftOut,
    /// They are listed like logs.
    Included,
    /// They are listed, and logs are not.
    Alone,
}

impl Narrow {
    /// Returns whether everything is wanted.
    pub fn is_everything(&self) -> bool {
        let digests = self.digests;
        *self == Self { digests, ..Self::default() }
    }

    /// Returns whether objects of a folder are never wanted: digests or logs, as they are asked for, and
    /// other services' objects.
    pub fn ignores(&self, folder: &Folder) -> bool {
        match folder {
            Folder::Logs(_) if folder.is_digest() => self.digests == DigestFolders::LeftOut,
            Folder::Other => true,
            Folder::Logs(_) => self.digests == DigestFolders::Alone,
            Folder::Unknown => false,
        }
    }

    /// Returns whether an account is wanted.
    pub fn wants_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    /// Returns whether a region is wanted.
    pub fn wants_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.contains(region)
    }

    /// Returns whether an organization is wanted; an empty one is that of a key without.
    pub fn wants_organization(&self, organization: &str) -> bool {
        self.organizations.is_empty() || self.organizations.contains(organization)
    }

    /// Returns whether an object is wanted, by what its key says.
    pub fn wants(&self, layout: &Layout) -> bool {
        let is_dated = self.from.is_some() || self.to.is_some();
        self.wants_account(&layout.account)
            && self.wants_region(&layout.region)
            && self.wants_organization(&layout.organization)
            && (!is_dated || layout.day().is_some_and(|day| self.wants_day(day)))
    }

    fn wants_day(&self, day: Day) -> bool {
        self.from.is_none_or(|from| day >= from) && self.to.is_none_or(|to| day <= to)
    }
}

/// What one source is listed for.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// What options ask for.
    pub narrow: Narrow,
    /// With a look-back: objects delivered before this day have been listed by an earlier run.
    pub since: Option<Day>,
    /// Whether names that begin with `.` or `_` are read, too.
    pub reads_hidden: bool,
    /// The days to list of regions whose digests were read.
    pub named: Option<Arc<NamedDays>>,
}

impl Window {
    /// Returns whether a path below the source leads through a hidden name. What a lake keeps beside its data
    /// files is always hidden.
    pub fn is_hidden(&self, below: &str) -> bool {
        below.split('/').any(|name| self.is_hidden_name(name.as_bytes()))
    }

    /// Returns whether a file or folder of this name is passed over.
    pub(super) fn is_hidden_name(&self, name: &[u8]) -> bool {
        name == b"_trailmill" || (!self.reads_hidden && is_hidden(name))
    }

    /// Returns the first day to list.
    pub fn first(&self) -> Option<Day> {
        self.narrow.from.max(self.since)
    }

    /// Returns the last day to list.
    pub fn last(&self) -> Option<Day> {
        self.narrow.to
    }

    /// Returns about how many LIST requests it saves to list these windows instead of this one.
    pub(super) fn saved(&self, days: &RegionDays, windows: &[Self]) -> i64 {
        let Some(start) = self.first().max(days.before) else { return 0 };
        let all = i64::from(days.from.0 - start.0).max(0);
        let listed = |part: &Self| {
            let (first, last) =
                (part.first().map_or(start, |first| first.max(start)), part.last()?);
            Some(i64::from(last.0 - first.0 + 1).max(0))
        };
        let listed: i64 = windows.iter().filter_map(listed).sum();
        let logs = i64::try_from(days.logs_per_day).unwrap_or(i64::MAX);
        let pages = (all - listed).max(0).saturating_mul(logs) / PAGE;
        pages - (windows.len() as i64 - 1)
    }

    /// Returns the windows to list instead of this one, where digests name days.
    pub(super) fn only(&self, days: &RegionDays) -> Vec<Self> {
        let stretches = days.stretches(self.first(), self.last());
        let part = |(from, to): (Option<Day>, Day)| {
            let mut part = Self { since: None, named: None, ..self.clone() };
            // An option that asks for days is never gone beyond.
            (part.narrow.from, part.narrow.to) = (from.max(self.narrow.from), Some(to));
            part
        };
        let is_any = |part: &Self| part.first().is_none_or(|first| Some(first) <= part.last());
        let mut windows: Vec<Self> = stretches.into_iter().map(part).filter(is_any).collect();
        if self.narrow.to.is_none_or(|to| to >= days.from) {
            let since = Some(days.from).max(self.since);
            windows.push(Self { since, named: None, ..self.clone() });
        }
        windows
    }

    /// Returns whether an object is wanted, by what its key says.
    pub fn wants(&self, layout: &Layout) -> bool {
        let is_seen = self.since.is_some_and(|since| layout.day().is_some_and(|day| day < since));
        !is_seen && self.narrow.wants(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse as parse_layout;

    fn key(account: &str, region: &str, date: &str) -> Layout {
        parse_layout(&format!("AWSLogs/o-1/{account}/CloudTrail/{region}/{date}/x.json.gz"))
    }

    #[test]
    fn an_option_asks_for_what_keys_say() {
        let narrow = Narrow {
            from: Some("2024-05-01".parse().unwrap()),
            accounts: ["111122223333".to_owned()].into(),
            regions: ["eu-west-1".to_owned()].into(),
            ..Narrow::default()
        };
        assert!(narrow.wants(&key("111122223333", "eu-west-1", "2024/05/01")));
        assert!(!narrow.wants(&key("111122223333", "eu-west-1", "2024/04/30")));
        assert!(!narrow.wants(&key("111122223333", "us-east-1", "2024/05/01")));
        assert!(!narrow.wants(&key("444455556666", "eu-west-1", "2024/05/01")));
        assert!(!narrow.wants(&parse_layout("loose.json")), "its key says nothing");
        assert!(Narrow::default().wants(&parse_layout("loose.json")));
    }

    #[test]
    fn a_look_back_leaves_out_only_what_is_known_to_be_older() {
        let window = Window { since: Some("2024-05-01".parse().unwrap()), ..Window::default() };
        assert!(window.wants(&key("111122223333", "eu-west-1", "2024/05/01")));
        assert!(!window.wants(&key("111122223333", "eu-west-1", "2024/04/30")));
        assert!(window.wants(&parse_layout("loose.json")));
    }

    fn day(text: &str) -> Day {
        format!("2026-10-{text}").parse().unwrap()
    }

    fn shown(days: &RegionDays, window: &Window) -> Vec<String> {
        let text =
            |day: Option<Day>| day.map_or(String::new(), |day| day.to_string()[8..].to_owned());
        let windows = window.only(days).into_iter();
        windows.map(|one| format!("{}..{}", text(one.first()), text(one.last()))).collect()
    }

    #[test]
    fn days_that_digests_name_are_listed_and_nothing_between_them() {
        let days = |days: &[&str], before: Option<&str>| RegionDays {
            before: before.map(day),
            days: days.iter().map(|text| day(text)).collect(),
            from: day("20"),
            logs_per_day: 1500,
        };
        let since = |text: &str| Window { since: Some(day(text)), ..Window::default() };

        assert_eq!(shown(&days(&[], None), &since("10")), ["20.."]);
        // A log that was delivered late lies before the look-back.
        assert_eq!(
            shown(&days(&["02", "12", "13", "21"], None), &since("10")),
            ["02..02", "12..13", "20.."]
        );
        assert_eq!(
            shown(&days(&["12", "15"], Some("12")), &Window::default()),
            ["..12", "15..15", "20.."]
        );
        assert_eq!(shown(&days(&["19"], Some("25")), &since("10")), ["10..19", "20.."]);
        assert_eq!(shown(&days(&["19"], Some("05")), &since("10")), ["19..19", "20.."]);
        assert_eq!(
            shown(&days(&["02", "11", "14"], Some("12")), &since("10")),
            ["02..02", "10..12", "14..14", "20.."]
        );

        let saved = |days: &RegionDays, window: &Window| window.saved(days, &window.only(days));
        assert_eq!(saved(&days(&[], None), &since("10")), 15);
        assert_eq!(saved(&days(&["12", "15"], None), &since("10")), 12 - 2);
        assert_eq!(saved(&days(&["12"], Some("12")), &Window::default()), 10 - 1);
        assert_eq!(saved(&days(&["10"], None), &since("10")), 13 - 1);
        let rare = RegionDays { logs_per_day: 10, ..days(&["12"], None) };
        assert_eq!(saved(&rare, &since("10")), -1);
    }

    #[test]
    fn an_option_that_asks_for_days_is_not_gone_beyond() {
        let days = RegionDays {
            before: Some(day("11")),
            days: [day("02"), day("14"), day("16")].into(),
            from: day("20"),
            logs_per_day: 0,
        };
        let narrow = Narrow { from: Some(day("10")), to: Some(day("15")), ..Narrow::default() };

        let windows = shown(&days, &Window { narrow, ..Window::default() });

        assert_eq!(windows, ["10..11", "14..14"]);
    }
}
