//! The listing of all sources, page by page.

use crate::decode::estimate_compressed;
use crate::error::Result;
use crate::keys::{Layout, parse};
use crate::location::Location;
use crate::source::archive::is_archive_name;
use crate::source::pages::{Listed, Pages, Refused};
use crate::source::walk::{Counting, Lister, Span, reason_of, walk};
use crate::source::{ListingReport, Object, Place, Source, Window, local};
use crate::storage::{Bucket, BucketObject, S3};
use crate::units::Day;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Objects of local sources that are handed out together.
const LOCAL_PAGE: usize = 1000;

/// Spans that are listed at once, however many requests may be in flight: each holds a page.
const MAX_SPANS_AT_ONCE: usize = 64;

/// A bucket's source, as its pages know it.
#[derive(Clone, Debug)]
struct Origin {
    bucket: Bucket,
    prefix: Arc<str>,
    window: Arc<Window>,
}

/// The objects of all sources, in their order.
pub struct Listing {
    local: std::vec::IntoIter<Object>,
    pages: Pages<Origin>,
    /// The layout of the previous object, whose texts are shared.
    last: Layout,
    report: ListingReport,
    requests: Arc<AtomicU64>,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing").field("report", &self.report).finish_non_exhaustive()
    }
}

impl Listing {
    /// Lists local sources and walks the trees of buckets. No object comes twice, however the sources
    /// overlap.
    ///
    /// # Errors
    /// `Config` for a source that does not exist, `Io` for a folder that cannot be read, `Denied` and
    /// `Unavailable` from a bucket.
    pub async fn open(sources: Vec<Source>, s3: &S3, today: Day) -> Result<Self> {
        let mut report = ListingReport::default();
        let mut objects = Vec::new();
        let mut spans = Vec::new();
        let requests = Arc::new(AtomicU64::new(0));
        let at_once = s3.requests().clamp(1, MAX_SPANS_AT_ONCE);
        for Source { location, window } in disjoint(sources) {
            if let Some(since) = window.since {
                report.since.insert(location.to_string(), since.to_string());
            }
            let (bucket, prefix) = match &location {
                Location::Local(path) => {
                    local::list(path, &window, &mut objects, &mut report)?;
                    continue;
                }
                Location::S3 { bucket, prefix } => (s3.bucket(bucket).await?, prefix),
            };
            let counting = Counting { inner: bucket.clone(), requests: Arc::clone(&requests) };
            let lister: Arc<dyn Lister> = Arc::new(counting);
            let walked = walk(&*lister, prefix, &window, at_once).await?;
            for (folder, reason) in walked.refused {
                report.folders_unreadable.insert(bucket.address(&folder), reason);
            }
            report.names_hidden += walked.hidden;
            for (name, count) in walked.folders {
                *report.folders_ignored.entry(name).or_default() += count;
            }
            let window = Arc::new(window);
            for span in walked.spans {
                for window in windows(&window, &bucket.address(&span.base), &span, &mut report) {
                    let (bucket, prefix) = (bucket.clone(), prefix.as_str().into());
                    let origin = Origin { bucket, prefix, window: Arc::clone(&window) };
                    let listed = Listed { lister: Arc::clone(&lister), window, today };
                    spans.push((listed, span.clone(), origin));
                }
            }
        }
        let objects = in_order(objects);
        spans.sort_by(|(_, a, _), (_, b, _)| {
            (a.layout.order(), &a.prefix).cmp(&(b.layout.order(), &b.prefix))
        });
        spans.sort_by_cached_key(|(_, span, _)| span.layout.slot());
        Ok(Self {
            local: objects.into_iter(),
            pages: Pages::new(spans, at_once),
            last: Layout::default(),
            report,
            requests,
        })
    }

    /// Hands out objects that are known without a listing, in the order of a listing. No key comes twice.
    pub fn of(objects: Vec<Object>) -> Self {
        let report =
            ListingReport { objects_listed: objects.len() as u64, ..ListingReport::default() };
        Self {
            local: in_order(objects).into_iter(),
            pages: Pages::new(Vec::new(), 1),
            last: Layout::default(),
            report,
            requests: Arc::default(),
        }
    }

