//! One record: its fields in the order in which CloudTrail writes them.
//!
//! A record is a function of its object's [`Content`] and its place in it, so that an exact copy
//! can be written into another object without keeping anything.

use super::actor::Actor;
use super::dice::{Dice, UPPER, mix, put, put_hex, put_letters, put_number, put_time, put_uuid};
use super::identity::{self, Origin};
use super::layout::{Account, Family};
use super::services::{Call, Caller, Catalogue, Compiled, EventType, Twist};
use super::template::Scene;
use std::ops::Range;

/// One record in this many is an oddity; they take turns.
const ODD_EVERY: u64 = 40;
const DAY: i64 = 86_400;
const EVENT_ID: u64 = 0xe1;
/// Calls in 10,000 that fail.
const ERRORS: u32 = 1_100;
/// Calls in 10,000 that are about what others in the object are about.
const AGAIN: u32 = 6_500;
/// Uses of an actor's dice.
const ENDPOINT: u64 = 11;
const TLS: u64 = 12;

/// What an object holds: decides its records.
#[derive(Clone, Copy)]
pub(super) struct Content {
    pub(super) family: Family,
    pub(super) account: usize,
    pub(super) region: &'static str,
    /// Delivery of the object, in seconds; its events are a little older.
    pub(super) delivered: i64,
    /// Number of the first record among those of all objects of calls.
    pub(super) first: u64,
    pub(super) records: u32,
    pub(super) seed: u64,
    /// Whether the object is a list without the `Records` around it.
    pub(super) is_bare: bool,
    /// Whether oddities, which may be large, are left out.
    pub(super) plain: bool,
}

/// An event that two accounts see: one `sharedEventID`, two `eventID`s.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) caller: usize,
    pub(super) owner: usize,
    pub(super) at_owner: bool,
    pub(super) time: i64,
}

/// What all records are written with.
pub(super) struct Writer<'a> {
    pub(super) accounts: &'a [Account],
    pub(super) catalogue: &'a Catalogue,
}

