//! The lake's documents: how they are rendered and read, and their version.
//!
//! Every document that a later run reads begins with `format`, so that an older program stops before it
//! misunderstands one. A list is an object with `entries`. What another document names by its hash
//! (parts of the ledger, its sums) or by its unit (fingerprints, claims) has that document's format: a
//! change of theirs raises it too. The catalog's documents are Glue's, and have none of ours.

use crate::decode::{Caps, Decoded, Decoder};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::names::Folder;
use crate::storage::Storage;
use libdeflater::{CompressionLvl, Compressor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

/// The format that this program writes, and the only one that it reads; earlier ones were never released.
pub(super) const FORMAT: u64 = 6;

/// What is read of a document before the rest.
#[derive(Deserialize)]
struct Head<'a> {
    format: Option<u64>,
    /// A list's.
    #[serde(borrow)]
    entries: Option<&'a RawValue>,
}

/// Renders a document with its format; indented, a person can read it.
///
/// # Errors
/// `Bug` for what is neither a list nor an object.
pub(super) fn render(document: &impl Serialize, is_indented: bool) -> Result<Vec<u8>> {
    let rendered = match is_indented {
        true => serde_json::to_vec_pretty(document),
        false => serde_json::to_vec(document),
    };
    let cannot = || Error::new(ErrorKind::Bug, "cannot render a document");
    let json = rendered.map_err(|err| cannot().because(err))?;
    let (line, space) = if is_indented { ("\n", " ") } else { ("", "") };
    let indent = if is_indented { "  " } else { "" };
    let head = format!("{{{line}{indent}\"format\":{space}{FORMAT}");
    let mut out = head.into_bytes();
    match &json[..] {
        b"{}" => out.extend_from_slice(format!("{line}}}").as_bytes()),
        [b'{', rest @ ..] => {
            out.push(b',');
            out.extend_from_slice(rest);
        }
        [b'[', ..] => {
            out.extend_from_slice(format!(",{line}{indent}\"entries\":{space}").as_bytes());
            out.extend_from_slice(&json);
            out.extend_from_slice(format!("{line}}}").as_bytes());
        }
        _ => return Err(cannot()),
    }
    Ok(out)
}

/// Reads a document of the format that this program writes.
///
/// # Errors
/// `Config` for another format, `Damaged` for anything else; `key` names it.
pub(super) fn parse<T: DeserializeOwned>(key: &str, json: &[u8]) -> Result<T> {
    let damaged = |err| damaged(key).because(err);
    let head: Head<'_> = serde_json::from_slice(json).map_err(damaged)?;
    check(key, head.format)?;
    match head.entries {
        Some(entries) => serde_json::from_str(entries.get()),
        None => serde_json::from_slice(json),
    }
    .map_err(damaged)
}

fn check(key: &str, format: Option<u64>) -> Result<()> {
    let message = match format {
        Some(FORMAT) => return Ok(()),
        Some(newer) if newer > FORMAT => format!(
            "the lake was written by a newer version of trailmill: format {newer}, but this \
             program supports {FORMAT}; upgrade trailmill"
        ),
        Some(older) => format!(
            "the lake was written by an older version of trailmill: format {older}, but this \
             program reads only {FORMAT}; convert into a new lake"
        ),
        None => "the document has no format version: an unreleased version of trailmill wrote it; \
             convert into a new lake"
            .to_owned(),
    };
    Err(Error::config(message).at("key", key))
}

/// Renders a document with its format: indented, so that a person can read it.
pub(crate) fn to_json(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = render(document, true)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Renders a document with its format, gzipped.
pub(super) fn pack(document: &impl Serialize) -> Result<Vec<u8>> {
    compress(&render(document, false)?)
}

/// Renders what a document names by its hash, gzipped: it has that document's format.
pub(super) fn pack_named(content: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(content)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot render a document").because(err))?;
    compress(&json)
}

fn compress(json: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut out = vec![0; compressor.gzip_compress_bound(json.len())];
    let size = compressor
        .gzip_compress(json, &mut out)
        .map_err(|err| Error::new(ErrorKind::Bug, "cannot compress a document").because(err))?;
    out.truncate(size);
    Ok(out)
}

/// Reads what [`pack`] made.
///
/// # Errors
/// `Damaged` when it cannot be read, `Config` for another format.
pub(super) fn unpack<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    parse(key, &decompress(key, bytes)?)
}

