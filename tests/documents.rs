//! What is written beside the code: documents cite what is there, and figures stand in one place.
//!
//! No file of the repository cites a document that is not in it, no test reads outside of it except
//! through an environment variable, and the README stays one page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders that builds and tools make.
const NOT_OURS: [&str; 4] = ["target", "quickstart", "__pycache__", "node_modules"];

/// This file: it holds examples of what it looks for.
const SELF: &str = "tests/documents.rs";

/// The page that holds the figures, and the heading above them.
const FIGURES: (&str, &str) = ("docs/benchmarks.md", "## Figures stated once");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text files of the repository by their paths, with `/`.
fn texts() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the repository is readable").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let is_ours =
                    !NOT_OURS.contains(&&*name) && (name == ".ci" || !name.starts_with('.'));
                if is_ours && !name.starts_with("target") {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let inside = path.strip_prefix(root()).expect("is below the root");
                out.insert(inside.to_string_lossy().replace('\\', "/"), text);
            }
        }
    }
    out
}

/// A path without `.` and `..`; nothing if it leaves the repository.
fn normal(path: &Path) -> Option<String> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !parts.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.to_string_lossy().replace('\\', "/"))
}

/// The lines of a page outside of fenced blocks.
fn prose(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line);
        }
    }
    lines
}

/// What a link can name in a page: its headings, as GitHub spells them, and ids.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for line in prose(text) {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            out.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
        for (_, rest) in line.match_indices("id=\"").map(|(at, id)| line.split_at(at + id.len())) {
            out.extend(rest.split('"').next().map(str::to_owned));
        }
    }
    out
}

/// The targets of the links of a page, those to other hosts left out.
fn links(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for line in prose(text) {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                out.push(target);
            }
        }
    }
    out
}

/// Names of documents in a text, with what follows each; addresses of other hosts left out.
fn cited(text: &str) -> Vec<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_./:-".contains(c);
    let mut out = Vec::new();
    for (at, suffix) in text.match_indices(".md") {
        let end = at + suffix.len();
        let rest = &text[end..];
        if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let begin = text[..at]
            .rfind(|c: char| !is_part(c))
            .map_or(0, |last| last + text[last..].chars().next().map_or(1, char::len_utf8));
        let name = &text[begin..end];
        let stem = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".md");
        if !stem.is_empty() && !name.contains("://") {
            out.push((name, rest));
        }
    }
    out
}

/// The anchors that are cited behind a document's name: `#zstd`, or ` A18, A19` of the facts.
fn cited_anchors(name: &str, rest: &str) -> Vec<String> {
    if let Some(anchor) = rest.strip_prefix('#') {
        let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
        return vec![anchor.chars().take_while(is_part).collect()];
    }
    if !name.ends_with("docs/aws-facts.md") {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut rest = rest.strip_prefix(' ').unwrap_or_default();
    while let Some(number) = rest.strip_prefix('A') {
        let digits = number.len() - number.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            break;
        }
        out.push(format!("a{}", &number[..digits]));
        rest = number[digits..].strip_prefix(", ").unwrap_or_default();
    }
    out
}

/// Links of pages that lead nowhere.
fn broken_links(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut out = Vec::new();
    for (page, text) in files.iter().filter(|(page, _)| page.ends_with(".md")) {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(page).parent().unwrap_or(Path::new(""));
            let target =
                if file.is_empty() { Some(page.clone()) } else { normal(&folder.join(file)) };
            let there = target.as_ref().is_some_and(|target| {
                files.contains_key(target) || (!target.is_empty() && is_there(files, target))
            });
            let has_anchor = anchor.is_empty()
                || target
                    .and_then(|target| files.get(&target))
                    .is_some_and(|text| anchors(text).contains(anchor));
            if !there || !has_anchor {
                out.push(format!("{page}: {link}"));
            }
        }
    }
    out
}

/// Whether a path is a folder with files, or a file that is no text.
fn is_there(files: &BTreeMap<String, String>, path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    files.keys().any(|file| file.starts_with(&folder)) || root().join(path).is_file()
}

/// Documents that files cite and that are not there. A name with `docs/` in front is a path from the
/// root; of any other, some file must have the name: tests write documents of their own.
fn missing_documents(files: &BTreeMap<String, String>) -> Vec<String> {
    let name_of = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = files.keys().map(|path| name_of(path)).collect();
    let mut out = Vec::new();
    for (file, text) in files.iter().filter(|(file, _)| *file != SELF) {
        for (name, rest) in cited(text) {
            let path = name.trim_start_matches("./").trim_start_matches("../");
            let is_there = match path.starts_with("docs/") {
                true => files.contains_key(path),
                false => names.contains(&name_of(path)),
            };
            if !is_there {
                out.push(format!("{file}: {name}"));
                continue;
            }
            let Some(page) = files.get(path).filter(|_| path.starts_with("docs/")) else {
                continue;
            };
            for anchor in cited_anchors(path, rest) {
                if !anchors(page).contains(&anchor) {
                    out.push(format!("{file}: {name} has no {anchor}"));
                }
            }
        }
    }
    out
}