impl Writer<'_> {
    /// Appends record `index` of a `CloudTrail` or `CloudTrail-NetworkActivity` object.
    pub(super) fn write(&self, out: &mut Vec<u8>, content: &Content, index: u32) {
        let seed = mix(content.seed, u64::from(index));
        let account = &self.accounts[content.account];
        let mut dice = Dice::new(seed);
        let network = content.family == Family::NetworkActivity;
        let odd = if network { None } else { self.oddity(content, index) };
        let (compiled, turn) = match odd {
            Some((compiled, turn)) => (compiled, Some(turn)),
            None if network => (self.catalogue.draw_network(&mut dice), None),
            None => (self.draw(&mut dice, content), None),
        };
        let call = &compiled.call;
        let is_home = call.is_global || call.twist == Twist::ForeignRegion;
        let region = if is_home { account.home } else { content.region };
        let time = event_time(&mut dice, content, call.twist);
        let actor = Actor::draw(&mut dice, account.seed, content.seed, time);
        // A program asks again, and others ask for the same.
        let is_again = turn.is_none() && dice.chance(AGAIN);
        let subject = if is_again { mix(content.seed, dice.below(3).into()) } else { seed };
        let mut scene = Scene { account, region, time, seed, subject, dice, actor, turn };
        let mut record = Record { compiled, scene: &mut scene, minor: 11, network };
        record.write(out);
    }

    /// Returns the oddity whose turn it is, and how often it had one before.
    fn oddity(&self, content: &Content, index: u32) -> Option<(&Compiled, u64)> {
        let ordinal = content.first + u64::from(index);
        let block = ordinal / ODD_EVERY;
        let is_odd = !content.plain && ordinal % ODD_EVERY == mix(block, 0x0dd) % ODD_EVERY;
        is_odd.then(|| self.catalogue.oddity(block))
    }

    fn draw(&self, dice: &mut Dice, content: &Content) -> &Compiled {
        let home = self.accounts[content.account].home == content.region;
        for _ in 0..12 {
            let compiled = self.catalogue.draw(dice);
            // A trail of all regions logs global services in the first region, with few exceptions.
            if home || !compiled.call.is_global || dice.chance(60) {
                return compiled;
            }
        }
        self.catalogue.draw(dice)
    }

    /// Appends one account's view of an `AssumeRole` across accounts.
    pub(super) fn write_shared(&self, out: &mut Vec<u8>, shared: &Shared) {
        let (caller, owner) = (&self.accounts[shared.caller], &self.accounts[shared.owner]);
        let recipient = if shared.at_owner { owner } else { caller };
        let mut dice = Dice::new(shared.seed);
        put!(out, "{\"eventVersion\":\"1.11\",\"userIdentity\":{\"type\":");
        if shared.at_owner {
            put!(out, "\"AWSAccount\",\"principalId\":\"AROAEXAMPLE:session\",\"accountId\":\"");
            put!(out, caller.id, "\"}");
        } else {
            put!(out, "\"AssumedRole\",\"principalId\":\"AROAEXAMPLE:session\",\"arn\":\"arn:");
            put!(out, caller.partition, ":sts::", caller.id, ":assumed-role/ci-deploy/session\",");
            put!(out, "\"accountId\":\"", caller.id, "\"}");
        }
        put!(out, ",\"eventTime\":\"");
        put_time(out, shared.time);
        put!(out, "Z\",\"eventSource\":\"sts.amazonaws.com\",\"eventName\":\"AssumeRole\"");
        put!(out, ",\"awsRegion\":\"", recipient.home, "\",\"sourceIPAddress\":\"203.0.113.77\"");
        put!(out, ",\"userAgent\":\"aws-sdk-go-v2/1.30.3\",\"requestParameters\":{\"roleArn\":\"");
        put!(out, "arn:", owner.partition, ":iam::", owner.id, ":role/cross-account-inventory\"");
        put!(out, ",\"roleSessionName\":\"session\"},\"responseElements\":{\"credentials\":{");
        put!(out, "\"accessKeyId\":\"ASIA");
        put_letters(out, &mut dice, 16, UPPER);
        put!(out, "\",\"expiration\":\"Oct 31, 2026, 9:00:00 PM\"}},\"requestID\":\"");
        put_uuid(out, dice.word(), dice.word());
        put!(out, "\",\"eventID\":\"");
        let side = 2 * u64::from(shared.at_owner);
        put_uuid(out, mix(shared.seed, 11 + side), mix(shared.seed, 12 + side));
        put!(out, "\",\"readOnly\":true,\"resources\":[{\"accountId\":\"", owner.id);
        put!(out, "\",\"type\":\"AWS::IAM::Role\",\"ARN\":\"arn:", owner.partition, ":iam::");
        put!(out, owner.id, ":role/cross-account-inventory\"}],\"eventType\":\"AwsApiCall\"");
        put!(out, ",\"managementEvent\":true,\"recipientAccountId\":\"", recipient.id);
        put!(out, "\",\"sharedEventID\":\"");
        put_uuid(out, mix(shared.seed, 21), mix(shared.seed, 22));
        put!(out, "\",\"eventCategory\":\"Management\"}");
    }
}

/// A huge record is written on one of this many turns.
const HUGE_EVERY: u64 = 5;

fn event_time(dice: &mut Dice, content: &Content, twist: Twist) -> i64 {
    let recent = content.delivered - 20 - i64::from(dice.below(700));
    match twist {
        // Mostly hours; a few are as late as CloudTrail allows.
        Twist::Late if dice.chance(2_000) => recent - DAY - i64::from(dice.below(29 * DAY as u32)),
        Twist::Late => recent - i64::from(dice.below(DAY as u32)),
        Twist::Midnight => content.delivered - content.delivered.rem_euclid(DAY) - 1,
        _ => recent,
    }
}

struct Record<'a, 'b> {
    compiled: &'a Compiled,
    scene: &'a mut Scene<'b>,
    /// Minor part of the event version.
    minor: u32,
    network: bool,
}

