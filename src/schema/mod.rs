//! The schema: kinds, documented columns as kinds, and the lock of the inferred ones.

mod diff;
mod documented;
mod kind;
mod lock;
mod omit;

pub use diff::{Change, changes, render};
pub use documented::{hive_type, nested_columns};
pub use kind::{Field, Kind, Observed, ObservedField, column_name};
pub use lock::{Lock, MAX_KEYS, MAX_LEAVES, MAX_TYPE_CHARS};
pub use omit::is_token;
