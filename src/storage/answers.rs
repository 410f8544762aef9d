//! What S3 answers through `object_store`, as errors with a kind.
//!
//! `object_store` keeps of a refusal the text of its body. [`Answering`] reads the body before that and
//! hands it on as an [`Answer`], which is found again in the chain of causes.

use crate::aws::{Answer, names_permission, refused};
use crate::error::{Error, ErrorKind, find};
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

/// Makes clients for which an [`Answer`] that refuses is the error.
#[derive(Debug)]
pub(super) struct Answering<C>(pub(super) C);

impl<C: HttpConnector> HttpConnector for Answering<C> {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.connect(options)?)))
    }
}

/// The error for a whole object in answer to a request for a part of it.
#[derive(Debug)]
pub(super) struct WholeBody;

impl std::fmt::Display for WholeBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the store sent a whole object where a part was asked for")
    }
}

impl std::error::Error for WholeBody {}

#[derive(Debug)]
struct Service(HttpClient);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asks_part = request.headers().contains_key("range");
        let response = self.0.execute(request).await?;
        let status = response.status();
        if asks_part && status.as_u16() == 200 {
            return Err(HttpError::new(HttpErrorKind::Unknown, WholeBody));
        }
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.bytes().await?;
        let answer = Answer::of_xml(status.as_u16(), &String::from_utf8_lossy(&body));
        // Absent, taken and replaced have variants of their own in `object_store`.
        let is_known = matches!(status.as_u16(), 404 | 409 | 412);
        if is_known && answer.code.as_deref() != Some("NoSuchBucket") {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }
}

/// Sorts what `object_store` reports. What is no answer of S3 is a request that was not answered.
pub(super) fn store_failed(action: &'static str, what: &str, err: object_store::Error) -> Error {
    let Some(answer) = find::<Answer>(&err) else {
        let message = format!("cannot {action}");
        return Error::new(ErrorKind::Unavailable, message).at("resource", what).because(err);
    };
    let (kind, cause) = (answer.kind(), answer.cause());
    let (kind, message) = match (kind, answer.code.as_deref()) {
        // It may be another permission that lacks, such as that to use the bucket's key.
        (ErrorKind::Denied, _) if names_permission(answer) => return refused(action, None, answer),
        (ErrorKind::Denied, _) => (kind, format!("not allowed to {action} on {what}")),
        (_, Some("NoSuchBucket")) => (ErrorKind::Config, format!("there is no bucket for {what}")),
        (_, Some(code)) => (kind, format!("cannot {action}: {code}")),
        (_, None) => (kind, format!("cannot {action}: HTTP status {}", answer.status)),
    };
    Error::new(kind, message).at("resource", what).because(err).caused_by(cause)
}
