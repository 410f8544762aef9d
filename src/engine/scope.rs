//! Where copies of a row are looked for.

use crate::lake::Scope;
use crate::rows::Row;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Returns a row's scope: its day since 1970, and where.
pub(crate) fn scope_of(row: &Row) -> Scope {
    Scope { day: row.instant.div_euclid(DAY) as i32, place: row.place }
}
