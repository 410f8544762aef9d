//! Formats of dates: those of MySQL, which `date_format` takes, and those of Joda's time.

use crate::units::{Day, EpochMillis, days_from_civil, days_in_month};
use polars::prelude::{PolarsResult, polars_bail};

const DAY: i64 = 86_400_000;

/// The language of a format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `%Y-%m-%d %H:%i:%s`, as in MySQL.
    MySql,
    /// `yyyy-MM-dd HH:mm:ss`, as in Joda's time.
    Joda,
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text that stands for itself.
    Text(String),
    Year,
    ShortYear,
    Month,
    PlainMonth,
    MonthName,
    ShortMonthName,
    Day,
    PlainDay,
    Hour,
    PlainHour,
    Hour12,
    Minute,
    Second,
    Fraction(usize),
    HalfOfDay,
    WeekdayName,
    ShortWeekdayName,
    DayOfYear,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

pub(super) fn pieces(format: &str, style: Style) -> PolarsResult<Vec<Piece>> {
    match style {
        Style::MySql => mysql_pieces(format),
        Style::Joda => joda_pieces(format),
    }
}

fn mysql_pieces(format: &str) -> PolarsResult<Vec<Piece>> {
    let mut out = Vec::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            push_text(&mut out, c);
            continue;
        }
        let all: &[Piece] = match chars.next() {
            Some('Y') => &[Piece::Year],
            Some('y') => &[Piece::ShortYear],
            Some('m') => &[Piece::Month],
            Some('c') => &[Piece::PlainMonth],
            Some('M') => &[Piece::MonthName],
            Some('b') => &[Piece::ShortMonthName],
            Some('d') => &[Piece::Day],
            Some('e') => &[Piece::PlainDay],
            Some('H') => &[Piece::Hour],
            Some('k') => &[Piece::PlainHour],
            Some('h' | 'I') => &[Piece::Hour12],
            Some('i') => &[Piece::Minute],
            Some('s' | 'S') => &[Piece::Second],
            Some('f') => &[Piece::Fraction(6)],
            Some('p') => &[Piece::HalfOfDay],
            Some('W') => &[Piece::WeekdayName],
            Some('a') => &[Piece::ShortWeekdayName],
            Some('j') => &[Piece::DayOfYear],
            Some('T') => {
                out.extend(mysql_pieces("%H:%i:%s")?);
                continue;
            }
            Some('%') => {
                push_text(&mut out, '%');
                continue;
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                polars_bail!(SQLInterface: "unknown `%{other}` in a format of dates")
            }
        };
        out.extend_from_slice(all);
    }
    Ok(out)
}

fn joda_pieces(format: &str) -> PolarsResult<Vec<Piece>> {
    let mut out = Vec::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            for quoted in chars.by_ref().take_while(|c| *c != '\'') {
                push_text(&mut out, quoted);
            }
            continue;
        }
        if !c.is_ascii_alphabetic() {
            push_text(&mut out, c);
            continue;
        }
        let mut count = 1;
        while chars.next_if_eq(&c).is_some() {
            count += 1;
        }
        out.push(match (c, count) {
            ('y' | 'Y' | 'u', 2) => Piece::ShortYear,
            ('y' | 'Y' | 'u', _) => Piece::Year,
            ('M', 1) => Piece::PlainMonth,
            ('M', 2) => Piece::Month,
            ('M', 3) => Piece::ShortMonthName,
            ('M', _) => Piece::MonthName,
            ('d', 1) => Piece::PlainDay,
            ('d', _) => Piece::Day,
            ('H', 1) => Piece::PlainHour,
            ('H', _) => Piece::Hour,
            ('h', _) => Piece::Hour12,
            ('m', _) => Piece::Minute,
            ('s', _) => Piece::Second,
            ('S', count) => Piece::Fraction(count),
            ('a', _) => Piece::HalfOfDay,
            ('E', 4..) => Piece::WeekdayName,
            ('E', _) => Piece::ShortWeekdayName,
            ('D', _) => Piece::DayOfYear,
            _ => polars_bail!(SQLInterface: "unknown `{c}` in a format of dates"),
        });
    }
    Ok(out)
}

fn push_text(out: &mut Vec<Piece>, c: char) {
    match out.last_mut() {
        Some(Piece::Text(text)) => text.push(c),
        _ => out.push(Piece::Text(c.to_string())),
    }
}

