//! Calls of STS, IAM, KMS, Secrets Manager, sign-in and the services that watch.

use super::{Call, Caller, EventType, read, write};

const KEY: &str = r#"[{"accountId":"%account%","type":"AWS::KMS::Key","ARN":"arn:%partition%:kms:%region%:%account%:key/%uid:20%"}]"#;
const ROLE: &str = r#"[{"accountId":"%account%","type":"AWS::IAM::Role","ARN":"arn:%partition%:iam::%account%:role/%role%"}]"#;
const ASSUMED: &str = r#"{"credentials":{"accessKeyId":"ASIA%upper:16%","sessionToken":"IQoJb3JpZ2luX2Vj%b64:420%==","expiration":"Oct 31, 2026, %int:1:12%:%int:10:59%:%int:10:59% PM"},"assumedRoleUser":{"assumedRoleId":"AROA%upper:17%:session","arn":"arn:%partition%:sts::%account%:assumed-role/%role%/session"}}"#;

pub(super) const CALLS: &[Call] = &[
    read("sts", "AssumeRole", 900).by(Caller::Assume)
        .request(r#"{"roleArn":"arn:%partition%:iam::%account%:role/%role%","roleSessionName":"%pick:prod-orders|botocore-session-1730|SLRManagement|DataDog%-%int:1:900%","durationSeconds":%pick:3600|900|43200%,"externalId":"%uid:12%"}"#)
        .response(ASSUMED).resources(ROLE),
    read("sts", "AssumeRoleWithWebIdentity", 150).by(Caller::WebIdentity)
        .request(r#"{"roleArn":"arn:%partition%:iam::%account%:role/%role%","roleSessionName":"aws-go-sdk-%millis%","durationSeconds":3600}"#)
        .response(r#"{"subjectFromWebIdentityToken":"system:serviceaccount:kube-system:aws-node","credentials":{"accessKeyId":"ASIA%upper:16%","sessionToken":"IQoJb3JpZ2luX2Vj%b64:420%==","expiration":"Oct 31, 2026, 9:00:00 PM"},"assumedRoleUser":{"assumedRoleId":"AROA%upper:17%:aws-go-sdk","arn":"arn:%partition%:sts::%account%:assumed-role/%role%/aws-go-sdk"},"provider":"arn:%partition%:iam::%account%:oidc-provider/oidc.eks.%region%.amazonaws.com/id/%upper:32%","audience":"sts.amazonaws.com"}"#).resources(ROLE),
    read("sts", "AssumeRoleWithSAML", 24).by(Caller::Saml)
        .request(r#"{"sAMLAssertionID":"_%uuid%","roleSessionName":"%user%@example.com","durationSeconds":43200,"roleArn":"arn:%partition%:iam::%account%:role/%role%","principalArn":"arn:%partition%:iam::%account%:saml-provider/AWSSSO_DO_NOT_DELETE"}"#)
        .response(r#"{"subjectType":"persistent","issuer":"https://portal.sso.us-east-1.amazonaws.com/saml/assertion/abc","credentials":{"accessKeyId":"ASIA%upper:16%","sessionToken":"IQoJb3JpZ2luX2Vj%b64:420%==","expiration":"Oct 31, 2026, 9:00:00 PM"},"nameQualifier":"%b64:27%=","assumedRoleUser":{"assumedRoleId":"AROA%upper:17%:%user%@example.com","arn":"arn:%partition%:sts::%account%:assumed-role/%role%/%user%@example.com"},"subject":"%user%@example.com","audience":"https://signin.aws.amazon.com/saml"}"#).resources(ROLE),
    read("sts", "GetCallerIdentity", 220),
    read("sts", "GetSessionToken", 8).request(r#"{"durationSeconds":43200,"serialNumber":"arn:%partition%:iam::%account%:mfa/%user%"}"#).response(r#"{"credentials":{"accessKeyId":"ASIA%upper:16%","sessionToken":"IQoJb3JpZ2luX2Vj%b64:420%==","expiration":"Oct 31, 2026, 9:00:00 PM"}}"#),
    read("iam", "GetRole", 150).global().request(r#"{"roleName":"%role%"}"#),
    read("iam", "ListRoles", 40).global().request(r#"{"maxItems":%pick:100|1000%}"#),
    read("iam", "GetPolicyVersion", 60).global().request(r#"{"policyArn":"arn:%partition%:iam::aws:policy/ReadOnlyAccess","versionId":"v%int:1:120%"}"#),
    read("iam", "ListAttachedRolePolicies", 80).global().request(r#"{"roleName":"%role%"}"#),
    read("iam", "GetUser", 30).global().request(r#"{"userName":"%user%"}"#),
    read("iam", "ListAccessKeys", 20).global().request(r#"{"userName":"%user%"}"#),
    read("iam", "GenerateServiceLastAccessedDetails", 6).global().request(r#"{"arn":"arn:%partition%:iam::%account%:role/%role%"}"#).response(r#"{"jobId":"%uuid%"}"#),
    write("iam", "CreateRole", 3).global().request(r#"{"roleName":"%word:60%","description":"R\u00f4le d\u2019ex\u00e9cution \"prod\"","assumeRolePolicyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"lambda.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}","tags":[{"key":"owner","value":"%user%"}]}"#).response(r#"{"role":{"path":"/","roleName":"%word:60%","roleId":"AROA%upper:17%","arn":"arn:%partition%:iam::%account%:role/%word:60%","createDate":"Oct 3, 2026 9:11:02 AM","assumeRolePolicyDocument":"%%7B%%22Version%%22%%3A%%222012-10-17%%22%%7D"}}"#),
    write("iam", "PutRolePolicy", 4).global().request(r#"{"roleName":"%role%","policyName":"inline-%hex:6%","policyDocument":"{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Allow\", \"Action\": [\"s3:GetObject\", \"s3:ListBucket\"], \"Resource\": \"arn:aws:s3:::%bucket%/*\"}]\n}"}"#),
    write("iam", "AttachRolePolicy", 4).global().request(r#"{"roleName":"%role%","policyArn":"arn:%partition%:iam::aws:policy/AmazonS3ReadOnlyAccess"}"#),
    write("iam", "CreateAccessKey", 2).global().request(r#"{"userName":"%user%"}"#).response(r#"{"accessKey":{"userName":"%user%","accessKeyId":"AKIA%upper:16%","status":"Active","createDate":"Oct 3, 2026 9:11:02 AM"}}"#),
    write("iam", "DeleteAccessKey", 2).global().request(r#"{"userName":"%user%","accessKeyId":"AKIA%upper:16%"}"#),
    read("kms", "Decrypt", 980).request(r#"{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:s3:arn":"arn:%partition%:s3:::%bucket%/%key%"}}"#).resources(KEY),
    read("kms", "GenerateDataKey", 420).request(r#"{"keyId":"arn:%partition%:kms:%region%:%account%:key/%uid:20%","keySpec":"AES_256","encryptionContext":{"aws:s3:arn":"arn:%partition%:s3:::%bucket%"}}"#).resources(KEY),
    read("kms", "Encrypt", 40).request(r#"{"keyId":"alias/%word:9%","encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:lambda:FunctionArn":"arn:%partition%:lambda:%region%:%account%:function:%word:50%"}}"#).resources(KEY),
    read("kms", "DescribeKey", 90).request(r#"{"keyId":"%uid:20%"}"#).resources(KEY),
    read("kms", "ListAliases", 20).request(r#"{"limit":100}"#),
    write("kms", "CreateGrant", 24).request(r#"{"keyId":"arn:%partition%:kms:%region%:%account%:key/%uid:20%","granteePrincipal":"ec2.amazonaws.com","operations":["Decrypt","GenerateDataKeyWithoutPlaintext","CreateGrant"],"constraints":{"encryptionContextSubset":{"aws:ebs:id":"vol-0%hex:16%"}},"retiringPrincipal":"ec2.amazonaws.com"}"#).response(r#"{"grantId":"%hex:64%","keyId":"arn:%partition%:kms:%region%:%account%:key/%uid:20%"}"#).resources(KEY),
    write("kms", "RotateKey", 2).by(Caller::Service).of_type(EventType::ServiceEvent).details(r#"{"keyId":"%uid:20%","keyOrigin":"AWS_KMS","backingKeyId":"%hex:64%","rotationType":"AUTOMATIC"}"#).resources(KEY),
    read("secretsmanager", "GetSecretValue", 240).request(r#"{"secretId":"arn:%partition%:secretsmanager:%region%:%account%:secret:%word:30%","versionStage":"AWSCURRENT"}"#),
    read("secretsmanager", "DescribeSecret", 60).request(r#"{"secretId":"%word:30%"}"#),
    write("secretsmanager", "PutSecretValue", 4).request(r#"{"secretId":"%word:30%","clientRequestToken":"%uuid%","versionStages":["AWSCURRENT"]}"#).response(r#"{"arn":"arn:%partition%:secretsmanager:%region%:%account%:secret:%word:30%"}"#),
    write("secretsmanager", "RotationSucceeded", 2).by(Caller::Service).of_type(EventType::ServiceEvent).details("{}").additional(r#"{"SecretId":"arn:%partition%:secretsmanager:%region%:%account%:secret:%word:30%"}"#),
    write("signin", "ConsoleLogin", 36).global().by(Caller::Console).of_type(EventType::ConsoleSignIn).response(r#"{"ConsoleLogin":"Success"}"#).additional(r#"{"LoginTo":"https://console.aws.amazon.com/console/home?hashArgs=%%23&isauthcode=true&state=hashArgsFromTB_%region%","MobileVersion":"No","MFAIdentifier":"arn:%partition%:iam::%account%:mfa/%user%","MFAUsed":"%pick:Yes|Yes|Yes|No%"}"#),
    write("signin", "SwitchRole", 6).global().by(Caller::Console).of_type(EventType::ConsoleSignIn).response(r#"{"SwitchRole":"Success"}"#).additional(r#"{"SwitchFrom":"arn:%partition%:iam::%account%:user/%user%","RedirectTo":"https://console.aws.amazon.com/s3"}"#),
    write("signin", "GetSigninToken", 10).global().of_type(EventType::ConsoleSignIn).response(r#"{"GetSigninToken":"Success"}"#).additional(r#"{"MobileVersion":"No","MFAUsed":"No"}"#),
    write("sso", "Authenticate", 10).by(Caller::Sso).of_type(EventType::ServiceEvent).details(r#"{"relyingPartyDomain":"d-9067a1b2c3.awsapps.com"}"#),
    read("sso", "ListAccounts", 12).by(Caller::Sso),
    read("sso", "GetRoleCredentials", 16).by(Caller::Sso).request(r#"{"roleName":"Admin","accountId":"%account%"}"#),
    read("organizations", "DescribeOrganization", 20).global(),
    read("organizations", "ListAccounts", 24).global().request(r#"{"maxResults":20}"#),
    read("cloudtrail", "LookupEvents", 20).request(r#"{"lookupAttributes":[{"attributeKey":"EventName","attributeValue":"ConsoleLogin"}],"maxResults":50}"#),
    read("cloudtrail", "DescribeTrails", 40).request(r#"{"trailNameList":[],"includeShadowTrails":true}"#),
    read("cloudtrail", "GetTrailStatus", 36).request(r#"{"name":"arn:%partition%:cloudtrail:%region%:%account%:trail/org-trail"}"#),
    write("cloudtrail", "PutEventSelectors", 1).request(r#"{"trailName":"org-trail","advancedEventSelectors":[{"name":"s3","fieldSelectors":[{"field":"eventCategory","equals":["Data"]},{"field":"resources.type","equals":["AWS::S3::Object"]}]}]}"#).response(r#"{"trailARN":"arn:%partition%:cloudtrail:%region%:%account%:trail/org-trail"}"#),
    write("config", "PutEvaluations", 60).request(r#"{"evaluations":[%[:1:3%{"complianceResourceType":"AWS::S3::Bucket","complianceResourceId":"%bucket%","complianceType":"%pick:COMPLIANT|NON_COMPLIANT%","annotation":"checked","orderingTimestamp":"Oct 3, 2026, 9:11:02 AM"}%]%],"resultToken":"HIDDEN_DUE_TO_SECURITY_REASONS","testMode":false}"#).response(r#"{"failedEvaluations":[]}"#).additional(r#"{"configRuleName":"s3-tls","configRuleArn":"arn:%partition%:config:%region%:%account%:config-rule/config-rule-%id:6:30%","configRuleInputParameters":"{\"maxAge\":\"90\"}"}"#),
    read("config", "BatchGetResourceConfig", 20).request(r#"{"resourceKeys":[%[:1:6%{"resourceType":"AWS::EC2::Instance","resourceId":"i-0%id:16:300%"}%]%]}"#),
    read("guardduty", "ListFindings", 20).request(r#"{"detectorId":"%id:32:1%","maxResults":50,"findingCriteria":{"criterion":{"service.archived":{"eq":["false"]},"severity":{"gte":4}}}}"#),
    read("guardduty", "GetDetector", 30).request(r#"{"detectorId":"%id:32:1%"}"#),
    read("securityhub", "GetFindings", 24).request(r#"{"Filters":{"ComplianceStatus":[{"Value":"FAILED","Comparison":"EQUALS"}]},"MaxResults":100}"#),
    read("access-analyzer", "ListAnalyzers", 10).request("{}"),
];
