//! Who called: `userIdentity` in every kind that CloudTrail writes, and the network side of it.

use super::dice::{Dice, UPPER, mix, put, put_letters, put_number, put_time, put_uuid};
use super::services::{Call, Caller};
use super::template::{PEOPLE, ROLES, Scene, put_ip};

/// How a call reached AWS: decides `sourceIPAddress` and `userAgent`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// An AWS service, by the name it gives itself.
    Service(&'static str),
    /// A browser.
    Console,
    /// A program.
    Program,
}

/// Services that call on somebody's behalf.
const SERVICES: [&str; 14] = [
    "ec2.amazonaws.com",
    "lambda.amazonaws.com",
    "ecs-tasks.amazonaws.com",
    "cloudformation.amazonaws.com",
    "autoscaling.amazonaws.com",
    "config.amazonaws.com",
    "rds.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "secretsmanager.amazonaws.com",
    "cloudtrail.amazonaws.com",
    "delivery.logs.amazonaws.com",
    "guardduty.amazonaws.com",
    "firehose.amazonaws.com",
    "AWS Internal",
];

/// Programs, popular ones first. `{N}` is a number below N that belongs to the actor, `{service}` and
/// `{command}` name the call.
const AGENTS: [&str; 14] = [
    "Boto3/1.34.{150} md/Botocore#1.34.{150} ua/2.0 os/linux#5.10.219 md/arch#aarch64 \
     lang/python#3.12.4 md/pyimpl#CPython exec-env/AWS_Lambda_python3.12 cfg/retry-mode#legacy",
    "APN/1.0 HashiCorp/1.0 Terraform/1.9.{8} (+https://www.terraform.io) \
     terraform-provider-aws/5.{90}.0 (+https://registry.terraform.io/providers/hashicorp/aws) \
     aws-sdk-go-v2/1.30.{6} os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#amd64 \
     api/{service}#1.{170}.1",
    "aws-cli/2.{31}.{40} md/awscrt#0.21.2 ua/2.0 os/linux#6.8.0 md/arch#x86_64 lang/python#3.11.9 \
     md/pyimpl#CPython cfg/retry-mode#standard md/prompt#off md/command#{command}",
    "aws-sdk-go-v2/1.30.{6} os/linux lang/go#1.22.{8} md/GOOS#linux md/GOARCH#arm64 \
     api/{service}#1.{170}.3",
    "aws-sdk-java/2.26.{30} Linux/5.10.219 OpenJDK_64-Bit_Server_VM/21.0.3 Java/21.0.3 \
     vendor/Amazon.com_Inc. io/sync http/Apache cfg/retry-mode/standard",
    "aws-sdk-js/3.{620}.0 ua/2.1 os/linux#5.10.219 lang/js md/nodejs#20.14.0 \
     api/{service}#3.{620}.0",
    "aws-sdk-rust/1.3.{9} os/linux lang/rust/1.79.0",
    "S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.{700} Linux/5.10.219 Java/1.8.0_412",
    "amazon-ssm-agent/3.3.{900}.0",
    "eks-node/v1.30.{9}",
    "Amazon ECS Agent - v1.{90}.0 (linux)",
    "aws-sdk-go/1.54.{30} (go1.22.5; linux; amd64) karpenter.sh-0.37.{7}",
    "Coral/Netty4",
    "[aws-cli/1.33.{40} md/Botocore#1.34.{150} ua/2.0 os/macos#23.5.0 md/arch#arm64 \
     lang/python#3.9.6 md/command#{command}]",
];

const BROWSERS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/{130}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/17.{6} Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{130}.0) Gecko/20100101 Firefox/{130}.0",
];

/// Uses of an actor's dice: what one decides does not change the others.
const IDENTITY: u64 = 1;
const ADDRESS: u64 = 2;
const AGENT: u64 = 3;
const SESSION: u64 = 4;
const ACCESS_KEY: u64 = 5;