/// Reads what [`pack_named`] made.
///
/// # Errors
/// `Damaged` when it cannot be read.
pub(super) fn unpack_named<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    let json = decompress(key, bytes)?;
    serde_json::from_slice(&json).map_err(|err| damaged(key).because(err))
}

fn damaged(key: &str) -> Error {
    Error::new(ErrorKind::Damaged, "document of the lake is damaged").at("key", key)
}

fn decompress(key: &str, bytes: &[u8]) -> Result<Decoded> {
    let mut json = Decoded::default();
    // As far as deflate can reach: the end of a document that was cut claims gigabytes.
    let caps = Caps { max_object_bytes: 4 << 30, max_ratio: 1032 };
    Decoder::new(caps).decode(bytes, &mut json).map_err(|err| damaged(key).because(err))?;
    Ok(json)
}

/// Replaces the one list of a folder, which is named by the hash of its bytes; an empty one is removed.
/// A run that is killed in the middle leaves the older list beside the newer.
///
/// # Errors
/// `Unavailable`, `Denied`, `Io`.
pub(super) async fn replace_list(
    storage: &Storage,
    folder: Folder,
    list: &impl Serialize,
    is_empty: bool,
) -> Result<()> {
    let before = storage.list(&folder.path()).await?;
    let mut key = None;
    if !is_empty {
        let bytes = pack(list)?;
        let name = folder.list(xxh3_128(&bytes));
        storage.put_over(&name, bytes).await?;
        key = Some(name);
    }
    for listed in before {
        // What is named by a unit is no list.
        if Some(&listed.key) != key.as_ref() && folder.unit_of(&listed.key).is_none() {
            storage.delete(&listed.key).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn objects_and_lists_read_back_with_their_format_in_front() {
        let object: BTreeMap<String, u32> = [("a".to_owned(), 1), ("b".to_owned(), 2)].into();
        for is_indented in [true, false] {
            let json = render(&object, is_indented).unwrap();
            #[derive(Deserialize)]
            struct Pair {
                a: u32,
                b: u32,
            }
            let read: Pair = parse("k", &json).unwrap();
            assert_eq!((read.a, read.b), (1, 2));
            let text = String::from_utf8(json).unwrap();
            assert!(text.trim_start_matches(['{', '\n', ' ']).starts_with("\"format\""), "{text}");
            for list in [vec![], vec![7, 8]] {
                let json = render(&list, is_indented).unwrap();
                assert_eq!(parse::<Vec<u32>>("k", &json).unwrap(), list);
            }
            let empty = render(&BTreeMap::<String, u32>::new(), is_indented).unwrap();
            serde_json::from_slice::<serde_json::Value>(&empty).unwrap();
        }
        assert!(render(&7, false).is_err());
    }

    #[test]
    fn other_formats_are_refused_and_say_what_to_do() {
        let read = |text: &str| parse::<serde_json::Value>("k", text.as_bytes()).unwrap_err();
        for (text, says) in [
            (r#"{"format":7,"new":{}}"#, "upgrade trailmill"),
            (r#"{"new":1,"format":99}"#, "upgrade trailmill"),
            (r#"{"format":1}"#, "older"),
            (r#"{"unit":{}}"#, "no format version"),
        ] {
            let err = read(text);
            assert_eq!(err.kind(), ErrorKind::Config, "{text}");
            assert!(err.to_string().contains(says), "{err}");
        }
        for text in ["", "{", "[]", r#"{"format":"x"}"#, "null", r#"{"format":6"#] {
            assert_eq!(read(text).kind(), ErrorKind::Damaged, "{text}");
        }
    }

    #[test]
    fn a_document_whose_end_claims_gigabytes_is_damaged() {
        let mut bytes = pack(&vec![7_u32; 1000]).unwrap();
        assert_eq!(unpack::<Vec<u32>>("k", &bytes).unwrap(), [7; 1000]);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());

        let err = unpack::<Vec<u32>>("k", &bytes).unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Damaged);
    }
}
