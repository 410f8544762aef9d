//! Spans to pages, in order: many are listed at once, and few are in memory.
//!
//! A span of a region starts at the first day that is wanted and is read page by page. When its first
//! page is full, that page tells how many days a page covers, and the rest is cut into ranges of a few
//! pages each, listed side by side. Ranges begin at dates but leave no key out, whatever its name:
//! together they cover everything under the span's prefix. Nothing is cut that is about to end.
//!
//! Of a span that waits for its turn one page is held; only the one whose turn it is is cut.

use crate::error::{Error, ErrorKind, Result};
use crate::source::Window;
use crate::source::walk::{Lister, Span};
use crate::storage::BucketObject;
use crate::units::Day;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// Pages that a range is expected to take.
const PAGES_PER_RANGE: i32 = 4;

/// Ranges of one span that are listed at once.
const RANGES_AT_ONCE: usize = 16;

/// How the spans of one source are listed.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub lister: Arc<dyn Lister>,
    pub window: Arc<Window>,
    /// Days after this one have no objects yet; those that have are listed all the same.
    pub today: Day,
}

/// What a listing task sends.
enum Message {
    Page(Vec<BucketObject>),
    /// The last key under the prefix has been seen.
    LastSeen,
    Failed(Error),
}

/// Tasks that are listing, the first of which is to be read first.
struct Task {
    messages: Receiver<Message>,
    handle: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Task {
    fn start<F: Future<Output = Result<bool>> + Send + 'static>(
        list: impl FnOnce(Sender<Message>) -> F,
    ) -> Self {
        let (sender, messages) = channel(1);
        let listing = list(sender.clone());
        let handle = tokio::spawn(async move {
            let last = match listing.await {
                Ok(true) => Message::LastSeen,
                Ok(false) => return,
                Err(err) => Message::Failed(err),
            };
            let _ = sender.send(last).await;
        });
        Self { messages, handle }
    }
}

/// The pages of many spans, in the order of the spans.
pub(super) struct Pages<T> {
    waiting: std::vec::IntoIter<(Listed, Span, T)>,
    started: VecDeque<(Task, T, String)>,
    at_once: usize,
    refused: Vec<Refused<T>>,
}

/// A span that may not be listed.
pub(super) struct Refused<T> {
    pub tag: T,
    pub prefix: String,
    pub err: Error,
}

impl<T: Clone> Pages<T> {
    /// Begins to list spans, each with what is to be returned along with its pages.
    pub(super) fn new(spans: Vec<(Listed, Span, T)>, at_once: usize) -> Self {
        let at_once = at_once.max(1);
        let (waiting, started) = (spans.into_iter(), VecDeque::new());
        Self { waiting, started, at_once, refused: Vec::new() }
    }

    /// Returns the next page that is not empty. A span that may not be listed does not stop the others.
    ///
    /// # Errors
    /// Whatever else the lister returns.
    pub(super) async fn next(&mut self) -> Result<Option<(Vec<BucketObject>, T)>> {
        loop {
            while self.started.len() < self.at_once
                && let Some((listed, span, tag)) = self.waiting.next()
            {
                let prefix = span.prefix.clone();
                let task = Task::start(|sender| list_span(listed, span, sender));
                self.started.push_back((task, tag, prefix));
            }
            let Some((task, tag, _)) = self.started.front_mut() else { return Ok(None) };
            match task.messages.recv().await {
                Some(Message::Page(page)) if page.is_empty() => {}
                Some(Message::Page(page)) => return Ok(Some((page, tag.clone()))),
                Some(Message::Failed(err)) if err.kind() == ErrorKind::Denied => {
                    let refused = self.started.pop_front();
                    self.refused.extend(refused.map(|(_, tag, prefix)| Refused {
                        tag,
                        prefix,
                        err,
                    }));
                }
                Some(Message::Failed(err)) => return Err(err),
                Some(Message::LastSeen) | None => {
                    ended_well(self.started.pop_front().map(|(task, ..)| task)).await?;
                }
            }
        }
    }
}

impl<T> Pages<T> {
    /// Returns the spans that could not be listed since the last call.
    pub(super) fn refused(&mut self) -> Vec<Refused<T>> {
        std::mem::take(&mut self.refused)
    }
}

/// The error for a task that ended without its end marker: it panicked or was stopped.
async fn ended_well(task: Option<Task>) -> Result<()> {
    let Some(mut task) = task else { return Ok(()) };
    match (&mut task.handle).await {
        Ok(()) => Ok(()),
        Err(err) => Err(Error::new(ErrorKind::Bug, "a listing panicked").because(err)),
    }
}

