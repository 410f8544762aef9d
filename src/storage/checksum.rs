//! What S3 says the bytes of an object come to, and whether they do.
//!
//! A CRC costs nothing beside the rest (some 5 GB/s): it is asked for and compared wherever S3 has it, as
//! it has by itself since the end of 2024. MD5 costs as much as a conversion (some 0.3 GB/s): an entity
//! tag that is one is compared only for text that is not compressed, for gzip has a CRC of its own.

use async_trait::async_trait;
use crc_fast::CrcAlgorithm;
use md5::{Digest, Md5};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use std::sync::{Arc, OnceLock};

/// Asks for checksums, see [`Checksums::of`].
pub(super) const MODE: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

/// The headers that say what an object's bytes come to, with the algorithms, best first.
const CRCS: [(&str, CrcAlgorithm, usize); 3] = [
    ("x-amz-checksum-crc64nvme", CrcAlgorithm::Crc64Nvme, 8),
    ("x-amz-checksum-crc32c", CrcAlgorithm::Crc32Iscsi, 4),
    ("x-amz-checksum-crc32", CrcAlgorithm::Crc32IsoHdlc, 4),
];

/// What the answer to a request for a whole object says of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Checksums {
    crc: Option<(CrcAlgorithm, u64)>,
    md5: Option<[u8; 16]>,
}

impl Checksums {
    /// Takes them from the headers of an answer.
    pub(super) fn of<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Self {
        // That of an object that was put in parts may be one of its parts' checksums.
        let is_of_parts = header("x-amz-checksum-type") == Some("COMPOSITE");
        let crc = CRCS.into_iter().find_map(|(name, algorithm, bytes)| {
            // `-N` at its end says so, too, and is not base64.
            let value = header(name).filter(|_| !is_of_parts)?;
            let value = aws_smithy_types::base64::decode(value).ok()?;
            let number = value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            (value.len() == bytes).then_some((algorithm, number))
        });
        Self { crc, md5: md5_of(header) }
    }

    /// Returns whether comparing takes so long that others should not wait for it.
    pub(super) fn is_slow(&self, body: &[u8]) -> bool {
        self.asks_md5(body) && body.len() > 64 << 10
    }

    fn asks_md5(&self, body: &[u8]) -> bool {
        self.crc.is_none() && self.md5.is_some() && !body.starts_with(&[0x1f, 0x8b])
    }

    /// Returns whether a body is not what they are of.
    pub(super) fn refute(&self, body: &[u8]) -> bool {
        match (self.crc, self.md5) {
            (Some((algorithm, crc)), _) => crc_fast::checksum(algorithm, body) != crc,
            (None, Some(md5)) if self.asks_md5(body) => Md5::digest(body)[..] != md5,
            _ => false,
        }
    }
}

/// The MD5 of an object, if its entity tag is one: it is of an object that was put in one piece, unless
/// it is encrypted with a key of KMS or of a customer.
fn md5_of<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<[u8; 16]> {
    let encryption = header("x-amz-server-side-encryption");
    let is_plain = encryption.is_none_or(|name| name == "AES256")
        && header("x-amz-server-side-encryption-customer-algorithm").is_none();
    let digits = header("etag").filter(|_| is_plain)?.trim_matches('"').as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut md5 = [0; 16];
    for (byte, pair) in md5.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(md5)
}

/// Makes clients that keep what answers say, see [`Checksums`], with the answers; all share connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeping(Arc<OnceLock<HttpClient>>);

impl HttpConnector for Keeping {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Some(client) = self.0.get() {
            return Ok(client.clone());
        }
        let client = ReqwestConnector::default().connect(options)?;
        Ok(self.0.get_or_init(|| HttpClient::new(Service(client))).clone())
    }
}

#[derive(Debug)]
struct Service(HttpClient);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut answer = self.0.execute(request).await?;
        let headers = answer.headers();
        let said = Checksums::of(|name| headers.get(name)?.to_str().ok());
        answer.extensions_mut().insert(said);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: (&str, &str) = ("etag", "\"25f9e794323b453885f5181f1b624d0b\"");
    const BODY: &[u8] = b"123456789";

    fn of(headers: &[(&str, &'static str)]) -> Checksums {
        let headers = headers.to_vec();
        Checksums::of(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value))
    }

    #[test]
    fn each_checksum_refutes_other_bytes_and_no_right_ones() {
        for header in [
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
            ("x-amz-checksum-crc32c", "4waSgw=="),
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ETAG,
        ] {
            let said = of(&[header]);
            assert!(!said.refute(BODY) && said.refute(b"123456780"), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_checksum_of_the_whole_object_refutes_nothing() {
        for headers in [
            &[("etag", "\"25f9e794323b453885f5181f1b624d0b-2\"")][..],
            &[ETAG, ("x-amz-server-side-encryption", "aws:kms")],
            &[ETAG, ("x-amz-server-side-encryption", "aws:kms:dsse")],
            &[ETAG, ("x-amz-server-side-encryption-customer-algorithm", "AES256")],
            &[("x-amz-checksum-crc32", "y/Q5Jg==-2")],
            &[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-type", "COMPOSITE")],
            &[("x-amz-checksum-crc64nvme", "y/Q5Jg==")],
            &[("etag", "\"zzf9e794323b453885f5181f1b624d0b\"")],
        ] {
            assert!(!of(headers).refute(b"other"), "{headers:?}");
        }
        assert!(of(&[ETAG, ("x-amz-server-side-encryption", "AES256")]).refute(b"other"));
    }

    #[test]
    fn gzip_is_left_to_its_own_checksum_unless_there_is_a_crc() {
        let gzip = b"\x1f\x8b other";
        assert!(!of(&[ETAG]).refute(gzip));
        assert!(of(&[ETAG, ("x-amz-checksum-crc32", "y/Q5Jg==")]).refute(gzip));
    }
}
