//! A queue in memory with SQS's semantics, for tests: messages come back when their visibility ends, receipts
//! grow old, and what was received often enough goes to where dead letters go.

use crate::error::Result;
use crate::queue::{MOST_PER_REQUEST, Message, Queue, QueueFacts};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A queue in memory.
#[derive(Debug)]
pub struct MemoryQueue {
    visibility: Duration,
    most_receives: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    messages: VecDeque<Stored>,
    dead: Vec<String>,
    deleted: u64,
    renewed: u64,
}

#[derive(Debug)]
struct Stored {
    message: Message,
    visible_from: Instant,
}

impl MemoryQueue {
    /// Makes an empty queue.
    pub fn new(visibility: Duration) -> Self {
        Self { visibility, most_receives: u32::MAX, state: Mutex::default() }
    }

    /// Moves messages away that were received so often.
    #[must_use]
    pub fn with_redrive(self, most_receives: u32) -> Self {
        Self { most_receives, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message.
    pub fn send(&self, body: impl Into<String>) {
        let mut state = self.state();
        state.next += 1;
        let message = Message {
            id: format!("m{}", state.next),
            receipt: String::new(),
            body: body.into(),
            receives: 0,
            sent: 0,
        };
        state.messages.push_back(Stored { message, visible_from: Instant::now() });
    }

    /// Returns the messages that were not deleted, the invisible ones included.
    pub fn bodies(&self) -> Vec<String> {
        self.state().messages.iter().map(|stored| stored.message.body.clone()).collect()
    }

    /// Returns how many messages are invisible.
    pub fn invisible(&self) -> usize {
        let now = Instant::now();
        self.state().messages.iter().filter(|stored| stored.visible_from > now).count()
    }

    /// Returns the messages that were received too often.
    pub fn dead(&self) -> Vec<String> {
        self.state().dead.clone()
    }

    /// Returns how many messages were deleted.
    pub fn deleted(&self) -> u64 {
        self.state().deleted
    }

    /// Returns how often the visibility of a message was set.
    pub fn renewed(&self) -> u64 {
        self.state().renewed
    }

    /// Makes every message visible, as if the process that had received them were gone for long.
    pub fn forget_receivers(&self) {
        let now = Instant::now();
        for stored in &mut self.state().messages {
            stored.visible_from = now;
            stored.message.receipt.clear();
        }
    }

    fn receive_now(&self) -> Vec<Message> {
        let (now, visibility, most) = (Instant::now(), self.visibility, self.most_receives);
        let mut state = self.state();
        let mut dead = Vec::new();
        state.messages.retain(|stored| {
            let is_dead = stored.visible_from <= now && stored.message.receives >= most;
            dead.extend(is_dead.then(|| stored.message.body.clone()));
            !is_dead
        });
        state.dead.extend(dead);
        let visible = state.messages.iter_mut().filter(|stored| stored.visible_from <= now);
        visible
            .take(MOST_PER_REQUEST)
            .map(|Stored { message, visible_from }| {
                message.receives += 1;
                message.receipt = format!("{}.{}", message.id, message.receives);
                *visible_from = now + visibility;
                message.clone()
            })
            .collect()
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn address(&self) -> &str {
        "memory"
    }

    async fn facts(&self) -> Result<QueueFacts> {
        let waiting = self.state().messages.len() as u64;
        Ok(QueueFacts { visibility: self.visibility, waiting })
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>> {
        let until = Instant::now() + wait;
        loop {
            let messages = self.receive_now();
            if !messages.is_empty() || Instant::now() >= until {
                return Ok(messages);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn delete(&self, receipts: &[String]) -> Result<usize> {
        let mut state = self.state();
        let before = state.messages.len();
        state.messages.retain(|stored| !receipts.contains(&stored.message.receipt));
        let deleted = before - state.messages.len();
        state.deleted += deleted as u64;
        Ok(receipts.len() - deleted)
    }

    async fn extend(&self, receipts: &[String], visibility: Duration) -> Result<usize> {
        let now = Instant::now();
        let mut state = self.state();
        let mut failed = 0;
        for receipt in receipts {
            let found = state.messages.iter_mut().find(|s| s.message.receipt == *receipt);
            match found.filter(|stored| stored.visible_from > now) {
                Some(stored) => stored.visible_from = now + visibility,
                None => failed += 1,
            }
        }
        state.renewed += (receipts.len() - failed) as u64;
        Ok(failed)
    }
}
