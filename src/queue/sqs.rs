//! SQS, through its SDK.
//!
//! The address says the region and the endpoint, unless an endpoint is configured. Requests are repeated by the
//! SDK; what it gives up on is `Unavailable`.

use crate::aws::{Aws, error_code, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::{MOST_PER_REQUEST, Message, Queue, QueueFacts};
use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{IdentityCache, Region};
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName, QueueAttributeName,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The longest time that SQS waits for a message.
pub(crate) const LONGEST_POLL: Duration = Duration::from_secs(20);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the longest poll.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

/// A queue of SQS.
#[derive(Debug)]
pub struct SqsQueue {
    aws: Arc<Aws>,
    client: Client,
    url: String,
}

impl SqsQueue {
    /// Prepares requests to the queue at an address, or of an ARN; makes none.
    ///
    /// # Errors
    /// `Config` for what is not the address of a queue, and for a FIFO queue.
    pub fn open(aws: &Arc<Aws>, queue: &str) -> Result<Self> {
        let url = url_of_arn(queue).unwrap_or_else(|| queue.to_owned());
        let url = url.trim_end_matches('/');
        if url.ends_with(".fifo") {
            let message = "FIFO queues are not supported: use a standard queue; \
                           duplicates and their order make no difference";
            return Err(Error::config(message).at("queue", url));
        }
        let origin = origin(url).ok_or_else(|| {
            let message =
                "invalid queue URL: expected https://sqs.REGION.amazonaws.com/ACCOUNT/NAME or the queue's ARN";
            Error::config(message).at("queue", url)
        })?;
        let region = queue_region(url).or(aws.region()).unwrap_or("us-east-1");
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        let config = aws_sdk_sqs::config::Builder::from(aws.config())
            .region(Region::new(region.to_owned()))
            .credentials_provider(aws.identity())
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::standard().with_max_attempts(5))
            .timeout_config(timeouts)
            .endpoint_url(aws.sqs_endpoint().unwrap_or_else(|| origin.to_owned()));
        let client = Client::from_conf(config.build());
        Ok(Self { aws: Arc::clone(aws), client, url: url.to_owned() })
    }

    /// Returns attributes of the queue, as SQS names them.
    ///
    /// # Errors
    /// As [`Queue::facts`].
    pub async fn attributes(&self) -> Result<HashMap<String, String>> {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let found = request.attribute_names(QueueAttributeName::All).send().await;
        let found = found.map_err(|err| self.failed("sqs:GetQueueAttributes", &err))?;
        let attributes = found.attributes.unwrap_or_default();
        Ok(attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect())
    }

    fn failed<E>(&self, action: &'static str, err: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error_code(err).unwrap_or_default();
        let kind = match code.rsplit('.').next().unwrap_or_default() {
            "NonExistentQueue" | "QueueDoesNotExist" => {
                let message = "there is no such queue, or this account may not see it";
                return Error::config(message).at("queue", &self.url);
            }
            // Too many messages are in hand, or too many requests are.
            "OverLimit" | "RequestThrottled" | "KmsThrottled" | "QueueDeletedRecently" => {
                ErrorKind::Unavailable
            }
            "KmsAccessDenied" | "KmsDisabled" | "KmsNotFound" => ErrorKind::Denied,
            _ => return failed(action, &self.url, err),
        };
        Error::new(kind, format!("{action} was refused with {code}")).at("queue", &self.url)
    }
}

/// The address of the queue that an ARN names, if it is one.
fn url_of_arn(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "sqs", region, account, name] = parts[..] else { return None };
    let is_complete = ![region, account, name].iter().any(|part| part.is_empty());
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    is_complete.then(|| format!("https://sqs.{region}.{domain}/{account}/{name}"))
}

/// The scheme and host of an address, if it is one of a queue.
fn origin(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, path) = host.split_once('/')?;
    let scheme = url.len() - host.len() - path.len() - 1;
    let is_host = !host.is_empty() && !host.contains(char::is_whitespace) && !host.contains('@');
    (is_host && !path.is_empty()).then(|| &url[..scheme + host.len()])
}

