//! The partition keys of a lake when no option gives them: those that it has, or what fits the volume.

use crate::engine::unreadable::Unreadable;
use crate::engine::{ConvertOptions, PartitionChoice, Volume};
use crate::error::Result;
use crate::lake::{Intent, Known, Manifest, OutputSettings};
use crate::notice::tell;
use crate::operations::estimate::new_feed;
use crate::operations::options_check::adopt;
use crate::source::Object;
use crate::storage::Storage;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Objects that are listed at most to learn of the volume: 200 requests to a bucket, of which several are
/// under way at once.
const MOST_SURVEYED: u64 = 200_000;

/// Gives the options the layout of the lake, where it has one: partition keys, unless they are given, and
/// whether there are typed tables. For a new lake partition keys are chosen, and told.
///
/// # Errors
/// As for a listing, and for reading manifests.
pub(super) fn settle(
    options: &ConvertOptions,
    storage: &Storage,
    handle: &Handle,
) -> Result<(ConvertOptions, Option<PartitionChoice>)> {
    let mut options = options.clone();
    let last = handle.block_on(last_settings(storage))?;
    if let Some(last) = last {
        adopt(&mut options, last);
        return Ok((options, None));
    }
    if !options.is_layout_chosen {
        return Ok((options, None));
    }
    let choice = survey(&options, handle)?.choose();
    tell(&format!("the new lake is partitioned by {choice}"));
    options.output.partition_by = choice.partition_by.clone();
    Ok((options, Some(choice)))
}

/// As [`settle`], for objects that are named by a queue: the volume of a new lake is that of the sources, if
/// some are given, else that of the objects.
///
/// # Errors
/// As [`settle`].
pub(super) fn settle_for(
    options: &ConvertOptions,
    objects: &[Object],
    storage: &Storage,
    handle: &Handle,
) -> Result<ConvertOptions> {
    if !options.sources.is_empty() {
        return settle(options, storage, handle).map(|(options, _)| options);
    }
    let mut options = options.clone();
    if let Some(last) = handle.block_on(last_settings(storage))? {
        adopt(&mut options, last);
    } else if options.is_layout_chosen {
        let mut volume = Volume::default();
        for object in objects {
            volume.add(&object.layout, object.json_estimate);
        }
        let choice = volume.choose();
        tell(&format!("the new lake is partitioned by {choice}"));
        options.output.partition_by = choice.partition_by;
    }
    Ok(options)
}

/// Lists the sources, as far as that says something of their volume.
///
/// # Errors
/// As for a listing.
fn survey(options: &ConvertOptions, handle: &Handle) -> Result<Volume> {
    let unreadable = Arc::new(Unreadable::default());
    let mut feed = handle.block_on(new_feed(options, &unreadable))?;
    let mut volume = Volume::default();
    while volume.objects() < MOST_SURVEYED
        && let Some(unit) = feed.next(handle)?
    {
        for object in &unit.objects {
            volume.add(&object.layout, object.json_estimate);
        }
    }
    Ok(volume)
}

/// Returns the settings of a unit, or of one that was announced in a lake without any: a run that was
/// killed is finished with the layout that it began with. Manifests are read where no checkpoint says it.
async fn last_settings(storage: &Storage) -> Result<Option<OutputSettings>> {
    if let Some(settings) = Known::read_settings(storage).await? {
        return Ok(Some(settings));
    }
    let found = std::cell::RefCell::new(None);
    Manifest::any_newest_first(storage, |manifest| {
        found.borrow_mut().clone_from(&manifest.settings);
        manifest.settings.is_some()
    })
    .await?;
    let found = found.into_inner();
    if found.is_some() {
        return Ok(found);
    }
    let intents = Intent::read_all(storage).await?;
    Ok(intents.into_iter().find_map(|intent| intent.basis).map(|basis| basis.settings))
}
