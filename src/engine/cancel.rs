//! The one handle by which a run ends early: the first error, a lost lease, or the wish of a person.
//!
//! A wish to stop ends waiting: nothing new begins, and what is in flight is committed. A failure ends
//! the work as well. Both wake every thread and task that waits.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::Storage;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How often the flag that a signal sets and the lease are looked at: neither can wake anybody.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A wait or a stage that ended because the run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Why a stage goes no further.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The run is over.
    Stopped,
    /// This must end the run.
    Failed(Error),
}

/// What a stage did, unless it was halted.
pub(crate) type Flow<T = ()> = std::result::Result<T, Halt>;

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Error> for Halt {
    fn from(err: Error) -> Self {
        Self::Failed(err)
    }
}

/// For rooms that know nothing of runs; [`Cancel::halt`] is the way back.
impl From<Stopped> for Error {
    fn from(_: Stopped) -> Self {
        Self::new(ErrorKind::Interrupted, "stopped")
    }
}

/// Whether a run goes on; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Cancel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    failure: Mutex<Option<Error>>,
    has_failed: AtomicBool,
    /// Whether waiting has ended; also wakes tasks.
    is_over: watch::Sender<bool>,
    waiters: Mutex<Vec<Weak<dyn Wake>>>,
}

trait Wake: std::fmt::Debug + Send + Sync {
    fn wake(&self);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Cancel {
    fn default() -> Self {
        Self(Arc::new(Shared {
            failure: Mutex::default(),
            has_failed: AtomicBool::new(false),
            is_over: watch::Sender::new(false),
            waiters: Mutex::default(),
        }))
    }
}

impl Cancel {
    /// Ends the run with an error; the first one is the one to tell.
    pub(crate) fn fail(&self, err: Error) {
        lock(&self.0.failure).get_or_insert(err);
        self.0.has_failed.store(true, Ordering::SeqCst);
        self.stop();
    }

    /// Ends waiting; what is in flight is finished.
    pub(crate) fn stop(&self) {
        self.0.is_over.send_replace(true);
        let waiters: Vec<_> = lock(&self.0.waiters).iter().filter_map(Weak::upgrade).collect();
        waiters.iter().for_each(|waiter| waiter.wake());
    }

    /// Ends the run by why a stage was halted.
    pub(crate) fn end(&self, halt: Halt) {
        match halt {
            Halt::Stopped => self.stop(),
            Halt::Failed(err) => self.fail(err),
        }
    }

    /// Returns whether waiting has ended.
    pub(crate) fn is_over(&self) -> bool {
        *self.0.is_over.borrow()
    }

    /// Returns whether the run has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.has_failed.load(Ordering::SeqCst)
    }

    /// Waits until waiting has ended.
    pub(crate) async fn cancelled(&self) {
        // It cannot be closed: this handle has its sender.
        let _ = self.0.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }

    /// Returns the error that ended the run.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn failure(&self) -> Result<()> {
        lock(&self.0.failure).take().map_or(Ok(()), Err)
    }

    /// Says why an error halts a stage: one that this run's end was turned into is no failure.
    pub(crate) fn halt(&self, err: Error) -> Halt {
        let is_stopped = err.kind() == ErrorKind::Interrupted && self.is_over();
        if is_stopped { Halt::Stopped } else { Halt::Failed(err) }
    }

    /// Ends the run if the thread panics while the guard lives: others would wait for its work.
    pub(crate) fn guard(&self) -> impl Drop + use<> {
        PanicGuard(self.clone())
    }
}

struct PanicGuard(Cancel);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Error::new(ErrorKind::Bug, "a thread of the run panicked"));
        }
    }
}

/// What ends a run from outside and wakes nobody: it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside<'a> {
    pub stop: &'a AtomicBool,
    /// Whose lease may be lost.
    pub storage: &'a Storage,
}

impl Outside<'_> {
    /// Ends the run if it is to end.
    pub(crate) fn look(&self, cancel: &Cancel) {
        if let Some(lost) = self.storage.lost() {
            cancel.fail(lost);
        }
        if self.stop.load(Ordering::Relaxed) && !cancel.is_over() {
            cancel.stop();
        }
    }

    /// Looks again and again until the other end of `done` is dropped.
    pub(crate) fn watch(&self, cancel: &Cancel, done: &Receiver<()>) {
        while done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            self.look(cancel);
        }
    }
}

/// A state that threads wait for a change of, as long as the run goes on.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    cell: Arc<WatchedCell<T>>,
    cancel: Cancel,
}

