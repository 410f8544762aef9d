//! `trailmill man`.

use crate::cli::commands::{EXAMPLES, LONG_VERSION};
use crate::cli::exit::EXIT_OK;
use crate::error::{Error, Result};
use clap::{Args as Group, Command};
use clap_mangen::Man;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Write the manual pages into a folder.
#[derive(Debug, Group)]
pub(super) struct ManArgs {
    /// Folder to write into
    pub folder: PathBuf,
}

/// Exit codes, as [`crate::cli`] gives them.
const EXIT_STATUS: [(&str, &str); 5] = [
    ("0", "All done."),
    ("1", "Done, but some input was quarantined, something differs, or nothing was found."),
    ("2", "Wrong usage or configuration; nothing was done."),
    ("3", "Stopped by an error that the same command would meet again."),
    (
        "75",
        "Try again later: another run holds the lake, AWS does not answer, or the run was interrupted.",
    ),
];

const ENVIRONMENT: [(&str, &str); 7] = [
    (
        "TRAILMILL_OPTION",
        "Default of a long option: TRAILMILL_MEMORY for --memory. Stronger than the configuration file.",
    ),
    ("TRAILMILL_CONFIG", "The configuration file; empty for none."),
    ("TRAILMILL_LOG_FORMAT", "text or json, for messages on stderr."),
    ("TRAILMILL_LOG", "Filters of what is logged, as of tracing-subscriber; stronger than -v."),
    ("NO_COLOR", "No colors."),
    (
        "AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...",
        "Credentials, region and endpoints, as for every AWS tool.",
    ),
    (
        "AWS_BATCH_JOB_ARRAY_INDEX, AWS_BATCH_JOB_ARRAY_SIZE",
        "Number of a child of an array job, and the number of children.",
    ),
];

const FILES: [(&str, &str); 1] = [(
    "~/.config/trailmill/trailmill.toml",
    "Defaults of options, for every command, one command or one lake.",
)];

pub(super) fn run(args: &ManArgs, program: Command) -> Result<u8> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| write(&program, &args.folder))
        .map_err(|err| Error::io("cannot write the manual pages", err))?;
    Ok(EXIT_OK)
}

/// Writes the page of a command, and those of the commands below.
fn write(command: &Command, folder: &Path) -> std::io::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write(command, folder)?;
    }
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    list(&mut page, "EXIT STATUS", &EXIT_STATUS)?;
    list(&mut page, "ENVIRONMENT", &ENVIRONMENT)?;
    list(&mut page, "FILES", &FILES)?;
    let examples: Vec<&str> = examples(command).collect();
    if !examples.is_empty() {
        writeln!(page, ".SH EXAMPLES\n.nf")?;
        examples.iter().try_for_each(|line| writeln!(page, "{}", escaped(line)))?;
        writeln!(page, ".fi")?;
    }
    writeln!(page, ".SH VERSION\ntrailmill {}", escaped(LONG_VERSION))?;
    std::fs::write(folder.join(man.get_filename()), page)
}

/// Returns the examples of a command; all of them for the program itself.
fn examples(command: &Command) -> impl Iterator<Item = &'static str> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace('-', " ");
    EXAMPLES.lines().map(str::trim).filter(move |line| {
        let rest = line.strip_prefix(&name);
        rest.is_some_and(|rest| rest.starts_with(' '))
    })
}

fn list(page: &mut Vec<u8>, title: &str, items: &[(&str, &str)]) -> std::io::Result<()> {
    writeln!(page, ".SH {title:?}")?;
    items.iter().try_for_each(|(name, text)| {
        writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(name), escaped(text))
    })
}

/// Returns a line as roff reads it.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\\\").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
