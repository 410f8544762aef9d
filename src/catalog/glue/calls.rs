//! One call to Glue: counted, repeated while that can help, and its failure told apart.
//!
//! The SDK's own retries are off, so that every request is seen here. A *throttled* call was not done
//! and is repeated after a pause (see [`aws::Patience`]). A call that was *not answered* (dropped connection,
//! timeout, 5xx) may have been done: reading is repeated, writing is given back as
//! [`Failed::Unknown`], and whoever wrote reads what happened before it decides. Waiting is bounded
//! by [`Patience`]; after that the error is `Unavailable`, and the same command may succeed later.
//! *Nonsense*, an answer that came whole and is not Glue's, is taken a few times and then is an error.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::debug;

use aws_sdk_glue::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_glue::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_glue::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws;
use crate::catalog::Usage;
use crate::error::{Error, ErrorKind, Result};

/// A call and what it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct What<'a> {
    /// The permission that it needs: `glue:GetTable`.
    pub(super) action: &'static str,
    /// Whether it may change something.
    pub(super) is_write: bool,
    /// The database or table.
    pub(super) resource: &'a str,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Glue refused, and nothing was changed.
    Refused {
        /// Its code, such as `AlreadyExistsException`.
        code: String,
        /// The same for people.
        error: Error,
    },
    /// It is unknown whether the call had its effect.
    Unknown(Error),
}

impl Failed {
    /// Returns whether Glue refused with this code.
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// Returns whether the request had too many bytes.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.contains("TooLarge"))
    }

    /// Returns whether the caller must read the current state: after a write without a response, or
    /// one refused because of a concurrent write.
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self, Self::Unknown(_)) || self.is("ConcurrentModificationException")
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused { error, .. } | Failed::Unknown(error) => error,
        }
    }
}

/// Answers that are not Glue's, after which what was to be done is given up: whatever answers, a proxy or
/// another service, will say the same for as long as anybody asks.
const MOST_NONSENSE: u32 = 3;

/// How long a call may be repeated.
#[derive(Debug)]
pub(super) struct Patience {
    patience: aws::Patience,
    nonsense: u32,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { patience: aws::Patience::new(limit), nonsense: 0 }
    }

    /// Counts an answer that is not Glue's; returns whether it was one too many.
    pub(super) fn is_nonsense_enough(&mut self) -> bool {
        self.nonsense += 1;
        self.nonsense >= MOST_NONSENSE
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// `Unavailable` because of `why`, if the limit is reached.
    pub(super) async fn wait(&mut self, why: Error) -> Result<()> {
        if self.patience.wait().await {
            return Ok(());
        }
        let message = format!(
            "{}; gave up after {} attempts in {} s (`--retry-timeout`)",
            why.message(),
            self.patience.attempts(),
            self.patience.limit().as_secs(),
        );
        Err(Error::new(ErrorKind::Unavailable, message).because(why))
    }
}

/// Confirms, before a call that changes something, that the caller may still change it.
#[derive(Clone)]
pub struct Permission(Arc<dyn Fn() -> Asked + Send + Sync>);

type Asked = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl Permission {
    /// Wraps what asks.
    pub fn new<F: Future<Output = Result<()>> + Send + 'static>(
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move || Box::pin(ask())))
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permission")
    }
}

/// Makes calls and counts them.
#[derive(Debug)]
pub(super) struct Caller {
    limit: Duration,
    permission: Option<Permission>,
    calls: AtomicU64,
    writes: AtomicU64,
    throttled: AtomicU64,
    unanswered: AtomicU64,
}

/// Reaction to a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Throttled,
    /// Not done because of a passing state of the resource.
    NotYet,
    Unknown,
    /// Answered, but not by Glue. A write may have been done all the same.
    Nonsense,
    Refused,
}

impl Caller {
    /// Creates a caller that repeats a call for at most `limit`.
    pub(super) fn new(limit: Duration, permission: Option<Permission>) -> Self {
        let zero = AtomicU64::default;
        Self {
            limit,
            permission,
            calls: zero(),
            writes: zero(),
            throttled: zero(),
            unanswered: zero(),
        }
    }