impl Record<'_, '_> {
    fn write(&mut self, out: &mut Vec<u8>) {
        let Call { source, name, caller, twist, event_type, .. } = self.compiled.call;
        let roll = self.scene.dice.below(1000);
        self.minor = match roll {
            _ if self.network => 9,
            0..10 => 2,
            10..25 => 5,
            _ => usual_version(source),
        };
        put!(
            out,
            "{\"eventVersion\":\"1.",
            ["02", "05", "08", "09", "10", "11"][version(self.minor)]
        );
        put!(out, "\",\"userIdentity\":");
        let start = out.len();
        let origin = identity::write(out, self.scene, caller, self.minor);
        let identity = start..out.len();
        put!(out, ",\"eventTime\":\"");
        put_time(out, self.scene.time);
        if twist == Twist::FractionalTime {
            put!(out, ".");
            put_number(out, self.scene.dice.between(100, 999));
        }
        put!(out, "Z\",\"eventSource\":\"", source, ".amazonaws.com\",\"eventName\":\"", name);
        put!(out, "\",\"awsRegion\":\"", self.scene.region, "\"");
        if twist == Twist::AgentList {
            put!(
                out,
                ",\"sourceIPAddress\":\"192.0.2.7\",\"userAgent\":[\"Boto3/1.34\",\"custom\"]"
            );
        } else {
            identity::write_origin(out, self.scene, origin, &self.compiled.call);
        }
        let failed = self.write_error(out, event_type, identity);
        self.write_free_form(out, failed);
        self.write_ids(out);
        self.write_tail(out, origin);
        put!(out, "}");
    }

    /// `identity` is where `userIdentity` stands: messages quote its ARN.
    fn write_error(
        &mut self,
        out: &mut Vec<u8>,
        event_type: EventType,
        identity: Range<usize>,
    ) -> bool {
        let Call { source, name, twist, .. } = self.compiled.call;
        if self.network {
            let denied = self.scene.dice.chance(1800);
            if denied {
                put!(out, ",\"errorCode\":\"VpceAccessDenied\",\"errorMessage\":\"");
                put!(out, "The request was denied due to a VPC endpoint policy\"");
            }
            return denied;
        }
        if event_type == EventType::ConsoleSignIn {
            let failed = self.scene.dice.chance(900);
            if failed {
                put!(out, ",\"errorMessage\":\"Failed authentication\"");
            }
            return false;
        }
        if twist != Twist::None || !self.scene.dice.chance(ERRORS) {
            return false;
        }
        let roll = self.scene.dice.below(10);
        put!(out, ",\"errorCode\":\"");
        match (source, roll) {
            ("s3", 0..5) => {
                put!(out, "NoSuchKey\",\"errorMessage\":\"The specified key does not exist.\"");
            }
            ("dynamodb", 0..5) => put!(out, "ConditionalCheckFailedException\""),
            (_, 0..2) => put!(out, "ThrottlingException\",\"errorMessage\":\"Rate exceeded\""),
            (_, 2..4) => {
                put!(out, "ResourceNotFoundException\",\"errorMessage\":\"The resource you ");
                put!(out, "requested does not exist.\"");
            }
            _ => {
                let code =
                    if source == "ec2" { "Client.UnauthorizedOperation" } else { "AccessDenied" };
                put!(out, code, "\",\"errorMessage\":\"User: ");
                put_caller(out, self.scene, identity);
                put!(out, " is not authorized to perform: ", source, ":", name, " because no ");
                put!(out, "identity-based policy allows the ", source, ":", name, " action\"");
            }
        }
        true
    }

    fn write_free_form(&mut self, out: &mut Vec<u8>, failed: bool) {
        let twist = self.compiled.call.twist;
        let size = match twist {
            Twist::Large => 58_000,
            Twist::Huge if self.scene.turn.is_some_and(|turn| turn % HUGE_EVERY == 1) => 96_000,
            Twist::Huge => 600,
            _ => 0,
        };
        put!(out, ",\"requestParameters\":");
        let is_refused = failed && self.scene.dice.chance(6_000);
        if is_refused || self.compiled.request.is_empty() {
            put!(out, "null");
        } else {
            self.compiled.request.render(out, self.scene);
            if size > 0 {
                put_bulk(out, &mut self.scene.dice, size);
            }
        }
        put!(out, ",\"responseElements\":");
        if failed || self.compiled.response.is_empty() {
            put!(out, "null");
        } else {
            self.compiled.response.render(out, self.scene);
            if size > 0 {
                put_bulk(out, &mut self.scene.dice, size);
            }
        }
        if !self.compiled.additional.is_empty() {
            put!(out, ",\"additionalEventData\":");
            self.compiled.additional.render(out, self.scene);
        }
    }

