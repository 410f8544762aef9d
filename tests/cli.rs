//! The command line: help, wrong usage, what is printed and what never is.

use crate::support::{
    World, envelope_of_texts, files, key, program, record, record_with, records, run,
};
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use trailmill::engine::Report;

/// Every command with its subcommands, as the help lists them.
fn commands() -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut at = 0;
    while let Some(command) = found.get(at).cloned() {
        at += 1;
        let help = run(command.iter().map(String::as_str).chain(["-h"])).exits(0).text();
        let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        let names = listed.lines().take_while(|line| !line.is_empty());
        let names = names.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        for name in names.filter(|name| !name.is_empty() && *name != "help") {
            found.push([&command[..], &[name.to_owned()]].concat());
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

#[test]
fn every_command_has_help() {
    for command in commands() {
        for flag in ["-h", "--help"] {
            let help = run(command.iter().map(String::as_str).chain([flag])).exits(0).text();

            assert!(help.contains("Usage: trailmill"), "{command:?}: {help}");
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{command:?}");
        }
    }
}

#[test]
fn the_version_names_commit_features_and_target() {
    let (short, long) = (run(["-V"]).exits(0).text(), run(["--version"]).exits(0).text());

    let version = concat!("trailmill ", env!("CARGO_PKG_VERSION"));
    assert_eq!(short, format!("{version}\n"));
    let build = long.strip_prefix(&format!("{version} (commit ")).expect("a commit");
    let (commit, rest) = build.split_once(", features: ").expect("features");
    let is_hash = commit.len() == 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{long}");
    let (features, target) = rest.split_once(", ").expect("a target");
    let has_allocator = features.contains("system-allocator");
    assert_eq!(has_allocator, cfg!(feature = "system-allocator"), "{long}");
    assert!(features == "none" || has_allocator, "{long}");
    assert!(target.starts_with(std::env::consts::ARCH) && target.ends_with(")\n"), "{long}");
}

#[test]
fn wrong_usage_exits_2_and_prints_no_data() {
    for args in [
        &[][..],
        &["nosuch"],
        &["convert"],
        &["convert", "only-one-place"],
        &["convert", "a", "b", "--nosuch"],
        &["convert", "a", "b", "--threads", "0"],
        &["convert", "a", "b", "--unit-size", "much"],
        &["convert", "a", "b", "--compression", "rar"],
        &["convert", "a", "b", "--compression", "zstd:99"],
        &["convert", "a", "b", "--schema", "maybe"],
        &["convert", "a", "b", "--duplicates", "maybe"],
        &["convert", "a", "b", "--partition-by", "account,color"],
        &["convert", "a", "b", "--partition-by", "account,account"],
        &["convert", "a", "b", "--partition-by", ""],
        &["catalog"],
        &["catalog", "ddl", "lake", "--dialect", "cobol"],
        &["schema", "infer"],
        &["verify", "only-one-place"],
        &["completions", "cmd.exe"],
    ] {
        let run = run(args.iter()).exits(2);

        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn an_unknown_partition_key_is_answered_with_those_there_are() {
    let run = run(["convert", "a", "b", "--partition-by", "color"]).exits(2);

    assert!(run.stderr.contains("color") && run.stderr.contains("event_date"), "{}", run.stderr);
}

#[test]
fn a_source_that_is_not_there_exits_2_and_is_named() {
    let world = World::new();
    fs::remove_dir(&world.logs).unwrap();

    let run = world.convert(&[]).exits(2);

    assert!(run.stderr.contains(world.logs.to_str().unwrap()), "{}", run.stderr);
}

#[test]
fn a_folder_that_is_no_lake_exits_2() {
    let world = World::new();
    fs::create_dir(&world.lake).unwrap();
    for command in
        [&["catalog", "show"][..], &["catalog", "sync"], &["schema", "show"], &["quarantine"]]
    {
        let run = world.on_lake(command, &[]).exits(2);

        assert!(run.stderr.contains("not a trailmill lake"), "{command:?}: {}", run.stderr);
    }
    assert_eq!(files(&world.lake).len(), 0, "a question made files");
}

#[test]
fn a_lake_inside_its_source_is_refused() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    let logs = world.logs.to_str().unwrap();
    let inside = world.logs.join("lake");

    let run = run(["convert", logs, inside.to_str().unwrap()]).exits(2);

    assert!(run.stderr.contains("one is inside the other"), "{}", run.stderr);
    assert!(!inside.is_dir());
}

#[test]
fn a_source_inside_the_lake_is_refused() {
    let world = World::new();
    let inside = world.put_records(&key("a.json.gz"), &records(0..3));
    let logs = world.logs.to_str().unwrap();

    run(["convert", inside.to_str().unwrap(), logs]).exits(2);
}

#[test]
fn a_lake_keeps_its_partition_keys() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    world.convert(&[]).exits(0);

    let run = world.convert(&["--partition-by", "event_date"]).exits(2);

    assert!(run.stderr.contains("account,region,event_date"), "{}", run.stderr);
}

#[test]
fn a_lake_that_is_a_file_exits_2() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    fs::write(&world.lake, "a file").unwrap();

    world.convert(&[]).exits(2);
}

#[test]
fn the_report_has_every_field() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));

    let printed = world.convert(&[]).exits(0).json();

    let wanted = serde_json::to_value(Report::default()).unwrap();
    let names = |report: &Value| report.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&printed), names(&wanted));
}

