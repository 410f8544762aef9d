//! The import rule: a room may name only the rooms and the heavy crates that its row allows.
//!
//! The table below is the architecture. Changing an arrow means changing this file, so that a
//! reviewer sees it. A room that is missing from the table fails the test too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// `(room, rooms it may import, heavy crates it owns)`, in the order data flows.
///
/// `verify` must not import what converts: its proof is worth something because it shares no code.
const ROOMS: &[(&str, &[&str], &[&str])] = &[
    ("error", &[], &[]),
    ("units", &["error"], &[]),
    ("notice", &[], &[]),
    ("text", &[], &[]),
    ("html", &[], &["sha2"]),
    ("location", &["error"], &[]),
    (
        "aws",
        &["error"],
        &[
            "aws_config",
            "aws_credential_types",
            "aws_sdk_sts",
            "aws_sigv4",
            "aws_types",
            "reqwest",
            "tokio",
        ],
    ),
    ("decode", &["error"], &["libdeflater", "flate2", "zstd", "bzip2", "lzma_rust2"]),
    ("family", &[], &[]),
    ("parse", &["error", "family"], &["simd_json"]),
    ("schema", &["error", "family"], &[]),
    ("keys", &["error", "units", "family"], &[]),
    ("partition", &["error", "units"], &[]),
    ("codec", &["error"], &[]),
    (
        "storage",
        &["error", "location", "aws"],
        &["object_store", "futures", "rustix", "tokio", "aws_sdk_s3", "aws_credential_types"],
    ),
    (
        "source",
        &["error", "units", "location", "decode", "keys", "storage"],
        &["tar", "zip", "sevenz_rust2", "walkdir", "futures", "tokio"],
    ),
    (
        "integrity",
        &[
            "error", "units", "text", "html", "location", "aws", "decode", "keys", "storage",
            "source",
        ],
        &["aws_lc_rs", "flate2", "futures", "tokio"],
    ),
    (
        "lake",
        &[
            "error",
            "integrity",
            "units",
            "notice",
            "decode",
            "family",
            "schema",
            "keys",
            "partition",
            "codec",
            "storage",
            "source",
        ],
        &["libdeflater", "sha2", "futures", "getrandom"],
    ),
    (
        "rows",
        &[
            "error",
            "integrity",
            "units",
            "decode",
            "family",
            "parse",
            "schema",
            "keys",
            "partition",
            "source",
            "lake",
        ],
        &["highway"],
    ),
    (
        "parquet",
        &["error", "units", "family", "parse", "schema", "codec", "rows"],
        &["polars", "polars_parquet", "polars_parquet_format", "zstd"],
    ),
    ("queue", &["error", "units", "aws"], &["aws_sdk_sqs", "futures", "tokio"]),
    (
        "scan",
        &["error", "storage", "lake", "parquet"],
        &["polars", "polars_buffer", "polars_parquet", "tokio"],
    ),
    (
        "merge",
        &["error", "family", "schema", "parquet"],
        &["polars_parquet", "polars_parquet_format", "rayon", "zstd"],
    ),
    ("history", &["error", "text", "family", "scan"], &[]),
    (
        "catalog",
        &["error", "units", "notice", "text", "aws"],
        &["aws_sdk_glue", "tokio", "futures"],
    ),
    (
        "query",
        &["error", "units", "text", "parse", "scan", "catalog"],
        &["polars", "polars_plan", "sqlparser"],
    ),
    ("report", &["error", "units", "text", "html", "scan", "query"], &["polars"]),
    (
        "engine",
        &[
            "error",
            "integrity",
            "units",
            "location",
            "decode",
            "family",
            "schema",
            "keys",
            "partition",
            "storage",
            "source",
            "lake",
            "rows",
            "parquet",
            "catalog",
        ],
        &["rayon", "tokio"],
    ),
    (
        "operations",
        &[
            "error",
            "integrity",
            "units",
            "notice",
            "location",
            "aws",
            "decode",
            "family",
            "schema",
            "keys",
            "partition",
            "storage",
            "source",
            "lake",
            "rows",
            "parquet",
            "scan",
            "merge",
            "history",
            "catalog",
            "query",
            "queue",
            "report",
            "engine",
        ],
        &["tokio", "jiff", "rayon", "futures"],
    ),
    (
        "doctor",
        &["error", "units", "location", "aws", "storage", "queue"],
        &["aws_sdk_s3", "aws_sdk_glue", "aws_sdk_sts", "rustix", "walkdir"],
    ),
    ("sample", &["error", "units"], &["libdeflater", "rayon", "aws_lc_rs"]),
    (
        "verify",
        &["error", "units", "location"],
        &[
            "polars",
            "polars_parquet",
            "flate2",
            "zstd",
            "bzip2",
            "lzma_rust2",
            "tar",
            "zip",
            "sevenz_rust2",
            "sha2",
            "walkdir",
            "rayon",
            "siphasher",
        ],
    ),
    (
        "cli",
        &[
            "error",
            "units",
            "notice",
            "text",
            "location",
            "aws",
            "decode",
            "schema",
            "keys",
            "partition",
            "storage",
            "source",
            "lake",
            "parquet",
            "scan",
            "history",
            "catalog",
            "query",
            "queue",
            "report",
            "engine",
            "operations",
            "integrity",
            "sample",
            "verify",
            "doctor",
        ],
        &["clap", "clap_complete", "clap_mangen", "indicatif", "rustyline", "tokio"],
    ),
];

