//! The question: criteria that a row meets or not, and what they rule out before a file is opened.

use crate::error::{Error, Result};
use crate::history::about::may_be_about;
use crate::history::columns::Rows;
use crate::history::criterion::Criterion;
use crate::history::event::{session_of, user_name};
use crate::history::pattern::Pattern;
use crate::history::resources::{listed, named};
use crate::scan::{LiveFile, OpenFile};
use ipnet::IpNet;
use std::net::IpAddr;
use std::str::FromStr;

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

    /// The only text that matches, if there is one: an address of version 4 has no other spelling.
    fn only(&self) -> Option<String> {
        match self {
            Self::Net(IpNet::V4(net)) if net.prefix_len() == 32 => Some(net.addr().to_string()),
            _ => None,
        }
    }
}

/// The members of an identity that a user may be called by.
const USER: &[&str] = &[
    "useridentity.username",
    "useridentity.arn",
    "useridentity.principalid",
    "useridentity.sessioncontext.sessionissuer.username",
    "useridentity.sessioncontext.sessionissuer.arn",
    "useridentity.invokedby",
];

/// What the root user is called.
const ROOT: &str = "root";

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

    /// Returns the rows of a row group that meet the criteria of single columns and may be about a
    /// resource that is asked for, in ascending order. Whether they meet the others is for
    /// [`Filter::matches`], [`Filter::is_about`] and [`Filter::is_in_request`] to say.
    ///
    /// # Errors
    /// `Damaged` when the columns cannot be read.
    pub fn rows(&self, file: &OpenFile, group: usize) -> Result<Vec<usize>> {
        let rows = Criterion::rows(&self.criteria(), file, group)?;
        may_be_about(&self.resources, file, group, rows)
    }

    /// The criteria of single columns: rows are sorted by the first two.
    fn criteria(&self) -> Vec<Criterion<'_>> {
        let is_source = |value: &str| any(&self.sources, |it| is_source(it, value));
        let is_id = |value: &str| any(&self.ids, |it| it == value);
        let is_address = |value: &str| any(&self.ips, |it| it.matches(value));
        let is_session = |value: &str| any(&self.sessions, |it| it.matches(session_of(value)));
        let is_user =
            |value: &str| any(&self.users, |it| it.matches(value) || it.matches(session_of(value)));
        let principal = self.principal.as_deref().unwrap_or(ROOT);
        let is_principal = move |value: &str| value == principal || session_of(value) == principal;
        let is_read_only = |value: &str| self.read_only.is_none_or(|it| (value == "true") == it);
        let addresses: Option<Vec<String>> = self.ips.iter().map(IpRange::only).collect();
        // No member says what the root user is called.
        let is_root = self.users.iter().any(|it| it.matches(ROOT));
        let all = [
            (!self.sources.is_empty(), Criterion::new(&["eventsource"], is_source)),
            (!self.events.is_empty(), matching(&["eventname"], &self.events)),
            (!self.errors.is_empty(), matching(&["errorcode"], &self.errors)),
            (!self.ids.is_empty(), Criterion::new(&["eventid"], is_id).only(self.ids.clone())),
            (
                !self.access_keys.is_empty(),
                matching(&["useridentity.accesskeyid"], &self.access_keys),
            ),
            (
                !self.ips.is_empty(),
                Criterion::new(&["sourceipaddress"], is_address)
                    .only(addresses.unwrap_or_default()),
            ),
            (!self.sessions.is_empty(), Criterion::new(&["useridentity.principalid"], is_session)),
            (!self.users.is_empty() && !is_root, Criterion::new(USER, is_user)),
            (principal != ROOT, Criterion::new(USER, is_principal)),
            (!self.accounts.is_empty(), matching(&["recipientaccountid"], &self.accounts)),
            (!self.regions.is_empty(), matching(&["awsregion"], &self.regions)),
            (self.read_only.is_some(), Criterion::new(&["readonly"], is_read_only)),
        ];
        all.into_iter().filter_map(|(is_asked, it)| is_asked.then_some(it)).collect()
    }

    /// Returns the columns that [`Filter::matches`] looks at.
    pub fn columns(&self) -> Vec<&'static str> {
        let has_users = !self.users.is_empty() || self.principal.is_some();
        let users = USER.iter().chain(&["useridentity.type"]).filter(|_| has_users);
        ["event_timestamp"].iter().chain(users).copied().collect()
    }

    /// Returns whether a row of [`Filter::rows`] meets the criteria of time and of users; its columns are
    /// those of [`Filter::columns`].
    pub fn matches(&self, rows: &Rows, row: usize) -> bool {
        let instant = rows.instant(row);
        self.since.is_none_or(|since| instant >= since)
            && self.until.is_none_or(|until| instant < until)
            && any(&self.users, |it| is_user(it, rows, row))
            && self.principal.as_ref().is_none_or(|principal| is_principal(principal, rows, row))
    }

    /// Returns whether a row is about a resource that is asked for, by its
    /// [`RESOURCE_COLUMNS`](crate::history::RESOURCE_COLUMNS); nothing where
    /// only its request can tell.
    pub fn is_about(&self, rows: &Rows, row: usize) -> Option<bool> {
        let is_wanted = |name: &str| any(&self.resources, |it| it.matches(name));
        let (bucket, key) = (rows.text("s3_bucket", row), rows.text("s3_key", row));
        if is_wanted(bucket)
            || is_wanted(rows.text("lambda_function", row))
            || (!key.is_empty() && is_wanted(&format!("{bucket}/{key}")))
        {
            return Some(true);
        }
        let listed = listed(rows, row);
        if !listed.is_empty() {
            return Some(listed.iter().any(|resource| is_wanted(&resource.name)));
        }
        // A request to S3 names its bucket and its key.
        let is_s3 = rows.text("eventsource", row) == "s3.amazonaws.com" && !bucket.is_empty();
        is_s3.then_some(false)
    }

    /// Returns whether the request of a row names a resource that is asked for, by its
    /// [`REQUEST_COLUMNS`](crate::history::REQUEST_COLUMNS).
    pub fn is_in_request(&self, rows: &Rows, row: usize) -> bool {
        let is_wanted = |name: &str| any(&self.resources, |it| it.matches(name));
        // Most requests name nothing that is asked for, which is seen without taking them apart.
        let request = rows.text("requestparameters", row);
        any(&self.resources, |it| it.may_be_in_json(request))
            && named(rows, row).iter().any(|resource| is_wanted(&resource.name))
    }
}

fn matching<'a>(columns: &'static [&'static str], patterns: &'a [Pattern]) -> Criterion<'a> {
    Criterion::new(columns, |value| any(patterns, |it| it.matches(value)))
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
    pattern.matches(&user_name(rows, row))
        || USER.iter().any(|member| pattern.matches(rows.dotted(member, row)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
