//! SQL over a lake: which tables and files there are.

use crate::catalog::{Dialect, ViewSelection, views::views};
use crate::engine::CatalogOptions;
use crate::error::Result;
use crate::lake::{Known, read_lock};
use crate::operations::lake_catalog::options_of;
use crate::operations::register::lake_tables;
use crate::query::{Explained, Grid, PlainFolder, Session, Table, TableColumn, on_own_thread};
use crate::scan::{CacheOptions, DataFiles, LiveFile, live_files};
use crate::storage::Storage;
use crate::units::EpochMillis;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// How questions are answered.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// What `current_timestamp` returns; the time of opening without.
    pub now: Option<EpochMillis>,
    /// Where files of a lake in a bucket are kept.
    pub cache: CacheOptions,
}

/// A lake that is asked questions: its tables and files, as they were when it was opened.
pub struct QueryEngine {
    session: Session,
    files: DataFiles,
    /// Their folder, as polars is to read it.
    folder: PlainFolder,
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
    /// Bytes that were fetched from a bucket for it.
    pub bytes_fetched: u64,
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
            let (table, all) = (made.table_input(), ViewSelection::default());
            let views = views(Dialect::Athena, &made.database, &table, &all);
            all_views.extend(views.into_iter().map(|view| (view.name, view.select)));
            let files = files.remove(&made.name).unwrap_or_default();
            tables.push(Table {
                name: made.name,
                columns: columns?,
                keys: made.partition_keys.into_iter().map(|key| key.name).collect(),
                files,
            });
        }
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as i64);
        let session = Session::new(tables, all_views, options.now.unwrap_or(now));
        let files = DataFiles::open(storage, &options.cache)?;
        let folder = PlainFolder::of(files.folder())?;
        Ok(Self { session, files, folder })
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
        let kept = plan.scans.iter().flat_map(|scan| scan.kept.iter().cloned());
        let kept: Vec<LiveFile> = kept.collect();
        let bytes_fetched = self.files.fetch(&kept).await?;
        let files = plan.scans.iter().map(|scan| scan.files as u64).sum();
        let bytes = kept.iter().map(|file| file.file.bytes).sum();
        let grid = on_own_thread(|| plan.run().map(Grid::new))?;
        Ok(QueryAnswer { grid, files, files_kept: kept.len() as u64, bytes, bytes_fetched })
    }

    /// Says what a statement would read, and how; no file is opened.
    ///
    /// # Errors
    /// `Config` for a statement that cannot be run.
    pub fn explain(&self, sql: &str) -> Result<Explained> {
        let path = |file: &LiveFile| self.path(file);
        let explained = on_own_thread(|| self.session.plan(sql, &path).map(|plan| plan.explain()))?;
        Ok(explained.of_folder(self.folder.path(), self.files.folder()))
    }

    fn path(&self, file: &LiveFile) -> String {
        self.folder.path().join(&file.file.key).to_string_lossy().into_owned()
    }
}
