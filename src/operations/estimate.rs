//! What a conversion would read and make; nothing is written.

use crate::engine::feed::{Feed, FeedOptions, Resumed};
use crate::engine::unreadable::{Broken, Unreadable};
use crate::engine::{Candidate, ConvertOptions, PartitionChoice, Volume, runtime};
use crate::error::{Error, Result};
use crate::lake::{CompleteListing, Intent, Known, Unavailable};
use crate::operations::look_back::{sources, today};
use crate::operations::options_check::{adopt, check_from_digests};
use crate::operations::preflight::{refuse_empty, refuse_others};
use crate::operations::prove::{ask_digests, with_proofs};
use crate::operations::recover::recover;
use crate::source::{ListingReport, Object, Source};
use crate::storage::Storage;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a conversion would read and make.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Estimate {
    /// Objects to read.
    pub objects: u64,
    /// Objects passed over by their key.
    pub objects_ignored: u64,
    /// Objects that the lake holds.
    pub objects_known: u64,
    /// Objects and folders that cannot be read, as far as the listing says.
    pub objects_unavailable: u64,
    /// The same by reason.
    pub unavailable_by_reason: BTreeMap<String, u64>,
    /// Bytes to read, as stored.
    pub bytes: u64,
    /// An estimate of their JSON bytes.
    pub bytes_json_estimate: u64,
    /// Units.
    pub units: u64,
    /// Of them, units that an earlier run had begun.
    pub units_resumed: u64,
    /// What was listed, and what was left out.
    pub listing: ListingReport,
    /// The partition keys of the lake, or those that a new one would have.
    pub partition_by: String,
    /// The partitions that would get files, about; none where the keys of objects do not say.
    pub partitions: Option<Candidate>,
    /// Why a new lake would have these partition keys, if no option says.
    pub partitions_chosen: Option<PartitionChoice>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Objects by account, region and delivery date, as far as the keys say.
    pub by_delivery: BTreeMap<String, u64>,
}

/// Says what a conversion with these options would do; writes nothing.
///
/// # Errors
/// As for a conversion's listing and ledger.
pub fn estimate(options: &ConvertOptions) -> Result<Estimate> {
    check_from_digests(options)?;
    let runtime = runtime()?;
    runtime.block_on(refuse_empty(options))?;
    let unreadable = Arc::new(Unreadable::default());
    let mut options = options.clone();
    let (mut feed, known) = runtime.block_on(async {
        let is_absent = options.lake.local().is_some_and(|folder| !folder.is_dir());
        if is_absent {
            options = ask_digests(&options, &[], &Unavailable::default()).await?;
            return Ok((new_feed(&options, &unreadable).await?, Known::default()));
        }
        let storage = Storage::open(&options.lake, &options.s3).await?;
        let known = Known::read(&storage).await?;
        if let Some(last) = known.snapshot.last() {
            adopt(&mut options, last.settings.clone());
        }
        options = with_proofs(&options, &storage).await?;
        let options = &options;
        let intents = Intent::read_all(&storage).await?;
        let resumed =
            recover(options, &options.sources, &storage, &known, intents, &Broken::default())
                .await?
                .resumed;
        let listed = CompleteListing::read_all(&storage).await?;
        let lake = Some((&storage, &known));
        let before = Unavailable::read(&storage).await?;
        let sources = sources(options, &listed, &before);
        let feed = open_feed(options, sources, lake, resumed, &unreadable);
        Ok::<_, Error>((feed.await?, known))
    })?;
    let (mut report, mut volume) = (Estimate::default(), Volume::default());
    while let Some(unit) = feed.next(runtime.handle())? {
        report.units += 1;
        report.units_resumed += u64::from(unit.is_resumed);
        for object in &unit.objects {
            report.add(object);
            volume.add(&object.layout, object.json_estimate);
        }
    }
    report.add_partitions(&volume, &options, &known);
    let seen = feed.seen();
    report.objects_ignored = seen.report.objects_ignored;
    report.objects_known = seen.known;
    report.objects_unavailable = unreadable.count();
    report.unavailable_by_reason = unreadable.by_reason();
    report.listing = seen.report;
    if report.units == 0 && unreadable.count() == 0 {
        refuse_others(&known, &report.listing)?;
    }
    Ok(report)
}

/// Lists sources for a lake that is not there.
///
/// # Errors
/// As for a listing.
pub(super) async fn new_feed(
    options: &ConvertOptions,
    unreadable: &Arc<Unreadable>,
) -> Result<Feed> {
    let sources = sources(options, &[], &Unavailable::default());
    open_feed(options, sources, None, Resumed::default(), unreadable).await
}

/// Begins to list what a conversion would read.
async fn open_feed(
    options: &ConvertOptions,
    sources: Vec<Source>,
    lake: Option<(&Storage, &Known)>,
    resumed: Resumed,
    unreadable: &Arc<Unreadable>,
) -> Result<Feed> {
    Feed::open(FeedOptions {
        options,
        sources,
        named: None,
        today: today(),
        lake,
        resumed,
        only: None,
        plan: None,
        unreadable: Arc::clone(unreadable),
        work: Arc::default(),
    })
    .await
}

impl Estimate {
    fn add_partitions(&mut self, volume: &Volume, options: &ConvertOptions, known: &Known) {
        let is_chosen = known.snapshot.last().is_none() && options.is_layout_chosen;
        self.partitions_chosen = is_chosen.then(|| volume.choose());
        let chosen = self.partitions_chosen.as_ref().map(|choice| &choice.partition_by);
        let by = chosen.unwrap_or(&options.output.partition_by).clone();
        self.partition_by = by.to_string();
        self.partitions = volume.candidate(&by);
        self.warnings.extend(volume.warning(&by));
    }

    fn add(&mut self, object: &Object) {
        self.objects += 1;
        self.bytes += object.size;
        self.bytes_json_estimate += object.json_estimate;
        let layout = &object.layout;
        let part = |text: &str| if text.is_empty() { "?".to_owned() } else { text.to_owned() };
        let key =
            format!("{} {} {}", part(&layout.account), part(&layout.region), part(&layout.date));
        *self.by_delivery.entry(key).or_default() += 1;
    }
}