/// Appends the `userIdentity` object and returns where the call came from.
///
/// `minor` is the minor event version: older ones carry empty objects, newer ones more members. The
/// same actor in the same session gives the same text.
pub(super) fn write(
    out: &mut Vec<u8>,
    scene: &mut Scene<'_>,
    caller: Caller,
    minor: u32,
) -> Origin {
    let own = std::mem::replace(&mut scene.dice, scene.actor.dice(IDENTITY));
    let origin = write_kind(out, scene, caller, minor);
    scene.dice = own;
    origin
}

fn write_kind(out: &mut Vec<u8>, scene: &mut Scene<'_>, caller: Caller, minor: u32) -> Origin {
    match (caller, scene.actor.roll) {
        (Caller::Service, _) | (Caller::Any, 0..140) | (Caller::Assume, 0..450) => {
            service(out, scene)
        }
        (Caller::WebIdentity, _) => web_identity(out, scene),
        (Caller::Saml, _) => {
            put!(out, "{\"type\":\"SAMLUser\",\"principalId\":\"");
            put_letters(out, &mut Dice::new(scene.account.seed), 27, UPPER);
            let person = person(scene);
            put!(out, "=:", person, "@example.com\",\"userName\":\"", person);
            put!(out, "@example.com\",\"identityProvider\":\"");
            put_letters(out, &mut Dice::new(scene.account.seed), 27, UPPER);
            put!(out, "=\"}");
            Origin::Console
        }
        (Caller::Sso, _) | (Caller::Any, 140..155) => identity_center(out, scene),
        (Caller::Console, 0..40) | (Caller::Any, 155..161) => root(out, scene),
        (Caller::Console, 40..600) | (Caller::Any, 161..310) | (Caller::Objects, 0..80) => {
            let console = caller == Caller::Console || scene.dice.chance(1500);
            iam_user(out, scene, console, minor)
        }
        (Caller::Objects, 80..95) => {
            put!(out, "{\"type\":\"AWSAccount\",\"principalId\":\"\",\"accountId\":\"anonymous\"}");
            Origin::Program
        }
        (Caller::Objects, 95..115) | (Caller::Assume, 450..520) => {
            put!(out, "{\"type\":\"AWSAccount\",\"principalId\":\"AROA");
            put_letters(out, &mut Dice::new(scene.account.seed ^ 9), 17, UPPER);
            put!(out, ":", person(scene), "\",\"accountId\":\"999988887777\"}");
            Origin::Program
        }
        (Caller::Objects, 115..140) => service(out, scene),
        (Caller::Any, 310..314) => federated(out, scene),
        _ => assumed_role(out, scene, minor),
    }
}

/// Addresses of an account.
const ADDRESSES: u32 = 48;

/// Appends the values of `sourceIPAddress` and `userAgent`, with both keys.
pub(super) fn write_origin(out: &mut Vec<u8>, scene: &mut Scene<'_>, origin: Origin, call: &Call) {
    put!(out, ",\"sourceIPAddress\":\"");
    if let Origin::Service(name) = origin {
        put!(out, name);
    } else {
        // An actor calls from its own address, now and then from another of the account.
        let moves = scene.dice.chance(60);
        let member = if moves { &mut scene.dice } else { &mut scene.actor.dice(ADDRESS) };
        let member = member.below(ADDRESSES);
        put_ip(out, mix(scene.account.seed, 0x1_0000 + u64::from(member)));
    }
    put!(out, "\",\"userAgent\":\"");
    let mut dice = scene.actor.dice(AGENT);
    match origin {
        Origin::Service(name) => put!(out, name),
        Origin::Console => {
            let browser = dice.pick(&BROWSERS);
            put_agent(out, &mut dice, browser, call);
        }
        Origin::Program => {
            let first = dice.below(AGENTS.len() as u32);
            let program = AGENTS[dice.below(first + 1) as usize];
            put_agent(out, &mut dice, program, call);
        }
    }
    put!(out, "\"");
}