    /// Returns the calls so far.
    pub(super) fn usage(&self) -> Usage {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            calls: load(&self.calls),
            writes: load(&self.writes),
            throttled: load(&self.throttled),
            unanswered: load(&self.unanswered),
        }
    }

    /// Returns the patience for one thing to be done.
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.limit)
    }

    /// Notes that Glue throttled something inside an answer.
    pub(super) fn count_throttled(&self, count: usize) {
        self.throttled.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Makes a call until it is answered, for as long as its patience lasts. A write that was not
    /// answered is not repeated.
    pub(super) async fn call<T, E, F, Fut>(
        &self,
        what: &What<'_>,
        patience: &mut Patience,
        send: F,
    ) -> Result<T, Failed>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        loop {
            if let Some(Permission(ask)) = self.permission.as_ref().filter(|_| what.is_write) {
                let refused = |error| Failed::Refused { code: String::new(), error };
                ask().await.map_err(refused)?;
            }
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.writes.fetch_add(u64::from(what.is_write), Ordering::Relaxed);
            let started = Instant::now();
            let outcome = send().await;
            let (action, resource) = (what.action, what.resource);
            let millis = started.elapsed().as_millis();
            debug!(action, resource, millis, failed = outcome.is_err(), "call");
            let err = match outcome {
                Ok(answer) => return Ok(answer),
                Err(err) => err,
            };
            let (meaning, code, error) = judge(what, &err);
            match meaning {
                Meaning::Nonsense if patience.is_nonsense_enough() => {
                    return Err(Failed::Refused { code, error });
                }
                Meaning::Nonsense => {
                    if what.is_write {
                        return Err(Failed::Unknown(error));
                    }
                }
                Meaning::Refused => return Err(Failed::Refused { code, error }),
                Meaning::Throttled => self.count_throttled(1),
                Meaning::NotYet => {}
                Meaning::Unknown => {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    if what.is_write {
                        return Err(Failed::Unknown(error));
                    }
                }
            }
            patience.wait(error).await.map_err(|error| Failed::Refused { code, error })?;
        }
    }

    /// Makes a reading call; none if the resource does not exist.
    ///
    /// # Errors
    /// Those of [`aws::failed`].
    pub(super) async fn find<T, E, F, Fut>(&self, what: &What<'_>, send: F) -> Result<Option<T>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match self.call(what, &mut self.patience(), send).await {
            Ok(answer) => Ok(Some(answer)),
            Err(failed) if failed.is("EntityNotFoundException") => Ok(None),
            Err(failed) => Err(failed.into()),
        }
    }
}

/// Refuses an answer that says that all went well and is not Glue's. Most calls that change something have an
/// answer without members, of which the SDK reads nothing: it would take any page for it.
#[derive(Debug)]
pub(super) struct OnlyGlue;

impl Intercept for OnlyGlue {
    fn name(&self) -> &'static str {
        "OnlyGlue"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().unwrap_or_default();
        match response.status().is_success() && !may_be_glues(body) {
            true => Err("neither empty nor a JSON object".into()),
            false => Ok(()),
        }
    }
}

/// Whether a body may be one of Glue's: an object in JSON, which whoever reads members reads whole, or nothing.
fn may_be_glues(body: &[u8]) -> bool {
    matches!(body.trim_ascii().first(), None | Some(b'{'))
}

/// Returns whether an item or a call with this code was throttled.
pub(super) fn is_throttled(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
    )
}

/// Returns whether an item or a call with this code may or may not have been done.
pub(super) fn is_unknown(code: &str) -> bool {
    matches!(
        code,
        "InternalServiceException"
            | "InternalFailure"
            | "InternalServerError"
            | "InternalError"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "OperationTimeoutException"
            | "RequestTimeout"
            | "RequestTimeoutException"
    )
}

