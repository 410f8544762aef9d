//! What S3 answers through `object_store`, as errors with a kind.
//!
//! `object_store` keeps only the text of a refusal. [`Answering`] reads the body first and passes it on as
//! an [`Answer`] in the chain of causes.

use crate::aws::{Answer, names_permission, refused};
use crate::error::{Error, ErrorKind, find};
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

/// Makes clients that return an [`Answer`] as the error for a status that is not a success.
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

/// Turns an error of `object_store` into ours. Without an [`Answer`] the request counts as not answered.
pub(super) fn store_failed(action: &'static str, what: &str, err: object_store::Error) -> Error {
    let Some(answer) = find::<Answer>(&err) else {
        let message = format!("cannot {action}");
        return Error::new(ErrorKind::Unavailable, message).at("resource", what).because(err);
    };
    let (kind, cause) = (answer.kind(), answer.cause());
    let (kind, message) = match (kind, answer.code.as_deref()) {
        // Another permission may be missing, such as the one to use the bucket's key.
        (ErrorKind::Denied, _) if names_permission(answer) => return refused(action, None, answer),
        (ErrorKind::Denied, _) => (kind, format!("not allowed to {action} on {what}")),
        (_, Some("NoSuchBucket")) => (ErrorKind::Config, format!("there is no bucket for {what}")),
        (_, Some(code)) => (kind, format!("cannot {action}: {code}")),
        (_, None) => (kind, format!("cannot {action}: HTTP status {}", answer.status)),
    };
    Error::new(kind, message).at("resource", what).because(err).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;
    use object_store::aws::AmazonS3Builder;
    use object_store::path::Path;
    use object_store::{ObjectStoreExt, RetryConfig};

    /// A connector whose service answers every request alike.
    #[derive(Clone, Debug)]
    struct Canned(u16, &'static str);

    impl HttpConnector for Canned {
        fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
            Ok(HttpClient::new(self.clone()))
        }
    }

    #[async_trait]
    impl HttpService for Canned {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            let mut response = HttpResponse::new(self.1.as_bytes().to_vec().into());
            *response.status_mut() = self.0.try_into().unwrap();
            Ok(response)
        }
    }

    async fn get(status: u16, body: &'static str) -> object_store::Error {
        let store = AmazonS3Builder::new()
            .with_bucket_name("b")
            .with_region("us-east-1")
            .with_access_key_id("AKIAEXAMPLE")
            .with_secret_access_key("secret")
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_http_connector(Answering(Canned(status, body)))
            .build()
            .unwrap();
        store.get(&Path::from("k")).await.unwrap_err()
    }

    #[tokio::test]
    async fn answers_are_told_apart_by_code_and_status() {
        for (status, body, kind, cause) in [
            (403, "<Error><Code>AccessDenied</Code></Error>", ErrorKind::Denied, None),
            (403, "", ErrorKind::Denied, None),
            (
                400,
                "<Error><Code>ExpiredToken</Code><Message>m</Message></Error>",
                ErrorKind::Unavailable,
                Some(Cause::ExpiredCredentials),
            ),
            (503, "<Error><Code>SlowDown</Code></Error>", ErrorKind::Unavailable, None),
            (502, "<html>Bad gateway</html>", ErrorKind::Unavailable, None),
            (404, "<Error><Code>NoSuchBucket</Code></Error>", ErrorKind::Config, None),
            (400, "<Error><Code>InvalidArgument</Code></Error>", ErrorKind::Io, None),
            // Words about another code are only words.
            (
                403,
                "<Error><Code>AccessDenied</Code><Message>not ExpiredToken</Message></Error>",
                ErrorKind::Denied,
                None,
            ),
        ] {
            let err = store_failed("s3:GetObject", "s3://b/k", get(status, body).await);
            assert_eq!((err.kind(), err.cause()), (kind, cause), "{status} {body}: {err:?}");
        }
    }

    #[tokio::test]
    async fn absent_taken_and_replaced_stay_variants_of_object_store() {
        let absent = get(404, "<Error><Code>NoSuchKey</Code></Error>").await;
        let taken = get(409, "<Error><Code>ConditionalRequestConflict</Code></Error>").await;
        let replaced = get(412, "<Error><Code>PreconditionFailed</Code></Error>").await;

        assert!(matches!(absent, object_store::Error::NotFound { .. }), "{absent:?}");
        assert!(matches!(taken, object_store::Error::AlreadyExists { .. }), "{taken:?}");
        assert!(matches!(replaced, object_store::Error::Precondition { .. }), "{replaced:?}");
    }
}
