//! One panel: a question as SQL that is shown and run, and how its answer is drawn.
//!
//! The statement is portable (Athena, Spark, DuckDB, `trailmill query`; JSON functions under Athena's
//! names). A lake can be larger than memory, so the statement is run over some files at a time, without
//! its order and limit, and the answers are added up: counts as sums, times as minima and maxima.

use crate::report::window::{Grain, Window, literal};
use crate::units::EpochMillis;

/// What is computed for each group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Rows.
    Count,
    /// Rows that meet a condition.
    CountIf(&'static str),
    /// The time of the first event.
    First,
    /// The time of the last event.
    Last,
}

/// How many rows of the answer are kept, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All, in the order of their keys.
    All,
    /// The ones with most events, as many as the report is asked for.
    Top,
    /// The ones with the latest event.
    Latest,
    /// As [`Kept::Top`], of those whose first event is new.
    New,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Figures on tiles.
    Tiles,
    /// Accounts and regions by days.
    Coverage,
    /// A bar for each time, stacked by each of these columns in a chart of its own.
    Timeline(&'static [Stack]),
    /// A table with a bar for the events of each row.
    Table,
}

/// What the bars of a timeline are stacked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// A bar's events by the values of a key; and the title of the chart.
    Key(&'static str, &'static str),
    /// Measures that add up to the bar, with the names of their series; and the title of the chart.
    Measures(&'static [(&'static str, &'static str)], &'static str),
}

/// One panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Its name, for programs.
    pub id: &'static str,
    /// The heading above it.
    pub section: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it shows and what it leaves out, in a sentence or two.
    pub note: &'static str,
    /// Names and expressions of what rows are grouped by.
    pub keys: &'static [(&'static str, &'static str)],
    /// Names of what is computed.
    pub measures: &'static [(&'static str, Measure)],
    /// Which events it is about; all if it is empty.
    pub filter: &'static str,
    /// Which rows of the answer are kept.
    pub kept: Kept,
    /// How it is drawn.
    pub drawing: Drawing,
    /// Whether it reads request, response or additional data: only events of the names in
    /// [`WITH_TEXTS`](crate::report::WITH_TEXTS) have them when it is run.
    pub reads_texts: bool,
}

/// What the statements of a report have in common.
#[derive(Clone, Debug)]
pub struct Question {
    /// The database, as it stands in the statements.
    pub database: String,
    /// The table.
    pub table: String,
    /// Which events.
    pub window: Window,
    /// The width of bars.
    pub grain: Grain,
    /// From when on what is seen first counts as new.
    pub new_since: EpochMillis,
    /// Rows of panels that show the first ones.
    pub top: u64,
}

/// Expressions that panels share. Who acted is the role of a session, so that each of its sessions is
/// not somebody else; `{session}` tells sessions apart.
const SHARED: [(&str, &str); 8] = [
    (
        "{principal}",
        "COALESCE(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn, \
         useridentity.invokedby, useridentity.principalid, useridentity.accountid, '')",
    ),
    (
        "{session}",
        "COALESCE(useridentity.arn, useridentity.invokedby, useridentity.principalid, \
         useridentity.accountid, '')",
    ),
    // A failed console login has a message and no code.
    ("{is_error}", "(errorcode IS NOT NULL OR errormessage IS NOT NULL)"),
    (
        "{is_denied}",
        "(errorcode LIKE '%AccessDenied%' OR errorcode LIKE '%UnauthorizedOperation' \
         OR errorcode LIKE '%NotAuthorized%')",
    ),
    (
        "{is_root}",
        "useridentity.type = 'Root' AND useridentity.invokedby IS NULL \
         AND COALESCE(eventtype, '') <> 'AwsServiceEvent'",
    ),
    ("{is_login}", "eventsource = 'signin.amazonaws.com' AND eventname = 'ConsoleLogin'"),
    (
        "{is_address}",
        "sourceipaddress <> 'AWS Internal' AND sourceipaddress NOT LIKE '%.amazonaws.com'",
    ),
    (
        "{login}",
        "CASE WHEN COALESCE(json_extract_scalar(responseelements, '$.ConsoleLogin'), '') <> 'Success' \
         THEN 'failed' \
         WHEN json_extract_scalar(additionaleventdata, '$.MFAUsed') = 'Yes' THEN 'with MFA' \
         ELSE 'without MFA' END",
    ),
];

/// Those of [`SHARED`] that most panels have: when panels are run, each is a column that is computed once.
const COMPUTED: [(&str, &str); 5] = [
    ("{principal}", "shared_principal"),
    ("{session}", "shared_session"),
    ("{is_error}", "shared_is_error"),
    ("{is_denied}", "shared_is_denied"),
    ("{is_address}", "shared_is_address"),
];

/// Where a statement stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In the report: it is whole.
    Shown,
    /// Over events that have the columns of [`Question::computed`].
    Run,
}