/// Tells what a failure means, its code, and the error for people.
fn judge<E>(what: &What<'_>, err: &SdkError<E, HttpResponse>) -> (Meaning, String, Error)
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let answer = err.raw_response();
    let status = answer.map(|answer| answer.status().as_u16());
    let code = match status {
        Some(413) => "RequestEntityTooLarge",
        _ => aws::error_code(err).unwrap_or_default(),
    };
    // The body is there once all of it was read.
    let body = answer.and_then(|answer| answer.body().bytes());
    let was_never_sent = matches!(err, SdkError::ConstructionFailure(_));
    let meaning = meaning(code, status, was_never_sent, body.is_some());
    let error = match (meaning, body, answer) {
        (Meaning::Nonsense, Some(body), Some(answer)) => {
            nonsense(what, answer, body.len()).because(aws::causes(err))
        }
        _ => aws::failed(what.action, what.resource, err),
    };
    (meaning, code.to_owned(), error)
}

/// The error of an answer that the SDK could not read. What it says may be anything, and is not shown.
fn nonsense(what: &What<'_>, response: &HttpResponse, length: usize) -> Error {
    let kind = response.headers().get("content-type").unwrap_or("no content type");
    let message = format!(
        "{} was answered with HTTP {} and {length} bytes of {kind}, which is not an answer of Glue: \
         check `--glue-endpoint-url`, AWS_ENDPOINT_URL_GLUE, and proxies",
        what.action,
        response.status().as_u16(),
    );
    Error::new(ErrorKind::Io, message).at("resource", what.resource)
}

fn meaning(code: &str, status: Option<u16>, was_never_sent: bool, is_complete: bool) -> Meaning {
    match (code, status) {
        _ if was_never_sent => Meaning::Refused,
        _ if is_throttled(code) => Meaning::Throttled,
        (_, Some(429)) => Meaning::Throttled,
        ("ResourceNotReadyException", _) => Meaning::NotYet,
        _ if is_unknown(code) => Meaning::Unknown,
        ("", Some(501)) if is_complete => Meaning::Nonsense,
        (_, Some(status)) if status >= 500 => Meaning::Unknown,
        ("", Some(_)) if is_complete => Meaning::Nonsense,
        ("", _) => Meaning::Unknown,
        _ => Meaning::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        for (code, status, want) in [
            ("ThrottlingException", Some(400), Meaning::Throttled),
            ("SomethingElse", Some(429), Meaning::Throttled),
            ("InternalServiceException", Some(500), Meaning::Unknown),
            ("OperationTimeoutException", Some(400), Meaning::Unknown),
            ("", Some(503), Meaning::Unknown),
            ("", None, Meaning::Unknown),
            ("ResourceNotReadyException", Some(400), Meaning::NotYet),
            ("AlreadyExistsException", Some(400), Meaning::Refused),
            ("AccessDeniedException", Some(400), Meaning::Refused),
        ] {
            assert_eq!(meaning(code, status, false, true), want, "{code}");
        }
        assert_eq!(meaning("", None, true, false), Meaning::Refused);
    }

    #[test]
    fn an_answer_of_something_else_is_not_one_that_broke_off() {
        for status in [200, 302, 403, 404, 501] {
            assert_eq!(meaning("", Some(status), false, true), Meaning::Nonsense, "{status}");
            assert_eq!(meaning("", Some(status), false, false), Meaning::Unknown, "{status}");
        }
        assert_eq!(meaning("", Some(502), false, true), Meaning::Unknown);
    }

    #[test]
    fn what_glue_would_never_say_is_told_from_what_it_may() {
        for body in ["", "{}", " {\"Errors\": []}\n"] {
            assert!(may_be_glues(body.as_bytes()), "{body}");
        }
        for body in ["<html>", "ok", "[]", "\"\"", "null"] {
            assert!(!may_be_glues(body.as_bytes()), "{body}");
        }
    }

    #[tokio::test]
    async fn patience_ends_in_trying_later() {
        let mut patience = Patience::new(Duration::from_millis(1));

        let err = patience.wait(Error::config("glue:GetTable was throttled")).await.unwrap_err();

        assert_eq!(err.kind(), ErrorKind::Unavailable);
        assert!(err.to_string().starts_with("glue:GetTable was throttled; gave up"));
    }
}