    fn write_ids(&mut self, out: &mut Vec<u8>) {
        let Call { source, is_read, twist, event_type, .. } = self.compiled.call;
        if event_type == EventType::Call {
            put!(out, ",\"requestID\":\"");
            if source == "s3" {
                put_letters(out, &mut self.scene.dice, 16, UPPER);
            } else {
                put_uuid(out, self.scene.dice.word(), self.scene.dice.word());
            }
            put!(out, "\"");
        }
        put!(out, ",\"eventID\":\"");
        let seed = self.scene.seed;
        put_uuid(out, mix(seed, EVENT_ID), mix(seed, EVENT_ID + 1));
        put!(out, "\"");
        if self.minor > 2 && !self.network {
            let quote = if twist == Twist::BooleansAsText { "\"" } else { "" };
            put!(out, ",\"readOnly\":", quote, flag(is_read), quote);
        }
        if !self.compiled.resources.is_empty() {
            put!(out, ",\"resources\":");
            self.compiled.resources.render(out, self.scene);
        }
    }

    fn write_tail(&mut self, out: &mut Vec<u8>, origin: Origin) {
        let Call { source, is_data, twist, event_type, .. } = self.compiled.call;
        let kind = match event_type {
            _ if self.network => "AwsVpceEvents",
            EventType::Call => "AwsApiCall",
            EventType::ServiceEvent => "AwsServiceEvent",
            EventType::ConsoleAction => "AwsConsoleAction",
            EventType::ConsoleSignIn => "AwsConsoleSignIn",
        };
        put!(out, ",\"eventType\":\"", kind, "\"");
        if self.minor == 5 && source == "lambda" {
            put!(out, ",\"apiVersion\":\"2015-03-31\"");
        }
        if self.minor > 5 && !self.network {
            let quote = if twist == Twist::BooleansAsText { "\"" } else { "" };
            put!(out, ",\"managementEvent\":", quote, flag(!is_data), quote);
        }
        if self.minor == 2 {
            return;
        }
        put!(out, ",\"recipientAccountId\":\"", self.scene.account.id, "\"");
        if !self.compiled.details.is_empty() {
            put!(out, ",\"serviceEventDetails\":");
            self.compiled.details.render(out, self.scene);
        }
        self.write_sharing(out, origin);
        if self.minor > 5 {
            let category = match (self.network, is_data) {
                (true, _) => "NetworkActivity",
                (_, true) => "Data",
                _ => "Management",
            };
            put!(out, ",\"eventCategory\":\"", category, "\"");
        }
        self.write_twist(out, twist);
        if self.minor > 5 && !self.network && !matches!(origin, Origin::Service(_)) {
            self.write_tls(out, source);
        }
        if origin == Origin::Console && event_type == EventType::Call {
            let quote = if twist == Twist::ConsoleFlagBoolean { "" } else { "\"" };
            put!(out, ",\"sessionCredentialFromConsole\":", quote, "true", quote);
        } else if twist == Twist::ConsoleFlagBoolean {
            put!(out, ",\"sessionCredentialFromConsole\":true");
        }
    }

    fn write_sharing(&mut self, out: &mut Vec<u8>, origin: Origin) {
        let Call { caller, .. } = self.compiled.call;
        let service = matches!(origin, Origin::Service(_)) && self.scene.dice.chance(4000);
        if service || (caller == Caller::Objects && self.scene.dice.chance(200)) {
            put!(out, ",\"sharedEventID\":\"");
            put_uuid(out, self.scene.dice.word(), self.scene.dice.word());
            put!(out, "\"");
        }
        let mut dice = self.scene.actor.dice(ENDPOINT);
        if self.network || (self.minor > 8 && dice.chance(900)) {
            put!(out, ",\"vpcEndpointId\":\"vpce-0");
            let member = u64::from(dice.below(9));
            put_hex(out, &mut Dice::new(mix(self.scene.account.seed, member)), 16);
            put!(out, "\",\"vpcEndpointAccountId\":\"", self.scene.account.id, "\"");
        }
    }

