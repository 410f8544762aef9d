//! The part of the sources that is wanted: narrows the listing itself, not only its result.
//!
//! Options narrow by the facts in keys. With `--account`, an object whose key names no account is passed
//! over and counted: only its records could tell. The look-back leaves out only objects whose keys show an
//! older date.

use crate::keys::{Folder, Layout};
use crate::source::is_hidden;
use crate::units::Day;
use std::collections::BTreeSet;

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
}
