//! A queue of messages that name objects: what a message says, and what becomes of it.
//!
//! Five forms of messages are read ([`read_body`]): S3's notification, through SNS or not, EventBridge's event,
//! the message of a trail's own topic, and S3's test event. Nothing here reads an object or knows a lake:
//! a [`Queue`] gives messages, [`Held`] keeps them invisible to others while they are worked on, and a
//! [`Window`] collects what they name until it is large or old enough.
//!
//! A message is deleted only when its caller says that its objects are safe. What cannot be understood is left
//! in the queue, for the queue's redrive policy.

mod body;
mod delays;
mod held;
mod memory;
mod sqs;
mod window;

use crate::error::Result;
use async_trait::async_trait;
pub use body::{Body, Named, Shape, read_body};
pub use delays::Delays;
pub use held::Held;
pub use memory::MemoryQueue;
pub use sqs::{SqsQueue, queue_region};
use std::fmt::Debug;
use std::time::Duration;
pub use window::{Closing, Window, WindowLimits};

/// Messages of one request at most: SQS's limit, for every operation.
pub const MOST_PER_REQUEST: usize = 10;

/// A message, as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same each time that it is received.
    pub id: String,
    /// What deletes it; another each time that it is received.
    pub receipt: String,
    /// What it says.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was sent, in milliseconds since 1970; 0 if the queue does not say.
    pub sent: i64,
}

/// What a queue says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFacts {
    /// How long a message that was received is invisible to others.
    pub visibility: Duration,
    /// Messages that wait, about.
    pub waiting: u64,
}

/// A queue with SQS's semantics: at least once, in any order.
#[async_trait]
pub trait Queue: Debug + Send + Sync {
    /// Returns its address, for people.
    fn address(&self) -> &str;

    /// Returns what it says of itself.
    ///
    /// # Errors
    /// `Config` when there is no such queue, `Denied`, `Unavailable`.
    async fn facts(&self) -> Result<QueueFacts>;

    /// Returns up to [`MOST_PER_REQUEST`] messages; waits for the first up to `wait`, in whole seconds.
    ///
    /// # Errors
    /// As [`Queue::facts`].
    async fn receive(&self, wait: Duration) -> Result<Vec<Message>>;

    /// Deletes up to [`MOST_PER_REQUEST`] messages; returns how many could not be deleted, and return.
    ///
    /// # Errors
    /// As [`Queue::facts`].
    async fn delete(&self, receipts: &[String]) -> Result<usize>;

    /// Makes up to [`MOST_PER_REQUEST`] messages invisible to others for a time from now on; returns how many
    /// could not be: their receipts are too old.
    ///
    /// # Errors
    /// As [`Queue::facts`].
    async fn extend(&self, receipts: &[String], visibility: Duration) -> Result<usize>;
}
