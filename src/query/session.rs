//! Tables and views together: a statement becomes a plan, and a plan an answer.

use crate::error::{Error, Result};
use crate::query::explain::{Explained, Scan};
use crate::query::failure::failed;
use crate::query::functions::Functions;
use crate::query::rewrite::{Prepared, Words, prepare};
use crate::query::table::Table;
use crate::scan::LiveFile;
use crate::units::EpochMillis;
use polars::prelude::{DataFrame, Engine, LazyFrame, PolarsResult};
use polars::sql::SQLContext;
use polars_plan::plans::{ArenaLpIter, IR};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The tables and views of a lake.
pub struct Session {
    tables: BTreeMap<String, Table>,
    /// The SELECT of each view, in Athena's spelling.
    views: BTreeMap<String, String>,
    functions: Arc<Functions>,
    now: EpochMillis,
}

/// A statement that is ready to run, and the files that it reads.
pub struct Plan {
    frame: LazyFrame,
    /// What is read of each table.
    pub scans: Vec<Scan>,
    text: String,
}

/// The relations that a statement reads.
struct Resolved<'a> {
    tables: Vec<&'a Table>,
    /// Each after those that it is made of.
    views: Vec<(String, Prepared)>,
    /// Names in all their statements.
    words: Words,
}

impl Session {
    /// Makes a session; `now` is what `current_timestamp` returns.
    pub fn new(tables: Vec<Table>, views: BTreeMap<String, String>, now: EpochMillis) -> Self {
        let tables = tables.into_iter().map(|table| (table.name.clone(), table)).collect();
        Self { tables, views, functions: Arc::new(Functions::all()), now }
    }

    /// Returns the tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.values()
    }

    /// Returns the views, by name, with their statements.
    pub fn views(&self) -> impl Iterator<Item = (&str, &str)> {
        self.views.iter().map(|(name, sql)| (name.as_str(), sql.as_str()))
    }

    /// Returns the names of the functions that polars-sql does not have itself.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.names()
    }

    /// Plans a statement over files that lie where `path` says; none is opened.
    ///
    /// # Errors
    /// `Config` for a statement that cannot be run.
    pub fn plan(&self, sql: &str, path: &dyn Fn(&LiveFile) -> String) -> Result<Plan> {
        let statement = self.prepare(sql)?;
        let found = self.resolve(&statement)?;
        let all = self.frame(&statement, &found, &|table| table.scan(path, &found.words))?;
        let optimized = all.to_alp_optimized().map_err(failed)?;
        let mut kept: BTreeSet<String> = BTreeSet::new();
        for (_, node) in optimized.lp_arena.iter(optimized.lp_top) {
            if let IR::Scan { sources, .. } = node {
                kept.extend(sources.as_paths().unwrap_or_default().iter().map(ToString::to_string));
            }
        }
        let scan = |table: &&Table| {
            let is_kept = |file: &&LiveFile| kept.contains(&path(file));
            Scan {
                table: table.name.clone(),
                files: table.files.len(),
                bytes: table.files.iter().map(|file| file.file.bytes).sum(),
                kept: table.files.iter().filter(is_kept).cloned().collect(),
            }
        };
        let scans: Vec<Scan> = found.tables.iter().map(scan).collect();
        let frame = self.frame(&statement, &found, &|table| {
            let kept = scans.iter().find(|scan| scan.table == table.name);
            let kept = kept.map_or(&[][..], |scan| &scan.kept);
            table.scan_kept(kept, path, &found.words)
        })?;
        Ok(Plan { frame, scans, text: optimized.describe() })
    }

    /// Returns a statement over tables that are read by `scan`.
    fn frame(
        &self,
        statement: &Prepared,
        found: &Resolved<'_>,
        scan: &dyn Fn(&Table) -> PolarsResult<LazyFrame>,
    ) -> Result<LazyFrame> {
        let functions: Arc<Functions> = Arc::clone(&self.functions);
        let mut context = SQLContext::new().with_function_registry(functions);
        for table in &found.tables {
            context.register(&table.name, scan(table).map_err(failed)?);
        }
        for (name, view) in &found.views {
            let frame = context.execute(&view.sql).map_err(failed)?;
            context.register(name, frame);
        }
        context.execute(&statement.sql).map_err(failed)
    }

    fn prepare(&self, sql: &str) -> Result<Prepared> {
        let is_there = |name: &str| self.tables.contains_key(name) || self.views.contains_key(name);
        prepare(sql, &is_there, &self.functions, self.now)
    }

    /// Finds the tables and views of a statement, each view after those that it is made of.
    fn resolve(&self, statement: &Prepared) -> Result<Resolved<'_>> {
        let mut words = statement.words.clone();
        let mut tables: BTreeMap<&str, &Table> = BTreeMap::new();
        let mut views: Vec<(String, Prepared)> = Vec::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<String> = statement.relations.iter().cloned().collect();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if let Some((name, table)) = self.tables.get_key_value(&name) {
                tables.insert(name, table);
            } else if let Some(sql) = self.views.get(&name) {
                let view = self.prepare(sql)?;
                words.join(&view.words);
                open.extend(view.relations.iter().cloned());
                views.push((name, view));
            } else if !statement.names.contains(&name) {
                let message = format!(
                    "cannot run the query: table `{}` not found: the lake has {}",
                    crate::text::clean(&name),
                    self.tables.keys().cloned().collect::<Vec<_>>().join(", ")
                );
                return Err(Error::config(message));
            }
        }
        views.reverse();
        Ok(Resolved { tables: tables.into_values().collect(), views, words })
    }
}

impl Plan {
    /// Runs the plan: in the streaming engine of polars, and in its other one where that panics, as it does
    /// for what was not compiled into it.
    ///
    /// # Errors
    /// `Config` for values that a function or a cast does not take; `Damaged` and `Io` for files that
    /// cannot be read.
    pub fn run(self) -> Result<DataFrame> {
        let streamed = || collect(self.frame.clone(), Engine::Streaming);
        match catch_unwind(AssertUnwindSafe(streamed)) {
            Ok(answer) => answer,
            Err(_) => collect(self.frame, Engine::InMemory),
        }
    }

    /// Returns what the plan reads, and how.
    pub fn explain(&self) -> Explained {
        Explained::new(&self.scans, &self.text)
    }
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the type is of a crate that is not ours to name"
)]
fn collect(frame: LazyFrame, engine: Engine) -> Result<DataFrame> {
    frame.collect_with_engine(engine).map_err(failed).map(|answer| answer.unwrap_single())
}