#[derive(Debug)]
struct WatchedCell<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T: std::fmt::Debug + Send> Wake for WatchedCell<T> {
    fn wake(&self) {
        // Whoever has looked at the run's end and not begun to wait yet holds the lock.
        drop(lock(&self.state));
        self.changed.notify_all();
    }
}

impl<T: std::fmt::Debug + Send + 'static> Watched<T> {
    pub(crate) fn new(state: T, cancel: &Cancel) -> Self {
        let cell = Arc::new(WatchedCell { state: Mutex::new(state), changed: Condvar::new() });
        let waiter: Weak<WatchedCell<T>> = Arc::downgrade(&cell);
        lock(&cancel.0.waiters).push(waiter);
        Self { cell, cancel: cancel.clone() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        lock(&self.cell.state)
    }

    /// Changes the state, and wakes those who wait for that.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let done = change(&mut self.lock());
        self.cell.changed.notify_all();
        done
    }

    /// Waits until `take` returns something. What is there at once is taken also at the end of the run.
    ///
    /// # Errors
    /// [`Stopped`] when the run is over first.
    pub(crate) fn wait<R>(
        &self,
        take: impl FnMut(&mut T) -> Option<R>,
    ) -> std::result::Result<R, Stopped> {
        self.wait_unless(take, Cancel::is_over)
    }

    /// As [`Watched::wait`], also while what is in flight is finished.
    ///
    /// # Errors
    /// [`Stopped`] when the run has failed.
    pub(crate) fn wait_in_flight<R>(
        &self,
        take: impl FnMut(&mut T) -> Option<R>,
    ) -> std::result::Result<R, Stopped> {
        self.wait_unless(take, Cancel::has_failed)
    }

    fn wait_unless<R>(
        &self,
        mut take: impl FnMut(&mut T) -> Option<R>,
        is_over: impl Fn(&Cancel) -> bool,
    ) -> std::result::Result<R, Stopped> {
        let mut state = self.lock();
        loop {
            if let Some(taken) = take(&mut state) {
                return Ok(taken);
            }
            if is_over(&self.cancel) {
                return Err(Stopped);
            }
            state = self.cell.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_told_and_a_wish_to_stop_is_none() {
        let cancel = Cancel::default();
        cancel.stop();
        assert!(cancel.is_over() && !cancel.has_failed());
        assert!(cancel.failure().is_ok());

        cancel.fail(Error::bad_input("first"));
        cancel.fail(Error::config("second"));

        assert!(cancel.has_failed());
        assert_eq!(cancel.failure().unwrap_err().kind(), ErrorKind::BadInput);
    }

    #[test]
    fn a_stop_wakes_those_who_wait_and_leaves_what_is_in_flight() {
        let cancel = Cancel::default();
        let watched = Watched::new(0, &cancel);
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| watched.wait(|n| (*n > 0).then_some(*n)));
            let in_flight = threads.spawn(|| watched.wait_in_flight(|n| (*n > 0).then_some(*n)));
            cancel.stop();
            assert_eq!(waiting.join().unwrap(), Err(Stopped));
            watched.change(|n| *n = 1);
            assert_eq!(in_flight.join().unwrap(), Ok(1));
        });
        assert_eq!(watched.wait(|n| Some(*n)), Ok(1), "it is there at once");
        cancel.fail(Error::bad_input("no"));
        assert_eq!(watched.wait_in_flight(|_| None::<()>), Err(Stopped));
    }

    #[test]
    fn a_panic_ends_the_run_and_only_its_own_interruption_is_no_failure() {
        let cancel = Cancel::default();
        let interrupted = || Error::new(ErrorKind::Interrupted, "stopped");
        assert!(matches!(cancel.halt(interrupted()), Halt::Failed(_)));
        std::thread::scope(|threads| {
            let panicking = threads.spawn(|| {
                let _guard = cancel.guard();
                panic!("as a test");
            });
            assert!(panicking.join().is_err());
        });
        assert!(matches!(cancel.halt(interrupted()), Halt::Stopped));
        assert_eq!(cancel.failure().unwrap_err().kind(), ErrorKind::Bug);
    }

    #[tokio::test]
    async fn a_stop_wakes_tasks_and_a_flag_that_is_set_is_seen() {
        let (cancel, stop) = (Cancel::default(), AtomicBool::new(true));
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path()).unwrap();
        let task = tokio::spawn({
            let cancel = cancel.clone();
            async move { cancel.cancelled().await }
        });

        Outside { stop: &stop, storage: &storage }.look(&cancel);

        task.await.unwrap();
    }
}
