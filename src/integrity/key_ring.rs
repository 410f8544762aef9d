//! The public keys that digests are checked with: from a file, or from CloudTrail.
//!
//! A file holds what `aws cloudtrail list-public-keys` prints, or what `--save-evidence` wrote, which
//! names the region of each key. A key's fingerprint is the MD5 of its bytes, so that a saved key shows
//! by itself that it is whole; where it came from it cannot show.

use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A public key of CloudTrail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    /// What digests name it by.
    pub fingerprint: String,
    /// The key, DER.
    pub der: Vec<u8>,
    /// The region that it signs in, if it is known.
    pub region: Option<String>,
    /// When it was valid, as CloudTrail says it.
    pub validity: [Option<String>; 2],
}

/// A set of public keys, by fingerprint.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: BTreeMap<String, BTreeSet<PublicKey>>,
}

#[derive(Deserialize, Serialize)]
struct Document {
    #[serde(rename = "PublicKeyList")]
    keys: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    fingerprint: String,
    /// Seconds, or a date.
    #[serde(default)]
    validity_start_time: Value,
    #[serde(default)]
    validity_end_time: Value,
    value: String,
}

impl PublicKey {
    /// Returns whether the fingerprint is that of the key's bytes.
    pub fn is_whole(&self) -> bool {
        hex::encode(Md5::digest(&self.der)) == self.fingerprint
    }

    pub(super) fn of_entry(entry: Entry, region: Option<&str>) -> Result<Self> {
        let Entry { fingerprint, value, validity_start_time, validity_end_time, .. } = entry;
        let invalid = || Error::bad_input("invalid public key: its value is not base64");
        let der = STANDARD
            .decode(value.trim())
            .map_err(|err| invalid().because(err).at("fingerprint", &fingerprint))?;
        let text = |value: Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        let validity = [text(validity_start_time), text(validity_end_time)];
        let region = region.map(str::to_owned).or(entry.region);
        Ok(Self { fingerprint, der, region, validity })
    }

    fn entry(&self) -> Entry {
        let [start, end] = self.validity.clone().map(|time| {
            let number = |text: &String| text.parse::<serde_json::Number>().ok();
            time.map_or(Value::Null, |text| {
                number(&text).map_or(Value::String(text), Value::Number)
            })
        });
        Entry {
            region: self.region.clone(),
            fingerprint: self.fingerprint.clone(),
            validity_start_time: start,
            validity_end_time: end,
            value: STANDARD.encode(&self.der),
        }
    }
}

impl KeyRing {
    /// Reads a file of keys.
    ///
    /// # Errors
    /// `Config` for what is not a list of public keys, or an empty one.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let expected = "invalid key file: expected what `aws cloudtrail list-public-keys` prints";
        let document: Document =
            serde_json::from_slice(text).map_err(|err| Error::config(expected).because(err))?;
        let mut ring = Self::default();
        for entry in document.keys {
            let key = PublicKey::of_entry(entry, None)
                .map_err(|err| Error::config(expected).because(err))?;
            ring.add(key);
        }
        if ring.is_empty() {
            return Err(Error::config("the key file holds no keys"));
        }
        Ok(ring)
    }

    /// Adds a key.
    pub fn add(&mut self, key: PublicKey) {
        self.keys.entry(key.fingerprint.clone()).or_default().insert(key);
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns whether a digest's key is here.
    pub fn has(&self, fingerprint: &str) -> bool {
        self.keys.contains_key(fingerprint)
    }

    /// Returns the keys with a fingerprint: one, unless a file holds others under the same name.
    pub fn named(&self, fingerprint: &str) -> impl Iterator<Item = &PublicKey> {
        self.keys.get(fingerprint).into_iter().flatten()
    }

    /// Returns all keys, by fingerprint.
    pub fn all(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values().flatten()
    }

    /// Writes the keys as a file, which [`KeyRing::parse`] and people with aws-cli can read.
    ///
    /// # Errors
    /// `Io` when they cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let document = Document { keys: self.all().map(PublicKey::entry).collect() };
        let text = serde_json::to_vec_pretty(&document);
        text.map_err(|err| Error::io("cannot render the keys", err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As aws-cli prints keys; the bytes are `abc`, whose MD5 RFC 1321 has.
    const PRINTED: &str = r#"{"PublicKeyList": [{"ValidityStartTime": 1453076702.0,
        "ValidityEndTime": 1455668702.0, "Fingerprint": "900150983cd24fb0d6963f7d28e17f72",
        "Value": "YWJj"}]}"#;

    #[test]
    fn a_file_shows_by_itself_that_its_keys_are_whole_and_is_written_as_it_was() {
        let ring = KeyRing::parse(PRINTED.as_bytes()).unwrap();

        let key = ring.named("900150983cd24fb0d6963f7d28e17f72").next().unwrap();
        assert!(key.is_whole(), "the MD5 of abc");
        assert_eq!(key.validity[0].as_deref(), Some("1453076702.0"));
        let again = KeyRing::parse(&ring.to_json().unwrap()).unwrap();
        assert!(again.all().eq(ring.all()));
        let other = PRINTED.replace("YWJj", "YWJk");
        assert!(!KeyRing::parse(other.as_bytes()).unwrap().all().next().unwrap().is_whole());
    }

    #[test]
    fn what_holds_no_keys_is_refused() {
        for text in ["", "{}", r#"{"PublicKeyList":[]}"#, &PRINTED.replace("YWJj", "%")] {
            assert!(KeyRing::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
