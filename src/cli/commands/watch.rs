//! `trailmill watch`.

use crate::cli::args::{
    ConversionArgs, EndingArgs, OutputArgs, PublicationArgs, WindowArgs, length_of_time, location,
};
use crate::cli::queue_run::{QueueRun, run_queue};
use crate::error::Result;
use crate::location::Location;
use clap::Args as Group;
use std::time::Duration;

/// Convert objects as they arrive, named by the messages of an SQS queue.
///
/// Collects messages into windows and converts each window as one unit; a message is deleted once
/// its objects are in the lake. Messages that come twice or late, kills, and a second watch or a
/// nightly `convert` beside this one neither lose nor double a row. SIGTERM ends it within 20 s.
///
/// Reads S3's notifications, directly, through SNS or through EventBridge, and the messages of a
/// trail's own SNS topic. Objects that are not logs are ignored. Messages that cannot be understood,
/// and those whose objects cannot be read, stay in the queue for its redrive policy.
///
/// Windows make small files, at least one for each partition: that is the price of minutes. Larger
/// windows make larger files, and `trailmill compact` merges those of old partitions.
#[derive(Debug, Group)]
#[command(override_usage = "trailmill watch [OPTIONS] <QUEUE_URL> [SOURCE]... <LAKE>")]
pub(super) struct WatchArgs {
    /// The queue: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, or its ARN
    #[arg(value_name = "QUEUE_URL")]
    pub queue: String,

    /// Prefixes in which objects must lie, others are ignored: s3://bucket/prefix [default: anywhere]; then the
    /// lake: a folder or s3://bucket/prefix
    #[arg(required = true, value_name = "SOURCE, LAKE", value_parser = location())]
    pub places: Vec<Location>,

    #[command(flatten)]
    pub window: WindowArgs,

    /// List the sources at the start and then as often as this, and convert what notifications lost: 1d
    #[arg(long, value_name = "TIME", value_parser = length_of_time, help_heading = "Queue")]
    pub sweep: Option<Duration>,

    #[command(flatten)]
    pub conversion: ConversionArgs,
    #[command(flatten)]
    pub publication: PublicationArgs,
    #[command(flatten)]
    pub ending: EndingArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn run(args: &WatchArgs) -> Result<u8> {
    run_queue(&QueueRun {
        url: &args.queue,
        places: &args.places,
        window: &args.window,
        sweep: args.sweep,
        drains: false,
        conversion: &args.conversion,
        publication: &args.publication,
        ending: &args.ending,
        output: &args.output,
    })
}
