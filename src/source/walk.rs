//! The walk through a bucket's tree with the delimiter, down to what is worth listing.
//!
//! `[prefix/]AWSLogs/[o-…/]<account>/<folder>/<region>/` is walked level by level; accounts, regions,
//! organizations and folders that are not wanted are never entered. What is left are [`Span`]s: the
//! folder of a region, whose dates sort, or a tree without the layout, which is listed as it is. One
//! request per level and folder: an account with one folder costs two.

use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Folder, Layout, folder_of, is_account, is_organization, is_region, is_root};
use crate::source::{Narrow, Window};
use crate::storage::{Bucket, Page};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// Delimited pages spent on finding `AWSLogs` before what is left is listed as it is: archives have
/// a few prefixes above it, other trees have thousands.
const MAX_PAGES_ABOVE: usize = 256;

/// A source of pages of keys: a bucket, or a fake in tests.
#[async_trait]
pub trait Lister: Send + Sync + Debug {
    /// Lists one page; see [`Bucket::page`].
    async fn page(
        &self,
        prefix: &str,
        is_delimited: bool,
        start_after: Option<&str>,
        token: Option<&str>,
    ) -> Result<Page>;
}

#[async_trait]
impl Lister for Bucket {
    async fn page(
        &self,
        prefix: &str,
        is_delimited: bool,
        start_after: Option<&str>,
        token: Option<&str>,
    ) -> Result<Page> {
        Bucket::page(self, prefix, is_delimited, start_after, token).await
    }
}

/// Something to list from one end to the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// What the keys start with.
    pub prefix: String,
    /// Whether only the objects right there are meant, and not those of folders below.
    pub is_delimited: bool,
    /// The folder of the region, where dates follow; empty where the tree has no such layout.
    pub base: String,
    /// What the prefix says.
    pub layout: Layout,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub spans: Vec<Span>,
    /// Folders of digests and other services that were not entered, by name.
    pub folders: BTreeMap<String, u64>,
    /// Folders with hidden names that were not entered.
    pub hidden: u64,
    /// Prefixes that may not be listed, with the reason.
    pub refused: BTreeMap<String, String>,
}

/// What a folder is, by its path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Above any `AWSLogs`.
    Above,
    /// `AWSLogs`, an organization, an account or a folder of logs in it.
    Inner,
    /// A region's folder, of this path, or something in it.
    Region(String),
    /// In an `AWSLogs`, but not of its layout.
    Flat,
    /// Digests or another service's objects.
    PassedOver(String),
    /// Not wanted.
    Unwanted,
}

/// Says what a folder is; its path ends in `/` or is empty.
pub(super) fn classify(path: &str, narrow: &Narrow) -> (Class, Layout) {
    let parts: Vec<&str> = path.split('/').collect();
    let parts = &parts[..parts.len() - 1];
    let mut layout = Layout::default();
    let Some(root) = parts.iter().rposition(|part| is_root(part)) else {
        return (Class::Above, layout);
    };
    let mut rest = parts[root + 1..].iter().copied().peekable();
    if let Some(id) = rest.next_if(|part| is_organization(part)) {
        layout.organization = id.into();
        if !narrow.wants_organization(id) {
            return (Class::Unwanted, layout);
        }
    }
    let Some(account) = rest.next() else { return (Class::Inner, layout) };
    if !is_account(account) {
        return (Class::Flat, layout);
    }
    layout.account = account.into();
    if !narrow.wants_account(account) || !narrow.wants_organization(&layout.organization) {
        return (Class::Unwanted, layout);
    }
    let Some(folder) = rest.next() else { return (Class::Inner, layout) };
    layout.folder = folder_of(folder);
    if layout.folder == Folder::Unknown {
        return (Class::Flat, layout);
    }
    if narrow.ignores(&layout.folder) {
        return (Class::PassedOver(folder.to_owned()), layout);
    }
    let Some(region) = rest.next() else { return (Class::Inner, layout) };
    if !is_region(region) {
        return (Class::Flat, layout);
    }
    layout.region = region.into();
    if !narrow.wants_region(region) {
        return (Class::Unwanted, layout);
    }
    let depth = parts.len() - rest.count();
    let base = parts[..depth].iter().fold(String::new(), |base, part| base + part + "/");
    (Class::Region(base), layout)
}

