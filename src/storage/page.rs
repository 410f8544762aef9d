//! A page of a listing, as S3 shows it.

use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore};
use std::collections::BTreeSet;

/// Entries of a page.
const MOST: usize = 1_000;

/// One object, as a listing shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketObject {
    /// The key, raw.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The storage class of an object that must be restored before it can be read.
    pub archived: Option<String>,
}

/// One page of a listing: at most 1,000 entries, in the order of UTF-8 bytes.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Objects.
    pub objects: Vec<BucketObject>,
    /// Common prefixes, each ending in `/`, when the listing was delimited.
    pub prefixes: Vec<String>,
    /// Where the next page starts.
    pub next: Option<String>,
}

impl Page {
    /// Lists one page of a store without an SDK, at the cost of a whole listing: for small stores. The
    /// arguments are those of [`Bucket::page`](crate::storage::Bucket::page).
    pub(super) async fn of_store(
        store: &dyn ObjectStore,
        prefix: &str,
        is_delimited: bool,
        start_after: Option<&str>,
        token: Option<&str>,
    ) -> object_store::Result<Self> {
        let mut all: Vec<ObjectMeta> = store.list(None).try_collect().await?;
        all.sort_by(|a, b| a.location.as_ref().cmp(b.location.as_ref()));
        let after = token.max(start_after).unwrap_or("");
        let (mut page, mut prefixes, mut last) = (Self::default(), BTreeSet::new(), None);
        for meta in all {
            let key = meta.location.as_ref();
            let Some(below) = key.strip_prefix(prefix) else { continue };
            let folder = below.split_once('/').filter(|_| is_delimited);
            let entry = folder.map_or(key.to_owned(), |(name, _)| format!("{prefix}{name}/"));
            if entry.as_str() <= after || prefixes.contains(&entry) {
                continue;
            }
            if page.objects.len() + prefixes.len() == MOST {
                page.next = last;
                break;
            }
            last = Some(entry.clone());
            if folder.is_some() {
                prefixes.insert(entry);
            } else {
                let etag = unquoted(meta.e_tag.as_deref().unwrap_or_default());
                page.objects.push(BucketObject {
                    key: entry,
                    size: meta.size,
                    etag,
                    archived: None,
                });
            }
        }
        page.prefixes = prefixes.into_iter().collect();
        Ok(page)
    }
}

/// Takes the quotes off an entity tag.
pub(super) fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}
