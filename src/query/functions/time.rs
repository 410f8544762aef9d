//! Instants: reading and writing them, their parts, distances. All are of UTC.

use crate::query::functions::format::{Piece, Style, parse_by, pieces, written};
use crate::query::functions::{Made, constant, number_type, strings, text_type};
use crate::units::{Day, EpochMillis, days_from_civil, read_instant};
use polars::prelude::{
    Column, DataType, Field, Int64Chunked, IntoSeries, PolarsResult, Series, StringChunked,
    TimeUnit,
};
use polars::prelude::{polars_bail, polars_ensure};

const DAY: i64 = 86_400_000;
const INSTANT: DataType = DataType::Datetime(TimeUnit::Milliseconds, None);

pub(super) fn all() -> Vec<Made> {
    let instant =
        |name, arguments, compute| Made { name, arguments, returns: instant_type, compute };
    let text = |name, arguments, compute| Made { name, arguments, returns: text_type, compute };
    let day = |name| Made {
        name,
        arguments: 1..=1,
        returns: |_| Ok(DataType::Date),
        compute: |columns| millis(&columns[0])?.into_series().cast(&INSTANT)?.cast(&DataType::Date),
    };
    vec![
        instant("from_iso8601_timestamp", 1..=1, |columns| read(&columns[0])),
        instant("from_iso8601_timestamp_nanos", 1..=1, |columns| read(&columns[0])),
        instant("to_timestamp", 1..=1, |columns| millis(&columns[0])?.into_series().cast(&INSTANT)),
        day("from_iso8601_date"),
        day("to_date"),
        instant("from_unixtime", 1..=1, |columns| {
            let seconds = columns[0].cast(&DataType::Float64)?;
            let millis: Int64Chunked =
                seconds.f64()?.iter().map(|it| it.map(|it| (it * 1000.0).round() as i64)).collect();
            millis.into_series().cast(&INSTANT)
        }),
        Made {
            name: "to_unixtime",
            arguments: 1..=1,
            returns: |_| Ok(DataType::Float64),
            compute: |columns| {
                let millis = millis(&columns[0])?;
                let seconds: polars::prelude::Float64Chunked =
                    millis.iter().map(|it| it.map(|it| it as f64 / 1000.0)).collect();
                Ok(seconds.into_series())
            },
        },
        Made {
            name: "date_trunc",
            arguments: 2..=2,
            returns: |fields| Ok(kept_type(&fields[1])),
            compute: date_trunc,
        },
        Made {
            name: "date_add",
            arguments: 3..=3,
            returns: |fields| Ok(kept_type(&fields[2])),
            compute: date_add,
        },
        Made { name: "date_diff", arguments: 3..=3, returns: number_type, compute: date_diff },
        text("date_format", 2..=2, |columns| formatted(columns, Style::MySql)),
        text("format_datetime", 2..=2, |columns| formatted(columns, Style::Joda)),
        instant("date_parse", 2..=2, |columns| parsed(columns, Style::MySql)),
        instant("parse_datetime", 2..=2, |columns| parsed(columns, Style::Joda)),
        text("to_iso8601", 1..=1, |columns| {
            texts(&columns[0], |at| timestamp(at).replace(' ', "T") + "Z")
        }),
        instant("at_timezone", 2..=2, at_timezone),
    ]
}

fn instant_type(_: &[Field]) -> PolarsResult<DataType> {
    Ok(INSTANT)
}

/// A date stays a date.
fn kept_type(field: &Field) -> DataType {
    if field.dtype() == &DataType::Date { DataType::Date } else { INSTANT }
}

/// Writes an instant as Athena shows a timestamp: `2026-10-01 02:03:04.000`.
pub(in crate::query) fn timestamp(at: EpochMillis) -> String {
    let time = at.rem_euclid(DAY);
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, milli) = (time / 1000 % 60, time % 1000);
    format!("{} {hour:02}:{minute:02}:{second:02}.{milli:03}", Day::of(at))
}

/// Reads texts as instants; null for those that are none.
fn read(column: &Column) -> PolarsResult<Series> {
    let texts = strings(column)?;
    let instant = |text: &str| {
        let is_date = text.len() == 10 && text.as_bytes()[4] == b'-';
        let whole = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
        read_instant(whole.as_bytes(), true)
    };
    let found: Int64Chunked = texts.iter().map(|text| text.and_then(instant)).collect();
    found.into_series().cast(&INSTANT)
}