#[test]
fn the_numbers_of_the_report_are_those_of_the_files() {
    let world = World::new();
    let log = world.put_records(&key("a.json.gz"), &records(0..60));

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.bytes_compressed, fs::metadata(log).unwrap().len());
    let data = world.data_files();
    assert_eq!(report.files, data.len() as u64);
    let bytes = data.iter().map(|file| fs::metadata(world.lake.join(file)).unwrap().len());
    assert_eq!(report.bytes_parquet, bytes.sum::<u64>());
    assert_eq!(report.rows_by_table["cloudtrail"], 60);
}

#[test]
fn a_plan_foretells_the_conversion_and_writes_nothing() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..60));
    world.put_records(&key("b.json.gz"), &records(60..90));
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let args = ["plan", places[0], places[1], "--unit-size", "10kB", "--report", "json"];

    let plan = run(args).exits(0).json();

    assert!(!world.lake.is_dir());
    let report = world.convert(&["--unit-size", "10kB"]).exits(0).report();
    assert_eq!((&plan["objects"], &plan["units"]), (&json!(2), &json!(report.units)));
    let plan = run(args).exits(0).json();
    assert_eq!((&plan["objects"], &plan["objects_known"]), (&json!(0), &json!(2)));
    run(["plan", places[0], places[1]]).exits(0);
}

#[test]
fn what_is_printed_for_people_says_what_happened() {
    let world = World::new();
    world.put(&key("a.json"), envelope_of_texts(&[record(1).to_string().as_bytes(), b"null"]));
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];

    let text = run(["convert", places[0], places[1]]).exits(1).text();

    for part in ["2 read = 1 written", "1 quarantined", "record is not an object", "quarantine"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = run(["verify", places[0], places[1]]).exits(0).text();
    assert!(text.starts_with("Equal, but for "), "{text}");
}

/// A secret, as a session token is, in every place a record has.
const SECRET: &str = "FwoGZXIvYXdzEXAMPLESECRET";

fn secrets() -> Vec<Value> {
    let bag = json!({"sessionToken": SECRET, "credentials": {"secretAccessKey": SECRET}});
    let mut out = Vec::new();
    for member in
        ["requestParameters", "responseElements", "userIdentity", "errorMessage", "brandNew"]
    {
        out.push(record_with(out.len() as u64, member, bag.clone()));
    }
    for member in ["eventTime", "awsRegion", "recipientAccountId", "eventSource"] {
        out.push(record_with(out.len() as u64, member, json!(format!("{SECRET}/../"))));
    }
    out
}

