//! Reports the AWS identity first, and refuses an unexpected one before anything is read or
//! written.

use crate::aws::Caller;
use crate::cli::args::AwsArgs;
use crate::cli::console::{event, is_json, say};
use crate::engine::{CatalogKind, ConvertOptions, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::integrity::IntegrityMode;
use crate::location::Location;
use crate::storage::S3;
use serde_json::json;
use std::sync::OnceLock;
use tokio::runtime::Runtime;

/// Whether a run uses AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It reads or writes a bucket, or Glue.
    Aws,
    /// It stays on this machine.
    Machine,
}

impl Reach {
    /// Returns the reach of a run with these places.
    pub(super) fn of<'l>(places: impl IntoIterator<Item = &'l Location>, in_glue: bool) -> Self {
        let is_aws = in_glue || places.into_iter().any(Location::is_s3);
        if is_aws { Self::Aws } else { Self::Machine }
    }

    /// Returns the reach of a conversion with these options.
    pub(super) fn of_conversion(options: &ConvertOptions) -> Self {
        let places = options.sources.iter().chain([&options.lake]);
        let asks_for_keys =
            options.integrity.mode != IntegrityMode::Off && options.integrity.keys.is_none();
        Self::of(places, asks_for_keys || options.catalog.kind == Some(CatalogKind::Glue))
    }
}

/// Reports the identity, and warns about unencrypted endpoints. A run that stays on this machine
/// reports nothing, unless an account is expected.
///
/// # Errors `Config` for a profile that does not exist, for a run without credentials, and for
/// another account than the expected one; if one is expected, also when the account is unknown.
pub(super) fn say_identity(args: &AwsArgs, s3: &S3, reach: Reach, quiet: bool) -> Result<()> {
    let is_asked = reach == Reach::Aws || args.expect_account.is_some();
    if !is_asked && args.profile.is_none() {
        return Ok(());
    }
    kept_runtime()?.block_on(async {
        let aws = s3.aws().await;
        aws.check_profile()?;
        if !is_asked {
            return Ok(());
        }
        for endpoint in aws.plain_endpoints() {
            say(false, &format!("warning: {}", plain(&endpoint)));
        }
        if args.expect_account.is_none() && !aws.is_known_to_sts() {
            say(quiet, "identity: not checked, because the endpoint is not AWS");
            return Ok(());
        }
        let found = aws.caller().await;
        if let Ok(caller) = &found {
            say_caller(quiet, caller);
        }
        match (&args.expect_account, found) {
            (None, Ok(_)) => Ok(()),
            (None, Err(err)) if err.kind() == ErrorKind::Config => Err(err),
            (None, Err(err)) => {
                say(quiet, &format!("identity: unknown, continuing without it: {err}"));
                Ok(())
            }
            (Some(expected), Ok(caller)) => refuse_other(expected, &caller),
            (Some(expected), Err(err)) => Err(unknown(expected, err)),
        }
    })
}

/// The warning about an unencrypted endpoint.
fn plain(endpoint: &str) -> String {
    format!(
        "the connection to {endpoint} is not encrypted: anyone on the network path can read and \
         change the logs; give an https:// address"
    )
}

fn say_caller(quiet: bool, caller: &Caller) {
    let Caller { account, arn } = caller;
    if quiet {
        return;
    }
    if is_json() {
        event(&json!({ "event": "identity", "account": account, "arn": arn }));
    } else {
        say(quiet, &format!("acting as {arn}, account {account}"));
    }
}

fn refuse_other(expected: &str, caller: &Caller) -> Result<()> {
    if caller.account == expected {
        return Ok(());
    }
    let message = format!(
        "the credentials belong to account {}, but `--expect-account` is {expected}; nothing was \
         read or written",
        caller.account
    );
    Err(Error::config(message).at("identity", &caller.arn))
}

/// The error for an unknown account, which counts as unexpected.
fn unknown(expected: &str, err: Error) -> Error {
    let kind = match err.kind() {
        ErrorKind::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Config,
    };
    let message = format!(
        "`--expect-account` is {expected}, but STS does not tell the account of the credentials; \
         nothing was read or written"
    );
    Error::new(kind, message).because(err)
}

/// The runtime of the request. It is kept: its connections are reused.
fn kept_runtime() -> Result<&'static Runtime> {
    static KEPT: OnceLock<Runtime> = OnceLock::new();
    match KEPT.get() {
        Some(kept) => Ok(kept),
        None => {
            let made = runtime()?;
            Ok(KEPT.get_or_init(|| made))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_account_and_an_unknown_one_are_wrong_settings() {
        let caller = Caller { account: "111122223333".into(), arn: "arn:aws:iam::1:user/a".into() };

        assert!(refuse_other("111122223333", &caller).is_ok());
        let err = refuse_other("444455556666", &caller).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Config);
        for part in ["111122223333", "444455556666", "user/a"] {
            assert!(err.to_string().contains(part), "{err}");
        }
        let denied = unknown("444455556666", Error::new(ErrorKind::Denied, "no"));
        assert_eq!(denied.kind(), ErrorKind::Config);
        let down = unknown("444455556666", Error::new(ErrorKind::Unavailable, "no answer"));
        assert_eq!(down.kind(), ErrorKind::Unavailable);
    }
}