/// Lines of tests, benchmarks and scripts that lead out of the repository.
fn ways_out(files: &BTreeMap<String, String>) -> Vec<String> {
    let is_read =
        |file: &str| ["tests/", "benches/", "scripts/"].iter().any(|f| file.starts_with(f));
    let mut out = Vec::new();
    for (file, text) in files {
        if !is_read(file) || file == SELF || file.ends_with(".md") {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            let leads_out = ["../shared", "join(\"..", "/ \"..", "MANIFEST_DIR\"), \"/.."];
            if leads_out.iter().any(|way| line.contains(way)) {
                out.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    out
}

/// The rows below the heading of the figures: name and value.
fn figures(page: &str) -> Vec<(String, String)> {
    let table = page.split(FIGURES.1).nth(1).unwrap_or_default();
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cell = |row: &str, n: usize| row.split('|').nth(n).unwrap_or_default().trim().to_owned();
    rows.map(|row| (cell(row, 1), cell(row, 2))).collect()
}

#[test]
fn no_file_cites_a_document_that_is_not_there() {
    let found = missing_documents(&texts());
    assert!(
        found.is_empty(),
        "{} documents are cited and absent:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn links_of_pages_lead_to_files_and_headings() {
    let found = broken_links(&texts());
    assert!(found.is_empty(), "{} links lead nowhere:\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_test_reads_outside_of_the_repository() {
    let found = ways_out(&texts());
    assert!(found.is_empty(), "use an environment variable:\n{}", found.join("\n"));
}

#[test]
fn the_readme_is_at_most_200_lines() {
    let lines = texts()["README.md"].lines().count();
    assert!(lines <= 200, "{lines} lines: move some of it to docs/");
}

#[test]
fn every_page_is_in_the_index() {
    let files = texts();
    let index = &files["docs/README.md"];
    let pages = files.keys().filter_map(|file| file.strip_prefix("docs/"));
    let missing: Vec<_> = pages
        .filter(|page| page.ends_with(".md") && *page != "README.md")
        .filter(|page| !index.contains(&format!("({page})")))
        .collect();
    assert!(missing.is_empty(), "not in docs/README.md: {missing:?}");
}

#[test]
fn every_room_is_in_the_design() {
    let files = texts();
    let design = &files["docs/design.md"];
    let rooms: BTreeSet<&str> = files
        .keys()
        .filter_map(|file| file.strip_prefix("src/")?.split(['/', '.']).next())
        .filter(|room| !["lib", "main"].contains(room))
        .collect();
    let missing: Vec<_> =
        rooms.into_iter().filter(|room| !design.contains(&format!("`{room}`"))).collect();
    assert!(missing.is_empty(), "docs/design.md has no row for {missing:?}");
}

#[test]
fn speed_image_size_and_build_time_are_stated_once() {
    let files = texts();
    let figures = figures(&files[FIGURES.0]);
    let source = files.iter().filter(|(file, _)| file.starts_with("src/"));
    let speed = source
        .filter_map(|(_, text)| text.split_once("pub const DEFAULT_SPEED: f64 = "))
        .find_map(|(_, rest)| rest.split(['.', ';']).next())
        .expect("the constant is in the source");

    assert_eq!(figures.len(), 4, "{figures:?}");
    assert_eq!(figures[0].1, format!("{speed} MB"), "the page does not have the constant's value");
    for (file, text) in &files {
        let is_page = file.ends_with(".md") && !file.starts_with("benches/runs/");
        if file == FIGURES.0 || !(is_page || file.starts_with("scripts/") || file == "Dockerfile") {
            continue;
        }
        for (name, value) in &figures {
            let value = value.trim_start_matches("about ");
            let is_stated = text.match_indices(value).any(|(at, _)| {
                !text[..at].ends_with(|c: char| c.is_ascii_digit() || c == '.' || c == ',')
            });
            assert!(
                !is_stated,
                "{file} states {name}, too: link {} in place of {value}",
                FIGURES.0
            );
        }
    }
}

#[test]
fn what_is_absent_is_found() {
    let files: BTreeMap<String, String> = [
        ("README.md", "[a](docs/a.md#one-two) [b](docs/gone.md) [c](#no) [d](https://x.y/z.md)"),
        ("docs/a.md", "# One, two\n<a id=\"a1\"></a>\n```\n[e](nowhere.md)\n```\n[f](../../x.md)"),
        ("docs/aws-facts.md", "<a id=\"a1\"></a>"),
        (
            "src/x.rs",
            "//! docs/aws-facts.md A1, A2 and docs/a.md#three, FACTS.md 0.3; https://x/Y.md",
        ),
        ("tests/y.rs", "root().join(\"../shared/data\")\njson!(\"../../x\")"),
    ]
    .map(|(file, text)| (file.to_owned(), text.to_owned()))
    .into();

    assert_eq!(
        broken_links(&files),
        ["README.md: docs/gone.md", "README.md: #no", "docs/a.md: ../../x.md"]
    );
    assert_eq!(
        missing_documents(&files),
        [
            "README.md: docs/gone.md",
            "docs/a.md: nowhere.md",
            "docs/a.md: ../../x.md",
            "src/x.rs: docs/aws-facts.md has no a2",
            "src/x.rs: docs/a.md has no three",
            "src/x.rs: FACTS.md",
        ]
    );
    assert_eq!(ways_out(&files), ["tests/y.rs:1: root().join(\"../shared/data\")"]);
}