/// Appends a user agent, its holes filled.
fn put_agent(out: &mut Vec<u8>, dice: &mut Dice, agent: &str, call: &Call) {
    let mut parts = agent.split(['{', '}']);
    put!(out, parts.next().unwrap_or(""));
    while let (Some(hole), Some(text)) = (parts.next(), parts.next()) {
        match hole {
            "service" => put!(out, call.source),
            "command" => put_command(out, call),
            bound => put_number(out, u64::from(dice.below(bound.parse().unwrap_or(1)))),
        }
        put!(out, text);
    }
}

/// Appends a call as the AWS CLI names it: `ec2.describe-instances`.
fn put_command(out: &mut Vec<u8>, call: &Call) {
    put!(out, call.source, ".");
    for (at, letter) in call.name.bytes().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push(b'-');
        }
        out.push(letter.to_ascii_lowercase());
    }
}

/// Appends a role's session ARN, as error messages quote it.
pub(super) fn put_session_arn(out: &mut Vec<u8>, scene: &mut Scene<'_>) {
    put!(out, "arn:", scene.account.partition, ":sts::", scene.account.id, ":assumed-role/");
    put!(out, scene.dice.pick(&ROLES), "/", person(scene));
}

fn person(scene: &mut Scene<'_>) -> &'static str {
    scene.dice.pick(&PEOPLE)
}

/// A principal's or key's id: the same for the same member of the account.
fn put_principal(out: &mut Vec<u8>, scene: &Scene<'_>, prefix: &str, member: u64, count: usize) {
    put!(out, prefix);
    put_letters(out, &mut Dice::new(mix(scene.account.seed, member)), count, UPPER);
}

fn put_session_times(out: &mut Vec<u8>, scene: &mut Scene<'_>) {
    put!(out, "\"attributes\":{\"creationDate\":\"");
    put_time(out, scene.actor.started);
    let factor = if scene.actor.session_dice(SESSION).chance(1200) { "true" } else { "false" };
    put!(out, "Z\",\"mfaAuthenticated\":\"", factor, "\"}");
}

fn service(out: &mut Vec<u8>, scene: &mut Scene<'_>) -> Origin {
    let name = scene.dice.pick(&SERVICES);
    put!(out, "{\"type\":\"AWSService\",\"invokedBy\":\"", name, "\"");
    if scene.dice.chance(300) {
        put!(out, ",\"inScopeOf\":{\"sourceArn\":\"arn:", scene.account.partition);
        put!(out, ":cloudtrail:", scene.region, ":", scene.account.id, ":trail/org-trail\",");
        put!(out, "\"sourceAccount\":\"", scene.account.id, "\"}");
    }
    put!(out, "}");
    Origin::Service(name)
}

fn web_identity(out: &mut Vec<u8>, scene: &mut Scene<'_>) -> Origin {
    put!(out, "{\"type\":\"WebIdentityUser\",\"principalId\":\"");
    if scene.dice.chance(4000) {
        let provider = "token.actions.githubusercontent.com";
        let subject = "repo:example-org/platform:ref:refs/heads/main";
        put!(out, "arn:", scene.account.partition, ":iam::", scene.account.id, ":oidc-provider/");
        put!(out, provider, ":sts.amazonaws.com:", subject, "\",\"userName\":\"", subject);
        put!(out, "\",\"identityProvider\":\"arn:", scene.account.partition, ":iam::");
        put!(out, scene.account.id, ":oidc-provider/", provider, "\"}");
        return Origin::Program;
    }
    let subject = "system:serviceaccount:kube-system:aws-load-balancer-controller";
    put!(out, "arn:", scene.account.partition, ":iam::", scene.account.id, ":oidc-provider/");
    put_issuer(out, scene);
    put!(out, ":sts.amazonaws.com:", subject, "\",\"userName\":\"", subject);
    put!(out, "\",\"identityProvider\":\"arn:", scene.account.partition, ":iam::");
    put!(out, scene.account.id, ":oidc-provider/");
    put_issuer(out, scene);
    put!(out, "\"}");
    Origin::Program
}

fn put_issuer(out: &mut Vec<u8>, scene: &Scene<'_>) {
    put!(out, "oidc.eks.", scene.region, ".amazonaws.com/id/");
    put_letters(out, &mut Dice::new(scene.account.seed ^ 3), 32, b"0123456789ABCDEF");
}

fn identity_center(out: &mut Vec<u8>, scene: &mut Scene<'_>) -> Origin {
    let member = u64::from(scene.dice.below(16));
    put!(out, "{\"type\":\"IdentityCenterUser\",\"accountId\":\"", scene.account.id);
    put!(out, "\",\"onBehalfOf\":{\"userId\":\"");
    put_uuid(out, mix(scene.account.seed, 70 + member), mix(scene.account.seed, 90 + member));
    put!(out, "\",\"identityStoreArn\":\"arn:", scene.account.partition, ":identitystore::");
    put!(out, scene.account.id, ":identitystore/d-9067a1b2c3\"},\"credentialId\":\"");
    put_letters(out, &mut scene.actor.session_dice(SESSION), 40, b"0123456789abcdef");
    put!(out, "\"}");
    Origin::Console
}

fn root(out: &mut Vec<u8>, scene: &mut Scene<'_>) -> Origin {
    let (id, partition) = (&scene.account.id, scene.account.partition);
    put!(out, "{\"type\":\"Root\",\"principalId\":\"", id, "\",\"arn\":\"arn:", partition);
    put!(out, ":iam::", id, ":root\",\"accountId\":\"", id, "\",\"accessKeyId\":\"");
    if scene.dice.chance(3000) {
        put!(out, "\"}");
    } else {
        put_principal(out, scene, "ASIA", 0x700, 16);
        put!(out, "\",\"sessionContext\":{");
        put_session_times(out, scene);
        put!(out, "}}");
    }
    Origin::Console
}

fn iam_user(out: &mut Vec<u8>, scene: &mut Scene<'_>, console: bool, minor: u32) -> Origin {
    let member = scene.dice.below(PEOPLE.len() as u32) as usize;
    let (id, name) = (&scene.account.id, PEOPLE[member]);
    put!(out, "{\"type\":\"IAMUser\",\"principalId\":\"");
    put_principal(out, scene, "AIDA", member as u64, 17);
    put!(out, "\",\"arn\":\"arn:", scene.account.partition, ":iam::", id, ":user/", name);
    put!(out, "\",\"accountId\":\"", id, "\",\"accessKeyId\":\"");
    put_principal(out, scene, if console { "ASIA" } else { "AKIA" }, 32 + member as u64, 16);
    put!(out, "\",\"userName\":\"", name, "\"");
    if console {
        put!(out, ",\"sessionContext\":{");
        if minor < 9 {
            put!(out, "\"sessionIssuer\":{},\"webIdFederationData\":{},");
        }
        put_session_times(out, scene);
        put!(out, "}");
    }
    put!(out, "}");
    if console { Origin::Console } else { Origin::Program }
}

fn federated(out: &mut Vec<u8>, scene: &mut Scene<'_>) -> Origin {
    let (id, partition) = (&scene.account.id, scene.account.partition);
    put!(out, "{\"type\":\"FederatedUser\",\"principalId\":\"", id, ":contractor\",\"arn\":\"arn:");
    put!(out, partition, ":sts::", id, ":federated-user/contractor\",\"accountId\":\"", id);
    put!(out, "\",\"accessKeyId\":\"");
    put_principal(out, scene, "ASIA", 0x701, 16);
    put!(out, "\",\"sessionContext\":{\"sessionIssuer\":{\"type\":\"IAMUser\",\"principalId\":\"");
    put_principal(out, scene, "AIDA", 0, 17);
    put!(out, "\",\"arn\":\"arn:", partition, ":iam::", id, ":user/", PEOPLE[0]);
    put!(out, "\",\"accountId\":\"", id, "\",\"userName\":\"", PEOPLE[0], "\"},");
    put_session_times(out, scene);
    put!(out, "}}");
    Origin::Program
}

fn assumed_role(out: &mut Vec<u8>, scene: &mut Scene<'_>, minor: u32) -> Origin {
    let member = scene.dice.below(ROLES.len() as u32) as usize;
    let member = scene.dice.below(member as u32 + 1) as usize;
    let role = ROLES[member];
    let (id, partition) = (&scene.account.id, scene.account.partition);
    let human = matches!(role, "Admin" | "ReadOnly" | "SecurityAudit");
    let session = role_session(scene, member, human);
    put!(out, "{\"type\":\"AssumedRole\",\"principalId\":\"");
    put_principal(out, scene, "AROA", 64 + member as u64, 17);
    put!(out, ":", session, "\",\"arn\":\"arn:", partition, ":sts::", id, ":assumed-role/", role);
    put!(out, "/", session, "\",\"accountId\":\"", id, "\",\"accessKeyId\":\"");
    put!(out, "ASIA");
    put_letters(out, &mut scene.actor.session_dice(ACCESS_KEY), 16, UPPER);
    put!(out, "\",\"sessionContext\":{\"sessionIssuer\":{\"type\":\"Role\",\"principalId\":\"");
    put_principal(out, scene, "AROA", 64 + member as u64, 17);
    put!(out, "\",\"arn\":\"arn:", partition, ":iam::", id, ":role/", role);
    put!(out, "\",\"accountId\":\"", id, "\",\"userName\":\"", role, "\"},");
    put_web_federation(out, scene, member, minor);
    put_session_times(out, scene);
    if member.is_multiple_of(3) && !human {
        put!(
            out,
            ",\"ec2RoleDelivery\":\"",
            if scene.dice.chance(7000) { "2.0" } else { "1.0" },
            "\""
        );
    }
    if scene.dice.chance(60) {
        put!(out, ",\"sourceIdentity\":\"", PEOPLE[member], "@example.com\"");
    }
    if scene.dice.chance(15) {
        put!(out, ",\"assumedRoot\":\"true\"");
    }
    put!(out, "}");
    let mut origin = if human { Origin::Console } else { Origin::Program };
    if role.ends_with("lambda-role") || role == "prod-ingest-lambda" {
        put!(out, ",\"inScopeOf\":{\"issuerType\":\"AWS::Lambda::Function\",");
        put!(out, "\"credentialsIssuedTo\":\"arn:", partition, ":lambda:", scene.region, ":", id);
        put!(out, ":function:prod-ingest\"}");
    } else if scene.dice.chance(500) {
        let name = scene.dice.pick(&SERVICES);
        put!(out, ",\"invokedBy\":\"", name, "\"");
        origin = Origin::Service(name);
    }
    put!(out, "}");
    origin
}

/// The name of a role's session: a person's, an instance's or a program's.
fn role_session(scene: &mut Scene<'_>, member: usize, human: bool) -> Vec<u8> {
    let mut session = Vec::with_capacity(40);
    if human {
        put!(session, PEOPLE[scene.dice.below(16) as usize], "@example.com");
    } else if member.is_multiple_of(3) {
        put!(session, "i-0");
        let instance = mix(scene.account.seed, 500 + u64::from(scene.dice.below(60)));
        put_letters(&mut session, &mut Dice::new(instance), 16, b"0123456789abcdef");
    } else {
        put!(session, ROLES[member], "-session-");
        put_number(&mut session, scene.dice.between(1, 40));
    }
    session
}

/// Appends `webIdFederationData`, of which few sessions have any.
fn put_web_federation(out: &mut Vec<u8>, scene: &mut Scene<'_>, member: usize, minor: u32) {
    let (id, partition) = (&scene.account.id, scene.account.partition);
    if scene.dice.chance(600) {
        put!(out, "\"webIdFederationData\":{\"federatedProvider\":\"arn:", partition, ":iam::", id);
        put!(out, ":oidc-provider/");
        put_issuer(out, scene);
        put!(out, "\",\"attributes\":{");
        if scene.dice.chance(6000) {
            let issuer = "oidc.eks.amazonaws.com:";
            put!(out, "\"", issuer, "aud\":\"sts.amazonaws.com\",\"", issuer, "sub\":\"");
            put!(out, "system:serviceaccount:apps:", PEOPLE[member], "\"");
        }
        put!(out, "}},");
    } else if minor < 9 {
        put!(out, "\"webIdFederationData\":{},");
    }
}
