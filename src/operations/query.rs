//! SQL over a lake: which tables and files there are, and the bytes of those in a bucket.

use crate::catalog::{Dialect, views::views};
use crate::engine::CatalogOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Known, read_lock};
use crate::operations::lake_catalog::options_of;
use crate::operations::register::lake_tables;
use crate::query::{Explained, Grid, Session, Table, TableColumn, on_own_thread};
use crate::scan::{FileCache, LiveFile, MISSING_FILE, live_files};
use crate::storage::Storage;
use crate::units::EpochMillis;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How questions are answered.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// What `current_timestamp` returns; the time of opening without.
    pub now: Option<EpochMillis>,
    /// Where files of a lake in a bucket are kept: by default, in the user's cache folder.
    pub cache: Option<PathBuf>,
    /// How many bytes of them, of all lakes together.
    pub cache_bytes: u64,
}

/// Bytes that the cache holds unless told otherwise.
pub const DEFAULT_CACHE: u64 = 10_000_000_000;

impl Default for QueryOptions {
    fn default() -> Self {
        Self { now: None, cache: user_cache(), cache_bytes: DEFAULT_CACHE }
    }
}

/// Where the user's caches are.
fn user_cache() -> Option<PathBuf> {
    let of_user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let of_user = of_user.filter(|folder| folder.is_absolute());
    let folder = of_user.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(folder.join("trailmill"))
}

/// A lake that is asked questions: its tables and files, as they were when it was opened.
pub struct QueryEngine {
    storage: Storage,
    session: Session,
    files: Files,
}

/// Where data files lie on this machine.
enum Files {
    /// In the lake's folder.
    Folder(PathBuf),
    /// In a cache.
    Cache(FileCache),
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
        Ok(Self { storage: storage.clone(), session, files: Files::of(storage, options)? })
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
        let bytes_fetched = match &self.files {
            Files::Folder(root) => {
                kept.iter().try_for_each(|file| require(root, file))?;
                0
            }
            Files::Cache(cache) => cache.fetch(&self.storage, &kept).await?,
        };
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
        on_own_thread(|| self.session.plan(sql, &path).map(|plan| plan.explain()))
    }

    fn path(&self, file: &LiveFile) -> String {
        let path = match &self.files {
            Files::Folder(root) => root.join(&file.file.key),
            Files::Cache(cache) => cache.path(file),
        };
        path.to_string_lossy().into_owned()
    }
}

impl Files {
    fn of(storage: &Storage, options: &QueryOptions) -> Result<Self> {
        let folder = match storage.root() {
            Some(root) => root.to_owned(),
            None => options.cache.clone().ok_or_else(|| {
                Error::config(
                    "no folder for the files of a lake in a bucket: give `--cache FOLDER`",
                )
            })?,
        };
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        // polars takes every part of a path that has one for a partition.
        if folder.to_string_lossy().contains('=') {
            let message = "cannot query files whose folder has a `=` in its path: make a symbolic \
                           link to it without one, and give that";
            return Err(Error::config(message).at("folder", folder.display()));
        }
        if storage.root().is_some() {
            return Ok(Self::Folder(folder));
        }
        FileCache::open(&folder, storage, options.cache_bytes).map(Self::Cache)
    }
}

/// Makes sure that a file is where the plan reads it.
fn require(root: &Path, file: &LiveFile) -> Result<()> {
    if root.join(&file.file.key).is_file() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Damaged, MISSING_FILE).at("file", &file.file.key))
}

/// Takes a view apart: its name, and what it selects.
fn named_select(sql: &str) -> Option<(String, String)> {
    let (head, select) = sql.split_once(" AS\n")?;
    let name = head.rsplit('.').next()?.trim_matches('"').to_owned();
    Some((name, select.to_owned()))
}
