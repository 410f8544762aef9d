//! The panels' answers: statements over one batch after another, and their sums.

use crate::error::{Error, ErrorKind, Result};
use crate::query::{FrameEngine, FrameStatement};
use crate::report::batch::Batch;
use crate::report::coverage::{Coverage, DayCounts};
use crate::report::panel::{Drawing, Kept, Measure, Panel, Question};
use crate::report::panels::PANELS;
use crate::report::window::iso;
use polars::prelude::{
    AnyValue, Column, DataFrame, DataType, IntoColumn, PolarsError, PolarsResult, StringChunked,
};
use serde::{Serialize, Serializer};

/// Rows of unsummed answers that are kept before they are added up.
const UNSUMMED: usize = 65_536;

/// A value of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A text, as the log has it.
    Text(String),
    /// A count.
    Count(i64),
    /// An instant.
    Instant(i64),
}

impl Cell {
    /// Returns its text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns its count; 0 if it is none.
    pub fn count(&self) -> u64 {
        match self {
            Self::Count(count) => u64::try_from(*count).unwrap_or(0),
            _ => 0,
        }
    }

    /// Returns its instant, if it is one.
    pub fn instant(&self) -> Option<i64> {
        match self {
            Self::Instant(instant) => Some(*instant),
            _ => None,
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Count(count) => serializer.serialize_i64(*count),
            Self::Instant(instant) => serializer.serialize_str(&iso(*instant)),
        }
    }
}

/// The answer of a panel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its rows, in the order of the statement.
    pub rows: Vec<Vec<Cell>>,
    /// Rows without the limit.
    pub rows_total: u64,
}

/// The answers of one panel, as far as they are known.
#[derive(Default)]
struct Parts {
    sum: Option<DataFrame>,
    unsummed: Vec<DataFrame>,
    rows: usize,
}

/// Answers of all panels over a part of the events.
pub struct Part(Vec<Option<DataFrame>>);

/// A question whose statements are ready to be run.
pub struct Asked {
    question: Question,
    engine: FrameEngine,
    /// The statement of the columns that panels share.
    computed: FrameStatement,
    /// The statement of each panel over some events with these columns, and the one that adds up its answers.
    statements: Vec<(FrameStatement, FrameStatement)>,
}

/// The name of answers in statements that add them up.
const ANSWERS: &str = "answers";

impl Asked {
    /// Prepares the statements of all panels.
    ///
    /// # Errors
    /// `Config` when a statement is not understood.
    pub fn new(question: Question) -> Result<Self> {
        let engine = FrameEngine::default();
        let statements = PANELS.iter().map(|panel| {
            let part = engine.prepare(&question.part(panel), &question.table);
            let sum = engine.prepare(&Question::sum(panel, ANSWERS), ANSWERS);
            part.and_then(|part| sum.map(|sum| (part, sum))).map_err(|err| of(panel, err))
        });
        let statements = statements.collect::<Result<_>>()?;
        let computed = engine.prepare(&question.computed(), &question.table)?;
        Ok(Self { question, engine, computed, statements })
    }

    /// Returns the question.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Answers the panels for some events.
    ///
    /// # Errors
    /// `Config` when a statement cannot be run over their columns.
    pub fn answer(&self, batch: &Batch) -> Result<Part> {
        let is_in = self.question.window.may_have(batch.times.0, batch.times.1);
        let (all, with_texts) = (self.prepared(&batch.events)?, self.prepared(&batch.with_texts)?);
        let answer = |(panel, (statement, _)): (&Panel, &(FrameStatement, FrameStatement))| {
            let events = if panel.reads_texts { &with_texts } else { &all };
            if events.height() == 0 || !(is_in || panel.kept == Kept::New) {
                return Ok(None);
            }
            let frame = self.engine.run(statement, events).map_err(|err| of(panel, err))?;
            let frame = counted(frame, panel).and_then(|frame| copied(&frame));
            let frame = frame.map_err(|err| unexpected(panel, err))?;
            Ok((frame.height() > 0).then_some(frame))
        };
        PANELS.iter().zip(&self.statements).map(answer).collect::<Result<_>>().map(Part)
    }

    /// Returns events with the columns that panels share. Those of several files become one piece each, once
    /// and not for each panel.
    fn prepared(&self, events: &DataFrame) -> Result<DataFrame> {
        if events.height() == 0 {
            return Ok(events.clone());
        }
        let mut events = events.clone();
        events.rechunk_mut();
        let computed = self.engine.run(&self.computed, &events)?;
        events
            .hstack(computed.columns())
            .map_err(|_| Error::new(ErrorKind::Bug, "unexpected columns of what panels share"))
    }
}

/// The answers of all panels.
pub struct Answers<'a> {
    asked: &'a Asked,
    parts: Vec<Parts>,
}

impl<'a> Answers<'a> {
    /// Begins without events.
    pub fn new(asked: &'a Asked) -> Self {
        Self { asked, parts: PANELS.iter().map(|_| Parts::default()).collect() }
    }

    /// Adds the answers of a batch.
    ///
    /// # Errors
    /// `Bug` when they do not go together.
    pub fn add(&mut self, part: Part) -> Result<()> {
        let asked = self.asked;
        let numbered = self.parts.iter_mut().zip(part.0).enumerate();
        for (at, (parts, frame)) in numbered {
            let Some(frame) = frame else { continue };
            parts.rows += frame.height();
            parts.unsummed.push(frame);
            let summed = parts.sum.as_ref().map_or(0, DataFrame::height);
            if parts.rows >= UNSUMMED.max(summed) {
                parts.add_up(asked, at)?;
            }
        }
        Ok(())
    }

