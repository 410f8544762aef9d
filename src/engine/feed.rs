//! Units as the listing goes on: what is new, cut in order, and never all in memory.
//!
//! A task lists the sources and subtracts the ledger; pages of what is new wait in a short queue. The
//! driver gathers some of them, sorts their objects by partition and cuts units, as it can use them. Units that
//! an earlier run began come first.
use tracing::debug;

use crate::engine::cancel::{Cancel, Flow, Halt};
use crate::engine::cut::Cut;
use crate::engine::tasks::all;
use crate::engine::unit::Unit;
use crate::engine::unreadable::{Unreadable, try_all};
use crate::engine::{ConvertOptions, Retry, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::integrity::Proofs;
use crate::lake::{Entry, Known, Ledger, UnitBasis, WithoutRows, entry, entry_without_rows, month};
use crate::source::{Listing, ListingReport, Object, Place, Source};
use crate::storage::Storage;
use crate::units::Day;
use hashbrown::HashSet;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TryRecvError};
use tokio::task::JoinSet;

/// Pages of new objects that wait to be cut into units.
const PAGES_WAITING: usize = 4;

/// Objects that are sorted at once.
const SORTED_OBJECTS: usize = 1 << 15;

/// Objects of a unit of a plan at most: what a child that is killed has to fetch again.
const MOST_PLANNED_OBJECTS: usize = 10_000;

/// The share of `--memory` that the ledger may take.
pub(crate) const LEDGER_SHARE: u64 = 8;

/// What the listing has seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub report: ListingReport,
    /// Objects that the lake holds.
    pub known: u64,
    /// Their keys, of objects that are known without a listing.
    pub known_keys: Vec<String>,
    /// Whether all sources have been listed to their ends.
    is_complete: bool,
}

/// What a feed has to offer.
#[derive(Debug)]
pub(crate) enum Next {
    Unit(Box<Unit>),
    /// The listing has not come far enough.
    Pending,
    /// All units have been handed out.
    End,
}

/// Where a run's units come from.
pub(crate) trait Units {
    /// Returns the next unit, if there is one by now.
    ///
    /// # Errors
    /// Whatever finding it returns.
    fn poll(&mut self) -> Result<Next>;

    /// Waits until there may be another.
    ///
    /// # Errors
    /// Whatever finding it returns; `Stopped` when the run is over first.
    fn wait(&mut self, runtime: &Handle, cancel: &Cancel) -> Flow;
}

/// Units in the order of their numbers, from a listing.
#[derive(Debug)]
pub(crate) struct Feed {
    resumed: VecDeque<Unit>,
    pages: Receiver<Result<Vec<Object>>>,
    seen: Arc<Mutex<Seen>>,
    /// Objects that have not been cut yet.
    gathered: Vec<Object>,
    ready: VecDeque<Unit>,
    cut: Cut,
    is_listed: bool,
}

/// Units that an earlier run began, and what follows on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resumed {
    /// Units to finish, in the order of their numbers, exactly as their intents say.
    pub units: Vec<Unit>,
    /// The ledger entries of their objects.
    pub taken: HashSet<Entry>,
    /// The number of the first new unit.
    pub next_number: u64,
}

/// What a feed is made of.
pub(crate) struct FeedOptions<'a> {
    pub options: &'a ConvertOptions,
    pub sources: Vec<Source>,
    /// Objects that are known without a listing of the sources.
    pub named: Option<Vec<Object>>,
    pub today: Day,
    /// The lake, if there is one, with what is known of it.
    pub lake: Option<(&'a Storage, &'a Known)>,
    pub resumed: Resumed,
    /// With `--strict`, the objects that have been looked at: others wait for the next run.
    pub only: Option<HashSet<Entry>>,
    /// The id of the plan that is being made, if one is.
    pub plan: Option<&'a str>,
    /// What becomes of objects that cannot be read.
    pub unreadable: Arc<Unreadable>,
    /// What there is to do, for those who watch.
    pub work: Arc<Work>,
}

