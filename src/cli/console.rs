//! stderr: messages, errors and events, as text for people or as JSON lines for programs.

use crate::error::Error;
use crate::text::clean;
use anstyle::{AnsiColor, Style};
use clap::{ColorChoice, ValueEnum};
use serde_json::{Value, json};
use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_subscriber::EnvFilter;

/// Name of the option, and of its variable.
const FORMAT_OPTION: &str = "--log-format";
const FORMAT_VARIABLE: &str = "TRAILMILL_LOG_FORMAT";
const COLOR_OPTION: &str = "--color";

/// Set by AWS Batch in every container (docs/aws-facts.md): its logs are read by programs.
const BATCH_VARIABLE: &str = "AWS_BATCH_JOB_ID";

/// Goes to the begin of the line and empties it.
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Whether a bar stands in the last line of the terminal: the next message takes its place, and it is drawn again
/// below.
static HAS_BAR: AtomicBool = AtomicBool::new(false);

/// How messages are written to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// When there are colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also in a file or pipe
    Always,
    /// Nowhere
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Console {
    format: LogFormat,
    has_colors: bool,
}

static CONSOLE: OnceLock<Console> = OnceLock::new();

fn console() -> Console {
    CONSOLE.get().copied().unwrap_or_default()
}

/// Reads how stderr is written from the arguments before they are parsed, as errors of usage are
/// written so, too; returns whether help and usage have colors.
pub(super) fn open_console(arguments: &[OsString]) -> ColorChoice {
    let format = early(arguments, FORMAT_OPTION).unwrap_or_else(|| {
        let variable = std::env::var(FORMAT_VARIABLE).ok();
        let is_batch = std::env::var_os(BATCH_VARIABLE).is_some();
        let default = if is_batch { LogFormat::Json } else { LogFormat::Text };
        variable.and_then(|text| LogFormat::from_str(&text, true).ok()).unwrap_or(default)
    });
    let color: Color = early(arguments, COLOR_OPTION).unwrap_or_default();
    let has_colors = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            on_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
        }
    };
    let _ = CONSOLE.set(Console { format, has_colors });
    color.into()
}

/// Returns the value of an option among arguments that are not parsed yet; `None` also for a value
/// that parsing refuses.
fn early<T: ValueEnum>(arguments: &[OsString], option: &str) -> Option<T> {
    T::from_str(argument(arguments, option)?.to_str()?, true).ok()
}

/// Returns the value of an option among arguments that are not parsed yet: of several, the last.
pub(super) fn argument(arguments: &[OsString], option: &str) -> Option<OsString> {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let arguments = arguments.get(..end)?;
    arguments.iter().enumerate().rev().find_map(|(at, argument)| {
        if argument == option {
            return arguments.get(at + 1).cloned();
        }
        let rest = argument.to_str()?.strip_prefix(option)?;
        rest.strip_prefix('=').map(Into::into)
    })
}

/// Logs what the program does: with `verbosity` 1 units, files and catalog, with 2 also each request.
/// `TRAILMILL_LOG` overrides it with filters of `tracing`.
pub(super) fn open_log(verbosity: u8) {
    let filter = match std::env::var("TRAILMILL_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ => match verbosity {
            0 => return,
            1 => "trailmill=debug".to_owned(),
            // Requests and answers of the SDKs would show what is in them.
            _ => "trailmill=trace,object_store=debug".to_owned(),
        },
    };
    let filter = EnvFilter::new(filter);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lines)
        .with_ansi(console().has_colors);
    let opened = match console().format {
        LogFormat::Text => log.compact().try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    if let Err(err) = opened {
        say(false, &format!("warning: no log: {err}"));
    }
}

/// Returns whether stderr is a terminal.
pub(super) fn on_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Says that a bar is shown from now on.
pub(super) fn show_bar() {
    HAS_BAR.store(true, Ordering::Relaxed);
}

/// Says that the bar is gone; empties its line, so that whatever comes next begins there.
pub(super) fn clear_bar() {
    if HAS_BAR.swap(false, Ordering::Relaxed) {
        let _ = io::stderr().write_all(CLEAR_LINE.as_bytes());
    }
}