    /// Returns the next objects; none when all have been returned.
    ///
    /// # Errors
    /// `Denied` and `Unavailable` from a bucket; a prefix below the source that may not be listed is noted.
    pub async fn next(&mut self) -> Result<Option<Vec<Object>>> {
        let local: Vec<Object> = self.local.by_ref().take(LOCAL_PAGE).collect();
        if !local.is_empty() {
            return Ok(Some(local));
        }
        let next = self.pages.next().await?;
        for Refused { tag, prefix, err } in self.pages.refused() {
            if *prefix == *tag.prefix {
                return Err(err);
            }
            self.report.folders_unreadable.insert(tag.bucket.address(&prefix), reason_of(&err));
        }
        let Some((page, origin)) = next else { return Ok(None) };
        Ok(Some(page.into_iter().filter_map(|found| self.object(found, &origin)).collect()))
    }

    /// Returns whether files that are still to come are archives. Those of buckets are not known yet.
    pub fn has_archives(&self) -> bool {
        self.local.as_slice().iter().any(|object| object.is_archive)
    }

    /// Returns what has been seen so far.
    pub fn report(&self) -> ListingReport {
        ListingReport { requests: self.requests.load(Ordering::Relaxed), ..self.report.clone() }
    }

    fn object(&mut self, found: BucketObject, origin: &Origin) -> Option<Object> {
        let below = found.key.strip_prefix(&*origin.prefix).unwrap_or(&found.key);
        if found.key.ends_with('/') {
            return None;
        }
        if origin.window.is_hidden(below) {
            self.report.names_hidden += 1;
            return None;
        }
        let mut layout = parse(&found.key);
        if origin.window.narrow.ignores(&layout.folder) {
            self.report.objects_ignored += 1;
            return None;
        }
        self.report.objects_listed += 1;
        if !origin.window.wants(&layout) {
            self.report.objects_unwanted += 1;
            return None;
        }
        layout.share(&self.last);
        self.last = layout.clone();
        Some(object(found, &origin.bucket, layout))
    }
}

/// Returns the windows that a span is listed for: more than one where digests name days of it.
fn windows(
    window: &Arc<Window>,
    base: &str,
    span: &Span,
    report: &mut ListingReport,
) -> Vec<Arc<Window>> {
    let is_of_logs = span.layout.holds_logs() && !span.base.is_empty();
    let Some(named) = window.named.as_ref().filter(|_| is_of_logs) else {
        return vec![Arc::clone(window)];
    };
    let savings = report.from_digests.get_or_insert_default();
    savings.digests = named.digests;
    let Some(days) = named.of(base) else {
        savings.regions_listed += 1;
        return vec![Arc::clone(window)];
    };
    let windows = window.only(days);
    savings.regions += 1;
    savings.requests_saved += window.saved(days, &windows);
    windows.into_iter().map(Arc::new).collect()
}

/// Sorts objects as they are listed; no key comes twice.
fn in_order(mut objects: Vec<Object>) -> Vec<Object> {
    objects.sort_by(|a, b| a.order().cmp(&b.order()));
    objects.dedup_by(|a, b| a.key == b.key);
    objects.sort_by_cached_key(|object| object.layout.slot());
    objects
}

/// Makes an object of what a bucket lists.
pub fn object(found: BucketObject, bucket: &Bucket, layout: Layout) -> Object {
    let is_archive = is_archive_name(&found.key);
    let endings = [".gz", ".zst", ".bz2", ".xz", ".lzma", ".lz"];
    let is_packed = !is_archive && endings.iter().any(|ending| found.key.ends_with(ending));
    Object {
        key: bucket.address(&found.key),
        place: Place::Bucket(bucket.clone()),
        size: found.size,
        etag: found.etag,
        json_estimate: if is_packed { estimate_compressed(found.size) } else { found.size },
        layout,
        is_archive,
        blocked: found.archived.map(|class| format!("in the storage class {class}: restore it")),
    }
}

/// Leaves out sources that lie within others: prefixes of a bucket nest or have nothing in common.
fn disjoint(sources: Vec<Source>) -> Vec<Source> {
    let mut out: Vec<Source> = Vec::new();
    for source in sources {
        if out.iter().any(|other| contains(&other.location, &source.location)) {
            continue;
        }
        out.retain(|other| !contains(&source.location, &other.location));
        out.push(source);
    }
    out
}

fn contains(outer: &Location, inner: &Location) -> bool {
    match (outer, inner) {
        (Location::S3 { bucket, prefix }, Location::S3 { bucket: other, prefix: inner }) => {
            bucket == other && inner.starts_with(prefix.as_str())
        }
        _ => false,
    }
}