impl Feed {
    /// Begins to list the sources.
    ///
    /// # Errors
    /// `Config` for a source that does not exist, `Io`, `Denied` and `Unavailable` from the walk.
    pub(crate) async fn open(feed: FeedOptions<'_>) -> Result<Self> {
        let FeedOptions { options, sources, today, lake, resumed, only, plan, .. } = feed;
        let (unreadable, work, named) = (feed.unreadable, feed.work, feed.named);
        let barrier = lake.and_then(|(_, known)| known.snapshot.barrier());
        let basis = match plan {
            Some(id) => UnitBasis::of_plan(options.output.clone(), id),
            None => UnitBasis::after_barrier(options.output.clone(), barrier),
        };
        let ledger = lake.map(|(storage, known)| {
            let mut ledger = known.ledger(storage, options.memory.0 / LEDGER_SHARE);
            if let Some(since) = first_day(&sources, named.as_deref()) {
                ledger.begin_at(since);
            }
            ledger
        });
        let names_known = named.is_some();
        let listing = match named {
            Some(objects) => Listing::of(objects),
            None => Listing::open(sources, &options.s3, today).await?,
        };
        resumed.units.iter().for_each(|unit| add_work(&work, &unit.objects));
        let (sender, pages) = channel(PAGES_WAITING);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (taken, shared) = (resumed.taken, Arc::clone(&seen));
        let subtract = Subtract {
            listing,
            ledger,
            taken,
            only,
            seen: shared,
            names_known,
            unreadable,
            work,
            retry: options.retry,
            judge: options.output.judge(),
            proofs: options.integrity.proofs.clone(),
        };
        tokio::spawn(subtract.run(sender));
        let most_objects = plan.map_or(usize::MAX, |_| MOST_PLANNED_OBJECTS);
        Ok(Self {
            resumed: resumed.units.into(),
            pages,
            seen,
            gathered: Vec::new(),
            ready: VecDeque::new(),
            cut: Cut::new(basis, most_objects, resumed.next_number),
            is_listed: false,
        })
    }

    /// Returns the next unit, however long it takes; none at the end.
    ///
    /// # Errors
    /// Whatever the listing or the ledger returns.
    pub(crate) fn next(&mut self, runtime: &Handle) -> Result<Option<Unit>> {
        loop {
            match self.poll()? {
                Next::Unit(unit) => return Ok(Some(*unit)),
                Next::End => return Ok(None),
                Next::Pending => {
                    let page = runtime.block_on(self.pages.recv());
                    self.gather(page)?;
                }
            }
        }
    }

    /// Returns what the listing has seen; all of it, when all units have been handed out.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn gather(&mut self, page: Option<Result<Vec<Object>>>) -> Result<()> {
        match page {
            Some(page) => self.gathered.extend(page?),
            None => {
                // A listing that ended without saying so must not pass for a complete one.
                if !self.seen().is_complete {
                    return Err(Error::new(ErrorKind::Bug, "the listing ended unexpectedly"));
                }
                self.is_listed = true;
            }
        }
        Ok(())
    }

    fn may_gather(&self) -> bool {
        !self.is_listed && self.gathered.len() < SORTED_OBJECTS
    }

    /// Cuts what is gathered.
    fn cut(&mut self) -> Result<()> {
        let objects = std::mem::take(&mut self.gathered);
        self.cut.take_sorted(objects, &mut self.ready)?;
        if self.is_listed {
            self.cut.end(&mut self.ready)?;
        }
        Ok(())
    }
}

impl Units for Feed {
    fn poll(&mut self) -> Result<Next> {
        loop {
            // Also while there are units, so that the next ones need not wait for the listing.
            let mut is_pending = false;
            while self.may_gather() && !is_pending {
                match self.pages.try_recv() {
                    Ok(page) => self.gather(Some(page))?,
                    Err(TryRecvError::Empty) => is_pending = true,
                    Err(TryRecvError::Disconnected) => self.gather(None)?,
                }
            }
            if let Some(unit) = self.resumed.pop_front().or_else(|| self.ready.pop_front()) {
                return Ok(Next::Unit(Box::new(unit)));
            }
            if is_pending {
                return Ok(Next::Pending);
            }
            if self.is_listed && self.gathered.is_empty() && self.cut.is_empty() {
                return Ok(Next::End);
            }
            self.cut()?;
        }
    }

    fn wait(&mut self, runtime: &Handle, cancel: &Cancel) -> Flow {
        let page = receive(&mut self.pages, runtime, cancel)?;
        Ok(self.gather(page)?)
    }
}

/// The first day of delivery that the ledger is asked for. With one source that lists everything, every month
/// may be.
fn first_day(sources: &[Source], named: Option<&[Object]>) -> Option<Day> {
    match named {
        Some(objects) => objects.iter().filter_map(|object| object.layout.day()).min(),
        None => sources.iter().map(|source| source.window.since).min().flatten(),
    }
}

/// Waits for what a task sends; nothing when the task has ended.
///
/// # Errors
/// `Stopped` when the run is over first.
pub(crate) fn receive<T>(
    receiver: &mut Receiver<T>,
    runtime: &Handle,
    cancel: &Cancel,
) -> Flow<Option<T>> {
    runtime.block_on(async {
        tokio::select! {
            biased;
            received = receiver.recv() => Ok(received),
            () = cancel.cancelled() => Err(Halt::Stopped),
        }
    })
}

fn add_work(work: &Work, objects: &[Object]) {
    work.add(objects.iter().map(|object| object.size).sum(), objects.len() as u64);
}

