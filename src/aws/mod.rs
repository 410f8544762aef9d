//! Who we are to AWS: one identity, found once, for every client.
//!
//! aws-config finds region and credentials where every AWS tool does (environment, profiles, SSO, web
//! identity, containers, instances). The clients of `storage` and `catalog` are made from one
//! [`Aws`], and [`Aws::credentials`] hands the same identity to `object_store`, which would find
//! another one by itself.

mod answer;
mod caller;
mod denial;
mod json_call;
mod profile;
mod retry;
mod task;

pub use answer::Answer;
pub use caller::Caller;
pub use denial::{names_permission, refused};
pub use json_call::{JsonOperation, LIST_PUBLIC_KEYS};
pub use retry::{Patience, jittered};
pub use task::{TaskLimits, task_limits};

use crate::error::{Cause, Error, ErrorKind, Result};
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as ProvidedCredentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::service_config::ServiceConfigKey;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// Credentials are fetched anew when less than this is left of them.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Options for reaching AWS; the environment and the profile fill in the rest.
#[derive(Clone, Debug, Default)]
pub struct AwsOptions {
    /// Profile of the shared configuration files.
    pub profile: Option<String>,
    /// Region of the catalog, and of buckets that do not say theirs.
    pub region: Option<String>,
    /// Endpoint of every service: of an S3-compatible store, or of a test server.
    pub endpoint_url: Option<String>,
    /// Endpoint of S3 alone.
    pub s3_endpoint_url: Option<String>,
    /// Endpoint of Glue alone.
    pub glue_endpoint_url: Option<String>,
}

/// One identity, with the settings of its clients.
#[derive(Debug)]
pub struct Aws {
    options: AwsOptions,
    config: SdkConfig,
    provider: Option<SharedCredentialsProvider>,
    /// What is wrong with the profile that was asked for.
    profile_problem: Option<String>,
    cached: Mutex<Option<Credentials>>,
}

impl Aws {
    /// Reads the environment and the configuration files; makes no call that needs credentials.
    pub async fn connect(options: &AwsOptions) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = &options.profile {
            let credentials = profile::credentials_of(profile, options.region.as_deref()).await;
            loader = loader.profile_name(profile).credentials_provider(credentials);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &options.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
        if let Ok(name) = AppName::new("trailmill") {
            loader = loader.app_name(name);
        }
        let config = loader.load().await;
        let provider = config.credentials_provider();
        let profile_problem = profile::problem(options.profile.as_deref()).await;
        let (options, cached) = (options.clone(), Mutex::new(None));
        Self { options, config, provider, profile_problem, cached }
    }

    /// Makes sure that the profile that an option or the environment names is there.
    ///
    /// # Errors
    /// `Config` when it is not.
    pub fn check_profile(&self) -> Result<()> {
        self.profile_problem.as_ref().map_or(Ok(()), |problem| Err(Error::config(problem)))
    }

