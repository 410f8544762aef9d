//! `--strict`: everything is read once before anything is committed.

use crate::engine::ConvertOptions;
use crate::engine::feed::Feed;
use crate::engine::unit::Unit;
use crate::engine::unreadable::Unreadable;
use crate::error::{Error, Result};
use crate::lake::{Entry, entry};
use crate::operations::infer::parse_all;
use hashbrown::HashSet;
use std::sync::Arc;
use tokio::runtime::Handle;

/// With `--strict`: reads everything once, and refuses before anything is committed; returns the
/// entries of what it looked at.
pub(super) fn refuse_quarantine(
    options: &ConvertOptions,
    feed: &mut Feed,
    unreadable: &Arc<Unreadable>,
    runtime: &Handle,
) -> Result<HashSet<Entry>> {
    let mut looked_at = HashSet::new();
    let see = |unit: &Unit| {
        looked_at.extend(unit.objects.iter().map(|o| entry(&o.layout, &o.key, &o.etag)));
    };
    parse_all(options, feed, false, unreadable, runtime, see, |parsed| {
        match parsed.quarantine.first() {
            None => Ok(()),
            Some(bad) => Err(Error::bad_input(format!(
                "{}; nothing was committed, because of `--strict`",
                bad.reason
            ))
            .at("object", &bad.object)
            .at("record", bad.record.map_or("all".to_owned(), |n| n.to_string()))
            .at("byte", bad.byte)),
        }
    })?;
    Ok(looked_at)
}