/// Lists, and leaves out what is known.
struct Subtract {
    listing: Listing,
    ledger: Option<Ledger>,
    taken: HashSet<Entry>,
    only: Option<HashSet<Entry>>,
    seen: Arc<Mutex<Seen>>,
    /// Whether the keys of known objects are kept.
    names_known: bool,
    unreadable: Arc<Unreadable>,
    work: Arc<Work>,
    retry: Retry,
    /// What decides whether an object is quarantined.
    judge: String,
    /// What digests say, if they were asked.
    proofs: Option<Arc<Proofs>>,
}

impl Subtract {
    async fn run(mut self, sender: Sender<Result<Vec<Object>>>) {
        loop {
            let page = tokio::select! {
                page = self.page() => page,
                () = sender.closed() => return,
            };
            let page = match page {
                Ok(None) => return,
                Ok(Some(page)) if page.is_empty() => continue,
                Ok(Some(page)) => Ok(page),
                Err(err) => Err(err),
            };
            let is_failed = page.is_err();
            if sender.send(page).await.is_err() || is_failed {
                return;
            }
        }
    }

    /// Leaves out what cannot be read, of objects about which there is doubt.
    async fn readable(&self, mut new: Vec<Object>) -> Result<Vec<Object>> {
        let mut tries = JoinSet::new();
        for (at, object) in new.iter().enumerate() {
            if self.unreadable.is_doubted(object) {
                let object = object.clone();
                tries.spawn(async move { Ok((at, try_all(&object).await.err(), object)) });
            }
        }
        let mut lost = HashSet::new();
        for (at, err, object) in all(tries).await? {
            match err {
                Some(err) => {
                    self.unreadable.leave_out(&object, err)?;
                    lost.insert(at);
                }
                None => {
                    self.unreadable.is_read();
                    self.unreadable.is_well(&object.key);
                }
            }
        }
        let mut at = 0..;
        new.retain(|_| at.next().is_none_or(|at| !lost.contains(&at)));
        Ok(new)
    }

    /// Returns whether an object is in the lake, or was quarantined or ignored by those who would do so again.
    async fn is_known(&mut self, object: &Object, entry: &Entry) -> Result<bool> {
        let Some(ledger) = &mut self.ledger else { return Ok(false) };
        let month = month(&object.layout);
        if ledger.contains(month, entry).await? {
            return Ok(true);
        }
        let Retry { quarantined, ignored } = self.retry;
        for (how, is_retried) in [
            (WithoutRows::Quarantined, quarantined),
            (WithoutRows::Ignored, ignored),
            (WithoutRows::Both, quarantined || ignored),
        ] {
            let Object { layout, key, etag, .. } = object;
            let entry = entry_without_rows(layout, key, etag, how, &self.judge);
            if !is_retried && ledger.contains(month, &entry).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why an object is not converted now, if it is not.
    fn blocked<'o>(&self, object: &'o Object) -> Option<&'o str> {
        let unproven = || match &self.proofs {
            // Members have digests of their own.
            Some(proofs) if !object.is_archive => proofs.blocks(&object.key),
            _ => None,
        };
        object.blocked.as_deref().or_else(unproven)
    }

    async fn page(&mut self) -> Result<Option<Vec<Object>>> {
        let page = self.listing.next().await?;
        let is_end = page.is_none();
        let (mut known, mut known_keys, mut new) = (0, Vec::new(), Vec::new());
        for object in page.into_iter().flatten() {
            let entry = entry(&object.layout, &object.key, &object.etag);
            let is_passed_over = self.only.as_ref().is_some_and(|only| !only.contains(&entry));
            if is_passed_over || self.taken.contains(&entry) {
                continue;
            }
            let is_known = self.is_known(&object, &entry).await?;
            if is_known {
                known += 1;
                self.unreadable.is_well(&object.key);
                if self.names_known {
                    known_keys.push(object.key);
                }
            } else if let Some(reason) = self.blocked(&object) {
                self.unreadable.leave_out_blocked(&object, reason)?;
            } else if !self.unreadable.is_broken(&object)? {
                if matches!(object.place, Place::File) && !self.unreadable.is_doubted(&object) {
                    // It was opened.
                    self.unreadable.is_read();
                }
                new.push(object);
            }
        }
        let new = self.readable(new).await?;
        debug!(new = new.len(), known, is_end, "listed");
        add_work(&self.work, &new);
        if is_end {
            self.unreadable.folders(&self.listing.report())?;
            self.work.end();
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.known += known;
        seen.known_keys.extend(known_keys);
        seen.report = self.listing.report();
        seen.is_complete = is_end;
        Ok((!is_end).then_some(new))
    }
}
