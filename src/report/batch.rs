//! Events of some files as frames that statements run over: the columns that panels name, and no others.

use crate::error::{Error, ErrorKind, Result};
use crate::report::panels::WITH_TEXTS;
use crate::scan::{LiveFile, OpenFile};
use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, IntoColumn, IntoSeries, PlSmallStr, PolarsResult,
    Scalar, Series, StructChunked, TimeUnit,
};
use std::path::Path;

/// The columns of every event that panels name.
const COLUMNS: [&str; 14] = [
    "event_timestamp",
    "eventsource",
    "eventname",
    "eventtype",
    "eventcategory",
    "readonly",
    "sourceipaddress",
    "useragent",
    "errorcode",
    "errormessage",
    "s3_bucket",
    "s3_key",
    "lambda_function",
    "recipientaccountid",
];

/// The members of `useridentity` that panels name: of the others, most are null, and they take more room than
/// all other columns.
const MEMBERS: [&str; 7] = [
    "useridentity.type",
    "useridentity.invokedby",
    "useridentity.arn",
    "useridentity.principalid",
    "useridentity.accountid",
    "useridentity.username",
    "useridentity.sessioncontext.sessionissuer.arn",
];

/// The same, as structs and the members that each has.
const IDENTITY: [(&[&str], &[&str]); 3] = [
    (&[], &["type", "invokedby", "arn", "principalid", "accountid", "username", "sessioncontext"]),
    (&["sessioncontext"], &["sessionissuer"]),
    (&["sessioncontext", "sessionissuer"], &["arn"]),
];

/// Columns that are partition keys in some lakes, and data in others.
const KEYS: [&str; 3] = ["account", "region", "event_date"];

/// Columns that are read of few events: they are most of a lake's bytes.
const TEXTS: [&str; 3] = ["requestparameters", "responseelements", "additionaleventdata"];

/// The type of instants: all of them are UTC, as in Athena.
const INSTANT: DataType = DataType::Datetime(TimeUnit::Milliseconds, None);

/// Some events.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) events: DataFrame,
    pub(super) with_texts: DataFrame,
    /// The first and the last instant of the file they are from.
    pub(super) times: (i64, i64),
}

impl Batch {
    /// Returns how many events there are.
    pub fn len(&self) -> usize {
        self.events.height()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the events of another; gives it back if its columns are not the same.
    pub fn join(&mut self, other: Self) -> Option<Self> {
        let is_same = |one: &DataFrame, other: &DataFrame| {
            one.height() == 0 || other.height() == 0 || one.schema() == other.schema()
        };
        if !is_same(&self.events, &other.events) || !is_same(&self.with_texts, &other.with_texts) {
            return Some(other);
        }
        for (one, other) in
            [(&mut self.events, &other.events), (&mut self.with_texts, &other.with_texts)]
        {
            if one.height() == 0 {
                one.clone_from(other);
            } else if other.height() > 0 && one.vstack_mut(other).is_err() {
                // The same columns go together.
                return None;
            }
        }
        self.times = (self.times.0.min(other.times.0), self.times.1.max(other.times.1));
        None
    }

    /// Reads the events of a file that lies at `path`, a batch for each of its row groups.
    ///
    /// # Errors
    /// `Damaged` when it cannot be read.
    pub fn read(
        live: &LiveFile,
        path: &Path,
        mut each: impl FnMut(Self) -> Result<()>,
    ) -> Result<()> {
        let file = OpenFile::open(&live.file.key, path)?;
        let failed = |err| {
            let message = "unexpected columns: run `trailmill verify` on the lake";
            Error::new(ErrorKind::Damaged, message).at("file", &live.file.key).because(err)
        };
        for group in 0..file.groups() {
            let columns = [&COLUMNS[..], &KEYS[..], &MEMBERS[..]].concat();
            let events = file.frame(group, &columns, None)?;
            let events = completed(events, live, file.rows(group)).map_err(failed)?;
            let has_texts = has_texts(&events).map_err(failed)?;
            let mut with_texts = events.filter(&has_texts).map_err(failed)?;
            if with_texts.height() > 0 {
                let rows = has_texts.iter().enumerate();
                let rows: Vec<usize> =
                    rows.filter_map(|(row, has)| (has == Some(true)).then_some(row)).collect();
                let texts = file.frame(group, &TEXTS, Some(&rows))?;
                with_texts.hstack_mut(texts.columns()).map_err(failed)?;
            }
            let times = (live.file.min_instant, live.file.max_instant);
            each(Self { events, with_texts, times })?;
        }
        Ok(())
    }
}

/// Adds partition keys from the path, and gives instants the type that statements expect.
fn completed(mut frame: DataFrame, live: &LiveFile, rows: usize) -> PolarsResult<DataFrame> {
    for name in COLUMNS.iter().chain(&KEYS) {
        if frame.column(name).is_ok() {
            continue;
        }
        let found = live.partition.iter().find(|(key, _)| key == name);
        let scalar = match found {
            Some((_, value)) => Scalar::from(PlSmallStr::from_str(value)),
            None => Scalar::null(DataType::String),
        };
        frame.with_column(Column::new_scalar((*name).into(), scalar, rows))?;
    }
    let instants = frame.column("event_timestamp")?;
    let instants = instants.datetime()?.physical().clone().into_column().cast(&INSTANT)?;
    frame.with_column(instants)?;
    let identity = narrowed(frame.column("useridentity")?.as_materialized_series(), &[])?;
    frame.with_column(identity.into_column())?;
    Ok(frame)
}

/// Puts the members of a struct in the order of [`IDENTITY`]; those that a file has not are null.
fn narrowed(of: &Series, path: &[&str]) -> PolarsResult<Series> {
    let Some((_, wanted)) = IDENTITY.iter().find(|(at, _)| *at == path) else {
        return Ok(of.clone());
    };
    let members = match of.dtype() {
        DataType::Struct(_) => of.struct_()?.fields_as_series(),
        _ => Vec::new(),
    };
    let member = |name: &&str| match members.iter().find(|member| member.name() == name) {
        Some(member) => narrowed(member, &[path, &[*name]].concat()),
        None => Ok(Series::full_null((*name).into(), of.len(), &DataType::String)),
    };
    let kept = wanted.iter().map(member).collect::<PolarsResult<Vec<_>>>()?;
    Ok(StructChunked::from_series(of.name().clone(), of.len(), kept.iter())?.into_series())
}

fn has_texts(frame: &DataFrame) -> PolarsResult<BooleanChunked> {
    let names = frame.column("eventname")?.str()?;
    let has = |name: Option<&str>| Some(name.is_some_and(|name| WITH_TEXTS.contains(&name)));
    Ok(names.iter().map(has).collect())
}
