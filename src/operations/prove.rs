//! The digest step of a conversion: what digests say of the sources, before logs are read; and afterwards,
//! what they say by now of objects that no digest listed when they were converted.

use crate::engine::{ConvertOptions, Integrity, IntegrityTotals};
use crate::error::{Error, Result};
use crate::integrity::{IntegrityMode, KeySource, ProofOptions, read_proofs};
use crate::lake::{CompleteListing, Unavailable, Upgrades};
use crate::operations::look_back::sources;
use crate::storage::Storage;
use std::sync::Arc;

/// Returns the options with what the digests of the sources say, if they are asked.
///
/// # Errors
/// As for reading digests; `Config` when only proven objects are wanted and no digest is verified.
pub(super) async fn with_proofs(
    options: &ConvertOptions,
    storage: &Storage,
) -> Result<ConvertOptions> {
    let mut options = options.clone();
    let Integrity { mode, keys, signatures, patience, .. } = options.integrity.clone();
    if mode == IntegrityMode::Off {
        return Ok(options);
    }
    let listed = CompleteListing::read_all(storage).await?;
    let before = Unavailable::read(storage).await?;
    let key_source = match keys {
        Some(_) => None,
        None => Some(KeySource::new(Arc::clone(options.s3.aws().await), patience)),
    };
    let proofs = read_proofs(ProofOptions {
        sources: sources(&options, &listed, &before),
        s3: Arc::clone(&options.s3),
        mode,
        keys: keys.unwrap_or_default(),
        key_source,
        signatures,
        threads: options.threads,
        now: jiff::Timestamp::now().as_millisecond(),
    })
    .await?;
    if mode == IntegrityMode::Require {
        if proofs.digests().0 == 0 {
            let message = "no verified digests found in the sources: with `--integrity require` \
                           nothing would be converted; see `trailmill integrity`";
            return Err(Error::config(message));
        }
        options.output.proofs = Some(proofs.identity());
    }
    options.integrity.proofs = Some(Arc::new(proofs));
    Ok(options)
}

/// Adds to a report what digests say, and proves what was converted before its digest came.
///
/// # Errors
/// As for reading manifests and writing documents.
pub(super) async fn upgrade(
    options: &ConvertOptions,
    storage: &Storage,
    totals: &mut Option<IntegrityTotals>,
) -> Result<()> {
    let Some(proofs) = &options.integrity.proofs else { return Ok(()) };
    let totals = totals.get_or_insert_default();
    (totals.digests_verified, totals.digests) = proofs.digests();
    totals.objects_upgraded = Upgrades::add(storage, proofs).await?;
    Ok(())
}