/// Walks a source's tree.
///
/// # Errors
/// Whatever the lister returns; a prefix below the source that may not be listed is noted.
pub(super) async fn walk(
    lister: &dyn Lister,
    source: &str,
    window: &Window,
    at_once: usize,
) -> Result<Walked> {
    let mut walk = Walk { source, window, found: Walked::default(), inner: Vec::new() };
    let mut above = Vec::new();
    let folder = source.rfind('/').map_or("", |at| &source[..=at]);
    walk.enter(source.to_owned(), folder, &mut above);
    let mut pages = 0;
    while let Some(prefix) = above.pop() {
        let children = above_children(lister, &prefix, &mut pages).await;
        let Some(children) = walk.allowed(&prefix, children)? else { continue };
        let Some(children) = children else {
            walk.found.spans.push(Span { prefix, ..Span::default() });
            continue;
        };
        walk.enter_children(&prefix, children, &mut above);
    }
    while !walk.inner.is_empty() {
        let level = std::mem::take(&mut walk.inner);
        let listed: Vec<(String, Result<Children>)> = stream::iter(level)
            .map(|prefix| async move {
                let children = children(lister, &prefix).await;
                (prefix, children)
            })
            .buffered(at_once)
            .collect()
            .await;
        for (prefix, children) in listed {
            let Some(children) = walk.allowed(&prefix, children)? else { continue };
            walk.enter_children(&prefix, children, &mut above);
        }
    }
    Ok(walk.found)
}

/// What lies right below a prefix.
#[derive(Default)]
struct Children {
    folders: Vec<String>,
    has_objects: bool,
}

async fn children(lister: &dyn Lister, prefix: &str) -> Result<Children> {
    let mut out = Children::default();
    let mut token: Option<String> = None;
    loop {
        let page = lister.page(prefix, true, None, token.as_deref()).await?;
        out.folders.extend(page.prefixes);
        out.has_objects |= page.objects.iter().any(|object| !object.key.ends_with('/'));
        token = page.next;
        if token.is_none() {
            return Ok(out);
        }
    }
}

/// As [`children`], but gives up on what is more than a page, or more pages than are worth it.
async fn above_children(
    lister: &dyn Lister,
    prefix: &str,
    pages: &mut usize,
) -> Result<Option<Children>> {
    *pages += 1;
    if *pages > MAX_PAGES_ABOVE {
        return Ok(None);
    }
    let page = lister.page(prefix, true, None, None).await?;
    let has_objects = page.objects.iter().any(|object| !object.key.ends_with('/'));
    Ok(page.next.is_none().then_some(Children { folders: page.prefixes, has_objects }))
}

struct Walk<'a> {
    source: &'a str,
    window: &'a Window,
    found: Walked,
    inner: Vec<String>,
}

/// Returns why a prefix could not be listed, without naming the prefix.
pub(super) fn reason_of(err: &Error) -> String {
    let said = err.message();
    format!("cannot be listed: {}", said.split(" on ").next().unwrap_or(said))
}

impl Walk<'_> {
    /// Notes a prefix that may not be listed; the source itself must be listed.
    fn allowed<T>(&mut self, prefix: &str, listed: Result<T>) -> Result<Option<T>> {
        match listed {
            Err(err) if err.kind() == ErrorKind::Denied && prefix != self.source => {
                self.found.refused.insert(prefix.to_owned(), reason_of(&err));
                Ok(None)
            }
            listed => listed.map(Some),
        }
    }

    fn enter_children(&mut self, prefix: &str, children: Children, above: &mut Vec<String>) {
        if children.has_objects {
            let (_, layout) = classify(prefix, &Narrow::default());
            let prefix = prefix.to_owned();
            self.found.spans.push(Span { prefix, is_delimited: true, layout, ..Span::default() });
        }
        for folder in children.folders {
            let below = folder.strip_prefix(self.source).unwrap_or(&folder);
            if self.window.is_hidden(below) {
                self.found.hidden += 1;
            } else {
                self.enter(folder.clone(), &folder, above);
            }
        }
    }

    /// Decides what becomes of a prefix, by the folder that it is or begins in.
    fn enter(&mut self, prefix: String, folder: &str, above: &mut Vec<String>) {
        let (class, layout) = classify(folder, &self.window.narrow);
        match class {
            Class::Above => above.push(prefix),
            Class::Inner => self.inner.push(prefix),
            Class::Region(base) => {
                self.found.spans.push(Span { prefix, base, layout, is_delimited: false });
            }
            Class::Flat => self.found.spans.push(Span { prefix, layout, ..Span::default() }),
            Class::PassedOver(name) => *self.found.folders.entry(name).or_default() += 1,
            Class::Unwanted => {}
        }
    }
}