#[test]
fn no_content_of_a_record_is_ever_printed() {
    let world = World::new();
    let mut texts: Vec<Vec<u8>> =
        secrets().iter().map(|record| record.to_string().into_bytes()).collect();
    texts.push(format!(r#"{{"eventVersion":"{SECRET}\ud800"}}"#).into_bytes());
    texts.push(format!(r#""{SECRET}""#).into_bytes());
    texts.push(format!(r#"{{"{SECRET}":tru"#).into_bytes());
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    world.put(&key("a.json"), envelope_of_texts(&texts));
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];

    let mut runs = vec![
        run(["convert", places[0], places[1], "--strict"]).exits(3),
        run(["convert", places[0], places[1]]).exits(1),
        run(["quarantine", places[1]]).exits(0),
        run(["quarantine", places[1], "--report", "json"]).exits(0),
        run(["verify", places[0], places[1]]),
        run(["catalog", "show", places[1], "cloudtrail"]).exits(0),
        run(["catalog", "ddl", places[1]]).exits(0),
        run(["schema", "show", places[1]]).exits(0),
    ];
    // A source that lacks a record makes verify name differences.
    world.put_records(&key("a.json"), &secrets()[..2]);
    runs.push(run(["verify", places[0], places[1]]).exits(1));

    for (n, run) in runs.iter().enumerate() {
        assert!(!run.text().contains(SECRET), "stdout of run {n}: {}", run.text());
        assert!(!run.stderr.contains(SECRET), "stderr of run {n}: {}", run.stderr);
    }
}

#[test]
fn a_closed_pipe_is_quiet() {
    for args in [&["schema", "show"][..], &["completions", "bash"]] {
        let mut child = program(args.iter()).spawn().unwrap();
        let mut first = [0; 10];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        drop(child.stdout.take());

        let run = crate::support::wait(child);

        assert_eq!((run.code, &run.stderr[..]), (0, ""), "{args:?}");
    }
}

#[test]
fn quiet_says_nothing_to_people() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));

    // `World::convert` always says `--quiet`.
    let run = world.convert(&[]).exits(0);

    assert_eq!(run.stderr, "");
}

#[test]
fn messages_are_json_lines_when_asked_for() {
    let world = World::new();
    let lake = world.lake.to_str().unwrap();
    let args = ["convert", "/nonexistent/source", lake, "--threads", "3", "--log-format", "json"];
    let run = run(args).exits(2);

    let lines: Vec<Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [begin, error] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&begin["event"], &begin["threads"]), (&json!("begin"), &json!(3)));
    assert_eq!(error["event"], "error");
    assert!(error["message"].as_str().unwrap().contains("/nonexistent/source"));
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(["completions", shell]).exits(0).text();

        assert!(script.contains("trailmill") && script.contains("convert"), "{shell}");
    }
}

#[test]
fn man_pages_are_made_for_every_command() {
    let world = World::new();
    let folder = world.root.join("man");

    run(["man", folder.to_str().unwrap()]).exits(0);

    let names: Vec<String> = files(&folder)
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    for wanted in ["trailmill.1", "trailmill-convert.1", "trailmill-catalog-sync.1"] {
        assert!(names.iter().any(|name| name == wanted), "{wanted}: {names:?}");
    }
    for name in &names {
        let page = fs::read_to_string(folder.join(name)).unwrap();
        for section in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "VERSION"] {
            let title = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
            assert!(title.iter().any(|title| page.contains(title)), "{name}: {section}");
        }
    }
    let convert = fs::read_to_string(folder.join("trailmill-convert.1")).unwrap();
    assert!(convert.contains(".SH EXAMPLES") && convert.contains("trailmill convert logs lake"));
}

#[test]
fn a_sample_is_refused_where_something_lies() {
    let world = World::new();
    world.put("mine.txt", "precious");

    run(["sample", world.logs.to_str().unwrap(), "--size", "1MB", "--quiet"]).exits(2);

    assert_eq!(files(&world.logs).len(), 1);
}

#[test]
fn an_entry_that_the_quarantine_lacks_exits_2() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    world.convert(&[]).exits(0);

    world.on_lake(&["quarantine"], &["--raw", "0"]).exits(2);
    let text = world.on_lake(&["quarantine"], &[]).exits(0).text();
    assert_eq!(text, "The quarantine is empty.\n");
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    for (options, named) in [
        (&["--memory", "12"][..], "at least 1.00 kB"),
        (&["--unit-size", "0"], "at least 1 B"),
        (&["--target-file-size", "0"], "at least 1 B"),
        (&["--max-object-size", "0"], "at least 1 B"),
        (&["--max-ratio", "0"], "max-ratio"),
        (&["--region", "mars-1"], "invalid region `mars-1`"),
        (&["--aws-region", "us-east-1a"], "invalid region `us-east-1a`"),
        (&["--sse", "aws:kms"], "the lake is a folder"),
        (&["--catalog", "none", "--partition-index"], "no effect with `--catalog none`"),
        (&["--full", "--look-back", "3"], "cannot be used with"),
        (&["--restore", "--dry-run"], "cannot be used with"),
        (&["--plan", "lake"], "a plan has its sources and its lake"),
    ] {
        let run = run(["convert", logs, lake].iter().chain(options)).exits(2);

        assert!(run.stderr.contains(named), "{options:?}: {}", run.stderr);
        assert!(!world.lake.join("_trailmill").exists(), "{options:?}");
    }
    for place in ["s3:/logs/x", "arn:aws:s3:::logs/x"] {
        for places in [[logs, place], [place, lake]] {
            let run = run(["convert"].iter().chain(&places)).exits(2);

            assert!(run.stderr.contains("expected a path or `s3://"), "{places:?}: {}", run.stderr);
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_converted_and_writes_nothing() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());

    let dry = run(["convert", logs, lake, "--dry-run"]).exits(0).text();
    let plan = run(["plan", logs, lake]).exits(0).text();
    let listed = run(["plan", logs, lake, "--by-delivery"]).exits(0).text();

    assert_eq!(dry, plan);
    assert!(dry.contains("1 object to read"), "{dry}");
    assert!(listed.starts_with(&dry) && listed.contains("delivered"), "{listed}");
    assert!(!world.lake.exists() || files(&world.lake).is_empty());
}

