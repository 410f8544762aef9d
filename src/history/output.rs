//! The forms of an answer.

use crate::error::{Error, Result};
use crate::history::console;
use crate::history::event::Event;
use crate::text::{clean, fitted, safe_in_sheet as safe};
use std::io::Write;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Columns for people.
    Table,
    /// CSV with everything that an [`Event`] has.
    Csv,
    /// One document, `{"Records":[…]}`, as CloudTrail writes it.
    Json,
    /// One record a line.
    Jsonl,
    /// The CSV of CloudTrail's console.
    ConsoleCsv,
}

impl Output {
    /// Returns whether it writes whole records, and not the values of an [`Event`].
    pub fn has_records(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }
}

/// The columns of the CSV.
const HEADER: [&str; 17] = [
    "event_time",
    "user",
    "user_arn",
    "access_key",
    "event_source",
    "event_name",
    "region",
    "account",
    "source_ip",
    "user_agent",
    "error_code",
    "read_only",
    "event_type",
    "event_category",
    "resources",
    "request_id",
    "event_id",
];

/// Titles and widths of the table; longer values are cut.
const TABLE: [(&str, usize); 7] = [
    ("TIME", 20),
    ("USER", 28),
    ("SERVICE", 20),
    ("EVENT", 32),
    ("REGION", 14),
    ("SOURCE IP", 24),
    ("ERROR", 28),
];

/// Writes an answer, an event at a time.
pub struct Writer<W: Write> {
    output: Output,
    out: Sink<W>,
    has_written: bool,
}

enum Sink<W: Write> {
    Plain(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Writer<W> {
    /// Begins an answer.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn begin(output: Output, out: W) -> Result<Self> {
        let out = match output {
            Output::Csv | Output::ConsoleCsv => Sink::Csv(Box::new(csv::Writer::from_writer(out))),
            _ => Sink::Plain(out),
        };
        let mut writer = Self { output, out, has_written: false };
        match output {
            Output::Table => writer.line(&TABLE.map(|(title, _)| title.to_owned()))?,
            Output::Csv => writer.row(&HEADER)?,
            Output::ConsoleCsv => writer.row(&console::HEADER)?,
            Output::Json => writer.text("{\"Records\":[")?,
            Output::Jsonl => {}
        }
        Ok(writer)
    }

    /// Writes an event.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        match self.output {
            Output::ConsoleCsv => self.row(&console::values(event).map(safe)),
            Output::Csv => self.row(&values(event).map(safe)),
            _ => self.line(&[
                event.time.clone(),
                event.user.clone(),
                event.source.strip_suffix(".amazonaws.com").unwrap_or(&event.source).to_owned(),
                event.name.clone(),
                event.region.clone(),
                event.ip.clone(),
                event.error.clone(),
            ]),
        }
    }

    /// Writes a record, which is one line of JSON.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn record(&mut self, record: &str) -> Result<()> {
        let (before, after) = match self.output {
            Output::Json if self.has_written => (",\n", ""),
            Output::Json => ("\n", ""),
            _ => ("", "\n"),
        };
        self.has_written = true;
        self.text(&format!("{before}{record}{after}"))
    }

    /// Writes counts: a column for each field, and one for the number.
    ///
    /// # Errors
    /// `Io` when they cannot be written.
    pub fn counts(out: W, titles: &[String], counts: &[(Vec<String>, u64)]) -> Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(titles.iter().map(String::as_str).chain(["events"]))
            .map_err(csv_failed)?;
        for (values, count) in counts {
            let values = values.iter().map(|value| safe(value.clone()));
            rows.write_record(values.chain([count.to_string()])).map_err(csv_failed)?;
        }
        rows.flush().map_err(failed)
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn end(mut self) -> Result<()> {
        if self.output == Output::Json {
            self.text("\n]}\n")?;
        }
        match self.out {
            Sink::Plain(mut out) => out.flush(),
            Sink::Csv(mut rows) => rows.flush(),
        }
        .map_err(failed)
    }

    fn line(&mut self, values: &[String; TABLE.len()]) -> Result<()> {
        let mut line = String::new();
        for (value, (_, width)) in values.iter().zip(TABLE) {
            line.push_str(&fitted(&clean(value), width));
            line.push_str("  ");
        }
        self.text(&format!("{}\n", line.trim_end()))
    }

    fn text(&mut self, text: &str) -> Result<()> {
        match &mut self.out {
            Sink::Plain(out) => out.write_all(text.as_bytes()).map_err(failed),
            Sink::Csv(_) => Ok(()),
        }
    }

    fn row(&mut self, values: &[impl AsRef<[u8]>]) -> Result<()> {
        match &mut self.out {
            Sink::Csv(rows) => rows.write_record(values).map_err(csv_failed),
            Sink::Plain(_) => Ok(()),
        }
    }
}

fn failed(err: std::io::Error) -> Error {
    Error::io("cannot write to stdout", err)
}

fn csv_failed(err: csv::Error) -> Error {
    match err.into_kind() {
        csv::ErrorKind::Io(err) => failed(err),
        other => Error::io("cannot write to stdout", std::io::Error::other(format!("{other:?}"))),
    }
}

fn values(event: &Event) -> [String; HEADER.len()] {
    let own = |text: &String| text.clone();
    [
        own(&event.time),
        own(&event.user),
        own(&event.arn),
        own(&event.access_key),
        own(&event.source),
        own(&event.name),
        own(&event.region),
        own(&event.account),
        own(&event.ip),
        own(&event.agent),
        own(&event.error),
        own(&event.read_only),
        own(&event.kind),
        own(&event.category),
        console::resources_json(&event.resources),
        own(&event.request_id),
        own(&event.id),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(output: Output, event: &Event) -> String {
        let mut out = Vec::new();
        let mut writer = Writer::begin(output, &mut out).unwrap();
        writer.event(event).unwrap();
        writer.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_spreadsheet_takes_no_value_for_a_formula() {
        let event = Event { agent: "=cmd|' /C calc'!A0".into(), ..Event::default() };
        for output in [Output::Csv, Output::ConsoleCsv] {
            assert!(written(output, &event).contains("'=cmd|' /C calc'!A0"), "{output:?}");
        }
    }

    #[test]
    fn a_table_moves_no_cursor_and_keeps_its_columns() {
        let event = Event {
            time: "2026-10-01T02:03:04Z".into(),
            user: "\x1b[2J".into(),
            source: "s3.amazonaws.com".into(),
            name: "x".repeat(40),
            error: "AccessDenied".into(),
            ..Event::default()
        };
        let table = written(Output::Table, &event);
        let lines: Vec<&str> = table.lines().collect();
        assert!(!table.contains('\x1b') && lines[1].contains(r"\u{1b}[2J"), "{table}");
        assert_eq!(lines[0].find("ERROR"), lines[1].replace('…', ".").find("AccessDenied"));
    }

    #[test]
    fn records_make_one_document_or_a_line_each() {
        for (output, wanted) in [
            (Output::Json, "{\"Records\":[\n{\"a\":1},\n{\"a\":2}\n]}\n"),
            (Output::Jsonl, "{\"a\":1}\n{\"a\":2}\n"),
        ] {
            let mut out = Vec::new();
            let mut writer = Writer::begin(output, &mut out).unwrap();
            writer.record("{\"a\":1}").unwrap();
            writer.record("{\"a\":2}").unwrap();
            writer.end().unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }
}
