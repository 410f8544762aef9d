//! `trailmill query`.

use crate::cli::args::{AnswerArgs, CacheArgs, LakePlace};
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::prompt::{Prompt, answer_text};
use crate::engine::runtime;
use crate::error::{Error, Result};
use crate::operations::{QueryEngine, QueryOptions, open_lake};
use crate::query::{GridForm, split_statements};
use clap::{Args as Group, ValueEnum};
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use tokio::runtime::Runtime;

const EXAMPLES: &str = "\
Examples:
  trailmill query lake \"SELECT eventname, count(*) FROM cloudtrail GROUP BY 1 ORDER BY 2 DESC LIMIT 10\"
  trailmill query lake --output csv --file denied.sql > denied.csv
  trailmill query lake --explain \"SELECT * FROM cloudtrail WHERE event_date = '2026-10-01'\"
  echo 'SELECT count(*) FROM cloudtrail' | trailmill query lake
  trailmill query lake                      a prompt: .help says what it knows";

/// Ask questions in SQL, as in Athena.
///
/// Tables and views have their names in the catalog, with or without a database in front: cloudtrail,
/// trailmill.cloudtrail, cloudtrail_typed, cloudtrail_by_day. Athena's functions of JSON, time and text are
/// there. Files come from the lake's manifests; only those that can have rows of the answer are read, and those
/// of a lake in a bucket are kept in a cache. Without SQL, statements are read from stdin, or a prompt opens.
#[derive(Debug, Group)]
#[command(after_help = EXAMPLES)]
pub(super) struct QueryArgs {
    #[command(flatten)]
    pub place: LakePlace,

    /// The statement, or several with `;` between them
    #[arg(value_name = "SQL", conflicts_with = "file")]
    pub sql: Option<String>,
    /// Read statements from a file
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Format of the answer on stdout
    #[arg(long, value_enum, default_value = "table")]
    pub output: Form,
    /// Show which files would be read, and the plan; run nothing
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Columns for people; long values are cut
    Table,
    /// CSV with a line of names
    Csv,
    /// An array of objects
    Json,
    /// An object on each line
    Jsonl,
}

impl From<Form> for GridForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Table => Self::Table,
            Form::Csv => Self::Csv,
            Form::Json => Self::Json,
            Form::Jsonl => Self::Jsonl,
        }
    }
}

pub(super) fn run(args: &QueryArgs) -> Result<u8> {
    limit_threads(args.answer.threads)?;
    let text = match (&args.sql, &args.file) {
        (Some(sql), _) => Some(sql.clone()),
        (None, Some(file)) => Some(std::fs::read_to_string(file).map_err(|err| {
            Error::config("cannot read the file of statements")
                .at("file", file.display())
                .because(err)
        })?),
        (None, None) if std::io::stdin().is_terminal() => None,
        (None, None) => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|err| Error::config("cannot read statements from stdin").because(err))?;
            Some(text)
        }
    };
    let statements = text.map(|text| split_statements(&text)).transpose()?;
    if statements.as_ref().is_some_and(Vec::is_empty) {
        return Err(Error::config("expected an SQL statement, and found none"));
    }
    let runtime = runtime()?;
    let LakePlace { lake, aws } = &args.place;
    let s3 = aws.s3(None)?;
    say_identity(aws, &s3, Reach::of([lake], false), args.answer.quiet)?;
    let storage = runtime.block_on(open_lake(lake, &s3))?;
    let options = QueryOptions { now: None, cache: args.cache.options() };
    let engine = runtime.block_on(QueryEngine::open(&storage, &options))?;
    match statements {
        Some(statements) => answer_all(args, &runtime, &engine, &statements),
        None => Prompt::new(&runtime, &engine, args.output.into())?.run().map(|()| EXIT_OK),
    }
}

fn answer_all(
    args: &QueryArgs,
    runtime: &Runtime,
    engine: &QueryEngine,
    statements: &[String],
) -> Result<u8> {
    let mut rows = 0;
    for statement in statements {
        let mut out = std::io::stdout().lock();
        if args.explain {
            let explained = engine.explain(statement)?;
            let written = write!(out, "{explained}").and_then(|()| out.flush());
            written.map_err(|err| Error::io("cannot write to stdout", err))?;
            continue;
        }
        let answer = runtime.block_on(engine.sql(statement))?;
        answer.grid.write(args.output.into(), out)?;
        rows += answer.grid.len();
        say(args.answer.quiet, &answer_text(&answer));
    }
    Ok(if rows == 0 && !args.explain { EXIT_INCOMPLETE } else { EXIT_OK })
}

/// The variable that polars takes its number of threads from, when the first one starts.
const THREADS: &str = "POLARS_MAX_THREADS";

/// Starts the program again with the number of threads in its environment, which is where polars looks.
fn limit_threads(threads: Option<u16>) -> Result<()> {
    let Some(threads) = threads.map(|count| count.to_string()) else { return Ok(()) };
    if std::env::var(THREADS).is_ok_and(|set| set == threads) {
        return Ok(());
    }
    let failed = |err| Error::io("cannot start the program with a number of threads", err);
    let program = std::env::current_exe().map_err(failed)?;
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1)).env(THREADS, threads);
    #[cfg(unix)]
    return Err(failed(std::os::unix::process::CommandExt::exec(&mut again)));
    #[cfg(not(unix))]
    Err(Error::config(format!("--threads is not known here: set {THREADS}")))
}
