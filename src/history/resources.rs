//! The resources of an event, as far as its record tells.
//!
//! CloudTrail's event history has a list of its own (`RunInstances` names networks, images and groups),
//! which is not in the record. Ours is the record's `resources`, else what well-known request parameters
//! name.

use crate::history::columns::Rows;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Something that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The type, as CloudFormation names it; empty when the record does not say.
    pub kind: String,
    /// The name or ARN.
    pub name: String,
}

/// Request parameters that name a resource, and its type.
const PARAMETERS: &[(&str, &str)] = &[
    ("bucketName", "AWS::S3::Bucket"),
    ("functionName", "AWS::Lambda::Function"),
    ("roleName", "AWS::IAM::Role"),
    ("roleArn", "AWS::IAM::Role"),
    ("userName", "AWS::IAM::User"),
    ("groupName", "AWS::IAM::Group"),
    ("policyArn", "AWS::IAM::Policy"),
    ("policyName", "AWS::IAM::Policy"),
    ("instanceProfileName", "AWS::IAM::InstanceProfile"),
    ("accessKeyId", "AWS::IAM::AccessKey"),
    ("instanceId", "AWS::EC2::Instance"),
    ("groupId", "AWS::EC2::SecurityGroup"),
    ("vpcId", "AWS::EC2::VPC"),
    ("subnetId", "AWS::EC2::Subnet"),
    ("volumeId", "AWS::EC2::Volume"),
    ("snapshotId", "AWS::EC2::Snapshot"),
    ("imageId", "AWS::EC2::Ami"),
    ("keyId", "AWS::KMS::Key"),
    ("trailName", "AWS::CloudTrail::Trail"),
    ("secretId", "AWS::SecretsManager::Secret"),
    ("tableName", "AWS::DynamoDB::Table"),
    ("topicArn", "AWS::SNS::Topic"),
    ("queueUrl", "AWS::SQS::Queue"),
    ("dBInstanceIdentifier", "AWS::RDS::DBInstance"),
    ("stackName", "AWS::CloudFormation::Stack"),
    ("logGroupName", "AWS::Logs::LogGroup"),
    ("clusterName", "AWS::EKS::Cluster"),
    ("repositoryName", "AWS::ECR::Repository"),
];

/// The columns that say what an event is about, without its request.
pub const RESOURCE_COLUMNS: &[&str] =
    &["resources", "eventsource", "s3_bucket", "s3_key", "lambda_function"];

/// The columns that `named` looks at.
pub const REQUEST_COLUMNS: &[&str] = &["requestparameters", "eventsource"];

/// Returns the resources of a row.
pub(super) fn resources(rows: &Rows, row: usize) -> Vec<Resource> {
    let listed = listed(rows, row);
    if listed.is_empty() { named(rows, row) } else { listed }
}

/// Returns the resources that the request names.
pub(super) fn named(rows: &Rows, row: usize) -> Vec<Resource> {
    let text = rows.text("requestparameters", row);
    if text.is_empty() {
        return Vec::new();
    }
    // Values as they stand: one that is long or deep is not taken apart.
    let Ok(parameters) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else {
        return Vec::new();
    };
    let is_trail = rows.text("eventsource", row) == "cloudtrail.amazonaws.com";
    let named = PARAMETERS.iter().chain(is_trail.then_some(&("name", "AWS::CloudTrail::Trail")));
    let found = named.filter_map(|(key, kind)| {
        let name = serde_json::from_str::<String>(parameters.get(*key)?.get()).ok()?;
        Some(Resource { kind: (*kind).to_owned(), name })
    });
    found.collect()
}

/// Returns the resources that the record lists.
pub(super) fn listed(rows: &Rows, row: usize) -> Vec<Resource> {
    let elements = rows.column("resources").and_then(|column| column.elements(row));
    let Some((all, range)) = elements else { return Vec::new() };
    let text = |name: &str, at: usize| {
        let member = all.member([name]).and_then(|member| member.text(at));
        member.unwrap_or("").to_owned()
    };
    let resource = |at: usize| {
        let arn = text("arn", at);
        let name = if arn.is_empty() { text("arnprefix", at) } else { arn };
        Resource { kind: text("type", at), name }
    };
    range.map(resource).filter(|resource| !resource.name.is_empty()).collect()
}
