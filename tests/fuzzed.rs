//! Containers with changed, missing and doubled bytes: nothing panics, hangs or takes more than the caps allow, and
//! `verify` reads in them what `convert` reads, with an unpacker of its own.
//!
//! `TRAILMILL_FUZZ_CASES` is how many of them are tried (512), `TRAILMILL_FUZZ_SEED` a number that makes others of
//! them. `scripts/fuzz` goes on for as long as it is told.

use crate::packing::{
    bzip2, locked_sevenz, locked_zip, lzip, lzma, lzma_member, raw_sevenz, raw_zip, sevenz,
    stored_deflate, utf16, xz, zip_with, zlib, zstd,
};
use crate::support::{World, envelope, gzip, records, tar, zip};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sevenz_rust2::EncoderMethod;
use std::io::Cursor;
use trailmill::decode::{Caps, Decoder, Layers, Passwords};
use trailmill::error::Reaction;
use trailmill::source::{Member, Unpacking, is_archive, members};
use zip::CompressionMethod;

const CAPS: Caps = Caps { max_object_bytes: 256 << 10, max_ratio: 100 };

/// All members of an archive together: a floor of 64 MiB, see `docs/commands.md`.
const MOST_TOGETHER: usize = 64 << 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// The number that decides what is made up.
pub(crate) fn seed() -> u64 {
    number("TRAILMILL_FUZZ_SEED").unwrap_or(0x2545_F491_4F6C_DD1D)
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed = [seed().to_le_bytes(); 4].concat();
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

fn cases() -> u32 {
    number("TRAILMILL_FUZZ_CASES").map_or(512, |cases| cases as u32)
}

/// One of each container, with the `n`th pair of records.
fn seeds(n: u64) -> Vec<Vec<u8>> {
    let text = envelope(&records(2 * n..2 * n + 2));
    let member = vec![("a.json", text.clone()), ("b.json.gz", gzip(&text))];
    let packed = tar(&member);
    let event = |own: &serde_json::Value| {
        format!("- CloudTrailEvent: '{}'\n  Resources: []\n", own.to_string().replace('\'', "''"))
    };
    let events: String = records(2 * n..2 * n + 2).iter().map(event).collect();
    let mut seeds = vec![
        gzip(&text),
        zstd(&text),
        bzip2(&text),
        xz(&text),
        lzma(&text),
        lzip(&text),
        lzip(&packed),
        utf16(&text, true),
        packed.clone(),
        gzip(&packed),
        zstd(&packed),
        bzip2(&packed),
        xz(&packed),
        zip(&member),
        raw_zip("a.json", 14, &lzma_member(&text), &text),
        raw_zip("a.json", 95, &xz(&text), &text),
        raw_sevenz("a.json", &stored_deflate(&text), &text),
        locked_zip("secret", &member),
        zip(&[("x.tar.gz", gzip(&packed)), ("y.zip", zip(&member))]),
        zlib(&text),
        format!("Events:\n{events}").into(),
        gzip(events.as_bytes()),
        [&b"MZ a program "[..], &zip(&member)].concat(),
        [&b"MZ a program "[..], &sevenz(EncoderMethod::LZMA2, &member)].concat(),
        [zip(&member[..1]), zip(&member[1..])].concat(),
        [sevenz(EncoderMethod::LZMA2, &member[..1]), sevenz(EncoderMethod::LZ4, &member[1..])]
            .concat(),
    ];
    for method in [CompressionMethod::Bzip2, CompressionMethod::Zstd] {
        seeds.push(zip_with(method, &member));
    }
    for method in [
        EncoderMethod::COPY,
        EncoderMethod::LZMA2,
        EncoderMethod::BZIP2,
        EncoderMethod::PPMD,
        EncoderMethod::ZSTD,
        EncoderMethod::DEFLATE,
        EncoderMethod::BROTLI,
    ] {
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
    let unpacking = Unpacking { caps: &CAPS, passwords, reads_hidden: true, stored, level: 0 };
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
    let (mut seeds, passwords) = (seeds(0), Passwords::from_lines("secret"));
    seeds.push(locked_sevenz("secret", &[("a.json", envelope(&records(0..2)))]));
    for seed in &seeds {
        unpack(seed, &passwords).unwrap();
    }
    let strategy = (0..seeds.len(), prop::collection::vec(change(), 1..6));

    runner(cases())
        .run(&strategy, |(seed, changes)| {
            let bytes = changed(seeds[seed].clone(), &changes);
            let total = unpack(&bytes, &passwords)?;
            prop_assert!(total <= MOST_TOGETHER, "{} bytes of members", total);
            Ok(())
        })
        .unwrap();
}

/// Converts damaged containers and proves the lake: whatever one side finds in them and the other does not would be a
/// record that is missing or unexpected.
fn differ(files: &[Vec<u8>], options: &[&str]) -> Option<String> {
    let world = World::new();
    for (number, bytes) in files.iter().enumerate() {
        world.put(&format!("{number:04}"), bytes);
    }
    let ended = world.convert(options);
    if ended.code != 0 && ended.code != 1 {
        return Some(format!("exit code {}: {}", ended.code, ended.stderr));
    }
    let proof = world.verify(options).json();
    let counts = ["records_missing", "records_unexpected", "file_problems"];
    counts.iter().any(|count| proof[count] != 0).then(|| format!("{proof:#}"))
}

#[test]
fn damaged_containers_are_read_alike_by_both_sides() {
    let mut runner = runner(1);
    let changes = prop::collection::vec(change(), 0..4);
    let all: Vec<Vec<u8>> = (0..4).flat_map(seeds).collect();
    let options = ["--max-object-size", "256kB", "--max-ratio", "100", "--hidden"];
    for round in 0..(cases() as usize).div_ceil(all.len()) {
        let files: Vec<Vec<u8>> = all
            .iter()
            .map(|bytes| {
                let changes = changes.new_tree(&mut runner).unwrap().current();
                changed(bytes.clone(), &changes)
            })
            .collect();

        let said = differ(&files, &options);

        assert!(said.is_none(), "seed {}, round {round}: {}", seed(), said.unwrap_or_default());
    }
}
