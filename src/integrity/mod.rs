//! Log file integrity: proves with CloudTrail's signed digests that logs are those that were delivered.
//!
//! A digest lists the logs of an hour with their hashes, and the digest before with its hash and
//! signature: a chain, from which nothing can be taken and to which nothing can be added unseen. Chains are
//! found by what lies in the sources, in any layout and any number; a copy of an archive proves as much as
//! the bucket it was taken from. Whatever is not proven is said, and so is where proof ends.
//!
//! `scan` reads, `chain` walks, `join` compares logs with what digests list, `validate` adds it up.

mod archive;
mod certificate;
mod certificate_page;
mod chain;
mod content;
mod digest;
mod digest_name;
mod inventory;
mod join;
mod key_ring;
mod key_source;
mod lake_certificate;
mod naming;
mod outcome;
mod proofs;
mod read_proofs;
mod reading;
mod scan;
mod signature;
mod signatures;
mod validate;
mod verdict;

pub use certificate::{certificate_json, certificate_text};
pub use certificate_page::certificate_html;
pub use digest_name::ChainId;
pub use key_ring::{KeyRing, PublicKey};
pub use key_source::KeySource;
pub use lake_certificate::{LakeCertificate, ProvenPartition};
pub use outcome::{ChainReport, IntegrityReport, KeysReport, MOST_FINDINGS, Outcome};
pub use proofs::{IntegrityMode, ObjectProof, Proofs};
pub use read_proofs::{LastListed, ProofOptions, ReadDigests, read_proofs};
pub use signatures::{Signature, Signatures};
pub use validate::{IntegrityOptions, Validation, validate};
pub use verdict::{Finding, Subject, Verdict, show_time};