/// Crates that cost something to depend on: each must be named only by the rooms that own it.
const HEAVY: &[&str] = &[
    "polars",
    "polars_parquet",
    "polars_parquet_format",
    "polars_plan",
    "sqlparser",
    "zstd",
    "simd_json",
    "libdeflater",
    "flate2",
    "bzip2",
    "lzma_rust2",
    "tar",
    "zip",
    "sevenz_rust2",
    "walkdir",
    "rayon",
    "tokio",
    "object_store",
    "aws_config",
    "aws_credential_types",
    "aws_types",
    "aws_sdk_s3",
    "aws_sdk_glue",
    "aws_sdk_sts",
    "aws_sdk_sqs",
    "reqwest",
    "futures",
    "rustix",
    "aws_lc_rs",
    "aws_sigv4",
    "sha2",
    "highway",
    "siphasher",
    "getrandom",
    "jiff",
    "clap",
    "clap_complete",
    "clap_mangen",
    "indicatif",
    "rustyline",
    "mimalloc",
];

/// The live code of a file: comments gone, and everything from the unit-test module on.
fn live(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text);
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `word` stands in `text` as a whole word; each item is the text that follows it.
fn after<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.match_indices(word)
        .filter(|(at, _)| *at == 0 || !is_word(text.as_bytes()[at - 1]))
        .map(|(at, _)| &text[at + word.len()..])
        .filter(|rest| !rest.bytes().next().is_some_and(is_word))
        .collect()
}

