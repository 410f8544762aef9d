//! Times as people write them.

use crate::cli::args::values::duration;
use crate::error::{Error, Result};
use crate::units::{Day, EpochMillis, parse_event_time};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time it is.
pub(in crate::cli) fn now() -> EpochMillis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as i64)
}

/// Reads a time: a length of time ago, a date or an instant.
///
/// # Errors
/// `Config` for anything else.
pub(in crate::cli) fn instant(text: &str) -> Result<EpochMillis> {
    if let Ok(length) = duration(text) {
        return Ok(now().saturating_sub(length));
    }
    let day = || text.parse::<Day>().ok().map(|day| i64::from(day.0) * 86_400_000);
    parse_event_time(text.as_bytes()).or_else(day).ok_or_else(|| {
        Error::config(format!(
            "invalid time `{text}`: expected 3d, 12h, 2026-10-01 or 2026-10-01T02:03:04Z"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(instant("2026-10-01").unwrap(), 1_790_812_800_000);
        assert_eq!(instant("2026-10-01T02:03:04Z").unwrap(), 1_790_820_184_000);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!((now - 3 * 86_400_000 - instant("3d").unwrap()).abs() < 60_000);
        for wrong in ["", "3", "d", "3x", "-1d", "99999999999999999999d", "2026-13-01", "é"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }
}
