//! What a conversion would do: objects, subtracted from the ledger, cut into units.

use crate::commit::{Intent, Ledger, Manifest, UnitId, unit_identity};
use crate::error::Result;
use crate::pipeline::ConvertOptions;
use crate::source::{Object, list};
use crate::storage::Storage;
use hashbrown::HashMap;
use serde::Serialize;
use std::collections::BTreeMap;

/// A unit to convert.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub id: UnitId,
    pub objects: Vec<Object>,
    /// Whether an earlier run wrote its intent.
    pub is_resumed: bool,
}

impl Unit {
    /// Returns an estimate of the JSON bytes of its objects.
    pub(super) fn json_estimate(&self) -> u64 {
        self.objects.iter().map(|object| object.json_estimate).sum()
    }

    pub(super) fn intent(&self, settings: &str) -> Intent {
        Intent {
            unit: self.id.clone(),
            settings: settings.to_owned(),
            objects: self.objects.iter().map(|o| (o.key.clone(), o.etag.clone())).collect(),
        }
    }
}

/// What is to be done in a lake.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Units in the order of their numbers.
    pub units: Vec<Unit>,
    /// Intents that cannot be finished as they are: other settings, objects that are gone, a gap.
    pub abandoned: Vec<Intent>,
    /// Intents whose manifest exists: only their removal is left.
    pub finished: Vec<UnitId>,
    /// Objects passed over by their key.
    pub ignored: u64,
    /// Objects that the lake holds.
    pub known: u64,
}

/// Lists the sources, subtracts the ledger and cuts units; unfinished intents come first.
pub(crate) async fn make_work(
    options: &ConvertOptions,
    manifests: &[Manifest],
    intents: Vec<Intent>,
) -> Result<Work> {
    let settings = options.settings();
    let mut ledger = Ledger::from_manifests(manifests);
    let listing = list(&options.sources, &options.s3).await?;
    let mut work = Work { ignored: listing.ignored, ..Work::default() };
    let by_key: HashMap<&str, &Object> =
        listing.objects.iter().map(|object| (object.key.as_str(), object)).collect();
    // Units must have the numbers of an undisturbed run. Intents are written side by side, so that a
    // killed run may lack one among them, and a dead run's put may arrive long after: only those that
    // follow on the manifests without a gap are finished, the others are cut anew.
    let mut number = ledger.next_number();
    for intent in intents {
        if manifests.iter().any(|manifest| manifest.unit == intent.unit) {
            work.finished.push(intent.unit);
            continue;
        }
        let objects: Option<Vec<Object>> = intent
            .objects
            .iter()
            .map(|(key, etag)| {
                by_key.get(key.as_str()).filter(|o| o.etag == *etag).map(|o| (*o).clone())
            })
            .collect();
        let is_new = |object: &Object| !ledger.contains(&object.key, &object.etag);
        match objects {
            Some(objects)
                if intent.settings == settings
                    && intent.unit.number == number
                    && objects.iter().all(is_new) =>
            {
                number += 1;
                for object in &objects {
                    ledger.add(&object.key, &object.etag);
                }
                work.units.push(Unit { id: intent.unit, objects, is_resumed: true });
            }
            _ => work.abandoned.push(intent),
        }
    }
    drop(by_key);
    let mut current: Vec<Object> = Vec::new();
    let mut current_size = 0;
    let mut cut = |objects: &mut Vec<Object>, units: &mut Vec<Unit>| {
        if objects.is_empty() {
            return;
        }
        let pairs = objects.iter().map(|o| (o.key.as_str(), o.etag.as_str()));
        let identity = unit_identity(&settings, pairs);
        let id = UnitId { number, identity };
        number += 1;
        units.push(Unit { id, objects: std::mem::take(objects), is_resumed: false });
    };
    for object in listing.objects {
        if ledger.contains(&object.key, &object.etag) {
            work.known += 1;
            continue;
        }
        let size = object.json_estimate;
        // An archive is a unit of its own: it is read from one end to the other.
        let is_alone = object.archive.is_some();
        if is_alone || current_size + size > options.unit_size.0 {
            cut(&mut current, &mut work.units);
            current_size = 0;
        }
        current_size += size;
        current.push(object);
        if is_alone {
            cut(&mut current, &mut work.units);
            current_size = 0;
        }
    }
    cut(&mut current, &mut work.units);
    let resumed: u64 =
        work.units.iter().filter(|u| u.is_resumed).map(|u| u.objects.len() as u64).sum();
    work.known = work.known.saturating_sub(resumed);
    Ok(work)
}

/// What a conversion would read and make.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PlanReport {
    /// Objects to read.
    pub objects: u64,
    /// Objects passed over by their key.
    pub objects_ignored: u64,
    /// Objects that the lake holds.
    pub objects_known: u64,
    /// Their bytes as stored.
    pub bytes: u64,
    /// An estimate of their JSON bytes.
    pub bytes_json_estimate: u64,
    /// Units.
    pub units: u64,
    /// Of them, units that an earlier run had begun.
    pub units_resumed: u64,
    /// Objects by account, region and delivery date, as far as the keys say.
    pub by_delivery: BTreeMap<String, u64>,
}

/// Says what a conversion with these options would do; writes nothing.
///
/// # Errors
/// As for a conversion's listing and ledger.
pub fn plan(options: &ConvertOptions) -> Result<PlanReport> {
    let runtime = super::convert::runtime()?;
    let work = runtime.block_on(async {
        let is_absent = options.lake.local().is_some_and(|folder| !folder.is_dir());
        let (manifests, intents) = if is_absent {
            Default::default()
        } else {
            let storage = Storage::open(&options.lake, &options.s3).await?;
            (Manifest::read_all(&storage).await?, Intent::read_all(&storage).await?)
        };
        make_work(options, &manifests, intents).await
    })?;
    let mut report = PlanReport {
        objects_ignored: work.ignored,
        objects_known: work.known,
        units: work.units.len() as u64,
        units_resumed: work.units.iter().filter(|unit| unit.is_resumed).count() as u64,
        ..PlanReport::default()
    };
    for object in work.units.iter().flat_map(|unit| &unit.objects) {
        report.objects += 1;
        report.bytes += object.size;
        report.bytes_json_estimate += object.json_estimate;
        let layout = &object.layout;
        let part = |text: &str| if text.is_empty() { "?".to_owned() } else { text.to_owned() };
        let key =
            format!("{} {} {}", part(&layout.account), part(&layout.region), part(&layout.date));
        *report.by_delivery.entry(key).or_default() += 1;
    }
    Ok(report)
}
