//! Objects that are no lists of calls: insights, aggregated events and digests.

use super::dice::{Dice, mix, put, put_letters, put_number, put_time, put_uuid};
use super::layout::{Account, Address};
use super::record::Content;

const HEX: &[u8] = b"0123456789abcdef";

/// Appends record `index` of an Insights object: even ones start an insight, odd ones end it.
pub(super) fn write_insight(
    out: &mut Vec<u8>,
    accounts: &[Account],
    content: &Content,
    index: u32,
) {
    let account = &accounts[content.account];
    let pair = mix(content.seed, u64::from(index / 2));
    let mut dice = Dice::new(pair);
    let ended = index % 2 == 1;
    let minutes = dice.between(3, 40);
    let (source, name) = dice.pick(&[
        ("ssm", "UpdateInstanceInformation"),
        ("ec2", "RunInstances"),
        ("iam", "PutRolePolicy"),
        ("s3", "DeleteBucket"),
        ("lambda", "UpdateFunctionCode20150331v2"),
    ]);
    let by_error = dice.chance(3000);
    put!(out, "{\"eventVersion\":\"1.09\",\"eventTime\":\"");
    put_time(out, content.delivered - 3000 + if ended { minutes as i64 * 60 } else { 0 });
    put!(out, "Z\",\"awsRegion\":\"", content.region, "\",\"eventID\":\"");
    put_uuid(out, mix(pair, 31 + u64::from(ended)), mix(pair, 41 + u64::from(ended)));
    put!(out, "\",\"eventType\":\"AwsCloudTrailInsight\",\"recipientAccountId\":\"", account.id);
    put!(out, "\",\"sharedEventID\":\"");
    put_uuid(out, mix(pair, 51), mix(pair, 52));
    put!(out, "\",\"insightDetails\":{\"state\":\"", if ended { "End" } else { "Start" });
    put!(out, "\",\"eventSource\":\"", source, ".amazonaws.com\",\"eventName\":\"", name);
    put!(
        out,
        "\",\"insightType\":\"",
        if by_error { "ApiErrorRateInsight" } else { "ApiCallRateInsight" }
    );
    put!(out, "\"");
    if by_error {
        put!(out, ",\"errorCode\":\"AccessDenied\"");
    }
    write_insight_context(out, account, &mut dice, ended.then_some(minutes));
    put!(out, "},\"eventCategory\":\"Insight\"}");
}

/// Appends the statistics of an insight and whom they are attributed to; `minutes` is how long an
/// insight took that has ended.
fn write_insight_context(
    out: &mut Vec<u8>,
    account: &Account,
    dice: &mut Dice,
    minutes: Option<u64>,
) {
    put!(out, ",\"insightContext\":{\"statistics\":{\"baseline\":{\"average\":");
    put!(out, dice.pick(&["8.82145E-5", "0.0125", "1.0"]), "},\"insight\":{\"average\":");
    put_number(out, dice.between(1, 60));
    put!(out, ".", dice.pick(&["6", "25", "0"]), "}");
    if let Some(minutes) = minutes {
        put!(out, ",\"insightDuration\":");
        put_number(out, minutes);
    }
    put!(out, ",\"baselineDuration\":");
    put_number(out, dice.between(9000, 11_000));
    put!(out, "},\"attributions\":[");
    for (turn, attribute) in ["userIdentityArn", "userAgent", "errorCode"].iter().enumerate() {
        put!(out, if turn > 0 { "," } else { "" }, "{\"attribute\":\"", attribute);
        put!(out, "\",\"insight\":[{\"value\":\"");
        match turn {
            0 => put!(
                out,
                "arn:",
                account.partition,
                ":sts::",
                account.id,
                ":assumed-role/ci-deploy"
            ),
            1 => put!(out, "codedeploy.amazonaws.com"),
            _ => put!(out, "null"),
        }
        put!(out, "\",\"average\":");
        put_number(out, dice.between(0, 20));
        put!(out, ".6}],\"baseline\":[]}");
    }
    put!(out, "]}");
}

