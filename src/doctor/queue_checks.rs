//! A queue that names objects: who may send to it, how long messages stay invisible, and where those go that
//! nobody can read.
//!
//! No message is received: that would count against it. Deleting and renewing are tried with a receipt that
//! is none.

use super::policy::bucket_arn;
use super::{Doctor, Outcome, Refusal};
use crate::location::Location;
use crate::queue::{Queue, SqsQueue};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The least visibility timeout: messages are renewed at half of it.
const LEAST_VISIBILITY: u64 = 60;

/// The least `maxReceiveCount`: each restart of a consumer counts as a receive.
const LEAST_RECEIVES: u64 = 5;

/// The least retention: a weekend.
const LEAST_RETENTION: u64 = 3 * 86_400;

/// What a check of attributes says, and how to mend it.
type Finding = (Outcome, &'static str, String, Option<&'static str>);

impl Doctor<'_> {
    /// Checks the queue at an address.
    pub(super) async fn queue(&mut self, url: &str) {
        let aws = Arc::clone(self.aws().await);
        let queue = match SqsQueue::open(&aws, url) {
            Ok(queue) => queue,
            Err(err) => return self.note(Outcome::Failed, "queue", url, err.message()),
        };
        let attributes = match queue.attributes().await {
            Ok(attributes) => attributes,
            Err(err) => {
                let (action, tried) = ("sqs:GetQueueAttributes", "asked for its attributes");
                let refusal = Refusal::from(&err);
                return self.note_refusal(action, url, tried, &refusal, SID, vec!["*".to_owned()]);
            }
        };
        self.ok("sqs:GetQueueAttributes", url, "asked for its attributes");
        let arn = attributes.get("QueueArn").cloned().unwrap_or_else(|| "*".to_owned());
        self.receipts(&queue, url, &arn).await;
        let mut buckets = Vec::new();
        for source in &self.options.sources {
            if let Location::S3 { bucket, .. } = source {
                buckets.push(bucket_arn(aws.region().unwrap_or_default(), bucket));
            }
        }
        let mut findings = settings(&attributes);
        findings.push(senders(attributes.get("Policy").map(String::as_str), &buckets));
        for (outcome, subject, detail, fix) in findings {
            self.note(outcome, subject, url, detail);
            if let Some(fix) = fix {
                self.fix(fix);
            }
        }
    }

    /// Tries what is done to messages, on one that there is not.
    async fn receipts(&mut self, queue: &SqsQueue, url: &str, arn: &str) {
        self.skip("sqs:ReceiveMessage", url, "not tried: it would count against a message");
        let receipts = ["trailmill-doctor".to_owned()];
        let tried = "tried on a message that does not exist";
        for (action, done) in [
            ("sqs:DeleteMessage", queue.delete(&receipts).await),
            ("sqs:ChangeMessageVisibility", queue.extend(&receipts, Duration::ZERO).await),
        ] {
            match done {
                Ok(_) => self.ok(action, url, tried),
                Err(err) => {
                    let refusal = Refusal::from(&err);
                    self.note_refusal(action, url, tried, &refusal, SID, vec![arn.to_owned()]);
                }
            }
        }
    }
}

const SID: &str = "TrailmillQueue";

/// What attributes say of visibility, dead letters, retention and encryption.
fn settings(attributes: &HashMap<String, String>) -> Vec<Finding> {
    let number = |name: &str| attributes.get(name).and_then(|text| text.parse::<u64>().ok());
    let visibility = number("VisibilityTimeout").unwrap_or(30);
    let mut findings = vec![match visibility < LEAST_VISIBILITY {
        true => (
            Outcome::Warning,
            "visibility",
            format!("messages are visible to others again after {visibility} s"),
            Some("set the visibility timeout to 60 s or more, best to 5 minutes"),
        ),
        false => (Outcome::Ok, "visibility", format!("{visibility} s"), None),
    }];
    let redrive = attributes.get("RedrivePolicy").and_then(|text| serde_json::from_str(text).ok());
    let receives = redrive.as_ref().and_then(|policy: &Value| {
        let count = policy.get("maxReceiveCount")?;
        count.as_u64().or_else(|| count.as_str()?.parse().ok())
    });
    findings.push(match receives {
        None => (
            Outcome::Warning,
            "dead letters",
            "no redrive policy: messages that cannot be read come again until they expire"
                .to_owned(),
            Some("add a dead-letter queue with maxReceiveCount 5 or more, and an alarm on it"),
        ),
        Some(count) if count < LEAST_RECEIVES => (
            Outcome::Warning,
            "dead letters",
            format!("after {count} receives: restarts alone can take a good message there"),
            Some("set maxReceiveCount to 5 or more"),
        ),
        Some(count) => (Outcome::Ok, "dead letters", format!("after {count} receives"), None),
    });
    let retention = number("MessageRetentionPeriod").unwrap_or(LEAST_RETENTION);
    if retention < LEAST_RETENTION {
        findings.push((
            Outcome::Warning,
            "retention",
            format!("messages are lost after {} hours", retention / 3600),
            Some("keep messages for three days or more"),
        ));
    }
    findings.push(encryption(attributes));
    findings
}