    /// Returns what the SDK's clients are made from.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Returns the region that was configured.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(Region::as_ref)
    }

    /// Returns the endpoint of S3 that was configured, by option, environment or profile.
    pub fn s3_endpoint(&self) -> Option<String> {
        self.options.s3_endpoint_url.clone().or_else(|| self.endpoint("S3"))
    }

    /// Returns the endpoint of Glue that was configured, by option, environment or profile.
    pub fn glue_endpoint(&self) -> Option<String> {
        self.options.glue_endpoint_url.clone().or_else(|| self.endpoint("Glue"))
    }

    /// Returns the endpoint of SQS that was configured, by option, environment or profile.
    pub fn sqs_endpoint(&self) -> Option<String> {
        self.endpoint("SQS")
    }

    fn endpoint(&self, service: &str) -> Option<String> {
        // An option wins over the environment, also over a service's own variable.
        if let Some(endpoint) = &self.options.endpoint_url {
            return Some(endpoint.clone());
        }
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        let found = self.config.service_config().and_then(|config| config.load_config(key));
        found.or_else(|| self.config.endpoint_url().map(str::to_owned))
    }

    /// Returns credentials that are valid for some minutes yet.
    ///
    /// # Errors
    /// `Config` when there are none to be found or the profile is not there, `Unavailable` when they
    /// cannot be had just now.
    pub async fn credentials(&self) -> Result<Credentials> {
        self.check_profile()?;
        let mut cached = self.cached.lock().await;
        if let Some(credentials) = &*cached {
            let is_good = |until: SystemTime| until > SystemTime::now() + RENEW_BEFORE;
            if credentials.expiry().is_none_or(is_good) {
                return Ok(credentials.clone());
            }
        }
        let Some(provider) = &self.provider else {
            return Err(Error::config("no AWS credentials found"));
        };
        let found = provider.provide_credentials().await.map_err(|err| {
            let kind = match &err {
                CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_) => {
                    ErrorKind::Unavailable
                }
                _ => ErrorKind::Config,
            };
            let message = "cannot get AWS credentials: set AWS_PROFILE, sign in with `aws sso login`, or give the job a role";
            Error::new(kind, message).because(causes(&err))
        })?;
        *cached = Some(found.clone());
        Ok(found)
    }

    /// Returns a provider that hands out [`Aws::credentials`], for the SDK's clients.
    pub fn identity(self: &Arc<Self>) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Identity(Arc::clone(self)))
    }

    /// Forgets the credentials, after a service has called them expired.
    pub async fn forget_credentials(&self) {
        *self.cached.lock().await = None;
    }
}

/// The SDK's view of one identity.
#[derive(Debug)]
struct Identity(Arc<Aws>);

impl ProvideCredentials for Identity {
    fn provide_credentials<'a>(&'a self) -> ProvidedCredentials<'a>
    where
        Self: 'a,
    {
        ProvidedCredentials::new(async {
            self.0.credentials().await.map_err(CredentialsError::not_loaded)
        })
    }
}

/// Returns the messages of an error and its causes: the SDK's own chain repeats itself and shows headers.
pub fn causes(err: &dyn StdError) -> String {
    let mut out = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let text = err.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        cause = err.source();
    }
    out
}

/// Names the code of what a service answered, if it answered.
pub fn error_code<E: ProvideErrorMetadata, R>(err: &SdkError<E, R>) -> Option<&str> {
    err.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Turns a failed call into an error; `action` is the permission it needs, `glue:GetTable`. A missing
/// permission is named in one sentence, see [`refused`].
pub fn failed<E>(action: &'static str, resource: &str, err: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = err.raw_response().map(|answer| answer.status().as_u16());
    let code = error_code(err);
    let said = err.as_service_error().and_then(ProvideErrorMetadata::message);
    if let (Some(code), Some(said), Some(status)) = (code, said, status) {
        let (code, message) = (Some(code.to_owned()), Some(said.to_owned()));
        return refused(action, Some(resource), &Answer { status, code, message });
    }
    let kind = match err {
        SdkError::ConstructionFailure(_) => ErrorKind::Config,
        _ if status.is_some_and(answer::is_passing) => ErrorKind::Unavailable,
        _ => kind_of(code, err.as_service_error().is_some()),
    };
    let message = match kind {
        ErrorKind::Unavailable => format!("{action} was not answered"),
        _ => format!("{action} failed"),
    };
    let cause = code.filter(|code| answer::is_expired(code)).map(|_| Cause::ExpiredCredentials);
    Error::new(kind, message).at("resource", resource).because(causes(err)).caused_by(cause)
}

/// Returns how a caller reacts to an error code; none: the service did not answer.
pub fn kind_of(code: Option<&str>, answered: bool) -> ErrorKind {
    match code.unwrap_or("") {
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "Forbidden"
        | "UnauthorizedAccess"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId" => ErrorKind::Denied,
        code if answer::is_expired(code) => ErrorKind::Unavailable,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "InternalError"
        | "InternalServiceException"
        | "OperationTimeoutException"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "ConcurrentModificationException" => ErrorKind::Unavailable,
        _ if !answered => ErrorKind::Unavailable,
        _ => ErrorKind::Io,
    }
}
