//! Objects that cannot be read just now: what becomes of them, and of a run that meets them.
//!
//! One object must not stop the others. What a listing says cannot be read (an archive class, a file
//! without permission) is left out before a unit is cut; what a fetch is refused is left out before the
//! unit is announced. Neither comes into a unit, a manifest or the ledger, so that the next run finds it
//! as new. What an earlier run could not read is read on trial before it may come into a unit; of an
//! archive, its first byte.
//!
//! A run to which everything is refused has the wrong identity, and ends.

use crate::engine::Report;
use crate::error::{Cause, Error, ErrorKind, Result};
use crate::keys::parse as parse_layout;
use crate::lake::{Unavailable, UnavailableObject};
use crate::source::{ListingReport, Object, Place};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Objects that are refused to a run before it has read any: then it ends.
const MOST_REFUSED: u64 = 256;

/// Objects that are named: some 20 MB.
const MOST_NAMED: usize = 100_000;

/// Objects that turn out in the middle of being read to be unreadable, after which every file is read
/// once before it comes into a unit.
const MOST_BROKEN: usize = 2;

/// Objects whose reading broke off when their units had been announced, by key, with the reasons. The run
/// begins again without them.
#[derive(Debug, Default)]
pub(crate) struct Broken(Mutex<HashMap<String, String>>);

impl Broken {
    fn by_key(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an object, if `err` is a matter of it alone; returns the error.
    pub(crate) fn note(&self, key: &str, err: Error) -> Error {
        if matches!(err.kind(), ErrorKind::Denied | ErrorKind::Io) {
            let cause = std::error::Error::source(&err).map(ToString::to_string);
            let reason = [Some(without_key(err.message(), key)), cause];
            let reason: Vec<String> = reason.into_iter().flatten().collect();
            self.by_key().insert(key.to_owned(), reason.join(": "));
        }
        err
    }

    /// Returns how many objects there are.
    pub(crate) fn count(&self) -> usize {
        self.by_key().len()
    }

    /// Returns whether one of some objects is among them.
    pub(crate) fn has_any(&self, objects: &[Object]) -> bool {
        let by_key = self.by_key();
        objects.iter().any(|object| by_key.contains_key(&object.key))
    }

    fn refusal(&self, key: &str) -> Option<Error> {
        self.by_key().get(key).map(|reason| Error::new(ErrorKind::Io, reason.clone()))
    }
}

/// What a run could not read.
#[derive(Debug, Default)]
pub(crate) struct Unreadable(Mutex<Inner>, Arc<Broken>);

#[derive(Debug, Default)]
struct Inner {
    /// Of earlier runs, by key; what this run has come across is taken out.
    before: HashMap<String, UnavailableObject>,
    list: Unavailable,
    found: Unavailable,
    count: u64,
    by_reason: BTreeMap<String, u64>,
    /// Objects that were read.
    read: u64,
    /// Objects that no earlier run was refused.
    refused: u64,
    first: Option<(ErrorKind, String, String)>,
    /// Whether the lake has nothing yet.
    is_new_lake: bool,
}

impl Unreadable {
    /// Begins with what earlier runs could not read.
    pub(crate) fn new(list: Unavailable, is_new_lake: bool) -> Self {
        let before = list.objects.iter().map(|object| (object.object.clone(), object.clone()));
        let before = before.collect();
        Self(Mutex::new(Inner { before, list, is_new_lake, ..Inner::default() }), Arc::default())
    }

    /// Knows also of objects whose reading broke off.
    pub(crate) fn with_broken(self, broken: &Arc<Broken>) -> Self {
        Self(self.0, Arc::clone(broken))
    }

    /// Returns those whose reading broke off.
    pub(crate) fn broken(&self) -> &Broken {
        &self.1
    }

    /// Returns whether an object is to be read on trial before it may come into a unit: one that an
    /// earlier run could not read; an archive of a bucket, which is not fetched before its unit is
    /// announced; and any file, once the reading of some has broken off.
    pub(crate) fn is_doubted(&self, object: &Object) -> bool {
        self.was_unavailable(&object.key)
            || match object.place {
                Place::Bucket(_) => object.is_archive,
                Place::File => self.1.count() >= MOST_BROKEN,
            }
    }

