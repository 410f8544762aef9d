//! What a statement reads, and how: for people, and as a document.

use crate::scan::LiveFile;
use crate::units::grouped;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// What a statement reads.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    tables: Vec<TableRead>,
    plan: String,
}

/// What is read of a table.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The table's name.
    pub table: String,
    /// Files of the table.
    pub files: usize,
    /// Bytes of those.
    pub bytes: u64,
    /// Those that may have rows that count.
    pub kept: Vec<LiveFile>,
}

#[derive(Clone, Debug, Serialize)]
struct TableRead {
    table: String,
    files: usize,
    files_kept: usize,
    bytes: u64,
    bytes_kept: u64,
}

impl Explained {
    pub(super) fn new(scans: &[Scan], plan: &str) -> Self {
        let read = |scan: &Scan| TableRead {
            table: scan.table.clone(),
            files: scan.files,
            files_kept: scan.kept.len(),
            bytes: scan.bytes,
            bytes_kept: scan.kept.iter().map(|file| file.file.bytes).sum(),
        };
        // Where polars is told no number of rows, it makes one up.
        let lines = plan.lines().filter(|line| !line.trim().starts_with("ESTIMATED ROWS"));
        let plan = lines.collect::<Vec<_>>().join("\n");
        Self { tables: scans.iter().map(read).collect(), plan }
    }

    /// Shows files where they are, which were read by another path.
    pub fn of_folder(mut self, read_by: &Path, folder: &Path) -> Self {
        if read_by != folder {
            let [read_by, folder] = [read_by, folder].map(Path::to_string_lossy);
            self.plan = self.plan.replace(&*read_by, &folder);
        }
        self
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for read in &self.tables {
            writeln!(
                f,
                "{}: {} of {} files, {} of {} bytes",
                read.table,
                grouped(read.files_kept as u64),
                grouped(read.files as u64),
                grouped(read.bytes_kept),
                grouped(read.bytes),
            )?;
        }
        write!(f, "\n{}\n", self.plan.trim_end())
    }
}
