//! Messages in hand: invisible to others until they are deleted, given back or left.
//!
//! Their visibility is renewed at half its time, however long the work on them takes; SQS allows twelve hours in
//! all. What is not renewed, because this process was killed, returns to the queue by itself.

use crate::error::Result;
use crate::queue::{MOST_PER_REQUEST, Queue};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests side by side.
const AT_ONCE: usize = 8;

/// The same when all messages are given back, which has seconds and may be tens of thousands.
const AT_ONCE_AT_THE_END: usize = 32;

/// Messages in hand, by numbers.
#[derive(Debug)]
pub struct Held {
    queue: Arc<dyn Queue>,
    visibility: Duration,
    messages: Mutex<InHand>,
}

#[derive(Debug, Default)]
struct InHand {
    last: u64,
    /// Ids and receipts.
    by_number: BTreeMap<u64, (String, String)>,
    by_id: HashMap<String, u64>,
    /// Receipts of messages that were left, and when their visibility ends.
    left: VecDeque<(String, Instant)>,
}

impl Held {
    /// Begins with none; `visibility` is that of the queue.
    pub fn new(queue: Arc<dyn Queue>, visibility: Duration) -> Self {
        Self { queue, visibility, messages: Mutex::default() }
    }

    fn messages(&self) -> MutexGuard<'_, InHand> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message in hand; returns its number.
    pub fn hold(&self, id: &str, receipt: String) -> u64 {
        let mut messages = self.messages();
        messages.last += 1;
        let number = messages.last;
        messages.by_number.insert(number, (id.to_owned(), receipt));
        messages.by_id.insert(id.to_owned(), number);
        number
    }

    /// Gives a message that is in hand its newest receipt: it has come again because its visibility had ended.
    /// Returns whether it is in hand.
    pub fn comes_again(&self, id: &str, receipt: &str) -> bool {
        let mut messages = self.messages();
        let Some(number) = messages.by_id.get(id).copied() else { return false };
        messages.by_number.insert(number, (id.to_owned(), receipt.to_owned()));
        true
    }

    /// Returns how many messages are in hand.
    pub fn count(&self) -> usize {
        self.messages().by_number.len()
    }

    /// Returns the time between two renewals.
    pub fn renew_every(&self) -> Duration {
        (self.visibility / 2).max(Duration::from_millis(500))
    }

    /// Renews the visibility of all messages in hand; returns how many could not be renewed: they return
    /// to the queue, and are recognized when they come again.
    ///
    /// # Errors
    /// As [`Queue::extend`].
    pub async fn renew(&self) -> Result<usize> {
        let messages = self.messages().by_number.clone();
        let receipts = messages.into_values().map(|(_, receipt)| receipt).collect();
        self.extend(receipts, self.visibility).await
    }

    async fn extend(&self, receipts: Vec<String>, visibility: Duration) -> Result<usize> {
        let batches = receipts.chunks(MOST_PER_REQUEST).map(<[String]>::to_vec);
        let queue = &self.queue;
        stream::iter(batches.collect::<Vec<_>>())
            .map(|batch| async move { queue.extend(&batch, visibility).await })
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |all, failed| async move { Ok(all + failed) })
            .await
    }

    /// Puts messages out of hand, and returns their receipts.
    fn take(&self, numbers: &[u64]) -> Vec<String> {
        let mut messages = self.messages();
        let mut take = |number| {
            let (id, receipt) = messages.by_number.remove(number)?;
            messages.by_id.remove(&id);
            Some(receipt)
        };
        numbers.iter().filter_map(&mut take).collect()
    }

    /// Leaves messages in hand in the queue: they return when their visibility ends.
    pub fn leave(&self, numbers: &[u64]) {
        self.leave_received(self.take(numbers));
    }

    /// Leaves messages in the queue that were never in hand.
    pub fn leave_received(&self, receipts: Vec<String>) {
        let now = Instant::now();
        let left = &mut self.messages().left;
        left.extend(receipts.into_iter().map(|receipt| (receipt, now + self.visibility)));
        while left.front().is_some_and(|(_, end)| *end <= now) {
            left.pop_front();
        }
    }

    /// Deletes messages whose objects are safe; returns how many could not be deleted, and return.
    ///
    /// # Errors
    /// As [`Queue::delete`].
    pub async fn delete(&self, numbers: &[u64]) -> Result<usize> {
        let receipts = self.take(numbers);
        let batches = receipts.chunks(MOST_PER_REQUEST).map(<[String]>::to_vec);
        let queue = &self.queue;
        stream::iter(batches.collect::<Vec<_>>())
            .map(|batch| async move { queue.delete(&batch).await })
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |all, failed| async move { Ok(all + failed) })
            .await
    }

    /// Gives all messages in hand back at once, for others to take, and those that were left if they are asked for.
    /// A request that fails keeps no other from being made.
    ///
    /// # Errors
    /// As [`Queue::extend`], the last that there was.
    pub async fn give_back(&self, has_left: bool) -> Result<()> {
        let numbers: Vec<u64> = self.messages().by_number.keys().copied().collect();
        let mut receipts = self.take(&numbers);
        if has_left {
            let left = std::mem::take(&mut self.messages().left);
            receipts.extend(left.into_iter().map(|(receipt, _)| receipt));
        }
        let batches = receipts.chunks(MOST_PER_REQUEST).map(<[String]>::to_vec);
        let queue = &self.queue;
        stream::iter(batches.collect::<Vec<_>>())
            .map(|batch| async move { queue.extend(&batch, Duration::ZERO).await.map(drop) })
            .buffer_unordered(AT_ONCE_AT_THE_END)
            .fold(Ok(()), |all, given| async move { given.and(all) })
            .await
    }
}
