//! The same three records in every container that holds records, and in those that hold none.

use super::fixture::{Fixture, small, small_row};
use super::{FILE, enveloped};
use crate::verify::contract::Family;
use crate::verify::verify;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Cursor, Write};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_container_gives_the_same_records() {
    let [a, b, c] = ["a", "b", "c"].map(small);
    let whole = enveloped(&[&a, &b, &c]);
    let (first, second) = (format!("{a}\n{b}\n"), enveloped(&[&c]));
    let packed = gzip(second.as_bytes());
    let members: &[(&str, &[u8])] = &[("x/1.json", first.as_bytes()), ("x/2.gz", &packed)];
    let containers = [
        whole.clone().into_bytes(),
        gzip(whole.as_bytes()),
        [gzip(first.as_bytes()), gzip(c.as_bytes())].concat(),
        format!("\u{feff}{a}\r\n\r\n{b} {c}").into_bytes(),
        format!("[{a},{b},{c}]").into_bytes(),
        tar(members),
        gzip(&tar(members)),
        zip(members),
    ];
    for (at, bytes) in containers.iter().enumerate() {
        let rows = ["c", "b", "a"].map(small_row);
        let fixture = Fixture::new().source("o", bytes).lake(FILE, Family::Events, &rows);

        let report = fixture.verify();

        assert!(report.proves(), "container {at}: {report:?}");
        assert_eq!((report.records_expected, report.objects_quarantined), (3, 0), "container {at}");
    }
}

#[test]
fn what_is_not_cloudtrail_is_expected_nowhere() {
    let fixture = Fixture::new()
        .source("s3.json", r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2024-05-01T12:00:00Z","s3":{}}]}"#)
        .source("sqs.json", r#"{"Records":[{"messageId":"1","body":"{}","eventSource":"aws:sqs"}]}"#)
        .source("bridge.json", format!(r#"{{"version":"0","detail-type":"x","detail":{}}}"#, small("x")))
        .source("logs.json", r#"{"messageType":"DATA_MESSAGE","logEvents":[]}"#)
        .source("flow.log.gz", gzip(b"2 123456789012 eni-1 ACCEPT OK"))
        .source("config.json", r#"{"configurationItems":[]}"#)
        .source("empty", "");

    let report = fixture.verify();

    assert!(report.proves(), "{report:?}");
    assert_eq!(
        (report.records_expected, report.records_quarantined, report.objects_read),
        (0, 0, 7)
    );
}

#[test]
fn an_object_that_cannot_be_read_is_quarantined() {
    let whole = gzip(enveloped(&[&small("a")]).as_bytes());
    let fixture = Fixture::new()
        .source("cut.gz", &whole[..whole.len() - 9])
        .source("broken.json", enveloped(&[&small("a"), "{"]))
        .source("large.json", vec![b' '; 3000])
        .source("broken.zip", b"PK\x03\x04 and then nothing")
        .lake(FILE, Family::Events, &[small_row("a")]);
    let mut options = fixture.options();

    options.max_object_size = 2000;
    let report = verify(&options, &|_| ()).unwrap();

    assert!(report.proves(), "{report:?}");
    assert_eq!((report.objects_quarantined, report.objects_read), (3, 1));
    assert_eq!(report.records_quarantined, 1);
}

#[test]
fn a_tar_without_its_end_may_have_lost_members() {
    let [a, b] = ["a", "b"].map(small);
    let whole = tar(&[("a.json", a.as_bytes()), ("b.json", b.as_bytes())]);
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(512);
    for (kept, quarantined) in [(whole.len(), 0), (end + 512, 0), (end, 1)] {
        let rows = ["a", "b"].map(small_row);
        let cut = &whole[..kept];
        let fixture = Fixture::new().source("o.tar", cut).lake(FILE, Family::Events, &rows);

        let report = fixture.verify();

        let counts = (report.records_expected, report.objects_quarantined);
        assert_eq!(counts, (2, quarantined), "{kept} of {}", whole.len());
    }
}

#[test]
fn links_and_hidden_names_are_no_objects_and_other_paths_are() {
    let archive = {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        for (name, id) in [("./a.json", "a"), ("_x/b.json", "b"), ("c/.d.json", "d")] {
            let text = small(id);
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Link);
        link.set_size(0);
        builder.append_link(&mut link, "e.json", "./a.json").unwrap();
        builder.into_inner().unwrap()
    };
    let fixture = Fixture::new()
        .source("o.tar", archive)
        .source("z.zip", zip(&[("../up.json", small("u").as_bytes())]))
        .source(".f.json", small("f"))
        .source("_g/h.json", small("h"))
        .lake(FILE, Family::Events, &["a", "u"].map(small_row));
    std::os::unix::fs::symlink("nowhere", fixture.path("source/i.json")).unwrap();
    std::os::unix::fs::symlink("..", fixture.path("source/j")).unwrap();
    std::os::unix::fs::symlink("k.json", fixture.path("source/k.json")).unwrap();

    let mut options = fixture.options();
    options.lake = std::fs::canonicalize(fixture.path("lake")).unwrap().into();
    let report = verify(&options, &|_| ()).unwrap();

    assert!(report.proves(), "{report:?}");
    assert_eq!((report.records_expected, report.objects_quarantined), (2, 0));
}
