//! From messages to windows of objects: receives, resolves and renews while earlier windows are converted.
//!
//! What a message says of an object is taken as it is the first time. When it comes again, or where it says
//! neither size nor etag, S3 is asked: objects that are gone and objects that were replaced are found so.
//! A message that names nothing for us is deleted at once; one that cannot be understood is left.

use crate::engine::{ConvertOptions, QueueReport};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::keys::parse;
use crate::location::Location;
use crate::notice::tell;
use crate::operations::watch_options::WatchOptions;
use crate::queue::{
    Closing, Held, MOST_PER_REQUEST, Message, Named, Queue, Window, WindowLimits, read_body,
};
use crate::source::{Object, Window as Wanted, listed_object};
use crate::storage::{BucketObject, S3};
use futures::{StreamExt, stream};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests for messages at once, while the queue is full.
const RECEIVES: usize = 8;

/// Objects that are asked for at once.
const HEADS: usize = 32;

/// SQS counts in whole seconds, and a wait of none asks only some of its servers.
const LEAST_POLL: Duration = Duration::from_secs(1);

/// Windows that wait to be converted, and their objects and JSON bytes: then receiving pauses.
const WINDOWS_WAITING: usize = 16;
const OBJECTS_WAITING: usize = 50_000;
const BYTES_WAITING: u64 = 1 << 30;

/// The longest poll while messages are in hand. Where the run ends, its answer is waited for before they are given
/// back: the service would hand them out to a poll whose answer nobody reads.
const POLL_IN_HAND: Duration = Duration::from_secs(3);

/// How long an answer is waited for beyond its poll when the run is over: its messages would be invisible to others,
/// and nobody would know them.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// How long a conversion may go on when the run was asked to stop, until its messages are given back: the process
/// is ended some seconds later.
const STOP_PATIENCE: Duration = Duration::from_secs(12);

/// How often flags that wake nobody are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Pauses after requests to the queue that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A message in hand, with its objects.
#[derive(Debug)]
pub(super) struct InHand {
    /// Its number in [`Held`].
    pub number: u64,
    /// Its objects, with when they were put.
    pub objects: Vec<(Object, i64)>,
    /// When it was sent.
    pub sent: i64,
    /// Whether it is left in the queue, whatever becomes of its objects.
    pub is_left: bool,
}

/// What a collector hands over.
#[derive(Debug)]
pub(super) enum Collected {
    /// Windows that have closed.
    Windows { messages: Vec<InHand>, gone: Vec<String>, is_last: bool },
    /// Nothing yet.
    Nothing,
    /// Nothing more will come.
    End,
}

#[derive(Debug, Default)]
struct State {
    closed: VecDeque<Vec<InHand>>,
    objects: usize,
    bytes: u64,
    gone: Vec<String>,
    counts: QueueReport,
    /// Messages that were left, in a drain: when only they come again, the queue is empty.
    left: HashSet<String>,
    is_ended: bool,
    failure: Option<Error>,
}

/// Collects messages into windows.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    pub queue: Arc<dyn Queue>,
    pub held: Held,
    options: &'a ConvertOptions,
    limits: WindowLimits,
    drains: bool,
    gone_after: u32,
    poll: Duration,
    stop: &'a AtomicBool,
    /// Whether the run is over for another reason.
    over: AtomicBool,
    state: Mutex<State>,
}

/// What became of one object that a message names.
enum Resolved {
    Object(Box<Object>, i64),
    Ignored,
    Gone(String),
    Left(String),
}

impl<'a> Collector<'a> {
    pub(super) fn new(
        queue: Arc<dyn Queue>,
        visibility: Duration,
        options: &'a WatchOptions,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            held: Held::new(Arc::clone(&queue), visibility),
            queue,
            options: &options.convert,
            limits: options.limits,
            drains: options.drains,
            gone_after: options.gone_after,
            poll: options.poll,
            stop,
            over: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is counted.
    pub(super) fn count(&self, change: impl FnOnce(&mut QueueReport)) {
        change(&mut self.state().counts);
    }

    /// Returns what was counted so far.
    pub(super) fn counts(&self) -> QueueReport {
        self.state().counts.clone()
    }

    /// Ends collecting: the run is over.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed)
    }