/// Returns the instants of a column, in milliseconds since 1970.
fn millis(column: &Column) -> PolarsResult<Int64Chunked> {
    let instants = match column.dtype() {
        DataType::String => read(column)?,
        DataType::Date | DataType::Datetime(..) | DataType::Null => {
            column.as_materialized_series().cast(&INSTANT)?
        }
        other => polars_bail!(SQLInterface: "expected a timestamp or a date, found {other}"),
    };
    Ok(instants.datetime()?.physical().clone())
}

fn mapped(
    column: &Column,
    of: impl Fn(EpochMillis) -> Option<EpochMillis>,
) -> PolarsResult<Series> {
    let found: Int64Chunked = millis(column)?.iter().map(|at| at.and_then(&of)).collect();
    let kept = if column.dtype() == &DataType::Date { DataType::Date } else { INSTANT };
    found.into_series().cast(&INSTANT)?.cast(&kept)
}

fn texts(column: &Column, of: impl Fn(EpochMillis) -> String) -> PolarsResult<Series> {
    let found: StringChunked = millis(column)?.iter().map(|at| at.map(&of)).collect();
    Ok(found.into_series())
}

/// A unit of time: a number of milliseconds, or of months.
#[derive(Clone, Copy)]
enum Unit {
    Millis(i64),
    Months(i64),
}

fn unit(column: &Column) -> PolarsResult<Unit> {
    let name = constant(column, "the unit of time")?.unwrap_or_default().to_lowercase();
    Ok(match name.trim_end_matches('s') {
        "millisecond" => Unit::Millis(1),
        "second" => Unit::Millis(1_000),
        "minute" => Unit::Millis(60_000),
        "hour" => Unit::Millis(3_600_000),
        "day" => Unit::Millis(DAY),
        "week" => Unit::Millis(7 * DAY),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => {
            polars_bail!(SQLInterface: "unknown unit of time `{name}`: expected hour, day, week, month, …")
        }
    })
}

fn first_of_month(months: i64) -> Option<EpochMillis> {
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    (1..=9999).contains(&year).then(|| days_from_civil(year, month, 1) * DAY)
}

fn months(at: EpochMillis) -> i64 {
    let (year, month, _) = Day::of(at).civil();
    year * 12 + i64::from(month) - 1
}

fn date_trunc(columns: &[Column]) -> PolarsResult<Series> {
    let unit = unit(&columns[0])?;
    mapped(&columns[1], |at| match unit {
        // Weeks begin on Monday; 1970-01-01 was a Thursday.
        Unit::Millis(week) if week == 7 * DAY => {
            Some((at + 3 * DAY).div_euclid(week) * week - 3 * DAY)
        }
        Unit::Millis(length) => Some(at.div_euclid(length) * length),
        Unit::Months(count) => first_of_month(months(at).div_euclid(count) * count),
    })
}

fn date_add(columns: &[Column]) -> PolarsResult<Series> {
    let unit = unit(&columns[0])?;
    let counts = columns[1].cast(&DataType::Int64)?;
    let counts = counts.i64()?;
    let moved = |at: EpochMillis, count: i64| match unit {
        Unit::Millis(length) => at.checked_add(count.checked_mul(length)?),
        Unit::Months(length) => {
            let (_, _, day) = Day::of(at).civil();
            let first = first_of_month(months(at).checked_add(count.checked_mul(length)?)?)?;
            let next = first_of_month(months(first) + 1)?;
            let last = (next - first) / DAY;
            Some(first + (i64::from(day).min(last) - 1) * DAY + at.rem_euclid(DAY))
        }
    };
    let instants = millis(&columns[2])?;
    let found: Int64Chunked =
        instants.iter().zip(counts.iter()).map(|(at, count)| moved(at?, count?)).collect();
    let kept = kept_type(&Field::new("".into(), columns[2].dtype().clone()));
    found.into_series().cast(&INSTANT)?.cast(&kept)
}

/// Whole units between two instants.
fn date_diff(columns: &[Column]) -> PolarsResult<Series> {
    let unit = unit(&columns[0])?;
    let (from, until) = (millis(&columns[1])?, millis(&columns[2])?);
    let whole_months = |from: EpochMillis, until: EpochMillis| {
        let count = months(until) - months(from);
        let rest = |at: EpochMillis| (Day::of(at).civil().2, at.rem_euclid(DAY));
        match count {
            1.. if rest(until) < rest(from) => count - 1,
            ..=-1 if rest(until) > rest(from) => count + 1,
            count => count,
        }
    };
    let found: Int64Chunked = from
        .iter()
        .zip(until.iter())
        .map(|(from, until)| {
            let (from, until) = (from?, until?);
            Some(match unit {
                Unit::Millis(length) => (until - from) / length,
                Unit::Months(length) => whole_months(from, until) / length,
            })
        })
        .collect();
    Ok(found.into_series())
}

