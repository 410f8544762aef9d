//! SQL over a lake: which tables and files there are, and the bytes of those in a bucket.

use crate::catalog::{Dialect, views::views};
use crate::engine::CatalogOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Known, read_lock};
use crate::operations::lake_catalog::options_of;
use crate::operations::register::lake_tables;
use crate::query::{Explained, Grid, Session, Table, TableColumn, on_own_thread};
use crate::scan::{LiveFile, live_files};
use crate::storage::Storage;
use crate::units::EpochMillis;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// How questions are answered.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// What `current_timestamp` returns; the time of opening without.
    pub now: Option<EpochMillis>,
}

/// A lake that is asked questions: its tables and files, as they were when it was opened.
pub struct QueryEngine {
    storage: Storage,
    session: Session,
    root: PathBuf,
}

/// An answer, and what was read for it.
#[derive(Debug)]
pub struct QueryAnswer {
    /// Its rows.
    pub grid: Grid,
    /// Files of the tables that were asked.
    pub files: u64,
    /// Files that were read.
    pub files_kept: u64,
    /// Bytes of those.
    pub bytes: u64,
}

impl QueryEngine {
    /// Reads which tables and files a lake has.
    ///
    /// # Errors
    /// `Damaged` for a document that cannot be read; `Unavailable`, `Denied`, `Io`.
    pub async fn open(storage: &Storage, options: &QueryOptions) -> Result<Self> {
        let lake = Known::read(storage).await?.snapshot;
        let lock = read_lock(storage, &lake).await?;
        let catalog = options_of(&lake, &CatalogOptions::new(""));
        let mut files: BTreeMap<String, Vec<LiveFile>> = BTreeMap::new();
        for file in live_files(storage).await? {
            files.entry(file.file.table.clone()).or_default().push(file);
        }
        let mut tables = Vec::new();
        let mut all_views = BTreeMap::new();
        for made in lake_tables(storage, &lake, &lock, &catalog) {
            let columns = made.columns.iter();
            let columns: Result<Vec<_>> =
                columns.map(|column| TableColumn::new(&column.name, &column.hive_type)).collect();
            for view in views(Dialect::Athena, &made.database, &made.table_input()) {
                if let Some((name, select)) = named_select(&view.sql) {
                    all_views.insert(name, select);
                }
            }
            let files = files.remove(&made.name).unwrap_or_default();
            tables.push(Table {
                name: made.name,
                columns: columns?,
                keys: made.partition_keys,
                files,
            });
        }
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as i64);
        let session = Session::new(tables, all_views, options.now.unwrap_or(now));
        let root = storage.root().map(PathBuf::from).unwrap_or_default();
        let root = std::path::absolute(&root).unwrap_or(root);
        if root.to_string_lossy().contains('=') {
            let message = "cannot query a lake whose path has a `=` in it: make a symbolic link \
                           without one, and query that";
            return Err(Error::config(message).at("lake", root.display()));
        }
        Ok(Self { storage: storage.clone(), session, root })
    }

    /// Returns the tables, views and functions.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Answers one statement.
    ///
    /// # Errors
    /// `Config` for a statement that cannot be run; `Damaged` for a file that is missing or cannot be
    /// read; `Unavailable`, `Denied`, `Io`.
    pub async fn sql(&self, sql: &str) -> Result<QueryAnswer> {
        let path = |file: &LiveFile| self.path(file);
        let plan = on_own_thread(|| self.session.plan(sql, &path))?;
        let kept: Vec<&LiveFile> = plan.scans.iter().flat_map(|scan| &scan.kept).collect();
        for file in &kept {
            self.require(file).await?;
        }
        let files = plan.scans.iter().map(|scan| scan.files as u64).sum();
        let files_kept = kept.len() as u64;
        let bytes = kept.iter().map(|file| file.file.bytes).sum();
        let grid = on_own_thread(|| plan.run().map(Grid::new))?;
        Ok(QueryAnswer { grid, files, files_kept, bytes })
    }

    /// Says what a statement would read, and how; no file is opened.
    ///
    /// # Errors
    /// `Config` for a statement that cannot be run.
    pub fn explain(&self, sql: &str) -> Result<Explained> {
        let path = |file: &LiveFile| self.path(file);
        on_own_thread(|| self.session.plan(sql, &path).map(|plan| plan.explain()))
    }

    fn path(&self, file: &LiveFile) -> String {
        self.root.join(&file.file.key).to_string_lossy().into_owned()
    }

    /// Makes sure that a file is where the plan reads it.
    async fn require(&self, file: &LiveFile) -> Result<()> {
        if self.storage.root().is_some() && self.root.join(&file.file.key).is_file() {
            return Ok(());
        }
        let message = "a data file is missing: `trailmill catalog sync` notes it as lost, and \
                       `trailmill convert --restore` writes its rows again";
        Err(Error::new(ErrorKind::Damaged, message).at("file", &file.file.key))
    }
}

/// Takes a view apart: its name, and what it selects.
fn named_select(sql: &str) -> Option<(String, String)> {
    let (head, select) = sql.split_once(" AS\n")?;
    let name = head.rsplit('.').next()?.trim_matches('"').to_owned();
    Some((name, select.to_owned()))
}
