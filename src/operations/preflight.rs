//! Runs that find nothing: a mistyped address must not look like a quiet night.
//!
//! A source that gives nothing at all is an ordinary thing where the lake knows objects of it: they were
//! converted, and removed since. Anywhere else it is more likely the wrong one.

use crate::engine::{ConvertOptions, Report};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{CompleteListing, Known, Manifest};
use crate::location::Location;
use crate::source::{ListingReport, is_empty, is_in};
use crate::storage::{OWN, Storage};
use crate::units::{counted, counted_as};

/// Refuses sources in all of which nothing lies, unless the lake knows objects of one. Returns what to say
/// about empty ones beside others.
///
/// # Errors
/// `Config` when nothing lies in any source; as for opening a bucket and for reading manifests.
pub(super) async fn refuse_empty(options: &ConvertOptions) -> Result<Vec<String>> {
    let mut empty = Vec::new();
    for source in &options.sources {
        if is_empty(source, &options.s3).await? {
            empty.push(source);
        }
    }
    if empty.len() < options.sources.len() || knows_any(options, &empty).await? {
        let warning = |source: &&Location| format!("nothing found in {source}: check the address");
        // Of those that are known one by one, nothing need be said every night.
        let is_all = empty.len() == options.sources.len();
        return Ok(empty.iter().filter(|_| !is_all).map(warning).collect());
    }
    let places: Vec<String> = empty.iter().map(ToString::to_string).collect();
    let message = format!(
        "nothing found in {}, and the lake has no object of it: check the address; a prefix must \
         match the start of the keys exactly",
        places.join(", ")
    );
    Err(Error::config(message))
}

/// Whether the lake holds an object that lay in one of these sources.
async fn knows_any(options: &ConvertOptions, sources: &[&Location]) -> Result<bool> {
    let is_absent = options.lake.local().is_some_and(|folder| !folder.join(OWN).is_dir());
    if is_absent || sources.is_empty() {
        return Ok(false);
    }
    let storage = Storage::open(&options.lake, &options.s3).await?;
    let listed = CompleteListing::read_all(&storage).await?;
    let is_known = |listing: &CompleteListing| {
        listing.objects > 0 && sources.iter().any(|source| listing.source == source.to_string())
    };
    if listed.iter().any(is_known) {
        return Ok(true);
    }
    // What was converted last is most likely of the same source.
    Manifest::any_newest_first(&storage, |manifest| {
        manifest.objects.iter().any(|object| sources.iter().any(|s| is_in(s, &object.key)))
    })
    .await
}

/// Says what a first run saw that found objects, and nothing among them to convert.
pub(super) fn only_others(known: &Known, listing: &ListingReport) -> Option<String> {
    if known.snapshot.last().is_some() {
        return None;
    }
    let passed_over = listing.objects_ignored + listing.folders_ignored.values().sum::<u64>();
    let mut seen = Vec::new();
    if passed_over > 0 {
        let folders: Vec<&str> = listing.folders_ignored.keys().map(String::as_str).collect();
        let folders = match folders.is_empty() {
            true => String::new(),
            false => format!(" ({})", folders.join(", ")),
        };
        let nouns = ("object or folder", "objects and folders");
        let passed_over = counted_as(passed_over, nouns.0, nouns.1);
        seen.push(format!("{passed_over} of other kinds{folders}"));
    }
    if listing.names_hidden > 0 {
        let nouns = ("hidden file or folder", "hidden files and folders");
        let hidden = counted_as(listing.names_hidden, nouns.0, nouns.1);
        seen.push(format!("{hidden} (`--hidden` reads them)"));
    }
    if listing.objects_unwanted > 0 {
        let objects = counted(listing.objects_unwanted, "object");
        seen.push(format!("{objects} left out by options"));
    }
    if seen.is_empty() {
        seen.push("nothing else either".to_owned());
    }
    Some(format!(
        "no CloudTrail log to convert found in the sources, but {}: check addresses and options; \
         nothing was converted",
        seen.join(" and ")
    ))
}

/// Refuses to plan such a run.
///
/// # Errors
/// `NothingFound`, saying what there was.
pub(super) fn refuse_others(known: &Known, listing: &ListingReport) -> Result<()> {
    let others = only_others(known, listing);
    others.map_or(Ok(()), |others| Err(Error::new(ErrorKind::NothingFound, others)))
}

/// Says so when all that a run was given held no CloudTrail records, or all that the lake was ever given.
pub(super) fn note_unrecognized(report: &mut Report, has_tables: bool) {
    let foreign: u64 = report.ignored_by_kind.values().sum();
    let is_any = report.objects_read > foreign + report.objects_quarantined;
    // Where everything is known from before, it had no records then.
    let has_read = report.units > 0 || report.objects_known > 0;
    let is_first = report.objects_known == 0 && report.objects_read > 0;
    report.nothing_recognized = has_read && !is_any && (!has_tables || is_first);
    if report.nothing_recognized
        && let Some(what) = what_was_read(report, foreign)
    {
        report.warnings.push(format!("{what}: is this the right source?"));
    }
}

/// What to say of a run in which no record was found; nothing where all is in the quarantine, with a reason.
fn what_was_read(report: &Report, foreign: u64) -> Option<String> {
    Some(match (report.units, foreign, report.objects_quarantined) {
        (0, ..) => "no object that was read before holds CloudTrail records: see `trailmill \
                    ignored` and `trailmill quarantine`"
            .to_owned(),
        (_, 0, 0) => "no log was found in the archives that were read".to_owned(),
        (_, 0, _) => return None,
        (_, 1, 0) => "the only object that was read holds no CloudTrail records".to_owned(),
        (_, count, 0) => {
            format!("none of the {count} objects that were read holds CloudTrail records")
        }
        (_, count, bad) => format!(
            "no record was found: {} without CloudTrail records, and {bad} in the quarantine",
            counted(count, "object")
        ),
    })
}