/// Zones other than UTC are named by their distance only: names of places need a database of zones.
fn at_timezone(columns: &[Column]) -> PolarsResult<Series> {
    let zone = constant(&columns[1], "the time zone")?.unwrap_or_default();
    let offset = match zone.to_ascii_uppercase().as_str() {
        "UTC" | "GMT" | "Z" | "ETC/UTC" => Some(0),
        name => distance(name.trim_start_matches("UTC")),
    };
    let Some(offset) = offset else {
        polars_bail!(SQLInterface: "unknown time zone `{zone}`: expected UTC or a distance such as +02:00");
    };
    mapped(&columns[0], |at| at.checked_add(offset))
}

fn distance(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn formatted(columns: &[Column], style: Style) -> PolarsResult<Series> {
    let Some(format) = constant(&columns[1], "the format of a date")? else {
        return Ok(Series::full_null("".into(), columns[0].len(), &DataType::String));
    };
    let pieces = pieces(&format, style)?;
    texts(&columns[0], |at| pieces.iter().map(|piece| written(piece, at)).collect())
}

fn parsed(columns: &[Column], style: Style) -> PolarsResult<Series> {
    let format = constant(&columns[1], "the format of a date")?.unwrap_or_default();
    let pieces = pieces(&format, style)?;
    let is_read = |piece: &Piece| {
        !matches!(piece, Piece::WeekdayName | Piece::ShortWeekdayName | Piece::DayOfYear)
    };
    polars_ensure!(
        pieces.iter().all(is_read),
        SQLInterface: "days of the week or the year cannot be read from a date"
    );
    let texts = strings(&columns[0])?;
    let found: Int64Chunked =
        texts.iter().map(|text| text.and_then(|text| parse_by(&pieces, text))).collect();
    found.into_series().cast(&INSTANT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: i64) -> Column {
        let at = Series::new("".into(), [value]).cast(&INSTANT).unwrap();
        Column::from(at)
    }

    use polars::prelude::NamedFrom;

    fn text(value: &str) -> Column {
        Column::from(Series::new("".into(), [value]))
    }

    const AT: i64 = 1_790_820_184_567; // 2026-10-01T02:03:04.567Z, a Thursday

    #[test]
    fn a_format_writes_and_reads_the_same_instant() {
        for (style, format, wanted) in [
            (Style::MySql, "%Y-%m-%d %H:%i:%s.%f", "2026-10-01 02:03:04.567000"),
            (Style::MySql, "%W %e %M %y, %h:%i %p %j", "Thursday 1 October 26, 02:03 AM 274"),
            (Style::Joda, "yyyy/MM/dd'T'HH:mm:ss.SSS", "2026/10/01T02:03:04.567"),
        ] {
            let written = formatted(&[one(AT), text(format)], style).unwrap();
            assert_eq!(written.str().unwrap().get(0), Some(wanted));
            if !format.contains("%j") {
                let read = parsed(&[text(wanted), text(format)], style).unwrap();
                assert_eq!(read.datetime().unwrap().physical().get(0), Some(AT), "{format}");
            }
        }
        for wrong in ["2026-13-01", "2026-10-1x", ""] {
            let read = parsed(&[text(wrong), text("%Y-%m-%d")], Style::MySql).unwrap();
            assert_eq!(read.null_count(), 1, "{wrong}");
        }
    }

    #[test]
    fn units_begin_and_end_where_the_calendar_has_them() {
        let cases = [
            ("hour", "2026-10-01 02:00:00.000"),
            ("week", "2026-09-28 00:00:00.000"),
            ("quarter", "2026-10-01 00:00:00.000"),
            ("year", "2026-01-01 00:00:00.000"),
        ];
        for (unit, wanted) in cases {
            let found = date_trunc(&[text(unit), one(AT)]).unwrap();
            assert_eq!(timestamp(found.datetime().unwrap().physical().get(0).unwrap()), wanted);
        }
        let january = parse_by(&pieces("%Y-%m-%d", Style::MySql).unwrap(), "2026-01-31").unwrap();
        let count = Column::from(Series::new("".into(), [1_i64]));
        let found = date_add(&[text("month"), count, one(january)]).unwrap();
        let found = found.datetime().unwrap().physical().get(0).unwrap();
        assert_eq!(timestamp(found), "2026-02-28 00:00:00.000");
        let months = date_diff(&[text("month"), one(january), one(AT)]).unwrap();
        assert_eq!(months.i64().unwrap().get(0), Some(8));
    }
}