    /// Waits until the run is over.
    async fn until_over(&self) {
        while !self.is_over() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the run has been over for a while.
    async fn until_over_for(&self, grace: Duration) {
        self.until_over().await;
        tokio::time::sleep(grace).await;
    }

    /// Waits, unless the run is over first.
    pub(super) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.until_over() => {}
        }
    }

    /// Hands over what has closed; waits a moment for it.
    ///
    /// # Errors
    /// What ended collecting.
    pub(super) async fn next(&self) -> Result<Collected> {
        for _ in 0..5 {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Collected::End);
            }
            {
                let mut state = self.state();
                if !state.closed.is_empty() {
                    (state.objects, state.bytes) = (0, 0);
                    let messages = state.closed.drain(..).flatten().collect();
                    let gone = std::mem::take(&mut state.gone);
                    let is_last = state.is_ended && self.drains;
                    return Ok(Collected::Windows { messages, gone, is_last });
                }
                if state.is_ended {
                    return state.failure.take().map_or(Ok(Collected::End), Err);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(Collected::Nothing)
    }

    /// Collects until the run is over, or a queue that is drained is empty; renews visibility until the run is
    /// over.
    pub(super) async fn run(&self) {
        let collect = async {
            let outcome = self.collect().await;
            let mut state = self.state();
            state.failure = outcome.err();
            state.is_ended = true;
        };
        tokio::join!(collect, self.keep_renewing());
    }

    /// Renews visibility until the run is over. A run that was asked to stop and does not end gives its messages back
    /// before it is ended.
    async fn keep_renewing(&self) {
        let (mut renewed, mut stopped) = (Instant::now(), None);
        while !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.stop.load(Ordering::Relaxed)
                && stopped.get_or_insert_with(Instant::now).elapsed() >= STOP_PATIENCE
            {
                // Where it fails, they return when their visibility ends.
                let _ = self.held.give_back(true).await;
                return;
            }
            if renewed.elapsed() >= self.held.renew_every() {
                // Where it fails, messages return to the queue, and are recognized when they come again.
                if let Ok(expired) = self.held.renew().await {
                    self.count(|counts| counts.receipts_expired += expired as u64);
                }
                renewed = Instant::now();
            }
        }
    }

    async fn collect(&self) -> Result<()> {
        let mut window = Window::default();
        let mut is_busy = false;
        loop {
            if self.is_over() {
                return Ok(());
            }
            if self.is_full() {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let messages = self.receive(&window, is_busy).await?;
            if self.is_over() {
                self.hold(messages);
                return Ok(());
            }
            is_busy = messages.len() >= MOST_PER_REQUEST;
            let is_new = self.take(messages, &mut window).await?;
            if let Some(closing) = window.closing(&self.limits, Instant::now()) {
                self.close(&mut window, closing);
            }
            if self.drains && !is_new {
                self.close(&mut window, Closing::Aged);
                return Ok(());
            }
        }
    }

    fn is_full(&self) -> bool {
        let state = self.state();
        state.closed.len() >= WINDOWS_WAITING
            || state.objects >= OBJECTS_WAITING
            || state.bytes >= BYTES_WAITING
    }

    fn close(&self, window: &mut Window<InHand>, closing: Closing) {
        if window.is_empty() {
            return;
        }
        let messages = window.take();
        let mut state = self.state();
        let objects = messages.iter().flat_map(|message| &message.objects);
        let (count, bytes) = objects
            .fold((0, 0), |(count, bytes), (object, _)| (count + 1, bytes + object.json_estimate));
        state.objects += count;
        state.bytes += bytes;
        match closing {
            Closing::Full => state.counts.windows_full += 1,
            Closing::Aged => state.counts.windows_aged += 1,
        }
        state.closed.push_back(messages);
    }

    /// Receives messages; ends soon when the run is over, with those that have come by then. A watch repeats
    /// requests that fail until they do not.
    async fn receive(&self, window: &Window<InHand>, is_busy: bool) -> Result<Vec<Message>> {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut messages = Vec::new();
            let (poll, grace) = match self.held.count() {
                0 => (self.poll, LAST_ANSWER),
                _ => (self.poll.min(POLL_IN_HAND), POLL_IN_HAND + LAST_ANSWER),
            };
            let received = tokio::select! {
                received = self.receive_once(window, poll, is_busy, &mut messages) => received,
                () = self.until_over_for(grace) => Ok(()),
            };
            match received {
                // What was received must not be lost with what was not.
                _ if self.is_over() || !messages.is_empty() => return Ok(messages),
                Err(err) if err.kind().reaction() == Reaction::TryLater && !self.drains => {
                    tell(&format!("cannot receive messages, trying again: {err}"));
                    self.pause(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                received => return received.map(|()| messages),
            }
        }
    }

    async fn receive_once(
        &self,
        window: &Window<InHand>,
        poll: Duration,
        is_busy: bool,
        messages: &mut Vec<Message>,
    ) -> Result<()> {
        if !is_busy {
            let left = window.time_left(&self.limits, Instant::now());
            let wait = left.map_or(poll, |left| left.max(LEAST_POLL).min(poll));
            messages.extend(self.queue.receive(wait).await?);
            return Ok(());
        }
        let mut requests = stream::iter(0..RECEIVES)
            .map(|_| self.queue.receive(Duration::ZERO))
            .buffer_unordered(RECEIVES);
        let mut outcome = Ok(());
        while let Some(received) = requests.next().await {
            match received {
                Ok(more) => messages.extend(more),
                Err(err) => outcome = Err(err),
            }
        }
        outcome
    }

    /// Takes messages in hand that nobody looks at any more, to be given back.
    fn hold(&self, messages: Vec<Message>) {
        self.count(|counts| counts.messages_received += messages.len() as u64);
        for message in messages {
            if !self.held.comes_again(&message.id, &message.receipt) {
                self.held.hold(&message.id, message.receipt);
            }
        }
    }

    /// Takes messages in; returns whether one of them is new to a drain.
    async fn take(&self, messages: Vec<Message>, window: &mut Window<InHand>) -> Result<bool> {
        let mut is_new = false;
        let mut done = Vec::new();
        let all = messages.len();
        let comes_again = |message: &Message| self.held.comes_again(&message.id, &message.receipt);
        let messages: Vec<_> = messages.into_iter().filter(|m| !comes_again(m)).collect();
        let again = (all - messages.len()) as u64;
        self.count(|counts| {
            counts.messages_received += again;
            counts.receipts_expired += again;
        });
        let mut resolved = stream::iter(messages)
            .map(|message| async move {
                let resolved = self.resolve_all(&message).await;
                (message, resolved)
            })
            .buffer_unordered(HEADS);
        while let Some((message, resolved)) = resolved.next().await {
            let (is_first, taken) = self.note(message, resolved);
            is_new |= is_first;
            match taken {
                Some(message) if message.objects.is_empty() => done.push(message.number),
                Some(message) => {
                    let bytes = message.objects.iter().map(|(o, _)| o.json_estimate).sum();
                    let objects = message.objects.len();
                    window.add(message, objects, bytes, Instant::now());
                }
                None => {}
            }
        }
        self.delete(&done).await;
        Ok(is_new)
    }

    /// Counts a message, and takes it in hand unless there is nothing to do for it. Returns whether it is new
    /// to a drain.
    fn note(&self, message: Message, resolved: Vec<Resolved>) -> (bool, Option<InHand>) {
        let body = read_body(&message.body);
        let mut state = self.state();
        let State { counts, left, gone, .. } = &mut *state;
        counts.messages_received += 1;
        if let Some(shape) = body.shape {
            *counts.messages_by_shape.entry(shape.name().to_owned()).or_default() += 1;
        }
        counts.messages_of_tests += u64::from(body.is_test);
        counts.events_of_other_kinds += body.others;
        counts.objects_named += body.objects.len() as u64;
        let mut reason = body.problem.map(str::to_owned);
        let (mut objects, mut lost) = (Vec::new(), Vec::new());
        for resolved in resolved {
            match resolved {
                Resolved::Object(object, time) => {
                    let time = if time > 0 { time } else { message.sent };
                    objects.push((*object, time));
                }
                Resolved::Ignored => counts.objects_ignored += 1,
                Resolved::Gone(key) if message.receives >= self.gone_after => {
                    counts.note_gone(&key);
                    lost.push(key);
                }
                Resolved::Gone(_) => reason = Some("object not found so far".to_owned()),
                Resolved::Left(why) => reason = Some(why),
            }
        }
        gone.extend(lost.iter().cloned());
        let is_first = match &reason {
            None => true,
            Some(reason) => {
                counts.leave(reason);
                !self.drains || left.insert(message.id.clone())
            }
        };
        drop(state);
        for key in lost {
            tell(&format!("{key} is gone: deleted before it was read"));
        }
        if reason.is_some() && objects.is_empty() {
            self.held.leave_received(vec![message.receipt]);
            return (is_first, None);
        }
        let (sent, is_left) = (message.sent, reason.is_some());
        let number = self.held.hold(&message.id, message.receipt);
        (is_first, Some(InHand { number, objects, sent, is_left }))
    }

    async fn resolve_all(&self, message: &Message) -> Vec<Resolved> {
        let body = read_body(&message.body);
        let mut resolved = Vec::new();
        for named in &body.objects {
            resolved.push(match self.resolve(named, message.receives).await {
                Ok(resolved) => resolved,
                Err(err) => Resolved::Left(reason_of(&err)),
            });
        }
        resolved
    }

    async fn resolve(&self, named: &Named, receives: u32) -> Result<Resolved> {
        let Named { bucket, key, size, etag, time } = named;
        if !self.is_wanted(bucket, key) {
            return Ok(Resolved::Ignored);
        }
        let s3: &S3 = &self.options.s3;
        let bucket = s3.bucket(bucket).await?;
        let found = match (size, etag) {
            (Some(size), Some(etag)) if receives < 2 => Some(BucketObject {
                key: key.clone(),
                size: *size,
                etag: etag.clone(),
                archived: None,
            }),
            _ => bucket.head(key).await?,
        };
        let Some(found) = found else { return Ok(Resolved::Gone(bucket.address(key))) };
        let object = listed_object(found, &bucket, parse(key));
        Ok(Resolved::Object(Box::new(object), time.unwrap_or(0)))
    }

    /// Whether a listing of the sources would come across an object.
    fn is_wanted(&self, bucket: &str, key: &str) -> bool {
        let below = |place: &Location| match place {
            Location::S3 { bucket: other, prefix } if other == bucket => {
                key.strip_prefix(prefix.as_str()).map(str::to_owned)
            }
            _ => None,
        };
        let is_in_lake = matches!(&self.options.lake, Location::S3 { prefix, .. }
            if below(&self.options.lake)
                .is_some_and(|rest| prefix.is_empty() || prefix.ends_with('/') || rest.starts_with('/')));
        let sources = &self.options.sources;
        let below = match sources.is_empty() {
            // Folders above the layout have names that people gave them.
            true => Some(key.rfind("AWSLogs/").map_or(key, |at| &key[at..]).to_owned()),
            false => sources.iter().find_map(below),
        };
        let narrow = &self.options.narrow;
        let reads_hidden = self.options.output.hidden;
        let wanted = Wanted { narrow: narrow.clone(), reads_hidden, ..Wanted::default() };
        let layout = parse(key);
        !key.ends_with('/')
            && !is_in_lake
            && below.is_some_and(|below| !wanted.is_hidden(&below))
            && !narrow.ignores(&layout.folder)
            && narrow.wants(&layout)
    }

    /// Deletes messages; those that cannot be deleted return, and are recognized.
    pub(super) async fn delete(&self, numbers: &[u64]) {
        if numbers.is_empty() {
            return;
        }
        let all = numbers.len();
        let deleted = match self.held.delete(numbers).await {
            Ok(failed) => all - failed,
            Err(err) => {
                tell(&format!("cannot delete messages, which will come again: {err}"));
                0
            }
        };
        self.count(|counts| {
            counts.messages_deleted += deleted as u64;
            counts.receipts_expired += (all - deleted) as u64;
        });
    }
}

/// Why an object could not be asked for, alike for alike causes.
fn reason_of(err: &Error) -> String {
    match err.kind() {
        ErrorKind::Denied => "not allowed to read the object".to_owned(),
        ErrorKind::Unavailable => "S3 does not answer for the object".to_owned(),
        ErrorKind::Config => "the object's bucket cannot be opened".to_owned(),
        _ => "the object cannot be read".to_owned(),
    }
}
