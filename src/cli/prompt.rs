//! The prompt of `query`: statements end with `;`, names are completed, what was asked is remembered.

use crate::cli::answered::read_text;
use crate::cli::console::{say, say_error};
use crate::error::{Error, Result};
use crate::operations::{QueryAnswer, QueryEngine};
use crate::query::{GridForm, split_statements};
use crate::units::{counted, grouped};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use tokio::runtime::Runtime;

const HELP: &str = "\
A statement ends with `;` and may have several lines.
.tables           tables and views, with the files of each
.schema NAME      columns of a table, or the statement of a view
.explain SQL;     which files would be read, and the plan
.output FORM      table, csv, json or jsonl
.help             this
.quit             leave; so does Ctrl-D";

const KEYWORDS: [&str; 30] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "DISTINCT",
    "COUNT(*)",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "LIKE",
    "IS NULL",
    "IS NOT NULL",
    "AS",
    "DESC",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CROSS JOIN UNNEST",
    "UNION ALL",
    "WITH",
    "CAST",
    "TIMESTAMP",
    "INTERVAL",
];

/// What was found and read, for people.
pub(super) fn answer_text(answer: &QueryAnswer) -> String {
    let QueryAnswer { grid, files, files_kept, bytes, bytes_fetched } = answer;
    let read = read_text(*files_kept, *files, Some(*bytes), *bytes_fetched);
    format!("{}; {read}.", counted(grid.len() as u64, "row"))
}

/// A conversation over one lake.
pub(super) struct Prompt<'a> {
    runtime: &'a Runtime,
    engine: &'a QueryEngine,
    form: GridForm,
    editor: Editor<Names, FileHistory>,
    history: Option<PathBuf>,
}

impl<'a> Prompt<'a> {
    /// Opens a prompt.
    ///
    /// # Errors
    /// `Io` when the terminal cannot be used.
    pub(super) fn new(
        runtime: &'a Runtime,
        engine: &'a QueryEngine,
        form: GridForm,
    ) -> Result<Self> {
        let mut editor = Editor::new().map_err(unusable)?;
        editor.set_helper(Some(Names::of(engine)));
        let history = history_file();
        if let Some(file) = &history {
            // There is none before the first time.
            let _ = editor.load_history(file);
        }
        Ok(Self { runtime, engine, form, editor, history })
    }

    /// Answers until the user leaves.
    ///
    /// # Errors
    /// `Io` when the terminal or stdout cannot be used.
    pub(super) fn run(mut self) -> Result<()> {
        say(false, "Statements end with `;`; .help says more, .quit leaves.");
        loop {
            match self.editor.readline("trailmill> ") {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    self.remember(line.trim());
                    match self.act(line.trim()) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(err) if err.kind() == crate::error::ErrorKind::Io => return Err(err),
                        Err(err) => say_error(&err),
                    }
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break,
                Err(err) => return Err(unusable(err)),
            }
        }
        Ok(())
    }

    /// Keeps a line, at once: Ctrl-C ends a query, and the program with it.
    fn remember(&mut self, line: &str) {
        let _ = self.editor.add_history_entry(line);
        if let Some(file) = &self.history {
            if let Some(folder) = file.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            // A history that cannot be kept is no reason to fail.
            let _ = self.editor.append_history(file);
        }
    }

    /// Does what a line says; returns whether to go on.
    fn act(&mut self, line: &str) -> Result<bool> {
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match command.trim_end_matches(';') {
            ".quit" | ".exit" | ".q" => return Ok(false),
            ".help" => write_out(HELP)?,
            ".tables" => write_out(&self.tables())?,
            ".schema" => write_out(&self.schema(rest.trim_end_matches(';'))?)?,
            ".explain" => {
                for statement in split_statements(rest)? {
                    write_out(&self.engine.explain(&statement)?.to_string())?;
                }
            }
            ".output" => {
                self.form = match rest.trim_end_matches(';') {
                    "table" => GridForm::Table,
                    "csv" => GridForm::Csv,
                    "json" => GridForm::Json,
                    "jsonl" => GridForm::Jsonl,
                    other => {
                        let message =
                            format!("unknown format `{other}`: expected table, csv, json or jsonl");
                        return Err(Error::config(message));
                    }
                }
            }
            other if other.starts_with('.') => {
                return Err(Error::config(format!("unknown command `{other}`: .help lists them")));
            }
            _ => {
                for statement in split_statements(line)? {
                    let answer = self.runtime.block_on(self.engine.sql(&statement))?;
                    answer.grid.write(self.form, std::io::stdout().lock())?;
                    say(false, &answer_text(&answer));
                }
            }
        }
        Ok(true)
    }

    fn tables(&self) -> String {
        let session = self.engine.session();
        let table = |table: &crate::query::Table| {
            let rows: u64 = table.files.iter().map(|file| file.file.rows).sum();
            let files = counted(table.files.len() as u64, "file");
            format!("{}  {} rows, {files}", table.name, grouped(rows))
        };
        let tables = session.tables().map(table);
        let views = session.views().map(|(name, _)| format!("{name}  view"));
        tables.chain(views).collect::<Vec<_>>().join("\n")
    }

    fn schema(&self, name: &str) -> Result<String> {
        let session = self.engine.session();
        let name = name.rsplit('.').next().unwrap_or(name).trim_matches('"').to_lowercase();
        if let Some(table) = session.tables().find(|table| table.name == name) {
            let column = |it: &crate::query::TableColumn| format!("{}  {}", it.name, it.hive_type);
            let keys = table.keys.iter().map(|key| format!("{key}  string, partition key"));
            return Ok(table.columns.iter().map(column).chain(keys).collect::<Vec<_>>().join("\n"));
        }
        let view = session.views().find(|(view, _)| *view == name);
        let unknown = || Error::config(format!("unknown table `{name}`: .tables lists them"));
        view.map(|(_, select)| select.to_owned()).ok_or_else(unknown)
    }
}

