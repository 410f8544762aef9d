//! Work that all threads of a pool share, task by task.

use crate::error::Result;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does numbered tasks by all threads, each with a worker of its own, and the next task goes to the thread
/// that is free: those that take longest come best first. Returns what the tasks came to, in their order, and
/// the workers.
///
/// # Errors
/// That of a task; the others are not begun then.
pub(super) fn share<W: Send, R: Send>(
    tasks: usize,
    begin: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> Result<R> + Sync,
) -> Result<(Vec<R>, Vec<W>)> {
    let next = AtomicUsize::new(0);
    let of_threads = rayon::broadcast(|_| {
        let (mut worker, mut done) = (begin(), Vec::new());
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return Ok((done, worker));
            }
            match work(&mut worker, task) {
                Ok(result) => done.push((task, result)),
                Err(err) => {
                    next.store(tasks, Ordering::Relaxed);
                    return Err(err);
                }
            }
        }
    });
    let (mut results, mut workers) = (Vec::with_capacity(tasks), Vec::new());
    for of_thread in of_threads {
        let (done, worker) = of_thread?;
        results.extend(done);
        workers.push(worker);
    }
    results.sort_unstable_by_key(|(task, _)| *task);
    Ok((results.into_iter().map(|(_, result)| result).collect(), workers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn every_task_is_done_once_and_a_failure_ends_all() {
        let work = |sum: &mut usize, task: usize| {
            *sum += task;
            Ok(task)
        };
        let (results, sums) = share(1000, || 0, work).unwrap();
        assert_eq!(results, (0..1000).collect::<Vec<_>>());
        assert_eq!(sums.iter().sum::<usize>(), 499_500);

        let failing = |_: &mut (), task: usize| match task {
            7 => Err(Error::bad_input("no")),
            _ => Ok(()),
        };
        assert!(share(1000, || (), failing).is_err());
    }
}
