//! The commit protocol: intents, manifests, the ledger and the quarantine, all under `_trailmill/`.
//!
//! A unit is a list of objects that is committed as one. Its intent is written before its data; its
//! files have names derived from its identity; its manifest is put if-absent when every file is in
//! place. Units are numbered and commit in order. A restart finishes unfinished intents first, with
//! the same objects, so that the same names are written again; where it cannot, a barrier takes the next
//! number, so that whoever still writes for those units can never commit them.
//!
//! Nothing rests on the lease alone. A number has one manifest, for good: of two runs that both believe to
//! be the one writer, one commits. What is removed has a name that will never be used again.

mod abandoned;
mod checkpoint;
mod claims;
mod compaction;
mod copies;
mod copy_key;
mod data_file;
mod document;
mod entry;
mod gone;
mod homes;
mod intent;
mod ledger;
mod listings;
mod lock;
mod manifest;
mod merged;
pub mod names;
mod object_record;
mod part;
mod plan_progress;
mod quarantine;
mod rebuild;
mod repair;
mod replaced;
mod settings;
mod snapshot;
mod unavailable;
mod unit;
mod upgrades;
mod whole;
mod work_plan;

pub use abandoned::Abandoned;
pub use checkpoint::Known;
pub use claims::{ClaimLog, Claims};
pub use compaction::{CompactionSettings, FileBatch, LeftPartition, PartitionFiles};
pub use copies::{Copies, CopyIndex, Scope, Stored, decode_copies, encode_copies};
pub use copy_key::CopyKey;
pub use data_file::DataFile;
pub(crate) use document::to_json;
pub use entry::{Entry, Month, WithoutRows, entry, entry_without_rows, month};
pub use gone::{GoneFile, Loss, read_gone, write_gone};
pub use homes::Homes;
pub use intent::Intent;
pub use ledger::Ledger;
pub use listings::CompleteListing;
pub use lock::{LockName, read_lock_version, write_lock};
pub use manifest::Manifest;
pub use merged::merged_units;
pub use object_record::{ObjectOutcome, ObjectRecord, Tally};
pub use plan_progress::{News, UnitDone};
pub use quarantine::{
    MAX_ENTRIES, MAX_SEGMENT_RAW, MAX_UNIT_RAW, Quarantined, QuarantinedObject, Raw, cut_raw,
    read_quarantine, write_quarantine,
};
pub use repair::{Remains, Wreck};
pub use replaced::{ReplacedFiles, live_files, read_replaced, write_replaced};
pub use settings::{
    DEFAULT_TABLE, DEFAULT_TARGET_FILE_SIZE, DEFAULT_UNIT_SIZE, Duplicates, OutputSettings,
    SchemaMode, UnitBasis, Unwrap,
};
pub use snapshot::{Action, LastUnit, PartitionTotals, Snapshot, read_lock};
pub use unavailable::{Unavailable, UnavailableObject};
pub use unit::{DayCopies, UnitId, UnitsOfDay};
pub use upgrades::Upgrades;
pub use whole::{refuse_forgotten, refuse_missing};
pub use work_plan::{
    PlanEnd, PlanIntegrity, PlanPart, PlanTotals, PlannedObject, PlannedUnit, WorkPlan,
};