/// What is completed, and when a line is whole.
struct Names(Vec<String>);

impl Names {
    fn of(engine: &QueryEngine) -> Self {
        let session = engine.session();
        let mut names: BTreeSet<String> = KEYWORDS.iter().map(|it| (*it).to_owned()).collect();
        names.extend(session.tables().map(|table| table.name.clone()));
        names.extend(session.tables().flat_map(|table| table.names().map(str::to_owned)));
        names.extend(session.views().map(|(name, _)| name.to_owned()));
        names.extend(session.functions().map(|name| format!("{name}(")));
        let commands = [".tables", ".schema ", ".explain ", ".output ", ".help", ".quit"];
        names.extend(commands.map(str::to_owned));
        Self(names.into_iter().collect())
    }

    /// Returns where the last word begins, and the names that it may become.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let start = line
            .rfind(|c| !is_word(c))
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let word = line[start..].to_lowercase();
        // A database stays where it is.
        let cut = if word.starts_with('.') { 0 } else { word.rfind('.').map_or(0, |at| at + 1) };
        let word = &word[cut..];
        let fits = |name: &&String| !word.is_empty() && name.to_lowercase().starts_with(word);
        (start + cut, self.0.iter().filter(fits).cloned().collect())
    }
}

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..pos).unwrap_or(line)))
    }
}

impl Validator for Names {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_whole(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

/// A command is one line; a statement ends with a semicolon that is not in a literal or a comment.
fn is_whole(line: &str) -> bool {
    let line = line.trim();
    if line.is_empty() || (line.starts_with('.') && !line.starts_with(".explain ")) {
        return true;
    }
    let ends = |text: &str| split_statements(text).map(|all| all.len());
    // What follows the last semicolon would be one statement more.
    line.ends_with(';')
        && matches!((ends(line), ends(&format!("{line} x"))), (Ok(a), Ok(b)) if a < b)
}

impl Highlighter for Names {}

impl Hinter for Names {
    type Hint = String;
}

impl Helper for Names {}

fn unusable(err: ReadlineError) -> Error {
    Error::io("cannot use the terminal: give the SQL as an argument", err)
}

fn write_out(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{}", text.trim_end())
        .map_err(|err| Error::io("cannot write to stdout", err))
}

/// Where the user's state is kept.
fn history_file() -> Option<PathBuf> {
    let of_user =
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|it| it.is_absolute());
    let folder = of_user.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(folder.join("trailmill").join("query-history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_a_semicolon_and_a_command_with_its_line() {
        for whole in ["SELECT 1;", "SELECT ';' ;", ".tables", ".schema x", "", "SELECT 1;\n"] {
            assert!(is_whole(whole), "{whole}");
        }
        for open in ["SELECT 1", "SELECT ';", "SELECT 1 --;", "SELECT\n1", ".explain SELECT 1"] {
            assert!(!is_whole(open), "{open}");
        }
    }

    #[test]
    fn the_last_word_is_completed() {
        let names = ["cloudtrail", "cloudtrail_typed", "eventname", "SELECT", ".tables"];
        let names = Names(names.map(str::to_owned).into());

        let found = names.candidates("SELECT e");
        assert_eq!(found, (7, vec!["eventname".to_owned()]));
        let found = names.candidates("select * from trailmill.cloudt");
        assert_eq!(found, (24, vec!["cloudtrail".to_owned(), "cloudtrail_typed".to_owned()]));
        assert_eq!(names.candidates(".t"), (0, vec![".tables".to_owned()]));
        assert_eq!(names.candidates("sel"), (0, vec!["SELECT".to_owned()]));
        assert_eq!(names.candidates("SELECT é").0, 7);
    }
}
