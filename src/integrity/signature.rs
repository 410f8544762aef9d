//! What is signed, and whether a signature is good: RSA PKCS#1 v1.5 with SHA-256.

use crate::integrity::digest::{Digest, Hash};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

/// Returns the text that CloudTrail signs: end, place, hash and the signature before, a line each.
pub(super) fn text_to_sign(digest: &Digest, hash: &Hash) -> String {
    let previous = digest.previous.as_ref().map_or("null", |previous| &previous.signature);
    let Digest { end_text, bucket, key, .. } = digest;
    format!("{end_text}\n{bucket}/{key}\n{}\n{previous}", hex::encode(hash))
}

/// Returns whether a signature, in hexadecimal, is that of a digest with this key. The key is an
/// RSAPublicKey (PKCS#1) or a SubjectPublicKeyInfo; CloudTrail hands out both.
pub(super) fn is_signed(digest: &Digest, hash: &Hash, signature: &str, key: &[u8]) -> bool {
    let Ok(signature) = hex::decode(signature) else { return false };
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    key.verify(text_to_sign(digest, hash).as_bytes(), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest as sha};

    #[test]
    fn the_text_is_that_of_aws_cli_s_own_test() {
        let digest = Digest {
            start: 0,
            end: 0,
            end_text: "a".to_owned(),
            bucket: "b".to_owned(),
            key: "c".to_owned(),
            fingerprint: String::new(),
            previous: None,
            logs: Vec::new(),
        };
        let hash: Hash = sha(&SHA256, b"abc").as_ref().try_into().unwrap();

        let text = text_to_sign(&digest, &hash);

        let want = "a\nb/c\nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nnull";
        assert_eq!(text, want);
    }
}
