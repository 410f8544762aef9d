//! Arguments that several commands share, by subject. Parsing does no work; defaults are the rooms'
//! constants.

mod aws;
mod catalog;
mod compaction;
mod conversion;
mod evidence;
mod input;
mod output;
mod places;
mod plan;
mod queue;
mod time;
mod values;

pub(super) use aws::{AwsArgs, EncryptionArgs, GlueEndpointArgs, WritingArgs};
pub(super) use catalog::{
    CatalogLakeArgs, CatalogName, CatalogPlaceArgs, PublicationArgs, ViewsArgs,
};
pub(super) use compaction::CompactionArgs;
pub(super) use conversion::{ConversionArgs, passwords};
pub(super) use evidence::{EvidenceArgs, ProofArgs, show_path};
pub(super) use input::{NarrowArgs, ReadingArgs};
pub(super) use output::{
    AnswerArgs, CacheArgs, ConsoleArgs, EndingArgs, Format, MetricsFormat, OutputArgs,
};
pub(super) use places::{LakePlace, PlaceArgs, sources_and_lake};
pub(super) use plan::PlanPlace;
pub(super) use queue::WindowArgs;
pub(super) use time::{instant, now};
pub(super) use values::{
    account, bytes, dollars, duration, length_of_time, location, megabytes, positive,
};
