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
    /// No layout, or a folder of no service that is known: the record decides.
    #[default]
    Unknown,
    /// Log objects of a family.
    Logs(Family),
    /// Objects of another service that is known.
    Other,
}

impl Folder {
    /// Returns whether it is one of digests.
    pub fn is_digest(&self) -> bool {
        *self == Self::Logs(Family::Digest)
    }
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

    /// Returns whether the key says that there are records of events in the object.
    pub fn holds_logs(&self) -> bool {
        matches!(self.folder, Folder::Logs(_)) && !self.folder.is_digest()
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

    /// Returns the family that the key names.
    pub fn family(&self) -> Option<Family> {
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

/// Folders of other AWS services beside those of CloudTrail, in lower case.
const SERVICES: [&str; 20] = [
    "appfabric",
    "cloudfront",
    "clientvpn",
    "config",
    "directconnect",
    "ecs",
    "eks",
    "elasticloadbalancing",
    "globalaccelerator",
    "guardduty",
    "inspector2",
    "networkfirewall",
    "network-firewall",
    "redshift",
    "securityhub",
    "verifiedaccess",
    "vpcdnsquerylogs",
    "vpcflowlogs",
    "vpc-lattice",
    "waflogs",
];

/// Reads a key or a path with `/` separators.
pub fn parse(key: &str) -> Layout {
    let parts: Vec<&str> = key.split('/').collect();
    let file = parts.last().copied().unwrap_or_default();
    let mut layout = Layout::default();
    let Some(root) = parts.iter().rposition(|part| is_root(part)) else {
        from_file_name(file, &mut layout);
        return layout;
    };
    let folders = parts.get(root + 1..parts.len() - 1).unwrap_or_default();
    let mut rest = folders.iter().copied().peekable();
    if let Some(id) = rest.next_if(|part| is_organization(part)) {
        layout.organization = id.into();
    }
    let Some(id) = rest.next_if(|part| is_account(part)) else {
        from_file_name(file, &mut layout);
        return layout;
    };
    layout.account = id.into();
    let Some(folder) = rest.next() else {
        from_file_name(file, &mut layout);
        return layout;
    };
    layout.folder = folder_of(folder);
    if layout.folder == Folder::Unknown {
        // A folder that somebody made does not hide what lies in it.
        let is_logs = |part: &&str| matches!(folder_of(part), Folder::Logs(_));
        match rest.clone().position(|part| is_logs(&part)) {
            Some(at) => layout.folder = rest.nth(at).map(folder_of).unwrap_or_default(),
            None => from_file_name(file, &mut layout),
        }
    }
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

/// Whether a folder is the root of the layout, in whatever case.
pub(super) fn is_root(name: &str) -> bool {
    name.eq_ignore_ascii_case("AWSLogs")
}

/// The kind of objects in a folder below an account; unknown where no service has it.
pub(super) fn folder_of(name: &str) -> Folder {
    match Family::of_folder(name) {
        Some(family) => Folder::Logs(family),
        None if SERVICES.contains(&&*name.to_ascii_lowercase()) => Folder::Other,
        None => Folder::Unknown,
    }
}

/// `<account>_<folder>_<region>_<stamp>…`, for files that lost their folders; other names may stand before it.
fn from_file_name(file: &str, layout: &mut Layout) {
    let parts: Vec<&str> = file.split('_').collect();
    let is_name = |at: &usize| {
        let is_folder = matches!(folder_of(parts[at + 1]), Folder::Logs(_));
        is_account(parts[*at]) && is_folder
    };
    let Some(at) = (0..parts.len().saturating_sub(2)).rev().find(is_name) else { return };
    layout.folder = folder_of(parts[at + 1]);
    layout.account = parts[at].into();
    if is_region(parts[at + 2]) {
        layout.region = parts[at + 2].into();
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
            ("CloudTrail-Digest", Folder::Logs(Family::Digest)),
            ("cloudtrail", Folder::Logs(Family::Events)),
            ("Config", Folder::Other),
            ("waflogs", Folder::Other),
            ("evidence", Folder::Unknown),
            ("elasticloadbalancing", Folder::Other),
        ] {
            let key = format!("AWSLogs/111122223333/{folder}/eu-west-1/2024/05/01/x.json.gz");
            assert_eq!(parse(&key).folder, want);
        }
        assert_eq!(parse("logs/events.json"), Layout::default());
    }

    #[test]
    fn folders_and_names_that_people_made_do_not_hide_logs() {
        let file = "111122223333_CloudTrail-Insight_us-east-1_20240501T0000Z_Ab12.json.gz";
        for key in [
            format!("awslogs/111122223333/cloudtrail-insight/us-east-1/2024/05/01/{file}"),
            format!("AWSLogs/111122223333/case/CloudTrail-Insight/us-east-1/2024/05/01/{file}"),
            format!("AWSLogs/111122223333/case/{file}"),
            format!("AWSLogs/suffix/111122223333/CloudTrail-Insight/{file}"),
            format!("AWSLogs_111122223333_CloudTrail-Insight_us-east-1_2024_05_01_{file}"),
        ] {
            let layout = parse(&key);
            assert_eq!(layout.folder, Folder::Logs(Family::Insight), "{key}");
            assert_eq!((&*layout.account, &*layout.region), ("111122223333", "us-east-1"), "{key}");
        }
        let layout = parse("AWSLogs/111122223333/case/x.json");
        assert_eq!((layout.folder, &*layout.account), (Folder::Unknown, "111122223333"));
    }
}