/// Counts requests on their way to a lister.
#[derive(Debug)]
pub(super) struct Counting<L> {
    pub inner: L,
    pub requests: Arc<std::sync::atomic::AtomicU64>,
}

#[async_trait]
impl<L: Lister> Lister for Counting<L> {
    async fn page(
        &self,
        prefix: &str,
        is_delimited: bool,
        start_after: Option<&str>,
        token: Option<&str>,
    ) -> Result<Page> {
        self.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.inner.page(prefix, is_delimited, start_after, token).await
    }
}

#[cfg(test)]
pub(super) mod fake {
    use super::*;
    use crate::storage::BucketObject;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Mutex;

    /// A bucket in memory, with pages of a size of its own, that notes what it is asked.
    #[derive(Debug)]
    pub(in crate::source) struct Fake {
        keys: BTreeSet<String>,
        page: usize,
        pub(in crate::source) asked: Mutex<Vec<String>>,
    }

    impl Fake {
        pub(in crate::source) fn new(page: usize, keys: impl IntoIterator<Item = String>) -> Self {
            Self { keys: keys.into_iter().collect(), page, asked: Mutex::default() }
        }

        pub(in crate::source) fn asked(&self) -> Vec<String> {
            self.asked.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Lister for Fake {
        async fn page(
            &self,
            prefix: &str,
            is_delimited: bool,
            start_after: Option<&str>,
            token: Option<&str>,
        ) -> Result<Page> {
            self.asked.lock().unwrap().push(prefix.to_owned());
            tokio::task::yield_now().await;
            let start = token.or(start_after).unwrap_or_default().to_owned();
            // A token may name a common prefix, below which nothing is to come again.
            let behind = |key: &str| {
                key > start.as_str()
                    && !(token.is_some() && start.ends_with('/') && key.starts_with(&start))
            };
            let mut entries: BTreeMap<String, bool> = BTreeMap::new();
            for key in self.keys.iter().filter(|key| key.starts_with(prefix) && behind(key)) {
                let folder = key[prefix.len()..].find('/').filter(|_| is_delimited);
                let entry = folder.map_or(&key[..], |at| &key[..=prefix.len() + at]);
                entries.insert(entry.to_owned(), folder.is_some());
                if entries.len() > self.page {
                    break;
                }
            }
            let is_truncated = entries.len() > self.page;
            let mut page = Page::default();
            let mut last = None;
            for (entry, is_folder) in entries.into_iter().take(self.page) {
                last = Some(entry.clone());
                if is_folder {
                    page.prefixes.push(entry);
                } else {
                    let etag = format!("{:x}", xxhash_rust::xxh3::xxh3_64(entry.as_bytes()));
                    let archived = None;
                    page.objects.push(BucketObject { key: entry, size: 1, etag, archived });
                }
            }
            page.next = last.filter(|_| is_truncated);
            Ok(page)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Fake;
    use super::*;

    fn key(account: &str, folder: &str, region: &str, day: &str, name: &str) -> String {
        format!("AWSLogs/{account}/{folder}/{region}/{day}/{name}")
    }

    async fn walked(keys: &[String], source: &str, narrow: Narrow) -> (Vec<String>, Walked, usize) {
        let lister = Fake::new(1000, keys.iter().cloned());
        let window = Window { narrow, ..Window::default() };
        let walked = walk(&lister, source, &window, 4).await.unwrap();
        let mut prefixes: Vec<String> =
            walked.spans.iter().map(|span| span.prefix.clone()).collect();
        prefixes.sort();
        (prefixes, walked, lister.asked().len())
    }

    #[tokio::test]
    async fn only_what_is_wanted_is_entered() {
        let mut keys = Vec::new();
        for account in ["111122223333", "444455556666", "777788889999"] {
            for folder in ["CloudTrail", "CloudTrail-Digest", "Config"] {
                for region in ["eu-west-1", "us-east-1"] {
                    keys.push(key(account, folder, region, "2024/05/01", "x.json.gz"));
                }
            }
        }

        let (prefixes, found, asked) = walked(&keys, "", Narrow::default()).await;
        assert_eq!(prefixes.len(), 6);
        assert_eq!((found.folders["CloudTrail-Digest"], found.folders["Config"]), (3, 3));
        // The root, AWSLogs, an account and its one folder of logs for each of three.
        assert_eq!(asked, 1 + 1 + 3 * 2);

        let narrow = Narrow {
            accounts: ["444455556666".to_owned()].into(),
            regions: ["us-east-1".to_owned()].into(),
            ..Narrow::default()
        };
        let (prefixes, _, asked) = walked(&keys, "", narrow).await;
        assert_eq!(prefixes, ["AWSLogs/444455556666/CloudTrail/us-east-1/"]);
        assert_eq!(asked, 4);
    }

    #[tokio::test]
    async fn every_layout_is_walked_and_other_trees_are_listed_as_they_are() {
        let tail = key("111122223333", "CloudTrail", "eu-west-1", "2024/05/01", "x.json.gz");
        for above in ["", "a/b/", "a//", "o-abc123/"] {
            let organization = if above.starts_with("o-") { above } else { "" };
            let keys = [format!("{above}{}", tail.replacen('/', &format!("/{organization}"), 1))];
            let (prefixes, found, _) = walked(&keys, "", Narrow::default()).await;
            assert_eq!(prefixes.len(), 1, "{above}");
            assert!(keys[0].starts_with(&prefixes[0]) && prefixes[0].ends_with("/eu-west-1/"));
            assert_eq!(found.spans[0].base, prefixes[0]);
            assert_eq!(&*found.spans[0].layout.organization, organization.trim_end_matches('/'));
        }
        let odd = [
            "loose.json".to_owned(),
            "_hidden/x.json".to_owned(),
            "AWSLogs/elsewhere/x.json".to_owned(),
            "AWSLogs/111122223333/CloudTrail/loose.json".to_owned(),
            "AWSLogs/111122223333/CloudTrail/2024/05/01/x.json".to_owned(),
        ];
        let (prefixes, found, _) = walked(&odd, "", Narrow::default()).await;
        assert_eq!(
            prefixes,
            [
                "",
                "AWSLogs/111122223333/CloudTrail/",
                "AWSLogs/111122223333/CloudTrail/2024/",
                "AWSLogs/elsewhere/",
            ]
        );
        assert_eq!(found.spans.iter().filter(|span| span.is_delimited).count(), 2);
        let many = (0..3000).map(|n| format!("tree/{n:04}/x.json")).collect::<Vec<_>>();
        let (prefixes, _, asked) = walked(&many, "", Narrow::default()).await;
        assert_eq!((prefixes, asked), (vec!["tree/".to_owned()], 2));
    }

    #[tokio::test]
    async fn a_source_may_begin_at_any_level() {
        let keys = [
            key("111122223333", "CloudTrail", "eu-west-1", "2024/05/01", "x.json.gz"),
            key("111144445555", "CloudTrail", "eu-west-1", "2024/05/01", "x.json.gz"),
            key("111122223333", "Config", "eu-west-1", "2024/05/01", "x.json.gz"),
        ];
        for (source, spans) in [
            ("AWSLogs", 2),
            ("AWSLogs/", 2),
            ("AWSLogs/1111", 2),
            ("AWSLogs/11112", 1),
            ("AWSLogs/111122223333/", 1),
            ("AWSLogs/111122223333/CloudTrail/", 1),
            ("AWSLogs/111122223333/CloudTrail/eu-west-1/", 1),
            ("AWSLogs/111122223333/CloudTrail/eu-west-1/2024/05/", 1),
            ("AWSLogs/111122223333/CloudTrail/eu-west-1/2024/05/01/x", 1),
            ("AWSLogs/111122223333/Config/", 0),
            ("elsewhere/", 0),
        ] {
            let (prefixes, found, _) = walked(&keys, source, Narrow::default()).await;
            assert_eq!(prefixes.len(), spans, "{source}");
            if source.contains("eu-west-1") {
                assert_eq!(prefixes, [source]);
                assert_eq!(
                    found.spans[0].base, "AWSLogs/111122223333/CloudTrail/eu-west-1/",
                    "{source}"
                );
            }
        }
    }
}