    /// Returns the answers, a panel each, and what that of the days says.
    ///
    /// # Errors
    /// `Bug` when the answers are not as expected.
    pub fn finish(mut self) -> Result<(Vec<Answer>, Coverage)> {
        let Asked { question, engine, .. } = self.asked;
        let (mut answers, mut coverage) = (Vec::new(), Coverage::default());
        for (at, (parts, panel)) in self.parts.iter_mut().zip(PANELS).enumerate() {
            parts.add_up(self.asked, at)?;
            let mut found = Answer::default();
            let mut days = DayCounts::default();
            if let Some(sum) = parts.sum.take() {
                let last = engine.prepare(&question.last(panel, ANSWERS), ANSWERS)?;
                let last = engine.run(&last, &sum).map_err(|err| of(panel, err))?;
                // There can be millions of days: they are not taken as an answer.
                if panel.drawing == Drawing::Coverage {
                    days = day_counts(&last).map_err(|err| unexpected(panel, err))?;
                } else {
                    found =
                        answer(&last, panel, question.top).map_err(|err| unexpected(panel, err))?;
                }
            }
            if panel.drawing == Drawing::Coverage {
                coverage = days.finish(question.statement(panel));
            }
            answers.push(found);
        }
        Ok((answers, coverage))
    }
}

impl Parts {
    /// Adds up the answers of the panel at a place of the list.
    fn add_up(&mut self, asked: &Asked, at: usize) -> Result<()> {
        let (Some(panel), Some((_, sum))) = (PANELS.get(at), asked.statements.get(at)) else {
            return Ok(());
        };
        let mut all = self.sum.take();
        for frame in self.unsummed.drain(..) {
            match &mut all {
                Some(all) => drop(all.vstack_mut(&frame).map_err(|err| unexpected(panel, err))?),
                None => all = Some(frame),
            }
        }
        self.rows = 0;
        if let Some(all) = all {
            let sum = asked.engine.run(sum, &all).map_err(|err| of(panel, err))?;
            self.sum = Some(copied(&sum).map_err(|err| unexpected(panel, err))?);
        }
        Ok(())
    }
}

fn of(panel: &Panel, err: Error) -> Error {
    err.at("panel", panel.id)
}

/// What polars says of a frame can hold values of rows: it is not passed on.
fn unexpected(panel: &Panel, _: PolarsError) -> Error {
    Error::new(ErrorKind::Bug, "unexpected columns of an answer").at("panel", panel.id)
}

/// Gives all counts one type.
fn counted(mut frame: DataFrame, panel: &Panel) -> PolarsResult<DataFrame> {
    for (name, measure) in panel.measures {
        if matches!(measure, Measure::Count | Measure::CountIf(_)) {
            let counts = frame.column(name)?.cast(&DataType::Int64)?;
            frame.with_column(counts)?;
        }
    }
    Ok(frame)
}

/// Copies the texts of an answer: those of polars are parts of the texts that it was made of, all of which would
/// stay in memory.
fn copied(frame: &DataFrame) -> PolarsResult<DataFrame> {
    let copy = |column: &Column| match column.dtype() {
        DataType::String => {
            let texts: StringChunked = column.str()?.iter().collect();
            Ok(texts.with_name(column.name().clone()).into_column())
        }
        _ => Ok(column.clone()),
    };
    let columns = frame.columns().iter().map(copy).collect::<PolarsResult<Vec<_>>>()?;
    DataFrame::new(frame.height(), columns)
}

fn day_counts(frame: &DataFrame) -> PolarsResult<DayCounts> {
    let text = |name| frame.column(name).and_then(|column| column.str());
    let (accounts, regions, days) = (text("account")?, text("region")?, text("event_date")?);
    let events = frame.column("events")?.i64()?;
    let mut counts = DayCounts::default();
    for row in 0..frame.height() {
        let text = |of: &StringChunked| of.get(row).unwrap_or("unknown").to_owned();
        let count = u64::try_from(events.get(row).unwrap_or(0)).unwrap_or(0);
        counts.add(&text(accounts), &text(regions), &text(days), count);
    }
    Ok(counts)
}

/// Takes a frame in the order of its rows, as far as the limit goes.
fn answer(frame: &DataFrame, panel: &Panel, top: u64) -> PolarsResult<Answer> {
    let rows_total = frame.height() as u64;
    let kept = if panel.kept == Kept::All { frame.clone() } else { frame.head(Some(top as usize)) };
    let mut rows = vec![Vec::with_capacity(kept.width()); kept.height()];
    for column in kept.columns() {
        for (at, row) in rows.iter_mut().enumerate() {
            row.push(cell(&column.get(at)?));
        }
    }
    Ok(Answer { rows, rows_total })
}

fn cell(value: &AnyValue<'_>) -> Cell {
    match value {
        AnyValue::String(text) => Cell::Text((*text).to_owned()),
        AnyValue::StringOwned(text) => Cell::Text(text.to_string()),
        AnyValue::Int64(count) => Cell::Count(*count),
        AnyValue::Int32(count) => Cell::Count(i64::from(*count)),
        AnyValue::Int128(count) => i64::try_from(*count).map_or(Cell::Null, Cell::Count),
        AnyValue::Datetime(instant, ..) | AnyValue::DatetimeOwned(instant, ..) => {
            Cell::Instant(*instant)
        }
        _ => Cell::Null,
    }
}
