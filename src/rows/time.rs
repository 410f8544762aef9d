//! When an event was: the instant in a value of a record.

use crate::parse::Cursor;
use crate::rows::found::{Found, Shape};
use crate::units::{EpochMillis, read_instant};

/// Returns the instant that a value means: a text, a number of seconds or milliseconds since 1970, or what
/// MongoDB exports for either (`{"$date": …}`). With `is_utc`, a text without a zone is UTC.
pub(super) fn instant_of(found: Found, cursor: &Cursor<'_>, is_utc: bool) -> Option<EpochMillis> {
    let value = match found.shape {
        Shape::Object => found.value("$date", cursor)?,
        _ => found,
    };
    let value = match value.shape {
        Shape::Object => value.value("$numberLong", cursor)?,
        _ => value,
    };
    if value.is_container() {
        return None;
    }
    read_instant(value.text(cursor)?, is_utc)
}
