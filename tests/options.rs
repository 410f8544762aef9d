//! Each command shows only options that act on it.

use std::collections::BTreeMap;
use std::process::Command;

const BIN: &str = env!("CARGO_BIN_EXE_trailmill");

/// Every command, as it is typed.
const COMMANDS: [&str; 26] = [
    "convert",
    "watch",
    "plan",
    "plan show",
    "plan discard",
    "finish",
    "catalog show",
    "catalog ddl",
    "catalog diff",
    "catalog sync",
    "compact",
    "repair",
    "schema show",
    "schema infer",
    "schema diff",
    "verify",
    "history",
    "query",
    "report",
    "integrity",
    "quarantine",
    "ignored",
    "doctor",
    "sample",
    "completions",
    "man",
];

fn help(command: &str) -> String {
    let done = Command::new(BIN).args(command.split(' ')).arg("--help").output().unwrap();
    assert!(done.status.success(), "{command}");
    String::from_utf8(done.stdout).unwrap()
}

fn has(help: &str, option: &str) -> bool {
    help.lines().any(|line| {
        let words = line.trim_start().split([' ', '=', '[', ',']);
        words.take(3).any(|word| word == option)
    })
}

#[test]
fn options_are_shown_by_the_commands_that_they_act_on() {
    let writers =
        ["convert", "watch", "plan", "plan discard", "finish", "catalog sync", "compact", "repair"];
    let in_glue = [
        "convert",
        "watch",
        "plan",
        "finish",
        "catalog show",
        "catalog ddl",
        "catalog diff",
        "catalog sync",
        "compact",
        "doctor",
    ];
    let publishers = ["convert", "watch", "finish", "catalog diff", "catalog sync"];
    let encrypting = [&writers[..], &["doctor"]].concat();
    let without_aws = ["sample", "completions", "man"];
    let with_aws: Vec<&str> =
        COMMANDS.into_iter().filter(|command| !without_aws.contains(command)).collect();
    let expected: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("--lease-timeout", &writers[..]),
        ("--sse", &encrypting[..]),
        ("--sse-kms-key-id", &encrypting[..]),
        ("--glue-endpoint-url", &in_glue[..]),
        ("--catalog-id", &in_glue[..]),
        ("--partition-index", &publishers[..]),
        ("--partition-projection", &publishers[..]),
        ("--profile", &with_aws[..]),
        ("--retry-timeout", &with_aws[..]),
    ]);

    let helps = COMMANDS.map(|command| (command, help(command)));

    for (option, commands) in expected {
        let shown: Vec<&str> =
            helps.iter().filter(|(_, help)| has(help, option)).map(|(name, _)| *name).collect();
        let wanted: Vec<&str> =
            COMMANDS.into_iter().filter(|command| commands.contains(command)).collect();
        assert_eq!(shown, wanted, "{option}");
    }
}

#[test]
fn what_a_queue_is_told_is_checked_before_anything_is_asked_for() {
    const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/111122223333/logs";
    for (command, said) in [
        ("convert logs lake --window-age 5m", "--queue <URL>"),
        ("convert logs lake --window-bytes 1MB", "--queue <URL>"),
        ("convert logs lake --window-objects 5", "--queue <URL>"),
        ("watch QUEUE s3://lake-bucket --window-objects 0", "--window-objects"),
        ("watch QUEUE s3://lake-bucket --sweep 1d", "give them before the lake"),
        ("watch QUEUE s3://b/lake", "invalid bucket name `b`"),
        ("watch QUEUE s3:///lake", "bucket name missing"),
    ] {
        let command = command.replace("QUEUE", QUEUE);
        let done = Command::new(BIN).args(command.split(' ')).output().unwrap();
        let stderr = String::from_utf8(done.stderr).unwrap();

        assert_eq!(done.status.code(), Some(2), "{command}: {stderr}");
        assert!(stderr.contains(said) && !stderr.contains("identity"), "{command}: {stderr}");
    }
}