/// How messages are encrypted at rest.
fn encryption(attributes: &HashMap<String, String>) -> Finding {
    match attributes.get("KmsMasterKeyId").map(String::as_str) {
        Some(key) if key.ends_with("alias/aws/sqs") => (
            Outcome::Warning,
            "encryption",
            "with the key of SQS itself, which S3, SNS and EventBridge may not use".to_owned(),
            Some("use SSE-SQS, or a key of your own whose policy allows the sender"),
        ),
        Some(key) if !key.is_empty() => {
            (Outcome::Ok, "encryption", format!("with {key}: receiving needs kms:Decrypt"), None)
        }
        _ if attributes.get("SqsManagedSseEnabled").is_some_and(|on| on == "true") => {
            (Outcome::Ok, "encryption", "SSE-SQS".to_owned(), None)
        }
        _ => (
            Outcome::Warning,
            "encryption",
            "messages are stored in plain text; they have the names of objects".to_owned(),
            Some("turn SSE-SQS on"),
        ),
    }
}

/// Who may send messages, by the queue's policy.
fn senders(policy: Option<&str>, buckets: &[String]) -> Finding {
    let subject = "queue policy";
    let document: Value =
        policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    };
    let sends = |statement: &&Value| {
        let actions = statement.get("Action").map(Value::to_string).unwrap_or_default();
        let actions = actions.to_lowercase();
        statement.get("Effect").and_then(Value::as_str) == Some("Allow")
            && (actions.contains("sendmessage") || actions.contains("sqs:*"))
    };
    let sending: Vec<&Value> = statements.iter().filter(sends).collect();
    let text = |statement: &Value, name: &str| {
        statement.get(name).map(Value::to_string).unwrap_or_default()
    };
    if sending.is_empty() {
        let detail = "no other service may send to it".to_owned();
        let fix = "allow sqs:SendMessage to the sender: s3.amazonaws.com, sns.amazonaws.com or \
                   events.amazonaws.com, with aws:SourceArn";
        return (Outcome::Warning, subject, detail, Some(fix));
    }
    let is_open = |statement: &&Value| {
        let principal = text(statement, "Principal");
        principal.contains('*') && text(statement, "Condition").is_empty()
    };
    if sending.iter().any(is_open) {
        let detail = "anyone may send to it, and name objects to be read".to_owned();
        return (Outcome::Warning, subject, detail, Some("name the senders, with aws:SourceArn"));
    }
    let of_s3: Vec<&&Value> = sending
        .iter()
        .filter(|statement| text(statement, "Principal").contains("s3.amazonaws.com"))
        .collect();
    let names = |bucket: &String| {
        let is_named = |statement: &&&Value| {
            let condition = text(statement, "Condition");
            condition.is_empty() || condition.contains(bucket.as_str()) || condition.contains('*')
        };
        of_s3.iter().any(is_named)
    };
    if let Some(bucket) = buckets.iter().find(|bucket| !of_s3.is_empty() && !names(bucket)) {
        let detail = format!("S3 may send to it, but not for {bucket}");
        let fix = "name the bucket in aws:SourceArn of the statement for s3.amazonaws.com";
        return (Outcome::Warning, subject, detail, Some(fix));
    }
    let services = ["s3.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"];
    let known: Vec<&str> = services
        .into_iter()
        .filter(|service| sending.iter().any(|s| text(s, "Principal").contains(service)))
        .collect();
    let who = if known.is_empty() { "others".to_owned() } else { known.join(", ") };
    (Outcome::Ok, subject, format!("may send: {who}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcomes(attributes: &[(&str, &str)]) -> Vec<(&'static str, Outcome)> {
        let attributes =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settings(&attributes.collect()).into_iter().map(|f| (f.1, f.0)).collect()
    }

    #[test]
    fn a_queue_as_the_templates_make_it_is_well_and_a_bare_one_is_not() {
        let good = [
            ("VisibilityTimeout", "300"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn","maxReceiveCount":5}"#),
            ("SqsManagedSseEnabled", "true"),
            ("MessageRetentionPeriod", "1209600"),
        ];
        assert!(outcomes(&good).iter().all(|(_, outcome)| *outcome == Outcome::Ok));
        let bad = [
            ("VisibilityTimeout", "30"),
            ("RedrivePolicy", r#"{"maxReceiveCount":"3"}"#),
            ("KmsMasterKeyId", "alias/aws/sqs"),
            ("MessageRetentionPeriod", "3600"),
        ];
        let found = outcomes(&bad);
        assert!(found.len() == 4 && found.iter().all(|(_, outcome)| *outcome == Outcome::Warning));
    }

    #[test]
    fn a_policy_names_the_senders_and_the_bucket() {
        let buckets = ["arn:aws:s3:::logs".to_owned()];
        let statement = |principal: Value, condition: Value| {
            json!({"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Principal": principal,
                "Condition": condition}]})
            .to_string()
        };
        let of = |arn: &str| json!({"ArnEquals": {"aws:SourceArn": arn}});
        let s3 = json!({"Service": "s3.amazonaws.com"});
        let outcome = |policy: Option<&str>| senders(policy, &buckets).0;

        assert_eq!(outcome(Some(&statement(s3.clone(), of("arn:aws:s3:::logs")))), Outcome::Ok);
        assert_eq!(outcome(Some(&statement(s3, of("arn:aws:s3:::other")))), Outcome::Warning);
        let open = json!({"Statement": {"Effect": "Allow", "Action": "sqs:*", "Principal": "*"}});
        assert_eq!(outcome(Some(&open.to_string())), Outcome::Warning);
        assert_eq!(outcome(None), Outcome::Warning);
        assert_eq!(outcome(Some("{")), Outcome::Warning);
    }
}
