//! Calls of services that speak JSON and whose SDK is not linked: one signed request.
//!
//! An SDK for one question of CloudTrail would take longer to build than all of this crate's rooms that
//! talk to AWS (aws-sdk-glue takes 95 s). Credentials, region and endpoint are those of every client.

use super::{Answer, Aws, Patience, refused};
use crate::error::{Cause, Error, ErrorKind, Result};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde_json::Value;
use std::time::{Duration, SystemTime};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The timeout of one attempt.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// An operation of a service.
#[derive(Clone, Copy, Debug)]
pub struct JsonOperation {
    /// The service as variables and profiles name its endpoint: `CloudTrail`.
    pub service: &'static str,
    /// The service as host names and signatures have it: `cloudtrail`.
    pub host: &'static str,
    /// The header that names the operation.
    pub target: &'static str,
    /// The permission that it needs.
    pub action: &'static str,
}

/// CloudTrail's public keys; docs/aws-facts.md A35.
pub const LIST_PUBLIC_KEYS: JsonOperation = JsonOperation {
    service: "CloudTrail",
    host: "cloudtrail",
    target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys",
    action: "cloudtrail:ListPublicKeys",
};

impl Aws {
    /// Returns the endpoint of a service: the configured one, else that of AWS in a region.
    fn endpoint_in(&self, operation: &JsonOperation, region: &str) -> String {
        let suffix = match region {
            _ if region.starts_with("cn-") => "amazonaws.com.cn",
            _ if region.starts_with("us-iso-") => "c2s.ic.gov",
            _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
            _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
            _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
            _ if region.starts_with("eusc-") => "amazonaws.eu",
            _ => "amazonaws.com",
        };
        let of_aws = || format!("https://{}.{region}.{suffix}", operation.host);
        self.endpoint(operation.service).unwrap_or_else(of_aws)
    }

    /// Makes a call in a region, and repeats it while the service does not answer.
    ///
    /// # Errors
    /// `Config` without credentials, `Denied` without the permission, `Unavailable` when the service does
    /// not answer within `patience`.
    pub async fn call_json(
        &self,
        operation: &JsonOperation,
        region: &str,
        body: &Value,
        patience: Duration,
    ) -> Result<Value> {
        let url = self.endpoint_in(operation, region);
        let mut patience = Patience::new(patience);
        loop {
            let err = match self.call_once(operation, region, &url, body).await {
                Err(err) if err.kind() == ErrorKind::Unavailable => err,
                outcome => return outcome,
            };
            if err.cause() == Some(Cause::ExpiredCredentials) {
                self.forget_credentials().await;
            }
            if !patience.wait().await {
                return Err(err);
            }
        }
    }

    async fn call_once(
        &self,
        operation: &JsonOperation,
        region: &str,
        url: &str,
        body: &Value,
    ) -> Result<Value> {
        let body = body.to_string();
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", operation.target)];
        let identity = self.credentials().await?.into();
        let bug = |err: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Bug, "cannot sign a request").because(err)
        };
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(operation.host)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|err| bug(err.into()))?
            .into();
        let bytes = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", url, headers.into_iter(), bytes)
            .map_err(|err| bug(err.into()))?;
        let (instructions, _) =
            sign(signable, &params).map_err(|err| bug(err.into()))?.into_parts();
        let unanswered = |err: reqwest::Error| {
            let message = format!("{} was not answered", operation.action);
            Error::new(ErrorKind::Unavailable, message).at("resource", url).because(err)
        };
        let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build();
        let mut request = client.map_err(unanswered)?.post(url);
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.map_err(unanswered)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unanswered)?;
        let said: Result<Value, _> = serde_json::from_slice(&bytes);
        if !status.is_success() {
            return Err(refusal(operation, url, status.as_u16(), &said.unwrap_or_default()));
        }
        said.map_err(|err| {
            let message = format!("the answer to {} is not JSON", operation.action);
            Error::new(ErrorKind::Io, message).at("resource", url).because(err)
        })
    }
}

fn refusal(operation: &JsonOperation, url: &str, status: u16, said: &Value) -> Error {
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    // Some services put the code behind a name space.
    let code = text("__type").map(|code| code.rsplit('#').next().unwrap_or(&code).to_owned());
    let message = text("message").or_else(|| text("Message"));
    let answer = Answer { status, code, message };
    refused(operation.action, Some(url), &answer).because(answer)
}
