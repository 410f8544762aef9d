//! The commands in README and docs are run, and print what the pages say.
//!
//! Every `console` block of a page runs in order, in one folder a page. What a block needs and readers need not
//! see stands in comments right above it, `<!-- sh: command -->`; one that cannot be run here has
//! `<!-- not run: reason -->`. In what is expected, `…` stands for any text, and alone on a line for any lines; durations
//! and speeds may differ, and `/tmp/demo` is the folder. `TRAILMILL_WRITE_DOCS=1` writes what is printed into the pages.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the pages say that they are.
const FOLDER: &str = "/tmp/demo";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How lines of progress begin: where there are any depends on the machine.
const PROGRESS: [&str; 6] =
    ["listing", "converting ", "comparing ", "checking ", "registering", "writing "];

/// A command of a page, with the lines of its output.
struct Step {
    command: String,
    expected: Vec<String>,
    /// Whether readers see it.
    is_shown: bool,
    /// Lines of the page that its output has.
    lines: std::ops::Range<usize>,
}

fn steps(page: &str, name: &str) -> Vec<Step> {
    let lines: Vec<&str> = page.lines().collect();
    let (mut out, mut at, mut is_run) = (Vec::new(), 0, true);
    while let Some(line) = lines.get(at) {
        at += 1;
        if let Some(command) = comment(line, "sh") {
            let (command, lines) = (command.to_owned(), at..at);
            out.push(Step { command, expected: Vec::new(), is_shown: false, lines });
        } else if comment(line, "not run").is_some() {
            is_run = false;
        } else if *line == "```console" {
            let block: Vec<&str> =
                lines[at..].iter().take_while(|line| **line != "```").copied().collect();
            if is_run {
                add_block(&block, at, &mut out, name);
            }
            at += block.len() + 1;
            is_run = true;
        }
    }
    out
}

fn comment<'l>(line: &'l str, kind: &str) -> Option<&'l str> {
    line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.strip_prefix(kind)?.strip_prefix(": ")
}

fn add_block(block: &[&str], first: usize, out: &mut Vec<Step>, name: &str) {
    let mut at = 0;
    while at < block.len() {
        let mut command = block[at]
            .strip_prefix("$ ")
            .unwrap_or_else(|| panic!("{name}: {}", block[at]))
            .to_owned();
        at += 1;
        while command.ends_with('\\') {
            command.pop();
            command += block[at];
            at += 1;
        }
        let expected: Vec<String> = block[at..]
            .iter()
            .take_while(|line| !line.starts_with("$ "))
            .map(|line| (*line).to_owned())
            .collect();
        let lines = first + at..first + at + expected.len();
        at += expected.len();
        out.push(Step { command, expected, is_shown: true, lines });
    }
}

/// A sample of 100 MB, made once for all pages.
fn sample() -> &'static Path {
    static SAMPLE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = SAMPLE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        crate::support::run(["sample", logs.to_str().unwrap(), "--size", "100MB", "-q"]).exits(0);
        folder
    });
    folder.path()
}

/// Runs a command; `code` is the exit code of the one before, and then its own.
fn run(step: &Step, folder: &Path, code: &mut i32) -> Vec<String> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_trailmill"));
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; (exit {code}); {}", step.command)])
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder)
        .env("SAMPLE", sample().join("logs"))
        .env("TRAILMILL_CONFIG", "")
        .output()
        .unwrap();
    *code = output.status.code().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let real = folder.to_str().unwrap();
    text.replace(real, FOLDER)
        .lines()
        .filter(|line| !PROGRESS.iter().any(|verb| line.starts_with(verb)))
        .map(str::to_owned)
        .collect()
}

/// Returns a line without what differs from run to run.
fn masked(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 0..words.len().saturating_sub(1) {
        if words[at].trim_start_matches('(').parse::<f64>().is_err() {
            continue;
        }
        let is_time = words[at + 1].trim_end_matches([',', ')', '.', ';', ':']) == "s";
        if is_time || words[at + 2..].join(" ").starts_with("of JSON a second") {
            words[at] = "#";
            words[at + 1] = "#";
        }
    }
    words.join(" ")
}