    /// Sets an object aside whose reading broke off; returns whether it is one.
    ///
    /// # Errors
    /// As [`Unreadable::leave_out_blocked`].
    pub(crate) fn is_broken(&self, object: &Object) -> Result<bool> {
        match self.1.refusal(&object.key) {
            Some(err) => self.leave_out(object, err).map(|_| true),
            None => Ok(false),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether an earlier run could not read an object.
    pub(crate) fn was_unavailable(&self, key: &str) -> bool {
        self.inner().before.contains_key(key)
    }

    /// Notes that an object is in the lake, or can be read.
    pub(crate) fn is_well(&self, key: &str) {
        self.inner().before.remove(key);
    }

    /// Notes that an object was read.
    pub(crate) fn is_read(&self) {
        self.inner().read += 1;
    }

    /// Returns whether nothing was read so far.
    pub(crate) fn has_read_nothing(&self) -> bool {
        self.inner().read == 0
    }

    /// Leaves out an object that the listing says cannot be read.
    ///
    /// # Errors
    /// When nothing can be read, see [`Unreadable::all_refused`].
    pub(crate) fn leave_out_blocked(&self, object: &Object, reason: &str) -> Result<()> {
        let is_refused = matches!(object.place, Place::File);
        let first = is_refused.then(|| (ErrorKind::Denied, reason.to_owned()));
        self.note(&object.key, &object.etag, object.size, reason, first)
    }

    /// Leaves out folders that could not be listed.
    ///
    /// # Errors
    /// As [`Unreadable::leave_out_blocked`].
    pub(crate) fn folders(&self, report: &ListingReport) -> Result<()> {
        for (folder, reason) in &report.folders_unreadable {
            self.inner().found.has_folders = true;
            let first = Some((ErrorKind::Denied, reason.clone()));
            self.note(folder, "", 0, reason, first)?;
        }
        Ok(())
    }

    /// Leaves out an object whose bytes could not be had, if that is a matter of this object.
    ///
    /// # Errors
    /// `err`, if it is not: a service that does not answer, a bucket that is not there. As
    /// [`Unreadable::leave_out_blocked`].
    pub(crate) fn leave_out(&self, object: &Object, err: Error) -> Result<UnavailableObject> {
        let is_changed = err.is_changed();
        if !is_changed && !matches!(err.kind(), ErrorKind::Denied | ErrorKind::Io) {
            return Err(err);
        }
        let reason = without_key(err.message(), &object.key);
        let first = (!is_changed).then(|| (err.kind(), err.to_string()));
        self.note(&object.key, &object.etag, object.size, &reason, first)?;
        Ok(UnavailableObject {
            object: object.key.clone(),
            etag: object.etag.clone(),
            bytes: object.size,
            reason,
        })
    }

    fn note(
        &self,
        key: &str,
        etag: &str,
        bytes: u64,
        reason: &str,
        refused: Option<(ErrorKind, String)>,
    ) -> Result<()> {
        let mut inner = self.inner();
        let is_old = inner.before.remove(key).is_some();
        inner.count += 1;
        *inner.by_reason.entry(reason.to_owned()).or_default() += 1;
        let day = parse_layout(key).day().map(|day| day.to_string());
        inner.found.since = [inner.found.since.take(), day].into_iter().flatten().min();
        if inner.found.objects.len() < MOST_NAMED {
            let (object, etag, reason) = (key.to_owned(), etag.to_owned(), reason.to_owned());
            inner.found.objects.push(UnavailableObject { object, etag, bytes, reason });
        } else {
            inner.found.unnamed += 1;
        }
        if let Some((kind, said)) = refused {
            inner.first.get_or_insert((kind, said, key.to_owned()));
            inner.refused += u64::from(!is_old);
        }
        let is_hopeless = inner.read == 0 && inner.refused >= MOST_REFUSED;
        drop(inner);
        if is_hopeless { self.all_refused().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// Returns what to say when objects were refused and none was read.
    pub(crate) fn all_refused(&self) -> Option<Error> {
        let inner = self.inner();
        let (kind, said, key) = inner.first.as_ref().filter(|_| inner.read == 0)?;
        let of_all = match inner.count {
            1 => String::new(),
            count => format!("; none of the first {count} objects can be read"),
        };
        let err = Error::new(*kind, format!("{said}{of_all}"));
        Some(if said.contains(key.as_str()) { err } else { err.at("object", key) })
    }

    /// Ends a run: to find nothing that can be read is no way to begin a lake.
    ///
    /// # Errors
    /// What was refused first.
    pub(crate) fn end(&self) -> Result<()> {
        let is_new_lake = self.inner().is_new_lake;
        self.all_refused().filter(|_| is_new_lake).map_or(Ok(()), Err)
    }

    /// Adds an object that another process could not read.
    ///
    /// # Errors
    /// None: nothing is refused here.
    pub(crate) fn add(&self, object: &UnavailableObject) -> Result<()> {
        self.note(&object.object, &object.etag, object.bytes, &object.reason, None)
    }

    /// Returns the keys of what was left out, as far as it is named, with the reasons.
    pub(crate) fn left_out(&self) -> Vec<(String, String)> {
        let inner = self.inner();
        let objects = inner.found.objects.iter();
        objects.map(|object| (object.object.clone(), object.reason.clone())).collect()
    }

    /// Returns how many objects were left out.
    pub(crate) fn count(&self) -> u64 {
        self.inner().count
    }

    /// Returns what was left out, by reason.
    pub(crate) fn by_reason(&self) -> BTreeMap<String, u64> {
        self.inner().by_reason.clone()
    }

    /// Adds what was left out to a report.
    pub(crate) fn report(&self, report: &mut Report) {
        report.objects_unavailable += self.count();
        for (reason, count) in self.by_reason() {
            *report.unavailable_by_reason.entry(reason).or_default() += count;
        }
    }

    /// Returns the list after this run. What it did not come across stays on it, unless it would have
    /// if it were still there: `is_listed` says so of a key.
    pub(crate) fn list(&self, is_listed: impl Fn(&str) -> bool) -> Unavailable {
        let inner = self.inner();
        let mut list = inner.found.clone();
        let left = inner.before.values().filter(|object| !is_listed(&object.object));
        let left: Vec<_> = left.cloned().collect();
        if !left.is_empty() {
            list.unnamed += inner.list.unnamed;
            list.since = [list.since.take(), inner.list.since.clone()].into_iter().flatten().min();
            list.has_folders |= left.iter().any(|object| object.etag.is_empty());
        }
        list.objects.extend(left);
        list.objects.sort();
        list.objects.dedup_by(|a, b| a.object == b.object);
        list
    }
}

/// A message without the key that it names, so that alike reasons count together.
fn without_key(message: &str, key: &str) -> String {
    let bare = key.strip_prefix("s3://").unwrap_or(key);
    let mut out = message.replace(key, "the object");
    for partition in ["aws", "aws-cn", "aws-us-gov"] {
        out = out.replace(&format!("arn:{partition}:s3:::{bare}"), "the object");
    }
    out
}

/// Asks for the first byte of an object.
///
/// # Errors
/// Why it cannot be had.
pub(crate) async fn try_first_byte(object: &Object) -> Result<()> {
    match &object.place {
        Place::Bucket(bucket) if object.size > 0 => {
            let got = bucket.get_part(object.bucket_key(), Some(&object.etag), 0..1).await?;
            got.map(|_| ()).ok_or_else(|| gone(object))
        }
        _ => Ok(()),
    }
}

/// Reads all of an object, and keeps nothing of it; of an archive in a bucket, the first byte.
///
/// # Errors
/// Why it cannot be read.
pub(crate) async fn try_all(object: &Object) -> Result<()> {
    match &object.place {
        Place::Bucket(_) if object.is_archive => try_first_byte(object).await,
        Place::Bucket(bucket) => {
            let got = bucket.get_listed(object.bucket_key(), &object.etag, object.size).await?;
            got.map(|_| ()).ok_or_else(|| gone(object))
        }
        Place::File => {
            let path = object.path();
            let read = move || {
                std::io::copy(&mut std::fs::File::open(path)?, &mut std::io::sink()).map(|_| ())
            };
            let outcome = tokio::task::spawn_blocking(read).await;
            let outcome = outcome
                .map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))?;
            outcome.map_err(|err| Error::new(ErrorKind::Io, format!("cannot be read: {err}")))
        }
    }
}

/// An object that was listed and is not there.
pub(crate) fn gone(object: &Object) -> Error {
    let message = "object is gone since it was listed; run again";
    Error::changed(Cause::Gone, message).at("object", &object.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str) -> Object {
        Object {
            key: key.into(),
            place: Place::File,
            size: 1,
            etag: "e".into(),
            json_estimate: 1,
            layout: parse_layout(key),
            is_archive: false,
            blocked: None,
        }
    }

    fn denied() -> Error {
        Error::new(ErrorKind::Denied, "not allowed to s3:GetObject on s3://b/k")
    }

    #[test]
    fn a_run_to_which_everything_new_is_refused_ends_and_what_was_refused_before_does_not_count() {
        let refuse = |unreadable: &Unreadable, count: u64| {
            (0..count).find_map(|n| unreadable.leave_out(&object(&format!("k{n}")), denied()).err())
        };
        let all = Unreadable::default();
        assert_eq!(refuse(&all, 1000).unwrap().kind(), ErrorKind::Denied);
        assert_eq!(all.count(), MOST_REFUSED);

        let again = Unreadable::new(all.list(|_| false), false);
        assert!(refuse(&again, MOST_REFUSED).is_none());

        let some = Unreadable::default();
        some.is_read();
        assert!(refuse(&some, 1000).is_none() && some.all_refused().is_none());
    }

    #[test]
    fn what_is_well_again_or_no_longer_there_leaves_the_list() {
        let first = Unreadable::default();
        for key in ["a", "b", "c", "d"] {
            first.leave_out(&object(key), denied()).unwrap();
        }
        let second = Unreadable::new(first.list(|_| true), false);
        second.is_well("a");
        second.leave_out(&object("b"), denied()).unwrap();

        let list = second.list(|key| key == "c");

        let keys: Vec<_> = list.objects.iter().map(|object| object.object.as_str()).collect();
        assert_eq!(keys, ["b", "d"]);
    }

    #[test]
    fn an_outage_is_no_matter_of_one_object() {
        let unreadable = Unreadable::default();
        let down = Error::new(ErrorKind::Unavailable, "S3 does not answer");
        assert!(unreadable.leave_out(&object("a"), down).is_err());
        assert_eq!(unreadable.count(), 0);
    }

    #[test]
    fn alike_reasons_count_together() {
        let unreadable = Unreadable::default();
        for key in ["s3://b/x", "s3://b/y"] {
            let said = format!("not allowed to s3:GetObject on {key}");
            unreadable.leave_out(&object(key), Error::new(ErrorKind::Denied, said)).unwrap();
        }
        assert_eq!(
            unreadable.by_reason(),
            [("not allowed to s3:GetObject on the object".to_owned(), 2)].into()
        );
    }
}