impl Question {
    fn expand(&self, text: &str, form: Form) -> String {
        let mut out = text.replace("{grain}", self.grain.name());
        for (name, column) in COMPUTED.iter().filter(|_| form == Form::Run) {
            out = out.replace(name, column);
        }
        for (name, shared) in SHARED {
            out = out.replace(name, shared);
        }
        out
    }

    /// The conditions of the rows that a panel is about, one a line.
    fn wheres(&self, panel: &Panel, form: Form) -> String {
        let mut all = self.window.conditions(panel.kept == Kept::New);
        if !panel.filter.is_empty() {
            all.push(self.expand(panel.filter, form));
        }
        if all.is_empty() { String::new() } else { format!("\nWHERE {}", all.join("\n  AND ")) }
    }

    fn selected(&self, panel: &Panel, form: Form) -> String {
        let keys = panel.keys.iter().map(|(name, expression)| {
            if name == expression {
                (*name).to_owned()
            } else {
                format!("{} AS {name}", self.expand(expression, form))
            }
        });
        let measures = panel
            .measures
            .iter()
            .map(|(name, measure)| format!("{} AS {name}", self.measure(*measure, form)));
        keys.chain(measures).collect::<Vec<_>>().join(",\n  ")
    }

    fn measure(&self, measure: Measure, form: Form) -> String {
        match measure {
            Measure::Count => "count(*)".to_owned(),
            Measure::CountIf(condition) => {
                format!("sum(CASE WHEN {} THEN 1 ELSE 0 END)", self.expand(condition, form))
            }
            Measure::First => "min(event_timestamp)".to_owned(),
            Measure::Last => "max(event_timestamp)".to_owned(),
        }
    }

    /// Returns the statement of the columns that panels share, over events.
    pub fn computed(&self) -> String {
        let column = |(name, column): &(&str, &str)| {
            format!("{} AS {column}", self.expand(name, Form::Shown))
        };
        let columns = COMPUTED.iter().map(column).collect::<Vec<_>>().join(", ");
        format!("SELECT {columns} FROM {}", self.from())
    }

    /// Returns the statement of a panel without order and limit, over events that have the columns of
    /// [`Question::computed`] as well.
    pub fn part(&self, panel: &Panel) -> String {
        self.part_in(panel, Form::Run)
    }

    fn part_in(&self, panel: &Panel, form: Form) -> String {
        let (selected, wheres) = (self.selected(panel, form), self.wheres(panel, form));
        format!("SELECT\n  {selected}\nFROM {}{wheres}{}", self.from(), grouped_by(panel))
    }

    fn from(&self) -> String {
        format!("{}.{}", quoted(&self.database), quoted(&self.table))
    }

    /// Returns the statement that a panel shows.
    pub fn statement(&self, panel: &Panel) -> String {
        let having = match panel.kept {
            Kept::New => format!("\nHAVING min(event_timestamp) >= {}", literal(self.new_since)),
            _ => String::new(),
        };
        let limit = match panel.kept {
            Kept::All => String::new(),
            _ => format!("\nLIMIT {}", self.top),
        };
        let part = self.part_in(panel, Form::Shown);
        format!("{part}{having}{}{limit}", ordered(panel))
    }

    /// Returns the statement that adds up answers of [`Question::part`].
    pub fn sum(panel: &Panel, table: &str) -> String {
        let keys = panel.keys.iter().map(|(name, _)| (*name).to_owned());
        let measures = panel.measures.iter().map(|(name, measure)| match measure {
            Measure::Count | Measure::CountIf(_) => format!("sum({name}) AS {name}"),
            Measure::First => format!("min({name}) AS {name}"),
            Measure::Last => format!("max({name}) AS {name}"),
        });
        let selected = keys.chain(measures).collect::<Vec<_>>().join(", ");
        format!("SELECT {selected} FROM {table}{}", grouped_by(panel))
    }

    /// Returns the statement that orders a sum of all answers.
    pub fn last(&self, panel: &Panel, table: &str) -> String {
        let new = match panel.kept {
            Kept::New => format!(" WHERE first_seen >= {}", literal(self.new_since)),
            _ => String::new(),
        };
        format!("SELECT * FROM {table}{new}{}", ordered(panel))
    }
}

/// The order of rows. Keys come last, so that it is the same every time.
fn ordered(panel: &Panel) -> String {
    let keys = panel.keys.iter().map(|(name, _)| (*name).to_owned());
    let by = match panel.kept {
        Kept::All => None,
        Kept::Top | Kept::New => Some("events DESC".to_owned()),
        Kept::Latest => Some("last_seen DESC".to_owned()),
    };
    let order = by.into_iter().chain(keys).collect::<Vec<_>>().join(", ");
    if order.is_empty() { order } else { format!("\nORDER BY {order}") }
}

fn grouped_by(panel: &Panel) -> String {
    if panel.keys.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = (1..=panel.keys.len()).map(|number| number.to_string()).collect();
    format!("\nGROUP BY {}", numbers.join(", "))
}

/// Returns a name as it stands in a statement.
fn quoted(name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
