//! The report as one document: aggregates, never records.

use crate::report::answers::{Answer, Cell};
use crate::report::coverage::Coverage;
use crate::report::panel::{Drawing, Kept, Panel, Question};
use crate::report::panels::PANELS;
use crate::report::window::{Span, iso};
use serde::Serialize;

/// The format of the document, which `schemas/report-page.json` describes.
pub const REPORT_FORMAT: u32 = 1;

/// Characters of a text that are kept.
const TEXT: usize = 256;

/// Rows of a panel that are kept where a statement has no limit.
const ROWS: usize = 20_000;

/// A report.
#[derive(Clone, Debug, Serialize)]
pub struct ActivityReport {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// When it was made, if the caller says so.
    pub generated_at: Option<String>,
    /// Where the lake is.
    pub lake: String,
    /// What it is about.
    pub window: ReportWindow,
    /// What the lake's documents say.
    pub facts: LakeFacts,
    /// Accounts and regions by day.
    pub coverage: Coverage,
    /// The panels with their answers.
    pub panels: Vec<PanelAnswer>,
}

/// What a report is about.
#[derive(Clone, Debug, Serialize)]
pub struct ReportWindow {
    /// The database of the lake's table.
    pub database: String,
    /// The lake's table.
    pub table: String,
    /// From when on, if it was given.
    pub since: Option<String>,
    /// Before when, if it was given.
    pub until: Option<String>,
    /// Only these accounts; all if there are none.
    pub accounts: Vec<String>,
    /// The first event in the window.
    pub first_event: Option<String>,
    /// The last event in the window.
    pub last_event: Option<String>,
    /// The first event of the lake: what happened before it is not known, and counts as new.
    pub horizon: String,
    /// From when on what is seen first counts as new.
    pub new_since: String,
    /// The width of a bar: hour, day, week, month or year.
    pub grain: &'static str,
    /// Rows of a panel, at most.
    pub top: u64,
}

/// What a lake's documents say, for all time and all accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LakeFacts {
    /// Its main tables.
    pub tables: Vec<TableFacts>,
    /// Records that were quarantined; a whole object counts as one.
    pub records_quarantined: u64,
    /// Objects that they are from.
    pub objects_quarantined: u64,
    /// Objects that gave no record.
    pub objects_ignored: u64,
    /// Rows of objects that digests prove; none if no conversion looked.
    pub integrity: Option<ProvenRows>,
}

/// A table of the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableFacts {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What digests say of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProvenRows {
    /// Rows of units whose objects are all proven.
    pub rows_proven: u64,
    /// Rows of units with an object that is not proven.
    pub rows_unproven: u64,
    /// Rows that were converted without `--integrity`.
    pub rows_unchecked: u64,
}

/// A panel with its answer.
#[derive(Clone, Debug, Serialize)]
pub struct PanelAnswer {
    /// Its name.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The statement that made it.
    pub sql: String,
    /// The names of its columns.
    pub columns: Vec<&'static str>,
    /// Its rows; texts are cut after 256 characters.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that the statement has without its limit.
    pub rows_total: u64,
    /// What it is, for the page.
    #[serde(skip)]
    pub panel: &'static Panel,
}

impl ActivityReport {
    /// Puts a report together.
    pub fn new(
        lake: &str,
        question: &Question,
        horizon: i64,
        facts: LakeFacts,
        answers: Vec<Answer>,
        coverage: Coverage,
    ) -> Self {
        let panels: Vec<PanelAnswer> = PANELS
            .iter()
            .zip(answers)
            .filter(|(panel, _)| panel.drawing != Drawing::Coverage)
            .map(|(panel, answer)| PanelAnswer::new(panel, question, answer))
            .collect();
        let window = &question.window;
        let span = span(&panels);
        Self {
            format: REPORT_FORMAT,
            generated_at: None,
            lake: cut(lake),
            window: ReportWindow {
                database: question.database.clone(),
                table: question.table.clone(),
                since: window.since.map(iso),
                until: window.until.map(iso),
                accounts: window.accounts.clone(),
                first_event: span.map(|span| iso(span.first)),
                last_event: span.map(|span| iso(span.last)),
                horizon: iso(horizon),
                new_since: iso(question.new_since),
                grain: question.grain.name(),
                top: question.top,
            },
            facts,
            coverage,
            panels,
        }
    }

    /// Returns a panel by its name.
    pub fn panel(&self, id: &str) -> Option<&PanelAnswer> {
        self.panels.iter().find(|panel| panel.id == id)
    }

    /// Returns how many events it is about.
    pub fn events(&self) -> u64 {
        self.panel("totals").map_or(0, |totals| totals.count(0, "events"))
    }
}

/// The first and the last event that were counted.
fn span(panels: &[PanelAnswer]) -> Option<Span> {
    let totals = panels.iter().find(|panel| panel.id == "totals")?;
    let first = totals.cell(0, "first_seen")?.instant()?;
    Some(Span { first, last: totals.cell(0, "last_seen")?.instant()? })
}

impl PanelAnswer {
    fn new(panel: &'static Panel, question: &Question, mut answer: Answer) -> Self {
        answer.rows.truncate(if panel.kept == Kept::All { ROWS } else { usize::MAX });
        for cell in answer.rows.iter_mut().flatten() {
            if let Cell::Text(text) = cell {
                *text = cut(text);
            }
        }
        let keys = panel.keys.iter().map(|(name, _)| *name);
        Self {
            id: panel.id,
            title: panel.title,
            sql: question.statement(panel),
            columns: keys.chain(panel.measures.iter().map(|(name, _)| *name)).collect(),
            rows: answer.rows,
            rows_total: answer.rows_total,
            panel,
        }
    }

    /// Returns where a column is.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| *column == name)
    }

    /// Returns a value.
    pub fn cell(&self, row: usize, column: &str) -> Option<&Cell> {
        self.rows.get(row)?.get(self.column(column)?)
    }

    /// Returns a count; 0 where there is none.
    pub fn count(&self, row: usize, column: &str) -> u64 {
        self.cell(row, column).map_or(0, Cell::count)
    }
}

/// Keeps the beginning of a long text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
