//! A service's refusal, as a value.

use super::kind_of;
use crate::error::{Cause, ErrorKind};
use serde::Deserialize;
use std::error::Error as StdError;
use std::fmt;

/// A refusal as the service sent it; the cause of an [`Error`](crate::error::Error), see
/// [`Error::find`](crate::error::Error::find).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The service's code, `AccessDenied`; nothing when the answer has no body that says one.
    pub code: Option<String>,
    /// The service's words.
    pub message: Option<String>,
}

impl Answer {
    /// Reads the document that S3 sends with a status that is not a success. A body of another form,
    /// a proxy's, says nothing.
    pub fn of_xml(status: u16, body: &str) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document {
            code: Option<String>,
            message: Option<String>,
        }
        match quick_xml::de::from_str(body) {
            Ok(Document { code, message }) => Self { status, code, message },
            Err(_) => Self { status, ..Self::default() },
        }
    }

    /// Returns how a caller reacts.
    pub fn kind(&self) -> ErrorKind {
        let kind = match &self.code {
            Some(code) => kind_of(Some(code), true),
            None if matches!(self.status, 401 | 403) => ErrorKind::Denied,
            None => ErrorKind::Io,
        };
        if kind == ErrorKind::Io && is_passing(self.status) { ErrorKind::Unavailable } else { kind }
    }

    /// Returns the cause, if a caller may react to it.
    pub fn cause(&self) -> Option<Cause> {
        self.code.as_deref().filter(|code| is_expired(code)).map(|_| Cause::ExpiredCredentials)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

impl StdError for Answer {}

/// Returns whether the same request may be answered otherwise later, by its status alone.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=599)
}

/// Returns whether a code says that the credentials were good once.
pub(super) fn is_expired(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_s3_is_read_and_what_is_none_leaves_the_status() {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>\
                    <Message>not on &quot;x&quot; &lt;y&gt;</Message><RequestId>1</RequestId></Error>";
        let answer = Answer::of_xml(403, body);
        assert_eq!(answer.code.as_deref(), Some("AccessDenied"));
        assert_eq!(answer.message.as_deref(), Some("not on \"x\" <y>"));
        assert_eq!(answer.to_string(), "HTTP status 403, AccessDenied: not on \"x\" <y>");
        for body in ["", "<html><body>Bad gateway<br></body></html>", "{}"] {
            let answer = Answer::of_xml(502, body);
            assert_eq!((answer.code.as_ref(), answer.kind()), (None, ErrorKind::Unavailable));
        }
    }

    #[test]
    fn codes_and_statuses_lead_to_kinds_and_causes() {
        for (status, code, kind, cause) in [
            (400, Some("ExpiredToken"), ErrorKind::Unavailable, Some(Cause::ExpiredCredentials)),
            (403, Some("RequestExpired"), ErrorKind::Unavailable, Some(Cause::ExpiredCredentials)),
            (503, Some("SlowDown"), ErrorKind::Unavailable, None),
            (500, Some("SomethingNew"), ErrorKind::Unavailable, None),
            (400, Some("InvalidArgument"), ErrorKind::Io, None),
            (403, Some("SignatureDoesNotMatch"), ErrorKind::Denied, None),
            (403, None, ErrorKind::Denied, None),
            (429, None, ErrorKind::Unavailable, None),
            (400, None, ErrorKind::Io, None),
        ] {
            let answer = Answer { status, code: code.map(str::to_owned), message: None };
            assert_eq!((answer.kind(), answer.cause()), (kind, cause), "{answer}");
        }
    }
}
