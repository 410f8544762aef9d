//! What a watch is told.

use crate::engine::ConvertOptions;
use crate::queue::WindowLimits;
use std::time::Duration;

/// SQS's longest wait for a message.
const LONG_POLL: Duration = Duration::from_secs(20);

/// How long a drain waits for one more message: any wait asks all of SQS's servers.
const DRAIN_POLL: Duration = Duration::from_secs(2);

/// How long a drain waits for another run to release the lake.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// Receives after which a message is deleted whose object is gone.
pub const GONE_AFTER: u32 = 3;

/// Everything that a watch is told.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// How objects are converted. Its sources are where they must lie; without any they may lie anywhere.
    pub convert: ConvertOptions,
    /// When a window closes.
    pub limits: WindowLimits,
    /// Whether the run ends when the queue is empty.
    pub drains: bool,
    /// How often the sources are listed for what notifications lost, if they are: first at the start.
    pub sweep: Option<Duration>,
    /// How long another run's lease is waited for; none: however long it takes.
    pub lease_wait: Option<Duration>,
    /// Receives after which a message is deleted whose object is gone.
    pub gone_after: u32,
    /// How long an idle queue is waited for in one request; to a drain it is empty afterwards.
    pub poll: Duration,
}

impl WatchOptions {
    /// Returns the options of a service, with everything else as by default.
    pub fn new(convert: ConvertOptions) -> Self {
        let limits = WindowLimits::default();
        let (drains, sweep, lease_wait, gone_after) = (false, None, None, GONE_AFTER);
        Self { convert, limits, drains, sweep, lease_wait, gone_after, poll: LONG_POLL }
    }

    /// Returns the options of a run that ends when the queue is empty.
    pub fn drain(convert: ConvertOptions) -> Self {
        let lease_wait = Some(DRAIN_PATIENCE);
        Self { drains: true, lease_wait, poll: DRAIN_POLL, ..Self::new(convert) }
    }
}