/// Lists a span; returns whether the last key under its prefix was seen.
async fn list_span(listed: Listed, span: Span, sender: Sender<Message>) -> Result<bool> {
    let Listed { lister, window, today } = &listed;
    let at = |day: Day| format!("{}{}", span.base, day.in_key());
    let is_dated = !span.base.is_empty();
    let start = window.first().filter(|_| is_dated).map(at);
    let stop = window.last().filter(|_| is_dated).map(|day| at(day.plus(1)));
    let start = start.filter(|start| *start > span.prefix);
    let mut page = lister.page(&span.prefix, span.is_delimited, start.as_deref(), None).await?;
    let is_stopped = cut(&mut page.objects, stop.as_deref());
    let days = is_dated.then(|| covered(&span.base, &page.objects)).flatten();
    let last_key = page.objects.last().map(|object| object.key.clone());
    if sender.send(Message::Page(page.objects)).await.is_err() || is_stopped {
        return Ok(false);
    }
    let Some(token) = page.next else { return Ok(true) };
    let end = window.last().unwrap_or(*today);
    let range = Range { prefix: span.prefix.clone(), start: last_key, stop };
    match days {
        Some((first, last)) if end.0 - last.0 > (last.0 - first.0 + 1) * PAGES_PER_RANGE => {
            // Room in the channel: the first page is taken, and it is this span's turn.
            if sender.reserve().await.is_err() {
                return Ok(false);
            }
            let days = (last.0 - first.0 + 1) * PAGES_PER_RANGE;
            list_ranges(lister, range.every(days, last, end, at), &sender).await
        }
        _ => list_on(&**lister, &range, span.is_delimited, Some(token), &sender).await,
    }
}

/// The days of the first key that has one, and of the last key, of a page.
fn covered(base: &str, page: &[BucketObject]) -> Option<(Day, Day)> {
    let day = |object: &BucketObject| Day::from_key(object.key.strip_prefix(base)?.get(..10)?);
    // A folder's marker may come first. The last must have a date: ranges begin behind it.
    Some((page.iter().find_map(day)?, day(page.last()?)?))
}

/// Cuts off the objects behind `stop`; returns whether there were any.
fn cut(page: &mut Vec<BucketObject>, stop: Option<&str>) -> bool {
    let Some(stop) = stop else { return false };
    let wanted = page.partition_point(|object| object.key.as_str() <= stop);
    let is_cut = wanted < page.len();
    page.truncate(wanted);
    is_cut
}

/// Keys under a prefix: behind `start`, up to `stop`.
#[derive(Clone, Debug)]
struct Range {
    prefix: String,
    start: Option<String>,
    stop: Option<String>,
}

impl Range {
    /// Cuts a range at every so many days between the days `last` and `end`.
    fn every(&self, days: i32, last: Day, end: Day, at: impl Fn(Day) -> String) -> Vec<Self> {
        let mut out = Vec::new();
        let mut rest = self.clone();
        let mut day = last.plus(days);
        while day <= end {
            let stop = at(day);
            out.push(Self { stop: Some(stop.clone()), ..rest.clone() });
            rest.start = Some(stop);
            day = day.plus(days);
        }
        out.push(rest);
        out
    }
}

/// Lists ranges side by side, and sends their pages in order.
async fn list_ranges(
    lister: &Arc<dyn Lister>,
    ranges: Vec<Range>,
    sender: &Sender<Message>,
) -> Result<bool> {
    let mut waiting = ranges.into_iter();
    let mut started: VecDeque<Task> = VecDeque::new();
    loop {
        while started.len() < RANGES_AT_ONCE
            && let Some(range) = waiting.next()
        {
            let lister = Arc::clone(lister);
            started.push_back(Task::start(|sender| async move {
                list_on(&*lister, &range, false, None, &sender).await
            }));
        }
        let Some(task) = started.front_mut() else { return Ok(false) };
        match task.messages.recv().await {
            Some(Message::Page(page)) => {
                if sender.send(Message::Page(page)).await.is_err() {
                    return Ok(false);
                }
            }
            Some(Message::Failed(err)) => return Err(err),
            // Nothing lies behind: the other ranges are empty.
            Some(Message::LastSeen) => return Ok(true),
            None => ended_well(started.pop_front()).await?,
        }
    }
}

