//! What a run lists of its sources: what options ask for, and how far it looks back.
//!
//! Once a source has been listed from one end to the other, and all of it converted, later runs list
//! what was delivered since then, and some days before: objects arrive late, up to 30 days by AWS's
//! word (docs/aws-facts.md A4). The days are counted back from the last such listing and not from today, so
//! that a nightly job that was down for two months misses nothing.
//!
//! A source of [`SMALL`] objects or fewer is listed whole every time, unless an option says how far to
//! look back: that takes a hundred requests at most, and finds old logs that are copied into it.

use crate::engine::{ConvertOptions, Retry};
use crate::error::Result;
use crate::lake::{CompleteListing, Unavailable};
use crate::location::Location;
use crate::source::{Narrow, Source, Window};
use crate::storage::Storage;
use crate::units::Day;
use std::path::Path;

/// Days before the last complete listing that are listed again, unless an option says otherwise.
const DEFAULT_LOOK_BACK_DAYS: u32 = 35;

/// Objects that are not worth a look-back: a hundred LIST requests.
const SMALL: u64 = 100_000;

/// Returns the day it is, in UTC.
pub(super) fn today() -> Day {
    Day::of(jiff::Timestamp::now().as_millisecond())
}

/// Returns the sources with their windows.
pub(super) fn sources(
    options: &ConvertOptions,
    listed: &[CompleteListing],
    unavailable: &Unavailable,
) -> Vec<Source> {
    let today = today();
    let narrow = &options.narrow;
    let looks_back = looks_back(options);
    let since = |location: &Location| {
        let days = options.look_back_days.unwrap_or(DEFAULT_LOOK_BACK_DAYS).min(1 << 20) as i32;
        let is_worth_it =
            |last: &&CompleteListing| options.look_back_days.is_some() || last.objects > SMALL;
        let last =
            last_listing(location, listed, today).filter(|_| looks_back).filter(is_worth_it)?;
        let since = last.day().map(|day| day.plus(-days));
        if options.look_back_days.is_some() {
            return since;
        }
        // What could not be read is tried again, however long ago it was delivered.
        let oldest = unavailable.since.as_ref().and_then(|day| day.parse().ok());
        since.filter(|_| !unavailable.has_folders).map(|day| oldest.map_or(day, |old| day.min(old)))
    };
    let source = |location: &Location| Source {
        window: Window {
            narrow: narrow.clone(),
            since: since(location),
            reads_hidden: options.output.hidden,
            named: options.named_days.clone(),
        },
        location: location.clone(),
    };
    options.sources.iter().map(source).collect()
}

/// Returns whether a run with these options may leave out what an earlier one has listed.
fn looks_back(options: &ConvertOptions) -> bool {
    let Narrow { from, to, .. } = &options.narrow;
    !options.full && options.retry == Retry::default() && from.is_none() && to.is_none()
}

/// Returns the day on which what lies at an address was listed last, if that counts for a run with these
/// options.
pub(super) fn last_listed(
    options: &ConvertOptions,
    listed: &[CompleteListing],
    address: &str,
) -> Option<Day> {
    let location = address.parse().ok().filter(|_| looks_back(options))?;
    last_listing(&location, listed, today())?.day()
}

/// Returns whether a run with these options comes across an object, if it is there.
pub(super) fn is_listed(options: &ConvertOptions, key: &str) -> bool {
    let is_all = options.narrow.is_everything() && options.look_back_days.is_none();
    let is_in = |source: &Location| match source {
        Location::S3 { bucket, prefix } => key
            .strip_prefix("s3://")
            .and_then(|key| key.strip_prefix(bucket.as_str())?.strip_prefix('/'))
            .is_some_and(|key| key.starts_with(prefix.as_str())),
        Location::Local(path) => {
            path.canonicalize().is_ok_and(|root| Path::new(key).starts_with(root))
        }
    };
    is_all && options.sources.iter().any(is_in)
}

/// The last complete listing of a source, or of one around it. Folders are listed whole every time.
///
/// A listing of a day that is yet to come was made with a clock that was ahead, and says nothing about
/// when: it is passed over, and what it saw is listed again.
fn last_listing<'a>(
    location: &Location,
    listed: &'a [CompleteListing],
    today: Day,
) -> Option<&'a CompleteListing> {
    let Location::S3 { bucket, prefix } = location else { return None };
    let covers = |listing: &&CompleteListing| match listing.source.parse() {
        Ok(Location::S3 { bucket: other, prefix: outer }) => {
            other == *bucket && prefix.starts_with(&outer)
        }
        _ => false,
    };
    let is_over = |last: &&CompleteListing| last.day().is_some_and(|day| day <= today);
    listed.iter().filter(covers).filter(is_over).max_by_key(|last| last.day())
}

/// Notes that the sources have been listed and converted from one end to the other.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub(super) async fn note_listings(
    sources: &[Location],
    storage: &Storage,
    known: &[CompleteListing],
    day: Day,
    objects: u64,
) -> Result<()> {
    for source in sources.iter().filter(|source| source.is_s3()) {
        // A run that looked back has not seen all.
        let before = last_listing(source, known, day).map_or(0, |last| last.objects);
        let listing = CompleteListing::new(source.to_string(), day, objects.max(before));
        listing.write(storage, known).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_was_listed_when_one_around_it_was() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let listed = [
            CompleteListing::new("s3://logs/a/".into(), day("2024-05-01"), 1),
            CompleteListing::new("s3://logs/a/AWSLogs/1/".into(), day("2024-06-01"), 1),
            CompleteListing::new("s3://other/".into(), day("2024-07-01"), 1),
        ];
        let last = |source: &str| {
            let today = day("2024-07-01");
            last_listing(&source.parse().unwrap(), &listed, today).and_then(CompleteListing::day)
        };
        assert_eq!(last("s3://logs/a/"), Some(day("2024-05-01")));
        assert_eq!(last("s3://logs/a/AWSLogs/1/CloudTrail/"), Some(day("2024-06-01")));
        assert_eq!(last("s3://logs/"), None);
        assert_eq!(last("/logs/a/"), None);
    }
    #[test]
    fn a_listing_of_a_day_to_come_is_passed_over_for_the_one_before_it() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let source: Location = "s3://logs/".parse().unwrap();
        let of = |days: &[&str]| -> Vec<CompleteListing> {
            days.iter().map(|d| CompleteListing::new("s3://logs/".into(), day(d), 1)).collect()
        };
        let last = |listed: &[CompleteListing], today: &str| {
            last_listing(&source, listed, day(today)).and_then(CompleteListing::day)
        };

        let listed = of(&["2024-05-01", "2024-05-03", "2031-01-01"]);
        assert_eq!(last(&listed, "2024-05-03"), Some(day("2024-05-03")));
        assert_eq!(last(&listed, "2024-05-02"), Some(day("2024-05-01")));
        assert_eq!(last(&listed, "2031-01-01"), Some(day("2031-01-01")));
        assert_eq!(last(&of(&["2031-01-01"]), "2024-05-02"), None, "everything is listed again");
    }
}
