//! Error responses of services, and their meaning.

use crate::aws::{Answer, kind_of};
use crate::error::{Error, ErrorKind};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error as StdError;

/// A call that did not succeed.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    /// Error code of the response; empty if the response has no body, or if there is no response.
    pub(super) code: String,
    /// Message of the response, or of the failed connection.
    pub(super) message: String,
    status: Option<u16>,
}

impl<E> From<SdkError<E, HttpResponse>> for Refusal
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(err: SdkError<E, HttpResponse>) -> Self {
        let status = err.raw_response().map(|answer| answer.status().as_u16());
        let service = err.as_service_error();
        let code = service.and_then(ProvideErrorMetadata::code).unwrap_or("").to_owned();
        let said = service.and_then(ProvideErrorMetadata::message).map(str::to_owned);
        let message = match (said, status) {
            (Some(said), _) => said,
            (None, Some(status)) => format!("HTTP status {status}"),
            (None, None) => innermost(&DisplayErrorContext(err).to_string()),
        };
        Self { code, message, status }
    }
}

impl From<&Error> for Refusal {
    fn from(err: &Error) -> Self {
        let answer = err.find::<Answer>();
        let said = answer.and_then(|answer| answer.message.clone());
        Self {
            code: answer.and_then(|answer| answer.code.clone()).unwrap_or_default(),
            message: said.unwrap_or_else(|| match err.kind() {
                ErrorKind::Unavailable => innermost(&format!("{err:?}")),
                _ => err.message().to_owned(),
            }),
            status: match err.kind() {
                ErrorKind::Unavailable => None,
                ErrorKind::Denied => Some(403),
                _ => Some(400),
            },
        }
    }
}

/// The start of a chain of causes, short enough for a line.
fn innermost(text: &str) -> String {
    let last = text.lines().last().unwrap_or(text).trim();
    last.trim_start_matches("because ").chars().take(200).collect()
}

impl Refusal {
    /// Creates the refusal of one item in a response that otherwise succeeded.
    pub(super) fn of_item(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned(), status: Some(400) }
    }

    /// Returns code and message, on one line.
    pub(super) fn said(&self) -> String {
        let message = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        match self.code.is_empty() {
            true => message,
            false => format!("{}: {message}", self.code),
        }
    }

    /// Returns whether the service cannot be reached or fails.
    pub(super) fn is_unreachable(&self) -> bool {
        let is_expired = self.code.contains("Expired");
        let kind = kind_of((!self.code.is_empty()).then_some(&self.code), self.status.is_some());
        (kind == ErrorKind::Unavailable && !is_expired)
            || self.status.is_some_and(|status| matches!(status, 500 | 502..=504))
    }

    /// Returns whether a permission is missing.
    pub(super) fn is_denied(&self) -> bool {
        self.code.starts_with("AccessDenied")
            || self.code == "AllAccessDisabled"
            || (self.code.is_empty() && matches!(self.status, Some(401 | 403)))
            || self.status == Some(403) && matches!(self.code.as_str(), "Forbidden" | "403")
    }

    /// Returns whether the resource does not exist; services tell this only with permission.
    pub(super) fn is_absent(&self) -> bool {
        self.code == "EntityNotFoundException"
    }

    /// Returns a fix for an error that no permission changes.
    pub(super) fn advice(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
                "unknown access key: check the profile and AWS_ACCESS_KEY_ID"
            }
            "SignatureDoesNotMatch" | "InvalidSignatureException" => {
                "the secret key does not match the access key, or the clock is wrong"
            }
            "RequestTimeTooSkewed" => {
                "set the clock: AWS accepts only requests of the last 15 minutes"
            }
            "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "TokenRefreshRequired" => {
                "the credentials have expired: sign in again, `aws sso login`"
            }
            "InvalidObjectState" => "the object is archived: restore it, or leave it out",
            "KMS.DisabledException" => "the key is disabled: enable it",
            "KMS.NotFoundException" => "key not found in the bucket's region",
            "KMS.KMSInvalidStateException" => {
                "the key is scheduled for deletion: cancel the \
                                               deletion"
            }
            _ => return None,
        })
    }

    /// Returns whether a policy denies the call, so that another Allow would not help.
    pub(super) fn is_explicit_deny(&self) -> bool {
        self.message.contains("explicit deny")
    }

    /// Returns the missing KMS permission, if it is one.
    pub(super) fn key_action(&self) -> Option<&'static str> {
        ["kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:DescribeKey"]
            .into_iter()
            .find(|action| self.is_denied() && self.message.contains(action))
    }

    /// Returns the ARN of the key that the message names.
    pub(super) fn key(&self) -> Option<String> {
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ')' | ';');
        self.message
            .split(is_end)
            .map(|word| word.trim_end_matches('.'))
            .find(|word| word.starts_with("arn:") && word.contains(":kms:"))
            .map(str::to_owned)
    }

    /// Returns the missing Lake Formation grant in its own words: `Required Alter on cloudtrail`.
    pub(super) fn lake_formation(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("Lake Formation permission(s)")?;
        Some(rest.trim_start_matches([':', ' ']).trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(message: &str) -> Refusal {
        Refusal { code: "AccessDenied".to_owned(), message: message.to_owned(), status: Some(403) }
    }

    #[test]
    fn a_key_that_refuses_is_told_apart_from_the_bucket() {
        let key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b";
        let refusal = denied(&format!(
            "User: arn:aws:sts::111122223333:assumed-role/etl/x is not authorized to perform: \
             kms:Decrypt on resource: {key} because no identity-based policy allows the kms:Decrypt action"
        ));

        assert_eq!(refusal.key_action(), Some("kms:Decrypt"));
        assert_eq!(refusal.key().as_deref(), Some(key));
        assert!(!refusal.is_explicit_deny());
        assert_eq!(denied("Access Denied").key_action(), None);
        assert!(denied("… with an explicit deny in a service control policy").is_explicit_deny());
    }

    #[test]
    fn what_s3_answered_is_found_among_the_causes() {
        let cause = Answer {
            status: 403,
            code: Some("AccessDenied".to_owned()),
            message: Some(
                "is not authorized to perform: kms:GenerateDataKey on resource: \
                 \"arn:aws:kms:x:1:key/2\""
                    .to_owned(),
            ),
        };
        let err = Error::new(ErrorKind::Denied, "not allowed to s3:PutObject").because(cause);

        let refusal = Refusal::from(&err);

        assert!(refusal.is_denied() && !refusal.is_unreachable());
        assert_eq!(refusal.key_action(), Some("kms:GenerateDataKey"));
        assert_eq!(refusal.key().as_deref(), Some("arn:aws:kms:x:1:key/2"));
        let down = Refusal::from(&Error::new(ErrorKind::Unavailable, "S3 does not answer"));
        assert!(down.is_unreachable() && !down.is_denied());
    }

    #[test]
    fn keys_that_are_not_known_are_no_missing_permission() {
        for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"] {
            let refusal = Refusal { code: code.to_owned(), ..denied("x") };
            assert!(
                refusal.advice().is_some() && !refusal.is_denied() && !refusal.is_unreachable()
            );
        }
        let refusal = denied("Insufficient Lake Formation permission(s): Required Alter on t");
        assert_eq!(refusal.lake_formation(), Some("Required Alter on t"));
    }
}
