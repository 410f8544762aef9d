//! Finds the objects of unfinished units again, by key and etag.
//!
//! Narrowing options and the look-back do not apply: unfinished units are always finished.

use crate::error::{ErrorKind, Result};
use crate::keys::parse;
use crate::location::Location;
use crate::source::{Object, listing, local};
use crate::storage::{Bucket, BucketObject, S3};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// Finds the objects that lie in the sources and still have their etags; leaves out all others.
///
/// A bucket is listed folder by folder, from the first to the last key that is looked for.
///
/// # Errors
/// As for a listing.
pub async fn find<'a>(
    sources: &[Location],
    s3: &S3,
    wanted: impl IntoIterator<Item = &'a (String, String)>,
) -> Result<HashMap<String, Object>> {
    let roots: Vec<PathBuf> =
        sources.iter().filter_map(Location::local).map(local::root_of).collect::<Result<_>>()?;
    let mut found = HashMap::new();
    let mut folders: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (key, etag) in wanted {
        if let Some((bucket, key)) = in_sources(sources, key) {
            let folder = key.rfind('/').map_or("", |at| &key[..=at]);
            folders.entry((bucket, folder)).or_default().insert(key);
        } else if let Some(object) = find_file(&roots, key)
            && object.etag == *etag
        {
            found.insert(key.clone(), object);
        }
    }
    let mut listings = Vec::new();
    for ((bucket, folder), keys) in folders {
        listings.push((s3.bucket(bucket).await?, folder, keys));
    }
    let listed: Vec<Vec<Object>> = stream::iter(listings)
        .map(|(bucket, folder, keys)| async move {
            match find_keys(&bucket, folder, &keys).await {
                // What may not be listed any more is not found.
                Err(err) if err.kind() == ErrorKind::Denied => Ok(Vec::new()),
                found => found,
            }
        })
        .buffer_unordered(s3.requests().clamp(1, 64))
        .try_collect()
        .await?;
    found.extend(listed.into_iter().flatten().map(|object| (object.key.clone(), object)));
    Ok(found)
}

/// Splits an object's key into bucket and key, if it lies in a source.
fn in_sources<'k>(sources: &[Location], key: &'k str) -> Option<(&'k str, &'k str)> {
    let (name, key) = key.strip_prefix("s3://")?.split_once('/')?;
    let is_in = |source: &Location| match source {
        Location::S3 { bucket, prefix } => bucket == name && key.starts_with(prefix.as_str()),
        Location::Local(_) => false,
    };
    sources.iter().any(is_in).then_some((name, key))
}

/// Makes an object from its key and etag, without a listing. A file that has changed is blocked; the etag of
/// an object in a bucket is checked when it is read.
///
/// # Errors
/// As for opening a bucket.
pub async fn known_object(
    key: &str,
    etag: &str,
    (size, json_estimate): (u64, u64),
    s3: &S3,
) -> Result<Object> {
    let Some((bucket, key)) = key.strip_prefix("s3://").and_then(|rest| rest.split_once('/'))
    else {
        let path = Some(local::path_of(key)).filter(|path| path.is_file());
        let path = path.unwrap_or_default();
        let found = local::object(&path, key.to_owned());
        if found.etag == etag {
            return Ok(found);
        }
        let blocked = Some("changed since it was listed".to_owned());
        return Ok(Object { etag: etag.to_owned(), blocked, ..found });
    };
    let found = BucketObject { key: key.to_owned(), size, etag: etag.to_owned(), archived: None };
    let object = listing::object(found, &s3.bucket(bucket).await?, parse(key));
    Ok(Object { json_estimate, ..object })
}

async fn find_keys(bucket: &Bucket, folder: &str, keys: &BTreeSet<&str>) -> Result<Vec<Object>> {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    // What is a beginning of a key sorts before it.
    let end = first.char_indices().next_back().map_or(0, |(at, _)| at);
    let start = (end > folder.len()).then(|| &first[..end]);
    let mut out = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = bucket.page(folder, false, start, token.as_deref()).await?;
        let is_past = page.objects.last().is_none_or(|object| object.key.as_str() >= *last);
        let wanted = page.objects.into_iter().filter(|object| keys.contains(object.key.as_str()));
        out.extend(wanted.map(|found| {
            let layout = parse(&found.key);
            listing::object(found, bucket, layout)
        }));
        token = page.next;
        if is_past || token.is_none() {
            return Ok(out);
        }
    }
}

fn find_file(roots: &[PathBuf], key: &str) -> Option<Object> {
    let path = local::path_of(key);
    let is_there = roots.iter().any(|root| path.starts_with(root)) && path.is_file();
    is_there.then(|| local::object(&path, key.to_owned()))
}
