//! The question: criteria that a row meets or not, and what they rule out before a file is opened.

use crate::error::{Error, Result};
use crate::history::columns::Rows;
use crate::history::event::{session_name, user_name};
use crate::history::resources::resources;
use crate::scan::LiveFile;
use ipnet::IpNet;
use std::net::IpAddr;
use std::str::FromStr;
use wildmatch::WildMatch;

/// A glob: `*` stands for any characters, `?` for one. Case is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(WildMatch);

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::config("invalid pattern: expected a value or a glob, not nothing"));
        }
        Ok(Self(WildMatch::new(&text.to_lowercase())))
    }
}

impl Pattern {
    /// Returns whether a value matches. Nothing matches an absent value, `*` least of all.
    pub fn matches(&self, value: &str) -> bool {
        !value.is_empty() && self.0.matches(&value.to_lowercase())
    }
}

/// A source of events: an address, a block of addresses, or a glob over the names of services.
#[derive(Clone, Debug, PartialEq)]
pub enum IpRange {
    /// Addresses.
    Net(IpNet),
    /// Names such as `*.amazonaws.com`, and addresses as text.
    Name(Pattern),
}

impl FromStr for IpRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        if text.contains('/') {
            let net = text.parse::<IpNet>().map_err(|err| {
                Error::config(format!("invalid block of addresses `{text}`: expected 10.0.0.0/8"))
                    .because(err)
            })?;
            return Ok(Self::Net(net.trunc()));
        }
        text.parse().map(Self::Name)
    }
}

impl IpRange {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Net(net) => value.parse::<IpAddr>().is_ok_and(|address| net.contains(&address)),
            Self::Name(pattern) => pattern.matches(value),
        }
    }
}

/// Criteria. Those that are empty or absent hold for every event.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// User name, session name, ARN, principal ID, or the role of a session.
    pub users: Vec<Pattern>,
    /// Session name of an assumed role.
    pub sessions: Vec<Pattern>,
    /// Access key.
    pub access_keys: Vec<Pattern>,
    /// Event name.
    pub events: Vec<Pattern>,
    /// Service: `s3` or `s3.amazonaws.com`.
    pub sources: Vec<Pattern>,
    /// ARN or name of a resource, `bucket/key` of an S3 object, function of Lambda.
    pub resources: Vec<Pattern>,
    /// Source addresses.
    pub ips: Vec<IpRange>,
    /// Account.
    pub accounts: Vec<Pattern>,
    /// Region.
    pub regions: Vec<Pattern>,
    /// Error code.
    pub errors: Vec<Pattern>,
    /// `eventID`, exactly.
    pub ids: Vec<String>,
    /// Whether `readOnly` is true, or is not.
    pub read_only: Option<bool>,
    /// ARN of the identity, or the user where it has none, exactly.
    pub principal: Option<String>,
    /// The first instant, in milliseconds since 1970.
    pub since: Option<i64>,
    /// The first instant after the last.
    pub until: Option<i64>,
}

impl Filter {
    /// Returns whether a file may have events that meet the criteria, by its partition and its times.
    pub fn may_match(&self, file: &LiveFile) -> bool {
        let is_in = |key: &str, patterns: &[Pattern]| {
            file.partition_value(key).is_none_or(|value| any(patterns, |it| it.matches(value)))
        };
        self.since.is_none_or(|since| file.file.max_instant >= since)
            && self.until.is_none_or(|until| file.file.min_instant < until)
            && is_in("account", &self.accounts)
            && is_in("region", &self.regions)
    }

