//! The schema of sources, and a look at their records before anything is written.

use crate::engine::feed::Feed;
use crate::engine::fetch::fetch_all;
use crate::engine::unit::Unit;
use crate::engine::unreadable::Unreadable;
use crate::engine::{ConvertOptions, runtime};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::operations::estimate::new_feed;
use crate::operations::preflight::refuse_empty;
use crate::rows::{
    Fingerprints, Host, Input, Parsed, SegmentObject, SegmentParser, Visiting, parse_segment,
};
use crate::schema::{Lock, Observed};
use crate::source::{Member, Object, members};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Reads all objects on this thread, unit by unit and member by member, and writes nothing.
pub(super) fn parse_all(
    options: &ConvertOptions,
    feed: &mut Feed,
    typed: bool,
    unreadable: &Arc<Unreadable>,
    runtime: &Handle,
    mut see: impl FnMut(&Unit),
    mut visit: impl FnMut(&Parsed) -> Result<()>,
) -> Result<()> {
    let rows = options.rows(typed, Fingerprints::default());
    let mut worker = SegmentParser::new(options.decoder(), &rows);
    let mut parsed = Parsed::default();
    let mut visiting = Visiting(&mut visit);
    let mut parse = |objects: Vec<SegmentObject>| -> Result<()> {
        parse_segment(objects, &mut worker, &rows, &mut parsed, &mut visiting)?;
        visiting.take_part(&mut parsed)
    };
    while let Some(unit) = feed.next(runtime)? {
        see(&unit);
        match &unit.objects[..] {
            [object @ Object { is_archive: true, .. }] => {
                let archive = object.open(runtime)?;
                let read = members(archive, &options.unpacking(object), &mut |member: Member| {
                    parse(vec![SegmentObject::member(&object.key, member, 0)])
                });
                if read.map_err(|err| err.at("archive", &object.key))?.is_none() {
                    parse(vec![whole(object, runtime)?])?;
                }
            }
            objects => {
                let all = fetch_all(objects.to_vec(), unreadable);
                let (fetched, _) = runtime.block_on(all)?;
                parse(fetched.into_iter().map(|fetched| fetched.object).collect())?;
            }
        }
    }
    match unreadable.list(|_| true).objects.first() {
        Some(object) if unreadable.count() > 0 => {
            Err(Error::bad_input(object.reason.clone()).at("object", &object.object))
        }
        _ => Ok(()),
    }
}

/// An object with an archive's name that is none.
fn whole(object: &Object, runtime: &Handle) -> Result<SegmentObject> {
    let mut bytes = Vec::new();
    let read = object.open(runtime)?.read_to_end(&mut bytes);
    read.map_err(|err| Error::io("cannot be read", err).at("object", &object.key))?;
    Ok(SegmentObject::new(object, Input::Bytes(bytes.into())))
}

/// Infers the schema of the sources: what a conversion into a new lake would lock, without writing
/// anything.
///
/// # Errors
/// `Config` for a source that does not exist, `Io` when one cannot be read.
pub fn infer(options: &ConvertOptions, from_seed: bool) -> Result<Lock> {
    let mut lock = if from_seed { Lock::seed()? } else { Lock::empty() };
    let runtime = runtime()?;
    let handle = runtime.handle();
    handle.block_on(refuse_empty(options))?;
    let unreadable = Arc::new(Unreadable::default());
    let mut feed = handle.block_on(new_feed(options, &unreadable))?;
    let mut seen = BTreeMap::new();
    parse_all(
        options,
        &mut feed,
        true,
        &unreadable,
        handle,
        |_| {},
        |parsed| {
            observe(parsed, &mut seen);
            Ok(())
        },
    )?;
    for ((family, name), observed) in seen {
        lock.merge(family, name, &observed);
    }
    Ok(lock)
}

/// Joins what the free-form values of parsed rows look like to what was seen before.
pub(super) fn observe(parsed: &Parsed, seen: &mut BTreeMap<(Family, &'static str), Observed>) {
    for table in &parsed.tables {
        for (column, observed) in table.observe_nested(&parsed.texts) {
            seen.entry((table.family, column)).or_default().join(observed);
        }
    }
}
