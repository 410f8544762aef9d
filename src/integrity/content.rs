//! The content of an object: what its gzip member decodes to, which is what CloudTrail hashes.
//!
//! CloudTrail writes one gzip member. Anything behind it, a second member or padding, is not what was
//! signed, even when it decodes to nothing. A copy that was unpacked is hashed as it is.

use crate::integrity::digest::Hash;
use aws_lc_rs::digest::{Context, SHA256};
use flate2::bufread::GzDecoder;
use std::io::Read;

/// Why an object has no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Its gzip member is damaged or truncated.
    Damaged,
    /// Bytes follow its gzip member.
    Trailing,
    /// It decodes to more than a digest or a log may.
    TooLarge,
    /// It cannot be read, with the reason.
    Unreadable(String),
}

/// Returns the SHA-256 of an object's content; each piece of the content is given to `take`.
pub(super) fn hash_content(
    bytes: &[u8],
    buffer: &mut [u8],
    limit: u64,
    mut take: impl FnMut(&[u8]),
) -> Result<Hash, Problem> {
    let mut context = Context::new(&SHA256);
    let mut hash = |piece: &[u8]| {
        context.update(piece);
        take(piece);
    };
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut decoder = GzDecoder::new(bytes);
        let mut size = 0;
        loop {
            match decoder.read(buffer) {
                Ok(0) => break,
                Ok(count) => {
                    size += count as u64;
                    if size > limit {
                        return Err(Problem::TooLarge);
                    }
                    hash(buffer.get(..count).unwrap_or_default());
                }
                Err(_) => return Err(Problem::Damaged),
            }
        }
        if !decoder.into_inner().is_empty() {
            return Err(Problem::Trailing);
        }
    } else {
        hash(bytes);
    }
    Ok(to_hash(context))
}

fn to_hash(context: Context) -> Hash {
    let mut hash = Hash::default();
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn hash(bytes: &[u8]) -> Result<String, Problem> {
        let mut content = Vec::new();
        let hash =
            hash_content(bytes, &mut [0; 7], 1000, |piece| content.extend_from_slice(piece))?;
        Ok(format!("{} {}", content.len(), hex::encode(hash)))
    }

    #[test]
    fn packed_or_not_the_content_is_hashed() {
        // FIPS 180-2, example A.1.
        let want = "3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc").unwrap(), want);
        assert_eq!(hash(&gzip(b"abc")).unwrap(), want);
    }

    #[test]
    fn whatever_follows_the_member_is_told() {
        let member = gzip(b"abc");
        for trailing in [&gzip(b"")[..], &gzip(b"x"), b"\0", b"\n", &member[member.len() - 8..]] {
            assert_eq!(hash(&[&member, trailing].concat()), Err(Problem::Trailing));
        }
        assert_eq!(hash(&member[..member.len() - 1]), Err(Problem::Damaged));
        assert_eq!(hash(&gzip(&[b' '; 2000])), Err(Problem::TooLarge));
    }
}