    /// Returns the columns that the criteria look at.
    pub fn columns(&self) -> Vec<&'static str> {
        let has_users = !self.users.is_empty() || !self.sessions.is_empty();
        let wanted = [
            ("event_timestamp", true),
            ("eventid", !self.ids.is_empty()),
            ("eventname", !self.events.is_empty()),
            ("eventsource", !self.sources.is_empty() || !self.resources.is_empty()),
            ("errorcode", !self.errors.is_empty()),
            ("sourceipaddress", !self.ips.is_empty()),
            ("recipientaccountid", !self.accounts.is_empty()),
            ("awsregion", !self.regions.is_empty()),
            ("readonly", self.read_only.is_some()),
            ("useridentity", has_users || !self.access_keys.is_empty() || self.principal.is_some()),
            ("resources", !self.resources.is_empty()),
            ("requestparameters", !self.resources.is_empty()),
            ("s3_bucket", !self.resources.is_empty()),
            ("s3_key", !self.resources.is_empty()),
            ("lambda_function", !self.resources.is_empty()),
        ];
        wanted.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| name).collect()
    }

    /// Returns whether a row meets all criteria; its columns are those of [`Filter::columns`] at least.
    pub fn matches(&self, rows: &Rows, row: usize) -> bool {
        let instant = rows.instant(row);
        let text = |name: &str| rows.text(name, row);
        let has = |patterns: &[Pattern], name: &str| any(patterns, |it| it.matches(text(name)));
        // Cheap ones first.
        self.since.is_none_or(|since| instant >= since)
            && self.until.is_none_or(|until| instant < until)
            && any(&self.ids, |id| id == text("eventid"))
            && has(&self.events, "eventname")
            && any(&self.sources, |it| is_source(it, text("eventsource")))
            && has(&self.errors, "errorcode")
            && any(&self.ips, |it| it.matches(text("sourceipaddress")))
            && has(&self.accounts, "recipientaccountid")
            && has(&self.regions, "awsregion")
            && self.read_only.is_none_or(|wanted| (text("readonly") == "true") == wanted)
            && any(&self.access_keys, |it| it.matches(rows.identity(&["accesskeyid"], row)))
            && any(&self.sessions, |it| it.matches(session_name(rows, row)))
            && any(&self.users, |it| is_user(it, rows, row))
            && self.principal.as_ref().is_none_or(|principal| is_principal(principal, rows, row))
            && self.is_about(rows, row)
    }

    fn is_about(&self, rows: &Rows, row: usize) -> bool {
        if self.resources.is_empty() {
            return true;
        }
        let (bucket, key) = (rows.text("s3_bucket", row), rows.text("s3_key", row));
        let object = if key.is_empty() { String::new() } else { format!("{bucket}/{key}") };
        let mut names: Vec<String> = resources(rows, row).into_iter().map(|it| it.name).collect();
        names.extend([bucket.to_owned(), object]);
        names.push(rows.text("lambda_function", row).to_owned());
        names.iter().any(|name| any(&self.resources, |it| it.matches(name)))
    }
}

/// Returns whether any of several values of a criterion holds; without one, everything does.
fn any<T>(wanted: &[T], holds: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(holds)
}

fn is_source(pattern: &Pattern, source: &str) -> bool {
    let short = source.strip_suffix(".amazonaws.com").unwrap_or("");
    pattern.matches(source) || pattern.matches(short)
}

fn is_principal(principal: &str, rows: &Rows, row: usize) -> bool {
    rows.identity(&["arn"], row) == principal || user_name(rows, row) == principal
}

fn is_user(pattern: &Pattern, rows: &Rows, row: usize) -> bool {
    const NAMES: &[&[&str]] = &[
        &["username"],
        &["arn"],
        &["principalid"],
        &["sessioncontext", "sessionissuer", "username"],
        &["sessioncontext", "sessionissuer", "arn"],
        &["invokedby"],
    ];
    pattern.matches(&user_name(rows, row))
        || NAMES.iter().any(|path| pattern.matches(rows.identity(path, row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_ignore_case_and_never_match_an_absent_value() {
        let pattern: Pattern = "Get*Identity".parse().unwrap();
        assert!(pattern.matches("GetCallerIdentity") && pattern.matches("getcalleridentity"));
        assert!(!pattern.matches("GetCallerIdentityX"));
        assert!(!"*".parse::<Pattern>().unwrap().matches(""));
        assert!("".parse::<Pattern>().is_err());
    }

    #[test]
    fn addresses_blocks_and_names_of_services_are_told_apart() {
        let range = |text: &str| text.parse::<IpRange>().unwrap();
        assert!(range("198.51.100.7").matches("198.51.100.7"));
        assert!(range("198.51.100.7/24").matches("198.51.100.200"));
        assert!(!range("198.51.100.0/24").matches("198.51.101.1"));
        assert!(range("2001:db8::/32").matches("2001:db8:1::1"));
        assert!(range("*.amazonaws.com").matches("ec2.amazonaws.com"));
        assert!(!range("10.0.0.0/8").matches("ec2.amazonaws.com"));
        assert!("10.0.0.0/99".parse::<IpRange>().is_err());
    }

    #[test]
    fn a_service_matches_by_its_short_name() {
        let s3: Pattern = "s3".parse().unwrap();
        assert!(is_source(&s3, "s3.amazonaws.com") && !is_source(&s3, "s3express.amazonaws.com"));
        assert!(is_source(&"*.amazonaws.com".parse().unwrap(), "s3.amazonaws.com"));
    }
}
