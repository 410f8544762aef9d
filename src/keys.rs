//! What an object's key says: family, account, region, organization, delivery date.
//!
//! `[prefix/]AWSLogs/[o-…/]<account>/<folder>/<region>/YYYY/MM/DD/<file>`, found anywhere in the
//! path (docs/aws-facts.md A1): Control Tower puts the organization before `AWSLogs` as well, prefixes hold
//! slashes, old file names lack the second underscore.

use crate::family::Family;
use crate::units::{Day, place};
use std::sync::Arc;

/// The kind of objects in a folder of the layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Folder {
    /// No layout: the record decides.
    #[default]
    Unknown,
    /// Log objects of a family.
    Logs(Family),
    /// Digest files.
    Digest,
    /// Another service's objects.
    Other,
}

/// What a key says; empty where it does not. The texts are shared: a million objects of one region
/// say the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The kind of objects.
    pub folder: Folder,
    /// Twelve digits.
    pub account: Arc<str>,
    /// As in the path.
    pub region: Arc<str>,
    /// `o-…`
    pub organization: Arc<str>,
    /// The delivery date, `YYYY/MM/DD`.
    pub date: Arc<str>,
}

impl Layout {
    /// Returns the delivery date, if the key has one that exists.
    pub fn day(&self) -> Option<Day> {
        Day::from_key(&self.date)
    }

    /// Returns a number that objects of one account and region have in common: what the ledger is cut
    /// by. A key that names no account is in slot 0.
    pub fn slot(&self) -> u8 {
        if self.account.is_empty() {
            return 0;
        }
        (place(self.account.as_bytes(), self.region.as_bytes()) >> 56) as u8
    }

    /// The order, within a slot, in which what has different scopes is listed and converted.
    pub(super) fn order(&self) -> impl Ord + '_ {
        (self.family(), &self.organization, &self.account, &self.region)
    }

    fn family(&self) -> Option<Family> {
        match self.folder {
            Folder::Logs(family) => Some(family),
            _ => None,
        }
    }

    /// Shares the texts that are those of another layout.
    pub(super) fn share(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.account, &other.account),
            (&mut self.region, &other.region),
            (&mut self.organization, &other.organization),
            (&mut self.date, &other.date),
        ] {
            if mine == theirs {
                *mine = Arc::clone(theirs);
            }
        }
    }
}

/// Reads a key or a path with `/` separators.
pub fn parse(key: &str) -> Layout {
    let parts: Vec<&str> = key.split('/').collect();
    let file = parts.last().copied().unwrap_or_default();
    let mut layout = Layout::default();
    let Some(root) = parts.iter().rposition(|part| *part == "AWSLogs") else {
        from_file_name(file, &mut layout);
        return layout;
    };
    let mut rest = parts[root + 1..].iter().copied().peekable();
    if let Some(id) = rest.next_if(|part| is_organization(part)) {
        layout.organization = id.into();
    }
    if let Some(id) = rest.next_if(|part| is_account(part)) {
        layout.account = id.into();
    } else {
        from_file_name(file, &mut layout);
        return layout;
    }
    let Some(folder) = rest.next().filter(|_| rest.peek().is_some()) else {
        from_file_name(file, &mut layout);
        return layout;
    };
    layout.folder = folder_of(folder);
    if let Some(region) = rest.next_if(|part| is_region(part)) {
        layout.region = region.into();
    }
    let date: Vec<&str> = rest.take(3).collect();
    if let [year, month, day] = date[..]
        && [(year, 4), (month, 2), (day, 2)].iter().all(|(part, len)| is_digits(part, *len))
    {
        layout.date = date.join("/").into();
    }
    layout
}

pub(super) fn folder_of(name: &str) -> Folder {
    match Family::of_folder(name) {
        Some(family) => Folder::Logs(family),
        None if name == "CloudTrail-Digest" => Folder::Digest,
        None => Folder::Other,
    }
}

/// `<account>_<folder>_<region>_<stamp>…`, for files that lost their folders.
fn from_file_name(file: &str, layout: &mut Layout) {
    let mut parts = file.split('_');
    let (Some(account), Some(folder), Some(region)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    if !is_account(account) || folder_of(folder) == Folder::Other {
        return;
    }
    layout.folder = folder_of(folder);
    layout.account = account.into();
    if is_region(region) {
        layout.region = region.into();
    }
}

fn is_digits(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn is_account(text: &str) -> bool {
    is_digits(text, 12)
}

pub(super) fn is_organization(text: &str) -> bool {
    text.len() > 2
        && text.starts_with("o-")
        && text[2..].bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// `us-east-1`, `us-gov-west-1`, `us-iso-east-1`, and whatever comes next.
pub(super) fn is_region(text: &str) -> bool {
    text.len() <= 32
        && text.contains('-')
        && text.ends_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_layout_is_read() {
        let file = "111122223333_CloudTrail_us-gov-west-1_20240501T0000Z_Ab12.json.gz";
        let tail = format!("111122223333/CloudTrail/us-gov-west-1/2024/05/01/{file}");
        for (key, organization) in [
            (format!("AWSLogs/{tail}"), ""),
            (format!("a/b/AWSLogs/o-abc123/{tail}"), "o-abc123"),
            (format!("o-abc123/AWSLogs/o-abc123/{tail}"), "o-abc123"),
            (format!("/tmp/AWSLogs-copy/AWSLogs/{tail}"), ""),
        ] {
            let layout = parse(&key);
            assert_eq!(layout.folder, Folder::Logs(Family::Events), "{key}");
            assert_eq!(&*layout.account, "111122223333");
            assert_eq!(&*layout.region, "us-gov-west-1");
            assert_eq!(&*layout.organization, organization);
            assert_eq!(&*layout.date, "2024/05/01");
        }
        assert_eq!(&*parse(&format!("x/{file}")).region, "us-gov-west-1");
    }

    #[test]
    fn other_folders_are_told_apart() {
        for (folder, want) in [
            ("CloudTrail-Insight", Folder::Logs(Family::Insight)),
            ("CloudTrail-NetworkActivity", Folder::Logs(Family::NetworkActivity)),
            ("CloudTrail-Aggregated", Folder::Logs(Family::Aggregated)),
            ("CloudTrail-Digest", Folder::Digest),
            ("Config", Folder::Other),
            ("elasticloadbalancing", Folder::Other),
        ] {
            let key = format!("AWSLogs/111122223333/{folder}/eu-west-1/2024/05/01/x.json.gz");
            assert_eq!(parse(&key).folder, want);
        }
        assert_eq!(parse("logs/events.json"), Layout::default());
    }
}
