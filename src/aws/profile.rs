//! An explicit profile, as aws-cli and boto3 take it: the keys of the environment do not count beside it.
//!
//! The SDK's own chain looks at `AWS_ACCESS_KEY_ID` first, whatever profile is asked for, and takes a
//! profile that is not there for one without settings. Here a profile that an option names says who we
//! are (keys, a role, SSO, a process); only when it says nothing about that, the container's or the
//! instance's role is taken.

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, load};
use aws_config::provider_config::ProviderConfig;
use aws_types::os_shim_internal::{Env, Fs};

/// Returns the credentials of a profile; ignores keys in the environment.
pub(super) async fn credentials_of(
    profile: &str,
    region: Option<&str>,
) -> CredentialsProviderChain {
    let region = match region {
        Some(region) => Some(Region::new(region.to_owned())),
        None => region_of(profile).await,
    };
    let config = ProviderConfig::without_region().with_region(region);
    let named =
        ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile).build();
    let container = EcsCredentialsProvider::builder().configure(&config).build();
    let instance = ImdsCredentialsProvider::builder().configure(&config).build();
    CredentialsProviderChain::first_try("Profile", named)
        .or_else("EcsContainer", container)
        .or_else("Ec2InstanceMetadata", instance)
}

/// The environment's region, else the profile's.
async fn region_of(profile: &str) -> Option<Region> {
    use aws_config::default_provider::region::DefaultRegionChain;
    DefaultRegionChain::builder().profile_name(profile).build().region().await
}

/// Says what is wrong with the profile that an option or `AWS_PROFILE` names; nothing when it is in the
/// shared configuration files.
pub(super) async fn problem(option: Option<&str>) -> Option<String> {
    let from_environment = std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    let (name, source) = match (option, &from_environment) {
        (Some(name), _) => (name, "`--profile`"),
        (None, Some(name)) => (name.as_str(), "the environment variable AWS_PROFILE"),
        (None, None) => return None,
    };
    let found = load(&Fs::real(), &Env::real(), &Default::default(), None).await;
    match found {
        Ok(profiles) if profiles.get_profile(name).is_some() => None,
        Ok(_) => Some(format!(
            "profile `{name}` of {source} not found in the shared AWS configuration files; list \
             profiles with `aws configure list-profiles`"
        )),
        Err(err) => Some(format!(
            "cannot read the shared AWS configuration files for profile `{name}` of {source}: {err}"
        )),
    }
}