#[test]
fn usage_errors_are_json_lines_when_asked_for() {
    for args in
        [&["convert", "--log-format", "json", "--nosuch"][..], &["--log-format=json", "nosuch"]]
    {
        let run = run(args.iter()).exits(2);

        let line: Value = serde_json::from_str(run.stderr.trim_end()).unwrap();
        assert_eq!(line["event"], "error");
        assert!(line["message"].as_str().unwrap().contains("nosuch"), "{line}");
    }
}

#[test]
fn messages_are_json_lines_in_aws_batch_unless_text_is_asked_for() {
    let lines = |args: &[&str], variables: &[(&str, &str)]| {
        let mut program = program(args.iter());
        let run = crate::support::wait(program.envs(variables.iter().copied()).spawn().unwrap());
        assert_eq!(run.code, 2, "{}", run.stderr);
        run.stderr.starts_with('{')
    };
    let batch = ("AWS_BATCH_JOB_ID", "job");

    assert!(!lines(&["verify", "/nosuch", "/nosuch"], &[]));
    assert!(lines(&["verify", "/nosuch", "/nosuch"], &[batch]));
    assert!(!lines(&["verify", "/nosuch", "/nosuch", "--log-format", "text"], &[batch]));
    assert!(lines(&["verify", "/nosuch", "/nosuch"], &[("TRAILMILL_LOG_FORMAT", "json")]));
}

#[test]
fn colors_are_written_when_asked_for_and_not_into_a_file() {
    let stderr =
        |color: &[&str]| run(["verify", "/nosuch", "/nosuch"].iter().chain(color)).exits(2).stderr;

    assert!(stderr(&["--color", "always"]).contains('\u{1b}'));
    assert!(!stderr(&["--color", "never"]).contains('\u{1b}'));
    assert!(!stderr(&[]).contains('\u{1b}'));
}

#[test]
fn what_is_done_is_logged_without_what_is_in_records() {
    let world = World::new();
    let texts: Vec<Vec<u8>> =
        secrets().iter().map(|record| record.to_string().into_bytes()).collect();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    world.put(&key("a.json"), envelope_of_texts(&texts));
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());

    let run = run(["convert", logs, lake, "-vv", "-q"]).exits(1);

    assert!(run.stderr.contains("committed") && run.stderr.contains("listed"), "{}", run.stderr);
    assert!(!run.stderr.contains(SECRET), "{}", run.stderr);
}

#[test]
fn a_configuration_file_has_defaults_which_variables_and_options_override() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..3));
    let (logs, lake) = (world.logs.to_str().unwrap(), world.lake.to_str().unwrap());
    let file = world.root.join("trailmill.toml");
    fs::write(
        &file,
        format!("quiet = true\n[convert]\nreport = 'json'\n[lake.'{lake}']\nno-typed = true\n"),
    )
    .unwrap();
    let config = file.to_str().unwrap();
    let command = |args: &[&str], variables: &[(&str, &str)]| {
        let mut program = program(args.iter());
        program.env("TRAILMILL_CONFIG", config).envs(variables.iter().copied());
        crate::support::wait(program.spawn().unwrap())
    };

    let first = command(&["convert", logs, lake], &[]).exits(0);
    let tables = &first.json()["rows_by_table"];
    let text = command(&["convert", logs, lake, "--report", "text"], &[]).exits(0).text();
    let variable =
        command(&["convert", logs, lake], &[("TRAILMILL_REPORT", "text")]).exits(0).text();
    let wrong = command(&["convert", logs, lake], &[("TRAILMILL_UNIT_SIZE", "much")]).exits(2);
    fs::write(&file, "[convert]\nunit_size = '1MB'\n").unwrap();
    let unknown = command(&["convert", logs, lake], &[]).exits(2);

    assert!(tables.get("cloudtrail").is_some() && tables.get("cloudtrail_typed").is_none());
    assert!(text.starts_with("Nothing new") && variable.starts_with("Nothing new"));
    assert!(wrong.stderr.contains("TRAILMILL_UNIT_SIZE"), "{}", wrong.stderr);
    assert!(unknown.stderr.contains("unknown option `convert.unit_size`"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains(config), "{}", unknown.stderr);
}
