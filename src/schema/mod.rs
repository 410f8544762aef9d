//! The schema: kinds, the fixed columns of every table, and the lock of the inferred ones.

mod diff;
mod kind;
mod lock;
mod table;

pub use diff::{Change, changes, render};
pub use kind::{Field, Kind, Observed, ObservedField, column_name};
pub use lock::{Lock, MAX_KEYS, MAX_LEAVES, MAX_TYPE_CHARS};
pub use table::{ColumnSpec, Family, Role, columns, hive_type, nested_columns};