/// Lists a range page by page; returns whether the last key under its prefix was seen.
async fn list_on(
    lister: &dyn Lister,
    range: &Range,
    is_delimited: bool,
    mut token: Option<String>,
    sender: &Sender<Message>,
) -> Result<bool> {
    loop {
        let start = range.start.as_deref();
        let mut page = lister.page(&range.prefix, is_delimited, start, token.as_deref()).await?;
        let is_stopped = cut(&mut page.objects, range.stop.as_deref());
        if sender.send(Message::Page(page.objects)).await.is_err() || is_stopped {
            return Ok(false);
        }
        token = page.next;
        if token.is_none() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Narrow;
    use crate::source::walk::fake::Fake;

    const BASE: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1/";

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    /// Keys of a year, so many a day, and one that is no date.
    fn year(per_day: usize) -> Vec<String> {
        let days = (0..365).map(|n| day("2024-01-01").plus(n).in_key());
        let mut keys: Vec<String> = days
            .flat_map(|day| (0..per_day).map(move |n| format!("{BASE}{day}/{n:05}.json.gz")))
            .collect();
        keys.push(format!("{BASE}readme.txt"));
        keys
    }

    async fn list(fake: &Arc<Fake>, window: Window, spans: usize) -> Vec<String> {
        let lister: Arc<dyn Lister> = Arc::clone(fake) as _;
        let listed = Listed { lister, window: window.into(), today: day("2025-06-30") };
        let span = Span { prefix: BASE.into(), base: BASE.into(), ..Span::default() };
        let spans = vec![(listed, span, ()); spans];
        let mut pages = Pages::new(spans, 4);
        let mut out = Vec::new();
        while let Some((page, ())) = pages.next().await.unwrap() {
            out.extend(page.into_iter().map(|object| object.key));
        }
        out
    }

    #[tokio::test]
    async fn every_key_comes_once_and_in_order_however_many_pages_there_are() {
        for (per_day, page) in [(1, 1000), (1, 100), (7, 100), (40, 10), (3, 2), (1, 1)] {
            let keys = year(per_day);
            let fake = Arc::new(Fake::new(page, keys.clone()));
            let found = list(&fake, Window::default(), 1).await;
            assert_eq!(found, keys, "{per_day} a day, {page} a page");
            let least = keys.len().div_ceil(page);
            let most = least * 3 / 2 + 24;
            assert!(
                (least..=most).contains(&fake.asked().len()),
                "{per_day} a day, {page} a page: {} requests for {least} pages",
                fake.asked().len()
            );
        }
    }

    #[tokio::test]
    async fn a_window_is_listed_and_nothing_around_it() {
        let fake = Arc::new(Fake::new(100, year(50)));
        let narrow = Narrow {
            from: Some(day("2024-03-01")),
            to: Some(day("2024-03-10")),
            ..Narrow::default()
        };
        let found = list(&fake, Window { narrow, ..Window::default() }, 1).await;
        assert_eq!(found.len(), 500);
        assert!(found[0].contains("2024/03/01/00000") && found[499].contains("2024/03/10/00049"));
        assert!(fake.asked().len() <= 10, "{} requests", fake.asked().len());

        let fake = Arc::new(Fake::new(1000, year(3)));
        let since = Some(day("2024-12-20"));
        let found = list(&fake, Window { since, ..Window::default() }, 1).await;
        assert_eq!((found.len(), fake.asked().len()), (11 * 3 + 1, 1));
    }

    #[tokio::test]
    async fn spans_follow_one_another() {
        let keys = year(2);
        let fake = Arc::new(Fake::new(50, keys.clone()));
        let found = list(&fake, Window::default(), 3).await;
        assert_eq!(found, [&keys[..], &keys, &keys].concat());
    }

    #[tokio::test]
    async fn a_failure_ends_the_listing() {
        #[derive(Debug)]
        struct Failing(Fake);
        #[async_trait::async_trait]
        impl Lister for Failing {
            async fn page(
                &self,
                prefix: &str,
                is_delimited: bool,
                start: Option<&str>,
                token: Option<&str>,
            ) -> Result<crate::storage::Page> {
                if start.is_some_and(|start| start.contains("2024/08")) {
                    return Err(Error::new(ErrorKind::Unavailable, "no"));
                }
                self.0.page(prefix, is_delimited, start, token).await
            }
        }
        let lister = Arc::new(Failing(Fake::new(30, year(10))));
        let listed = Listed { lister, window: Arc::default(), today: day("2025-01-01") };
        let span = Span { prefix: BASE.into(), base: BASE.into(), ..Span::default() };
        let mut pages = Pages::new(vec![(listed, span, ())], 4);
        let mut count = 0;
        let err = loop {
            match pages.next().await {
                Ok(Some((page, ()))) => count += page.len(),
                Ok(None) => panic!("no failure"),
                Err(err) => break err,
            }
        };
        assert_eq!(err.kind(), ErrorKind::Unavailable);
        assert!(count > 1000, "{count} keys before");
    }
}