/// Returns whether stderr is for programs.
pub(super) fn is_json() -> bool {
    console().format == LogFormat::Json
}

/// Writes one JSON line to stderr.
pub(super) fn event(value: &Value) {
    let _ = writeln!(std::io::stderr(), "{value}");
}

/// Writes the version and the resources of a run, for programs.
pub(super) fn say_begin(quiet: bool, threads: usize, memory: u64) {
    if !quiet && is_json() {
        event(&json!({
            "event": "begin",
            "version": env!("CARGO_PKG_VERSION"),
            "threads": threads,
            "memory": memory,
        }));
    }
}

/// Writes a message to stderr.
pub(super) fn say(quiet: bool, message: &str) {
    if quiet {
        return;
    }
    if is_json() {
        event(&json!({ "event": "message", "message": message }));
        return;
    }
    let text = clean(message);
    match text.strip_prefix("warning: ") {
        Some(rest) => labelled("warning", AnsiColor::Yellow, rest),
        None => line(&text),
    }
}

/// Writes an error with its causes.
pub(super) fn say_error(err: &Error) {
    let mut causes = Vec::new();
    let mut cause = err.source();
    while let Some(err) = cause {
        causes.push(err.to_string());
        cause = err.source();
    }
    if is_json() {
        event(&json!({ "event": "error", "message": err.to_string(), "causes": causes }));
        return;
    }
    labelled("error", AnsiColor::Red, &clean(&err.to_string()));
    for cause in causes {
        line(&format!("  because {}", clean(&cause)));
    }
}

/// Writes what clap has to say: help goes to stdout, errors of usage to stderr.
pub(super) fn say_usage(err: &clap::Error) {
    if err.use_stderr() && is_json() {
        let text = err.render().to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        event(&json!({ "event": "error", "message": message, "causes": [] }));
        return;
    }
    let _ = err.print();
}

/// Writes a line with a label, which is colored where colors are wanted.
fn labelled(label: &str, color: AnsiColor, text: &str) {
    let style = match console().has_colors {
        true => Style::new().bold().fg_color(Some(color.into())),
        false => Style::new(),
    };
    line(&format!("{style}{label}:{style:#} {text}"));
}

fn line(text: &str) {
    let _ = Lines.write_all(format!("{text}\n").as_bytes());
}

/// Whole lines to stderr, in the place of a bar where there is one.
struct Lines;

impl Write for Lines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let has_bar = HAS_BAR.load(Ordering::Relaxed);
        // At once, or the bar is drawn between.
        io::stderr().lock().write_all(&in_place_of_bar(lines, has_bar))?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn in_place_of_bar(lines: &[u8], has_bar: bool) -> Vec<u8> {
    let clear = if has_bar { CLEAR_LINE.as_bytes() } else { &[] };
    [clear, lines].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(arguments: &[&str]) -> Option<LogFormat> {
        let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
        early(&arguments, FORMAT_OPTION)
    }

    #[test]
    fn a_message_stands_in_a_line_of_its_own_and_only_a_terminal_is_told_to_clear_one() {
        assert_eq!(in_place_of_bar(b"stopping\n", true), b"\r\x1b[2Kstopping\n");
        assert_eq!(in_place_of_bar(b"stopping\n", false), b"stopping\n");
    }

    #[test]
    fn the_format_is_known_before_arguments_are_parsed() {
        for (arguments, expected) in [
            (&["convert", "a", "b"][..], None),
            (&["convert", "--log-format", "json", "--unknown"], Some(LogFormat::Json)),
            (&["--log-format=json", "convert"], Some(LogFormat::Json)),
            (&["--log-format=json", "--log-format", "text"], Some(LogFormat::Text)),
            (&["convert", "--", "--log-format", "json"], None),
            (&["--log-format"], None),
            (&["--log-format", "xml"], None),
            (&["--log-formats=json"], None),
        ] {
            assert_eq!(format(arguments), expected, "{arguments:?}");
        }
    }
}