/// Returns whether a line is what is expected; `…` stands for any text.
fn is_line(expected: &str, line: &str) -> bool {
    let (expected, line) = (masked(expected), masked(line));
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn is_output(expected: &[String], lines: &[String]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((any, rest)) if any.trim() == "…" => {
            (0..=lines.len()).any(|at| is_output(rest, &lines[at..]))
        }
        Some((first, rest)) => match lines.split_first() {
            Some((line, lines)) => is_line(first, line) && is_output(rest, lines),
            None => false,
        },
    }
}

/// Returns what a page is to say: what was printed, with the `…` and the times that the page has where it still fits.
fn rewrite(expected: &[String], printed: &[String]) -> Vec<String> {
    let keep = |expected: &[String], printed: &[String]| -> Vec<String> {
        let kept = |line: &String| expected.iter().find(|known| is_line(known, line));
        printed.iter().map(|line| kept(line).unwrap_or(line).clone()).collect()
    };
    let Some(at) = expected.iter().position(|line| line.trim() == "…") else {
        return keep(expected, printed);
    };
    let (before, after) = (&expected[..at], &expected[at + 1..]);
    if printed.len() < before.len() + after.len() || after.iter().any(|line| line.trim() == "…") {
        return printed.to_vec();
    }
    let mut written = keep(before, &printed[..at]);
    written.push(expected[at].clone());
    written.extend(keep(after, &printed[printed.len() - after.len()..]));
    written
}

/// Runs a page; returns what differs.
fn check(name: &str) -> String {
    let path = root().join(name);
    let page = fs::read_to_string(&path).unwrap();
    let world = tempfile::tempdir().unwrap();
    let folder = world.path().canonicalize().unwrap();
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let (mut wrong, mut moved, mut code) = (String::new(), 0_isize, 0);
    for step in steps(&page, name) {
        let printed = run(&step, &folder, &mut code);
        if !step.is_shown || is_output(&step.expected, &printed) {
            continue;
        }
        let (expected, real) = (step.expected.join("\n"), printed.join("\n"));
        let _ = writeln!(
            wrong,
            "{name}: $ {}\n--- the page\n{expected}\n--- printed\n{real}\n",
            step.command
        );
        let start = step.lines.start.strict_add_signed(moved);
        let end = step.lines.end.strict_add_signed(moved);
        let written = rewrite(&step.expected, &printed);
        moved += written.len() as isize - step.lines.len() as isize;
        lines.splice(start..end, written);
    }
    if !wrong.is_empty() && std::env::var_os("TRAILMILL_WRITE_DOCS").is_some() {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    wrong
}

macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        $(
            #[test]
            fn $test() {
                let wrong = check($page);

                assert!(wrong.is_empty(), "{wrong}");
            }
        )*

        const PAGES: &[&str] = &[$($page),*];
    };
}

pages! {
    readme: "README.md",
    aws_setup: "docs/aws-setup.md",
    batch: "docs/batch.md",
    columns: "docs/columns.md",
    commands: "docs/commands.md",
    integrity: "docs/integrity.md",
    ocsf: "docs/ocsf.md",
    queue: "docs/queue.md",
    report: "docs/report.md",
}

#[test]
fn every_page_with_commands_is_run() {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for path in docs
        .chain([root().join("README.md")])
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
    {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let has_commands = fs::read_to_string(&path).unwrap().contains("```console");
        assert_eq!(has_commands, PAGES.contains(&name), "{name}");
    }
}

#[test]
fn outputs_may_differ_in_time_and_where_a_page_leaves_something_out() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (expected, printed, is_same) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a", false),
        ("a", "a\nb", false),
        ("a\n…", "a\nb\nc", true),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…\nd", "a\nb\nc", false),
        ("in 9.56 s (10.4 MB of JSON a second)", "in 0.61 s (2 GB of JSON a second)", true),
        ("in 9.56 s (10.4 MB of JSON)", "in 0.61 s (2 GB of JSON)", false),
        ("5 records in 3 s", "6 records in 3 s", false),
        ("a … c", "a b b c", true),
        ("a … c", "a b b", false),
    ] {
        assert_eq!(is_output(&lines(expected), &lines(printed)), is_same, "{expected} / {printed}");
    }
}
