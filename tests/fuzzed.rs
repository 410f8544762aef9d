//! Containers with changed, missing and doubled bytes: nothing panics, hangs or takes more than the caps allow.
//!
//! `TRAILMILL_FUZZ_CASES` is how many of them are tried (512).

use crate::packing::{
    bzip2, locked_sevenz, locked_zip, lzma, lzma_member, raw_zip, sevenz, utf16, xz, zip_with, zstd,
};
use crate::support::{envelope, gzip, records, tar, zip};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sevenz_rust2::EncoderMethod;
use std::io::Cursor;
use trailmill::decode::{Caps, Decoder, Layers, Passwords};
use trailmill::error::Reaction;
use trailmill::source::{Member, Unpacking, is_archive, members};
use zip::CompressionMethod;

const CAPS: Caps = Caps { max_object_bytes: 256 << 10, max_ratio: 100 };

/// All members of an archive together: a floor of 64 MiB, see `docs/commands.md`.
const MOST_TOGETHER: usize = 64 << 20;

/// One of each container.
fn seeds() -> Vec<Vec<u8>> {
    let text = envelope(&records(0..2));
    let member = vec![("a.json", text.clone()), ("b.json.gz", gzip(&text))];
    let packed = tar(&member);
    let mut seeds = vec![
        gzip(&text),
        zstd(&text),
        bzip2(&text),
        xz(&text),
        lzma(&text),
        utf16(&text, true),
        packed.clone(),
        gzip(&packed),
        zstd(&packed),
        bzip2(&packed),
        xz(&packed),
        zip(&member),
        raw_zip("a.json", 14, &lzma_member(&text), &text),
        raw_zip("a.json", 95, &xz(&text), &text),
        locked_zip("secret", &member),
        locked_sevenz("secret", &member),
        zip(&[("x.tar.gz", gzip(&packed)), ("y.zip", zip(&member))]),
    ];
    for method in [CompressionMethod::Bzip2, CompressionMethod::Zstd] {
        seeds.push(zip_with(method, &member));
    }
    for method in [EncoderMethod::LZMA2, EncoderMethod::BZIP2, EncoderMethod::PPMD] {
        seeds.push(sevenz(method, &member));
    }
    seeds
}

/// A change of a few bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Cut(usize),
    Double(usize, usize),
    /// A number that stands for a size is made huge.
    Fill(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => any::<usize>().prop_map(Change::Cut),
        1 => (any::<usize>(), 1_usize..600).prop_map(|(at, len)| Change::Double(at, len)),
        2 => any::<usize>().prop_map(Change::Fill),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let len = bytes.len().max(1);
        match *change {
            Change::Set(at, byte) => {
                if let Some(place) = bytes.get_mut(at % len) {
                    *place = byte;
                }
            }
            Change::Cut(at) => bytes.truncate(at % len),
            Change::Double(at, count) => {
                let at = at % len;
                let part = bytes[at.min(bytes.len())..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), part);
            }
            Change::Fill(at) => {
                let at = at % len;
                let end = (at + 4).min(bytes.len());
                bytes.get_mut(at..end).into_iter().for_each(|part| part.fill(0xff));
            }
        }
    }
    bytes
}

/// Reads bytes as the converter does; returns how many bytes of members came out.
fn unpack(bytes: &[u8], passwords: &Passwords) -> Result<usize, TestCaseError> {
    let stored = bytes.len() as u64;
    let mut layers = Layers::default();
    let mut room = 0;
    let mut decoder = Decoder::new(CAPS).with_passwords(passwords);
    let text = decoder.text(bytes, stored, &mut layers, &mut |size| {
        room = room.max(size);
        Ok(())
    });
    prop_assert!(room <= 2 * CAPS.max_object_bytes + (1 << 20), "{room} bytes of memory");
    let mut total = 0;
    let archive = match &text {
        Ok(text) if is_archive(text.bytes) => text.bytes,
        Err(err) => {
            prop_assert_eq!(err.kind().reaction(), Reaction::Quarantine, "{}", err);
            bytes
        }
        Ok(_) => bytes,
    };
    let unpacking = Unpacking { caps: &CAPS, passwords, stored, level: 0 };
    let outcome = members(Cursor::new(archive), &unpacking, &mut |member: Member| {
        let size = member.bytes.as_ref().map_or(0, Vec::len);
        assert!(size as u64 <= CAPS.max_object_bytes, "{size} bytes");
        total += size;
        Ok(())
    });
    if let Err(err) = outcome {
        prop_assert_eq!(err.kind().reaction(), Reaction::Quarantine, "{}", err);
    }
    Ok(total)
}

#[test]
fn damaged_containers_are_refused_within_the_caps() {
    let cases = std::env::var("TRAILMILL_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    let config =
        Config { cases: cases.unwrap_or(512), failure_persistence: None, ..Config::default() };
    let (seeds, passwords) = (seeds(), Passwords::from_lines("secret"));
    for seed in &seeds {
        unpack(seed, &passwords).unwrap();
    }
    let strategy = (0..seeds.len(), prop::collection::vec(change(), 1..6));

    TestRunner::new(config)
        .run(&strategy, |(seed, changes)| {
            let bytes = changed(seeds[seed].clone(), &changes);
            let total = unpack(&bytes, &passwords)?;
            prop_assert!(total <= MOST_TOGETHER, "{} bytes of members", total);
            Ok(())
        })
        .unwrap();
}
