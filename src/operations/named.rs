//! A conversion of objects that a queue has named: nothing is listed, and the catalog is asked only where
//! something new is to be registered.

use crate::catalog::Parameters;
use crate::engine::Report;
use crate::engine::unreadable::Unreadable;
use crate::lake::Intent;
use crate::location::Location;
use crate::source::Object;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long counts in the catalog may be behind: partitions that are registered are left alone until then.
const REFRESH_EVERY: Duration = Duration::from_secs(3600);

/// What the catalog has, as far as this process has brought it in line.
#[derive(Debug, Default)]
pub(super) struct Registered {
    partitions: BTreeSet<String>,
    /// What projection says of the tables, where partitions are projected.
    projections: Option<BTreeMap<String, Parameters>>,
    schema_version: u32,
    since: Option<Instant>,
}

/// What became of the objects of one conversion.
#[derive(Debug, Default)]
pub(super) struct NamedOutcome {
    /// Objects that could not be read and are left, with the reasons.
    pub left: HashMap<String, String>,
    /// Objects that the lake had.
    pub known: HashSet<String>,
    /// Whether all objects were seen to.
    pub is_through: bool,
}

/// Objects to convert, and what is kept from one conversion to the next.
pub(super) struct Naming<'n> {
    pub objects: &'n [Object],
    /// Keys of objects that are gone for good.
    pub gone: &'n [String],
    pub catalog: &'n RefCell<Registered>,
    pub outcome: RefCell<NamedOutcome>,
    /// Whether the catalog is brought in line whatever it has.
    pub is_last: bool,
}

impl Naming<'_> {
    /// Returns whether the catalog was brought in line before.
    pub(super) fn is_registered(&self) -> bool {
        self.catalog.borrow().since.is_some()
    }

    /// Returns whether the catalog is to be brought in line after a conversion.
    pub(super) fn is_due(
        &self,
        report: &Report,
        schema_version: u32,
        projections: impl Fn() -> BTreeMap<String, Parameters>,
    ) -> bool {
        let catalog = self.catalog.borrow();
        let has_partitions = || {
            report.partitions_touched.is_subset(&catalog.partitions)
                || catalog.projections.as_ref().is_some_and(|known| *known == projections())
        };
        let is_current = catalog.since.is_some_and(|since| since.elapsed() < REFRESH_EVERY)
            && catalog.schema_version == schema_version
            && has_partitions();
        self.is_last || !is_current
    }

    /// Notes that the catalog is in line.
    pub(super) fn registered(
        &self,
        report: &Report,
        schema_version: u32,
        projections: Option<BTreeMap<String, Parameters>>,
    ) {
        let mut catalog = self.catalog.borrow_mut();
        catalog.projections = projections;
        catalog.partitions.extend(report.partitions_touched.iter().cloned());
        catalog.schema_version = schema_version;
        catalog.since = Some(Instant::now());
    }

    /// Notes what became of the objects.
    pub(super) fn note(&self, unreadable: &Unreadable, known: &[String], is_through: bool) {
        let left = unreadable.left_out().into_iter().collect();
        let known = known.iter().cloned().collect();
        *self.outcome.borrow_mut() = NamedOutcome { left, known, is_through };
    }
}

/// The buckets in which objects of unfinished units lie: where a queue names objects, there are no sources.
pub(super) fn buckets_of(intents: &[Intent]) -> Vec<Location> {
    let keys = intents.iter().flat_map(|intent| &intent.objects).map(|(key, _)| key.as_str());
    buckets(keys)
}

/// The buckets of objects.
pub(super) fn buckets<'k>(keys: impl IntoIterator<Item = &'k str>) -> Vec<Location> {
    let name = |key: &'k str| Some(key.strip_prefix("s3://")?.split_once('/')?.0);
    let names: BTreeSet<&str> = keys.into_iter().filter_map(name).collect();
    let whole = |bucket: &str| Location::S3 { bucket: bucket.to_owned(), prefix: String::new() };
    names.into_iter().map(whole).collect()
}