/// Returns the region that the address of a queue names.
pub fn queue_region(url: &str) -> Option<&str> {
    let host = origin(url)?.split_once("://")?.1;
    let mut parts = host.split('.');
    let first = parts.next()?;
    let region = match first {
        "sqs" | "sqs-fips" => parts.next()?,
        _ if parts.next() == Some("queue") => first,
        // The host of an interface endpoint: vpce-….sqs.REGION.vpce.amazonaws.com
        _ => host.split_once(".sqs.")?.1.split('.').next()?,
    };
    (region.contains('-') && host.contains(".amazonaws.")).then_some(region)
}

#[async_trait]
impl Queue for SqsQueue {
    fn address(&self) -> &str {
        &self.url
    }

    async fn facts(&self) -> Result<QueueFacts> {
        // No credentials is the first thing to be told, before any request.
        self.aws.credentials().await?;
        let attributes = self.attributes().await?;
        let number = |name: &str| attributes.get(name).and_then(|text| text.parse::<u64>().ok());
        Ok(QueueFacts {
            visibility: Duration::from_secs(number("VisibilityTimeout").unwrap_or(30)),
            waiting: number("ApproximateNumberOfMessages").unwrap_or(0),
        })
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MOST_PER_REQUEST as i32)
            .wait_time_seconds(wait.min(LONGEST_POLL).as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let found = request.send().await.map_err(|err| self.failed("sqs:ReceiveMessage", &err))?;
        Ok(found.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<usize> {
        let entries: Result<Vec<_>, _> = numbered(receipts)
            .map(|(id, receipt)| {
                DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(receipt).build()
            })
            .collect();
        let request = self.client.delete_message_batch().queue_url(&self.url);
        let done = request.set_entries(Some(entries.map_err(bug)?)).send().await;
        let done = done.map_err(|err| self.failed("sqs:DeleteMessage", &err))?;
        Ok(done.failed.len())
    }

    async fn extend(&self, receipts: &[String], visibility: Duration) -> Result<usize> {
        let seconds = i32::try_from(visibility.as_secs()).unwrap_or(i32::MAX);
        let entries: Result<Vec<_>, _> = numbered(receipts)
            .map(|(id, receipt)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
                entry.receipt_handle(receipt).visibility_timeout(seconds).build()
            })
            .collect();
        let request = self.client.change_message_visibility_batch().queue_url(&self.url);
        let done = request.set_entries(Some(entries.map_err(bug)?)).send().await;
        let done = done.map_err(|err| self.failed("sqs:ChangeMessageVisibility", &err))?;
        Ok(done.failed.len())
    }
}

fn numbered(receipts: &[String]) -> impl Iterator<Item = (String, &String)> {
    receipts.iter().enumerate().map(|(number, receipt)| (number.to_string(), receipt))
}

fn bug(err: aws_sdk_sqs::error::BuildError) -> Error {
    Error::new(ErrorKind::Bug, "not a request").because(err)
}

fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    let attributes = message.attributes.unwrap_or_default();
    let number = |name| attributes.get(&name).and_then(|text| text.parse::<i64>().ok());
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    Some(Message {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle?,
        body: message.body.unwrap_or_default(),
        receives: u32::try_from(receives).unwrap_or(1),
        sent: number(MessageSystemAttributeName::SentTimestamp).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_its_queue_is() {
        for (url, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/111122223333/logs", Some("eu-west-1")),
            ("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", Some("us-gov-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1")),
            ("https://us-east-2.queue.amazonaws.com/1/q", Some("us-east-2")),
            ("https://vpce-1.sqs.us-east-1.vpce.amazonaws.com/1/q", Some("us-east-1")),
            ("http://127.0.0.1:9324/000000000000/q", None),
        ] {
            assert_eq!(queue_region(url), region, "{url}");
        }
        assert_eq!(origin("http://127.0.0.1:9324/0/q"), Some("http://127.0.0.1:9324"));
        let url = url_of_arn("arn:aws:sqs:eu-west-1:111122223333:logs");
        assert_eq!(url.as_deref(), Some("https://sqs.eu-west-1.amazonaws.com/111122223333/logs"));
        let url = url_of_arn("arn:aws-cn:sqs:cn-north-1:1:q").unwrap();
        assert_eq!(queue_region(&url), Some("cn-north-1"));
        assert_eq!(url_of_arn("arn:aws:sns:eu-west-1:1:q"), None);
        assert_eq!(url_of_arn("arn:aws:sqs::1:q"), None);
        for url in ["", "logs", "arn:aws:sqs:eu-west-1:1:q", "https://", "https://a/", "s3://a/b"] {
            assert_eq!(origin(url), None, "{url}");
        }
    }
}