/// The modules named right below `crate::`, in `crate::a::B` and in `crate::{a::B, c::{D, E}}`.
fn crate_heads(text: &str) -> Vec<String> {
    let word = |s: &str| {
        s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut heads = Vec::new();
    for rest in after(text, "crate").into_iter().filter_map(|rest| rest.strip_prefix("::")) {
        let Some(group) = rest.strip_prefix('{') else {
            heads.push(word(rest));
            continue;
        };
        heads.push(word(group));
        let mut depth = 1;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => heads.push(word(&group[at + 1..])),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The first path component under `src`, without `.rs`: `src/parquet/file.rs` -> `parquet`.
fn room_of(src: &Path, file: &Path) -> String {
    let first = file.strip_prefix(src).expect("under src").components().next().expect("has a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Files that their parent declares under `#[cfg(test)]`.
fn is_test_module(file: &Path) -> bool {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().expect("has a folder");
    let parents = [folder.join("mod.rs"), folder.with_extension("rs")];
    parents
        .iter()
        .filter_map(|parent| fs::read_to_string(parent).ok())
        .any(|text| text.contains(&format!("#[cfg(test)]\nmod {name};")))
}

fn violations(src: &Path) -> Vec<String> {
    let allowed: BTreeMap<_, _> =
        ROOMS.iter().map(|(room, rooms, crates)| (*room, (*rooms, *crates))).collect();
    let mut files = Vec::new();
    rust_files(src, &mut files);
    files.sort();
    let mut out = Vec::new();
    for file in files {
        let room = room_of(src, &file);
        if room == "lib" || room == "main" {
            continue;
        }
        let Some((rooms, crates)) = allowed.get(room.as_str()) else {
            out.push(format!("{}: room `{room}` has no row in the table", file.display()));
            continue;
        };
        let text = fs::read_to_string(&file).expect("source is UTF-8");
        if is_test_module(&file) {
            continue;
        }
        let text = live(&text);
        for head in crate_heads(&text) {
            if head != room
                && allowed.contains_key(head.as_str())
                && !rooms.contains(&head.as_str())
            {
                out.push(format!("{}: `{room}` must not import `{head}`", file.display()));
            }
        }
        for name in HEAVY {
            let named = after(&text, name).iter().any(|rest| rest.starts_with("::"))
                || after(&text, "use")
                    .iter()
                    .any(|rest| !after(rest.lines().next().unwrap_or(""), name).is_empty());
            if named && !crates.contains(name) {
                out.push(format!("{}: `{room}` must not name the crate `{name}`", file.display()));
            }
        }
        if text.contains("super::super") {
            out.push(format!("{}: write `crate::`, not `super::super::`", file.display()));
        }
    }
    out.dedup();
    out
}

#[test]
fn rooms_import_only_what_their_row_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = violations(&src);
    assert!(found.is_empty(), "{} forbidden imports:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    let rank: BTreeMap<_, _> = ROOMS.iter().enumerate().map(|(i, (room, ..))| (*room, i)).collect();
    for (room, rooms, _) in ROOMS {
        for other in *rooms {
            assert!(rank[other] < rank[room], "`{room}` imports `{other}`, which comes after it");
        }
    }
}

/// The files of a room that a file of it names: by their module, or by what their room re-exports of
/// them.
fn named_files(text: &str, room: &str, exports: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for rest in after(text, "crate").into_iter().filter_map(|rest| rest.strip_prefix("::")) {
        let Some(rest) = rest.strip_prefix(room).and_then(|rest| rest.strip_prefix("::")) else {
            continue;
        };
        let end = if rest.starts_with('{') { rest.find('}') } else { None };
        let list = match end {
            Some(end) => &rest[1..end],
            None => &rest[..rest.find(|c: char| !is_word(c as u8)).unwrap_or(rest.len())],
        };
        let words = list.split(',').filter_map(|item| item.split("::").next()).map(str::trim);
        named.extend(words.filter_map(|word| exports.get(word)).cloned());
    }
    named
}

/// The file that declares the modules of a folder: its `mod.rs`, or the `.rs` beside it.
fn root_of(folder: &Path) -> Option<PathBuf> {
    [folder.join("mod.rs"), folder.with_extension("rs")].into_iter().find(|root| root.is_file())
}

/// What each name of a room leads to: modules to their files, re-exported names to the files that
/// define them.
fn exports_of(folder: &Path) -> BTreeMap<String, String> {
    let root = root_of(folder).expect("a room has a root");
    let text = live(&fs::read_to_string(root).expect("source is UTF-8"));
    let mut exports = BTreeMap::new();
    for rest in after(&text, "mod") {
        let name: String = rest.trim().chars().take_while(|c| is_word(*c as u8)).collect();
        exports.insert(name.clone(), name);
    }
    for rest in after(&text, "use") {
        let Some((module, names)) = rest.trim().split_once("::") else { continue };
        if exports.contains_key(module) {
            let names = names.split(';').next().unwrap_or("").trim_matches(['{', '}', ' ']);
            for name in names.split(',').map(|name| name.trim_matches(['{', '}', ' ', '\n'])) {
                let name = name.rsplit(" as ").next().unwrap_or(name);
                exports.insert(name.to_owned(), module.to_owned());
            }
        }
    }
    exports
}

fn folders_below(dir: &Path, out: &mut Vec<PathBuf>) {
    let inner = fs::read_dir(dir).expect("src is readable").flatten().map(|entry| entry.path());
    for folder in inner.filter(|path| path.is_dir()) {
        folders_below(&folder, out);
        out.push(folder);
    }
}

/// The live code of a room's part: of a file, or of all files of a folder.
fn text_of(part: &Path) -> String {
    let mut files = Vec::new();
    if part.is_dir() {
        rust_files(part, &mut files);
    } else {
        files.push(part.to_owned());
    }
    files.retain(|file| !is_test_module(file));
    let texts = files.iter().map(|file| fs::read_to_string(file).expect("source is UTF-8"));
    texts.map(|text| live(&text)).collect::<Vec<_>>().join("\n")
}

/// Parts of one room, files and folders, that name each other, directly or around a corner.
fn circles(src: &Path, folder: &Path) -> Vec<String> {
    let below = folder.strip_prefix(src).expect("under src");
    let room = below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("::");
    let exports = exports_of(folder);
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a room is readable").flatten() {
        let path = entry.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_code = path.is_dir() || path.extension().is_some_and(|e| e == "rs");
        if !is_code || name == "mod" || is_test_module(&path) {
            continue;
        }
        let mut text = text_of(&path);
        if path.is_file() {
            text = text.replace("super::", &format!("crate::{room}::"));
        }
        let named = named_files(&text, &room, &exports);
        arrows.entry(name.clone()).or_default().extend(named.into_iter().filter(|n| *n != name));
    }
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = arrows.get(from).into_iter().flatten().collect();
        while let Some(file) = next.pop() {
            if seen.insert(file.clone()) {
                next.extend(arrows.get(file).into_iter().flatten());
            }
        }
        seen
    };
    let on_a_circle: Vec<&String> =
        arrows.keys().filter(|file| reach(file).contains(*file)).collect();
    let mut out = Vec::new();
    for file in &on_a_circle {
        for other in arrows[*file].iter().filter(|other| on_a_circle.contains(other)) {
            if reach(other).contains(*file) {
                out.push(format!("{room}::{file} -> {other}"));
            }
        }
    }
    out
}

#[test]
fn no_two_files_of_a_room_lean_on_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = Vec::new();
    folders_below(&src, &mut folders);
    let rooms = folders.iter().filter(|folder| root_of(folder).is_some());
    let mut found: Vec<String> = rooms.flat_map(|room| circles(&src, room)).collect();
    found.sort();
    assert!(found.is_empty(), "{} arrows lie on circles:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_kind_of_forbidden_import_is_reported() {
    let cases = [
        ("attic.rs", "", "room `attic` has no row in the table"),
        ("decode.rs", "fn f() { tokio::spawn(()); }\n", "`decode` must not name the crate `tokio`"),
        ("parquet/mod.rs", "use crate::catalog::Glue;\n", "`parquet` must not import `catalog`"),
        ("parse/mod.rs", "use polars as pl;\n", "`parse` must not name the crate `polars`"),
        (
            "partition/key.rs",
            "use super::super::storage;\n",
            "write `crate::`, not `super::super::`",
        ),
        (
            "rows/text.rs",
            "use crate::{parse::Node, parquet::{DataFile, Writer}};\n",
            "`rows` must not import `parquet`",
        ),
    ];
    let fine = [
        ("lib.rs", "pub use crate::cli::Args;\n"),
        (
            "schema/mod.rs",
            "// crate::cli and polars:: in a comment\nuse crate::error::Result;\nuse crate::schema::lock;\n",
        ),
        (
            "source/mod.rs",
            "use crate::error::Error;\n#[cfg(test)]\nmod tests { use crate::cli::Args; }\n",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (name, text) in cases.iter().map(|c| (c.0, c.1)).chain(fine) {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        fs::write(dir.join(name), text).unwrap();
    }
    let found = violations(dir);
    assert_eq!(found.len(), cases.len(), "{found:#?}");
    for ((_, _, want), got) in cases.iter().zip(&found) {
        assert!(got.ends_with(want), "wanted `{want}`, got `{got}`");
    }
}

/// Lines of production code that a file may have, blank ones apart; see CONTRIBUTING.md.
const MOST_LINES: usize = 500;
/// Lines that a function may have, from `fn` to its closing brace.
const MOST_LINES_OF_A_FUNCTION: usize = 60;

/// Where functions begin and how long they are: a function ends at the first `}` that is indented as it is.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let Some(begin) = code.find("fn ").filter(|begin| {
            code[..*begin].split_whitespace().all(|word| {
                word.starts_with("pub")
                    || ["crate)", "super)", "const", "async", "unsafe"].contains(&word)
            })
        }) else {
            continue;
        };
        let name: String = code[begin + 3..].chars().take_while(|c| is_word(*c as u8)).collect();
        let end = format!("{indent}}}");
        let is_declared = lines[at..]
            .iter()
            .take_while(|line| !line.contains('{'))
            .any(|line| line.trim_end().ends_with(';'));
        if is_declared || (line.contains('{') && line.trim_end().ends_with('}')) {
            continue;
        }
        let length = lines[at..].iter().position(|line| *line == end).map_or(0, |last| last + 1);
        found.push((name, length));
    }
    found
}

#[test]
fn files_and_functions_are_as_short_as_contributing_says() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut long = Vec::new();
    for file in files.iter().filter(|file| !is_test_module(file)) {
        let text = fs::read_to_string(file).expect("source is UTF-8");
        let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or("");
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > MOST_LINES {
            long.push(format!("{}: {lines} lines", file.display()));
        }
        for (name, lines) in functions(text) {
            if lines > MOST_LINES_OF_A_FUNCTION {
                long.push(format!("{}: `{name}` has {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn the_length_of_a_function_is_counted_to_its_own_brace() {
    let text = "impl A {\n    pub(crate) async fn one(\n        x: u8,\n    ) -> u8 {\n        if x {\n        }\n    }\n\n    fn two();\n}\n\nfn three() {\n    1\n}\n";

    assert_eq!(functions(text), [("one".to_owned(), 6), ("three".to_owned(), 3)]);
}
