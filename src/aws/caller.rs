//! Whose credentials these are: account and ARN, as STS says.

use super::{Aws, failed};
use crate::error::{Error, Result};
use aws_config::Region;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use std::sync::Arc;
use std::time::Duration;

/// The timeout of each of two attempts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The identity behind the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account, twelve digits.
    pub account: String,
    /// The user or the session of a role.
    pub arn: String,
}

impl Aws {
    /// Asks STS whose the credentials are; no permission is needed for that.
    ///
    /// # Errors
    /// `Config` when there are no credentials; as [`failed`] when STS refuses or does not answer.
    pub async fn caller(self: &Arc<Self>) -> Result<Caller> {
        self.credentials().await?;
        let client = aws_sdk_sts::Client::from_conf(self.sts().build());
        let action = "sts:GetCallerIdentity";
        let found = client.get_caller_identity().send().await;
        let found = found.map_err(|err| failed(action, "the credentials", &err))?;
        match (found.account, found.arn) {
            (Some(account), Some(arn)) => Ok(Caller { account, arn }),
            _ => Err(Error::config(format!("the response to {action} has no account ID"))),
        }
    }

    /// Returns the settings of a client of STS.
    pub fn sts(self: &Arc<Self>) -> Builder {
        let region = self.region().unwrap_or("us-east-1").to_owned();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ANSWER_TIMEOUT)
            .build();
        Builder::from(self.config())
            .region(Region::new(region))
            .credentials_provider(self.identity())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
    }

    /// Returns whether the credentials are meant for AWS, and not for a store of another make, which
    /// has keys of its own.
    pub fn is_known_to_sts(&self) -> bool {
        let is_aws = |endpoint: Option<String>| endpoint.is_none_or(|url| is_of_aws(&url));
        self.endpoint("STS").is_some() || is_aws(self.s3_endpoint()) && is_aws(self.glue_endpoint())
    }

    /// Returns the endpoints that are reached without encryption, other than those of this machine.
    pub fn plain_endpoints(&self) -> Vec<String> {
        let all =
            [self.s3_endpoint(), self.glue_endpoint(), self.sqs_endpoint(), self.endpoint("STS")];
        let mut plain: Vec<String> =
            all.into_iter().flatten().filter(|url| is_plain(url)).collect();
        plain.sort();
        plain.dedup();
        plain
    }
}

/// The host of an address, in lower case, without brackets and port.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => place.split(':').next().unwrap_or(place),
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_of_aws(url: &str) -> bool {
    let host = host(url);
    let domains = ["amazonaws.com", "amazonaws.com.cn", "api.aws", "c2s.ic.gov", "sc2s.sgov.gov"];
    domains.iter().any(|domain| {
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn is_plain(url: &str) -> bool {
    let is_http = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let host = host(url);
    let is_name = host == "localhost" || host.ends_with(".localhost");
    let is_loopback = host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    is_http && !is_name && !is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_machines_are_reached_without_encryption() {
        for url in ["http://10.0.0.7:9000", "HTTP://minio/", "http://127.0.0.1.example.com"] {
            assert!(is_plain(url), "{url}");
        }
        for url in [
            "http://127.0.0.1:5000",
            "http://127.8.8.8",
            "http://[::1]:80/x",
            "http://localhost:4566/",
            "http://s3.localhost",
            "https://minio:9000",
        ] {
            assert!(!is_plain(url), "{url}");
        }
    }

    #[test]
    fn endpoints_of_aws_are_told_from_stores_of_another_make() {
        for url in [
            "https://s3.eu-west-1.amazonaws.com",
            "https://bucket.vpce-1-2.s3.us-east-1.vpce.amazonaws.com/",
            "https://glue.cn-north-1.amazonaws.com.cn:443",
            "https://s3.dualstack.eu-west-1.api.aws",
        ] {
            assert!(is_of_aws(url), "{url}");
        }
        for url in [
            "http://127.0.0.1:5000",
            "https://amazonaws.com.evil.example",
            "https://myamazonaws.com",
        ] {
            assert!(!is_of_aws(url), "{url}");
        }
    }
}