/// Appends an aggregated event: no `eventTime`, and ids spelled in their own way.
pub(super) fn write_aggregated(
    out: &mut Vec<u8>,
    accounts: &[Account],
    content: &Content,
    index: u32,
) {
    let account = &accounts[content.account];
    let seed = mix(content.seed, u64::from(index));
    let mut dice = Dice::new(seed);
    let start = content.delivered - 300 * (2 + i64::from(dice.below(10)));
    put!(out, "{\"eventVersion\":\"1.0\",\"accountId\":\"", account.id, "\",\"eventId\":\"");
    put_uuid(out, mix(seed, 61), mix(seed, 62));
    put!(out, "\",\"eventCategory\":\"Aggregated\",\"eventType\":\"AwsAggregatedEvent\"");
    put!(out, ",\"awsRegion\":\"", content.region, "\",\"timeWindow\":{\"windowStart\":\"");
    put_time(out, start);
    put!(out, "Z\",\"windowEnd\":\"");
    put_time(out, start + 300);
    put!(out, "Z\",\"windowSize\":\"PT5M\"},\"summary\":{\"primaryDimension\":{\"dimension\":");
    put!(
        out,
        "\"",
        dice.pick(&["resourceARN", "userIdentityArn", "eventName"]),
        "\",\"statistics\":["
    );
    for turn in 0..dice.between(1, 5) {
        put!(out, if turn > 0 { "," } else { "" }, "{\"name\":\"arn:", account.partition);
        put!(out, ":s3:::acme-data-");
        put_letters(out, &mut dice, 4, HEX);
        put!(out, "\",\"value\":");
        put_number(out, dice.between(1, 90_000));
        put!(out, "}");
    }
    put!(out, "]},\"details\":[]}}");
}

/// Appends a digest that lists objects of one account and region.
///
/// Hashes and signatures have the right shape but prove nothing.
pub(super) fn write_digest(
    out: &mut Vec<u8>,
    accounts: &[Account],
    address: &Address,
    listed: &[Address],
) {
    let account = &accounts[address.account];
    let mut dice = Dice::new(address.unique);
    let bucket = "acme-org-trail";
    let own = address.key(accounts);
    let previous = Address { delivered: address.delivered - 3600, ..*address }.key(accounts);
    put!(out, "{\"awsAccountId\":\"", account.id, "\",\"digestStartTime\":\"");
    put_time(out, address.delivered - 3600);
    put!(out, "Z\",\"digestEndTime\":\"");
    put_time(out, address.delivered);
    put!(out, "Z\",\"digestS3Bucket\":\"", bucket, "\",\"digestS3Object\":\"", own);
    put!(out, "\",\"digestPublicKeyFingerprint\":\"");
    put_letters(out, &mut dice, 32, HEX);
    put!(out, "\",\"digestSignatureAlgorithm\":\"SHA256withRSA\",\"newestEventTime\":\"");
    put_time(out, address.delivered - 60);
    put!(out, "Z\",\"oldestEventTime\":\"");
    put_time(out, address.delivered - 3500);
    put!(
        out,
        "Z\",\"previousDigestS3Bucket\":\"",
        bucket,
        "\",\"previousDigestS3Object\":\"",
        previous
    );
    put!(out, "\",\"previousDigestHashValue\":\"");
    put_letters(out, &mut dice, 64, HEX);
    put!(out, "\",\"previousDigestHashAlgorithm\":\"SHA-256\",\"previousDigestSignature\":\"");
    put_letters(out, &mut dice, 512, HEX);
    put!(out, "\",\"logFiles\":[");
    for (turn, file) in listed.iter().enumerate() {
        put!(
            out,
            if turn > 0 { "," } else { "" },
            "{\"s3Bucket\":\"",
            bucket,
            "\",\"s3Object\":\""
        );
        put!(out, file.key(accounts), "\",\"hashValue\":\"");
        put_letters(out, &mut dice, 64, HEX);
        put!(out, "\",\"hashAlgorithm\":\"SHA-256\",\"newestEventTime\":\"");
        put_time(out, file.delivered - 20);
        put!(out, "Z\",\"oldestEventTime\":\"");
        put_time(out, file.delivered - 720);
        put!(out, "Z\"}");
    }
    put!(out, "]}");
}
