//! Our identity at AWS, the region, and the clock.

use super::policy::partition;
use super::{Doctor, Outcome, Refusal};
use crate::aws::Aws;
use crate::error::ErrorKind;
use crate::location::Location;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// Warn about clocks that differ by more; AWS responds with whole seconds.
const WARN_SKEW: u64 = 60;
/// SigV4 accepts 15 minutes; a clock that is off by this much may soon be off by more.
const MAX_SKEW: u64 = 5 * 60;

/// Our identity.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) arn: Option<String>,
    pub(super) account: Option<String>,
    /// The region of the catalog.
    pub(super) region: Option<String>,
}

impl Identity {
    /// Returns an ARN in our account and region, with `*` for unknown parts.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let region = self.region.as_deref().unwrap_or("*");
        let account = self.account.as_deref().unwrap_or("*");
        format!("arn:{}:{service}:{region}:{account}:{resource}", partition(region))
    }
}

impl Doctor<'_> {
    /// Finds credentials, asks for their identity, and compares clocks. Returns whether there are
    /// any credentials.
    pub(super) async fn identity(&mut self) -> bool {
        let aws = Arc::clone(self.aws().await);
        match aws.credentials().await {
            Ok(found) => {
                let rest =
                    match found.expiry().and_then(|at| at.duration_since(SystemTime::now()).ok()) {
                        Some(rest) => {
                            format!(", good for {} minutes and then renewed", rest.as_secs() / 60)
                        }
                        None => String::new(),
                    };
                self.ok("credentials", "", format!("found{rest}"));
            }
            Err(err) if err.kind() == ErrorKind::Unavailable => {
                self.note(Outcome::Unreachable, "credentials", "", err.message());
                return false;
            }
            Err(_) => {
                if let Err(err) = aws.check_profile() {
                    self.note(Outcome::Failed, "profile", "", err.message());
                }
                self.note(Outcome::Missing, "credentials", "", "there are no AWS credentials");
                self.fix("set AWS_PROFILE or `--profile`, sign in with `aws sso login`, or give the job a role");
                return false;
            }
        }
        for endpoint in aws.plain_endpoints() {
            self.note(Outcome::Warning, "endpoint", &endpoint, "the connection is not encrypted");
            self.fix(
                "give an https:// address: without encryption, anyone on the network path can read \
                 and change the logs",
            );
        }
        self.who.region = aws.region().map(str::to_owned);
        match aws.region() {
            Some(region) => self.ok("region", region, "the region of the catalog"),
            None => {
                self.note(
                    Outcome::Failed,
                    "region",
                    "",
                    "no region is set: the catalog's is not known",
                );
                self.fix("give `--aws-region`, or set AWS_REGION or the profile's region");
            }
        }
        let date = Noted::default();
        self.caller(&aws, &date).await;
        self.clock(&date).await;
        true
    }

    async fn caller(&mut self, aws: &Arc<Aws>, date: &Noted) {
        let config = aws.sts().interceptor(date.clone());
        let client = aws_sdk_sts::Client::from_conf(config.build());
        let refusal: Refusal = match client.get_caller_identity().send().await {
            Ok(found) => {
                let account = found.account().unwrap_or("unknown");
                let detail = format!("credentials of account {account}");
                self.ok("identity", found.arn().unwrap_or(""), detail);
                (self.who.arn, self.who.account) = (found.arn, found.account);
                return;
            }
            Err(err) => err.into(),
        };
        // Other S3-compatible stores have keys of their own, unknown to AWS.
        let is_elsewhere = aws.s3_endpoint().is_some();
        match refusal.advice() {
            Some(advice) if !is_elsewhere => {
                self.note(Outcome::Failed, "identity", "", refusal.said());
                self.fix(advice);
            }
            _ => self.skip(
                "identity",
                "",
                format!("sts:GetCallerIdentity failed, which runs do not need: {}", refusal.said()),
            ),
        }
    }

    /// Compares our clock with the `Date` header of a response, from STS or else from a bucket.
    async fn clock(&mut self, date: &Noted) {
        let mut seen = date.skew();
        let mut places = self.options.sources.iter().chain([&self.options.lake]);
        if seen.is_none()
            && let Some(Location::S3 { bucket, .. }) = places.find(|place| place.is_s3())
            && let Ok(opened) = self.options.s3.bucket(bucket).await
        {
            let date = Noted::default();
            let head = self.options.s3.client(&opened).await.head_bucket().bucket(bucket);
            let _ = head.customize().interceptor(date.clone()).send().await;
            seen = date.skew();
        }
        let Some((skew, is_ahead)) = seen else {
            return self.skip("clock", "", "no response had a date");
        };
        let way = if is_ahead { "ahead of" } else { "behind" };
        let detail = format!("{skew} seconds {way} AWS");
        if skew <= WARN_SKEW {
            return self.ok("clock", "", detail);
        }
        let outcome = if skew <= MAX_SKEW { Outcome::Warning } else { Outcome::Failed };
        self.note(outcome, "clock", "", detail);
        self.fix("set the clock, with NTP: AWS refuses requests that are 15 minutes off");
    }
}

/// Notes by how many seconds our clock differs from a response, and whether it is ahead.
#[derive(Clone, Debug, Default)]
struct Noted(Arc<Mutex<Option<(u64, bool)>>>);

impl Noted {
    fn skew(&self) -> Option<(u64, bool)> {
        self.0.lock().ok().and_then(|seen| *seen)
    }
}

impl Intercept for Noted {
    fn name(&self) -> &'static str {
        "ClockOfTheService"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), aws_sdk_sts::error::BoxError> {
        let said = context.response().headers().get("date");
        let date = said.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok());
        if let (Some(date), Ok(mut seen)) = (date, self.0.lock()) {
            let ours = DateTime::from(SystemTime::now()).secs();
            *seen = Some((ours.abs_diff(date.secs()), ours > date.secs()));
        }
        Ok(())
    }
}
