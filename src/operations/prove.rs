//! The digest step of a conversion: what digests say of the sources, before logs are read; and afterwards,
//! what they say by now of objects that no digest listed when they were converted.

use crate::engine::{ConvertOptions, Integrity, IntegrityTotals};
use crate::error::{Error, Result};
use crate::integrity::{
    IntegrityMode, KeySource, LastListed, ProofOptions, ReadDigests, read_proofs,
};
use crate::keys::parse as parse_layout;
use crate::lake::{CompleteListing, PlanIntegrity, Unavailable, Upgrades};
use crate::notice::tell;
use crate::operations::look_back::{last_listed, sources};
use crate::source::{NamedDays, Source};
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
    if options.integrity.mode == IntegrityMode::Off && !options.from_digests {
        return Ok(options.clone());
    }
    let listed = CompleteListing::read_all(storage).await?;
    let before = Unavailable::read(storage).await?;
    ask_digests(options, &listed, &before).await
}

/// As [`with_proofs`], for a lake that was listed like that, and could not read this.
///
/// # Errors
/// As [`with_proofs`].
pub(super) async fn ask_digests(
    options: &ConvertOptions,
    listed: &[CompleteListing],
    before: &Unavailable,
) -> Result<ConvertOptions> {
    let mut options = options.clone();
    let Integrity { mode, keys, signatures, patience, .. } = options.integrity.clone();
    if mode == IntegrityMode::Off && !options.from_digests {
        return Ok(options);
    }
    let key_source = match keys {
        Some(_) => None,
        None if mode == IntegrityMode::Off => None,
        None => Some(KeySource::new(Arc::clone(options.s3.aws().await), patience)),
    };
    let (of_options, of_listed) = (options.clone(), listed.to_vec());
    let last = move |address: &str| last_listed(&of_options, &of_listed, address);
    let last: Option<&LastListed> = if options.from_digests { Some(&last) } else { None };
    let reading = ProofOptions {
        sources: digest_sources(&options, listed, before),
        s3: Arc::clone(&options.s3),
        mode,
        keys: keys.unwrap_or_default(),
        key_source,
        signatures,
        threads: options.threads,
        largest_log: options.output.caps.max_object_bytes,
        passwords: options.passwords.clone(),
        now: jiff::Timestamp::now().as_millisecond(),
    };
    let ReadDigests { proofs, named } = read_proofs(reading, last).await?;
    options.named_days = named.and_then(|named| usable(named, before)).map(Arc::new);
    if mode == IntegrityMode::Off {
        return Ok(options);
    }
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

/// Returns where digests are read. Those of a time that was listed name nothing new; what is proven is another
/// matter.
fn digest_sources(
    options: &ConvertOptions,
    listed: &[CompleteListing],
    before: &Unavailable,
) -> Vec<Source> {
    let mut all = sources(options, listed, before);
    if !options.from_digests {
        return all;
    }
    // What was delivered late is named later.
    all.iter_mut().for_each(|source| source.window.narrow.to = None);
    if options.integrity.mode == IntegrityMode::Off {
        all.retain(|source| source.location.is_s3());
        for source in &mut all {
            let day = last_listed(options, listed, &source.location.to_string());
            source.window.since = day.map(|day| day.plus(-2)).max(source.window.since);
        }
    }
    all
}

/// Returns the days that digests name, with those of objects that could not be read before; none if it is not
/// known which days those are.
fn usable(mut named: NamedDays, before: &Unavailable) -> Option<NamedDays> {
    if named.digests == 0 {
        tell("warning: `--from-digests`: no digests found in the sources: everything is listed");
    }
    if before.has_folders || before.unnamed > 0 {
        tell(
            "`--from-digests`: everything is listed, since earlier runs could not read all folders",
        );
        return None;
    }
    for object in &before.objects {
        let layout = parse_layout(&object.object);
        let folder = format!("/CloudTrail/{}/", layout.region);
        if let (Some(at), Some(day)) = (object.object.rfind(&folder), layout.day()) {
            named.add_day(object.object.get(..at + folder.len()).unwrap_or_default(), day);
        }
    }
    Some(named)
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

/// Returns what a plan keeps of what digests say, and proves what was converted before its digest came.
///
/// # Errors
/// As [`upgrade`].
pub(super) async fn prove_for_plan(
    options: &ConvertOptions,
    storage: &Storage,
) -> Result<Option<PlanIntegrity>> {
    let mut totals = None;
    upgrade(options, storage, &mut totals).await?;
    Ok(totals.map(|totals| PlanIntegrity {
        mode: options.integrity.mode,
        digests: totals.digests,
        digests_verified: totals.digests_verified,
        objects_upgraded: totals.objects_upgraded,
    }))
}
