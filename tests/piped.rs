//! Logs that come through a pipe.

use crate::support::{World, envelope, gzip, program, record, records, run, tar, wait};
use std::io::Write;
use std::process::Stdio;
use trailmill::engine::Report;

/// Runs the program with bytes on its stdin.
fn piped(args: &[&str], bytes: &[u8]) -> crate::support::Run {
    let mut child = program(args).stdin(Stdio::piped()).spawn().unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    wait(child)
}

#[test]
fn what_comes_through_a_pipe_is_converted_once_whatever_it_is() {
    let world = World::new();
    let lake = world.lake.to_str().unwrap();
    let convert = ["convert", "-", lake, "-q", "--report", "json"];
    let text = envelope(&records(0..3));

    let report = piped(&convert, &text).exits(0).report();
    assert_eq!((report.objects_read, report.records_written), (1, 3));
    let again = piped(&convert, &text).exits(0).report();
    assert_eq!((again.units, again.objects_known), (0, 1), "the same bytes are the same object");
    let packed = gzip(&tar(&[("a.json", envelope(&records(3..5)))]));
    let report = piped(&["convert", "/dev/stdin", lake, "-q", "--report", "json"], &packed);
    assert_eq!(report.exits(0).report().records_written, 2);
    piped(&["verify", "-", lake, "-q", "--source-may-be-partial"], &text).exits(0);
    let said = piped(&convert, b"").exits(2).stderr;
    assert!(said.contains("nothing came through the pipe"), "{said}");
    let said = piped(&["plan", "-", lake], &text).exits(2).stderr;
    assert!(said.contains("read once only"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_beside_a_folder() {
    let world = World::new();
    world.put_records("a.json", &[record(9)]);
    let pipe = world.root.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, gzip(&envelope(&records(0..2)))).unwrap()
    });

    let places = [&world.logs, &pipe, &world.lake].map(|path| path.to_str().unwrap());
    let args = [&["convert"][..], &places, &["-q", "--report", "json"]].concat();
    let report: Report = run(args).exits(0).report();

    writer.join().unwrap();
    assert_eq!(report.records_written, 3);
}