    fn write_twist(&mut self, out: &mut Vec<u8>, twist: Twist) {
        match twist {
            Twist::Addendum => {
                put!(out, ",\"addendum\":{\"reason\":\"UPDATED_DATA\",\"updatedFields\":");
                put!(out, "\"responseElements, errorCode\",\"originalRequestID\":\"");
                put_uuid(out, self.scene.dice.word(), self.scene.dice.word());
                put!(out, "\",\"originalEventID\":\"");
                put_uuid(out, self.scene.dice.word(), self.scene.dice.word());
                put!(out, "\"}");
            }
            Twist::EdgeDevice => {
                put!(out, ",\"edgeDeviceDetails\":{\"deviceId\":\"JID-");
                put_hex(out, &mut self.scene.dice, 12);
                put!(out, "\",\"ports\":[80,443],\"online\":true}");
            }
            Twist::UnknownFields => {
                put!(
                    out,
                    ",\"futureField\":{\"level\":3,\"tags\":[\"new\"]},\"x-vendor-note\":\"kept\""
                );
                put!(out, ",\"confidence\":0.25");
            }
            _ => {}
        }
    }

    fn write_tls(&mut self, out: &mut Vec<u8>, source: &str) {
        let new = self.scene.actor.dice(TLS).chance(8000);
        put!(out, ",\"tlsDetails\":{\"tlsVersion\":\"", if new { "TLSv1.3" } else { "TLSv1.2" });
        put!(out, "\",\"cipherSuite\":\"");
        put!(out, if new { "TLS_AES_128_GCM_SHA256" } else { "ECDHE-RSA-AES128-GCM-SHA256" });
        put!(out, "\",\"clientProvidedHostHeader\":\"", source, ".", self.scene.region, ".");
        put!(out, self.scene.account.suffix, "\"");
        if self.minor == 11 && new {
            put!(out, ",\"keyExchange\":\"X25519MLKEM768\"");
        }
        put!(out, "}");
    }
}

/// The minor event version that a service writes today.
fn usual_version(source: &str) -> u32 {
    let word = source.bytes().fold(0, |word, byte| mix(word, u64::from(byte)));
    [8, 9, 9, 10, 11, 11, 11, 11][(word >> 40) as usize % 8]
}

/// Appends the ARN of the identity, or one of a session if it has none.
fn put_caller(out: &mut Vec<u8>, scene: &mut Scene<'_>, identity: Range<usize>) {
    const MARK: &[u8] = b",\"arn\":\"";
    let text = &out[identity.clone()];
    let start = text.windows(MARK.len()).position(|part| part == MARK).map(|at| at + MARK.len());
    let end = start.and_then(|start| {
        text[start..].iter().position(|byte| *byte == b'"').map(|length| start + length)
    });
    match (start, end) {
        (Some(start), Some(end)) => {
            out.extend_from_within(identity.start + start..identity.start + end);
        }
        _ => identity::put_session_arn(out, scene),
    }
}

fn version(minor: u32) -> usize {
    match minor {
        2 => 0,
        5 => 1,
        8 => 2,
        9 => 3,
        10 => 4,
        _ => 5,
    }
}

fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Appends a text of `bytes` bytes, JSON inside JSON, and closes the object around it.
fn put_bulk(out: &mut Vec<u8>, dice: &mut Dice, bytes: usize) {
    let end = out.len() + bytes;
    put!(out, "\"{\\n  \\\"Resources\\\": {");
    let mut count = 0;
    while out.len() < end {
        put!(out, if count > 0 { "," } else { "" }, "\\n    \\\"Queue");
        put_number(out, count);
        put!(out, "\\\": {\\\"Type\\\": \\\"AWS::SQS::Queue\\\", \\\"Name\\\": \\\"");
        put_hex(out, dice, 12);
        put!(out, "\\\"}");
        count += 1;
    }
    put!(out, "\\n  }\\n}\"}");
}