pub(super) fn written(piece: &Piece, at: EpochMillis) -> String {
    let day = Day::of(at);
    let (year, month, of_month) = day.civil();
    let time = at.rem_euclid(DAY);
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    let month_name = MONTHS[usize::from(month.clamp(1, 12)) - 1];
    let weekday = WEEKDAYS[day.0.rem_euclid(7) as usize];
    match piece {
        Piece::Text(text) => text.clone(),
        Piece::Year => format!("{year:04}"),
        Piece::ShortYear => format!("{:02}", year.rem_euclid(100)),
        Piece::Month => format!("{month:02}"),
        Piece::PlainMonth => month.to_string(),
        Piece::MonthName => month_name.to_owned(),
        Piece::ShortMonthName => month_name[..3].to_owned(),
        Piece::Day => format!("{of_month:02}"),
        Piece::PlainDay => of_month.to_string(),
        Piece::Hour => format!("{hour:02}"),
        Piece::PlainHour => hour.to_string(),
        Piece::Hour12 => format!("{:02}", (hour + 11) % 12 + 1),
        Piece::Minute => format!("{minute:02}"),
        Piece::Second => format!("{second:02}"),
        Piece::Fraction(digits) => {
            let text = format!("{:03}", time % 1000);
            format!("{text:0<digits$}").chars().take(*digits).collect()
        }
        Piece::HalfOfDay => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        Piece::WeekdayName => weekday.to_owned(),
        Piece::ShortWeekdayName => weekday[..3].to_owned(),
        Piece::DayOfYear => {
            format!("{:03}", i64::from(day.0) - days_from_civil(year, 1, 1) + 1)
        }
    }
}

/// What has been read of a date.
struct Reading<'a> {
    rest: &'a str,
    year: i64,
    month: i64,
    day: i64,
    millis: i64,
    half: i64,
}

/// Reads a date by the pieces of its format.
pub(super) fn parse_by(pieces: &[Piece], text: &str) -> Option<EpochMillis> {
    let mut found = Reading { rest: text, year: 1970, month: 1, day: 1, millis: 0, half: 0 };
    for piece in pieces {
        found.take(piece)?;
    }
    let Reading { rest, year, month, day, millis, half } = found;
    let exists = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    let millis = millis + half * 3_600_000;
    (exists && rest.is_empty() && millis < DAY)
        .then(|| days_from_civil(year, month, day) * DAY + millis)
}

impl Reading<'_> {
    fn take(&mut self, piece: &Piece) -> Option<()> {
        let starts = |rest: &str, name: &str| {
            rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        match piece {
            Piece::Text(wanted) => self.rest = self.rest.strip_prefix(wanted.as_str())?,
            Piece::MonthName | Piece::ShortMonthName => {
                let is_short = *piece == Piece::ShortMonthName;
                let name = |name: &'static str| if is_short { &name[..3] } else { name };
                let at = MONTHS.iter().position(|month| starts(self.rest, name(month)))?;
                self.month = at as i64 + 1;
                self.rest = &self.rest[name(MONTHS[at]).len()..];
            }
            Piece::HalfOfDay => {
                self.half = match starts(self.rest, "PM") {
                    true => 12,
                    false => starts(self.rest, "AM").then_some(0)?,
                };
                self.rest = &self.rest[2..];
            }
            piece => self.number(piece)?,
        }
        Some(())
    }

    fn number(&mut self, piece: &Piece) -> Option<()> {
        let most = match piece {
            Piece::Year => 4,
            Piece::Fraction(most) => *most,
            _ => 2,
        };
        let digits = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let number: i64 = text.parse().ok()?;
        match piece {
            Piece::Year => self.year = number,
            Piece::ShortYear => self.year = number + if number < 70 { 2000 } else { 1900 },
            Piece::Month | Piece::PlainMonth => self.month = number,
            Piece::Day | Piece::PlainDay => self.day = number,
            Piece::Hour | Piece::PlainHour => self.millis += number * 3_600_000,
            Piece::Hour12 => self.millis += number % 12 * 3_600_000,
            Piece::Minute => self.millis += number * 60_000,
            Piece::Second => self.millis += number * 1_000,
            Piece::Fraction(_) => {
                let scale = 10_i64.checked_pow(u32::try_from(digits).ok()?)?;
                self.millis += number * 1000 / scale;
            }
            _ => return None,
        }
        Some(())
    }
}
