"""`integrity` beside `aws cloudtrail validate-logs`, on the same buckets: a clean chain, and each way to tamper with it.

CloudTrail is played: moto is S3, a server of ours lists the public key, and the digests are signed here, with code
that shares nothing with ours.
"""

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import environment, log_object, record, run_trailmill
from lakes import BucketLake, assert_same_rows, rows, without_nested

pytest.importorskip("awscli", reason="awscli is not installed: tests/requirements.txt has it")
from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: E402

ACCOUNT, REGION, TRAIL = "111122223333", "us-east-1", "foo"
ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{TRAIL}"
STAMP = "%Y-%m-%dT%H:%M:%SZ"
FIRST = datetime(2026, 10, 1, tzinfo=timezone.utc)

KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
FINGERPRINT = hashlib.md5(PUBLIC).hexdigest()


# A key that is valid from then on.
LATE_KEY = rsa.generate_private_key(65537, 2048)
LATE_PUBLIC = LATE_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
LATE = datetime(2027, 2, 3, 4, tzinfo=timezone.utc)


class ListPublicKeys(BaseHTTPRequestHandler):
    """The one operation of CloudTrail that validation needs, two pages of it."""

    protocol_version = "HTTP/1.1"
    seen = []
    is_denied = False

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append((self.headers["x-amz-target"], self.headers["authorization"], asked))
        if self.is_denied:
            said = "User: arn:aws:iam::1:user/a is not authorized to perform: cloudtrail:ListPublicKeys"
            return self.answer(400, {"__type": "AccessDeniedException", "Message": said})
        key = {
            "Value": base64.b64encode(PUBLIC).decode(),
            "ValidityStartTime": 1.0,
            "ValidityEndTime": 9e9,
            "Fingerprint": FINGERPRINT,
        }
        late = {
            "Value": base64.b64encode(LATE_PUBLIC).decode(),
            "ValidityStartTime": LATE.timestamp() - 60,
            "ValidityEndTime": LATE.timestamp() + 9e6,
            "Fingerprint": hashlib.md5(LATE_PUBLIC).hexdigest(),
        }
        keys = [key, late] if asked["EndTime"] > late["ValidityStartTime"] else [key]
        # aws-cli does not ask for a second page.
        is_aws_cli = "aws-cli" in self.headers.get("user-agent", "")
        if not is_aws_cli and "NextToken" not in asked:
            return self.answer(200, {"PublicKeyList": [], "NextToken": "more"})
        self.answer(200, {"PublicKeyList": keys})

    def answer(self, code, document):
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cloudtrail():
    """The address of a server that lists the public key."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), ListPublicKeys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Chain:
    """Six hours of digests and logs in a bucket, and more if you add some."""

    key, fingerprint, suffix, metadata = KEY, FINGERPRINT, "", {}

    def __init__(self, s3, bucket, root="AWSLogs/", logs_per_hour=1, records=None, first=FIRST, hours=6):
        self.s3, self.bucket, self.root, self.first = s3, bucket, root, first
        self.digests, self.logs, self.bytes = [], [], 0
        self.logs_per_hour = logs_per_hour
        self.records = records or (
            lambda hour, number, start: [record(hour + 100_000 * number, eventTime=start.strftime(STAMP))]
        )
        self.previous = None
        for hour in range(hours):
            self.add_hour(hour)

    def add_hour(self, hour, late=()):
        """Adds an hour's logs and their digest; `late` are starts of hours whose logs were delivered now."""
        start, end = self.first + timedelta(hours=hour), self.first + timedelta(hours=hour + 1)
        logs = [(number, start) for number in range(self.logs_per_hour)]
        logs += [(5000 + number, of) for number, of in enumerate(late)]
        listed = [self.add_log(hour, number, of) for number, of in logs]
        digest = (
            f"{self.root}{ACCOUNT}/CloudTrail-Digest/{REGION}/{end:%Y/%m/%d}/{ACCOUNT}_CloudTrail-Digest_{REGION}_"
            f"{TRAIL}_{REGION}_{end:%Y%m%dT%H%M%SZ}{self.suffix}.json.gz"
        )
        bucket, previous = self.bucket, self.previous
        content = {
            "awsAccountId": ACCOUNT,
            "digestStartTime": start.strftime(STAMP),
            "digestEndTime": end.strftime(STAMP),
            "digestS3Bucket": bucket,
            "digestS3Object": digest,
            "digestPublicKeyFingerprint": self.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": start.strftime(STAMP),
            "oldestEventTime": start.strftime(STAMP),
            "previousDigestS3Bucket": previous and bucket,
            "previousDigestS3Object": previous and previous[0],
            "previousDigestHashValue": previous and previous[1],
            "previousDigestHashAlgorithm": previous and "SHA-256",
            "previousDigestSignature": previous and previous[2],
            "logFiles": listed,
        }
        raw = json.dumps(content).encode()
        hashed = hashlib.sha256(raw).hexdigest()
        text = f"{content['digestEndTime']}\n{bucket}/{digest}\n{hashed}\n{previous[2] if previous else 'null'}"
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()
        self.put_digest(digest, gzip.compress(raw), signature)
        self.digests.append(digest)
        self.previous = (digest, hashed, signature)

    def add_log(self, hour, number, start):
        """Puts a log, in the folder of its day; returns its line in a digest."""
        body = log_object(self.records(hour, number, start))
        log = (
            f"{self.root}{ACCOUNT}/CloudTrail/{REGION}/{start:%Y/%m/%d}/{ACCOUNT}_CloudTrail_{REGION}_"
            f"{start + timedelta(minutes=50):%Y%m%dT%H%MZ}_aaaaaaaaaaa{number:04}{hour}.json.gz"
        )
        self.s3.put_object(Bucket=self.bucket, Key=log, Body=body)
        self.logs.append(log)
        return self.line(log, gzip.decompress(body), start)

    def line(self, log, content, start):
        """A log's line in a digest."""
        self.bytes += len(content)
        return {
            "s3Bucket": self.bucket,
            "s3Object": log,
            "hashValue": hashlib.sha256(content).hexdigest(),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": start.strftime(STAMP),
            "oldestEventTime": start.strftime(STAMP),
        }

    def put_digest(self, key, body, signature):
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA", **self.metadata}
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)

    def get(self, key):
        found = self.s3.get_object(Bucket=self.bucket, Key=key)
        return found["Body"].read(), found["Metadata"].get("signature")

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def delete(self, *keys):
        for key in keys:
            self.s3.delete_object(Bucket=self.bucket, Key=key)


def edited(packed):
    """The same with the last digit of the content changed."""
    content = bytearray(gzip.decompress(packed))
    at = max(at for at, byte in enumerate(content) if chr(byte).isdigit())
    content[at] = ord("1") if content[at] == ord("0") else ord("0")
    return gzip.compress(bytes(content))


def delete_two(chain):
    chain.delete(*chain.digests[2:4])


def delete_newest(chain):
    chain.delete(*chain.digests[3:])


def delete_log(chain):
    chain.delete(chain.logs[2])


def forge_log(chain):
    chain.put(chain.logs[0].replace("a00000.", "b00000."), log_object([record(99)]))


def edit_log(chain):
    chain.put(chain.logs[1], edited(chain.get(chain.logs[1])[0]))


def append_member(chain):
    chain.put(chain.logs[1], chain.get(chain.logs[1])[0] + gzip.compress(b""))


def truncate_log(chain):
    chain.put(chain.logs[1], chain.get(chain.logs[1])[0][:-20])


def swap_logs(chain):
    one, other = (chain.get(key)[0] for key in chain.logs[1:3])
    chain.put(chain.logs[1], other)
    chain.put(chain.logs[2], one)


def edit_digest(chain):
    body, signature = chain.get(chain.digests[2])
    chain.put_digest(chain.digests[2], edited(body), signature)


def lose_metadata(chain):
    chain.put(chain.digests[3], chain.get(chain.digests[3])[0])


def lose_newest_metadata(chain):
    chain.put(chain.digests[5], chain.get(chain.digests[5])[0])


def change_metadata(chain):
    body, signature = chain.get(chain.digests[3])
    chain.put_digest(chain.digests[3], body, "00" + signature[2:])


def replay(chain):
    chain.put_digest(chain.digests[3], *chain.get(chain.digests[1]))


def nothing(_chain):
    pass


# What was done, the exit codes of aws-cli and of ours, and the verdict that ours must give.
CASES = [
    (nothing, 0, 0, None),
    (delete_two, 1, 1, "missing"),
    (delete_newest, 0, 1, "truncated"),
    (delete_log, 1, 1, "missing"),
    (forge_log, 0, 1, "in_no_digest"),
    (edit_log, 1, 1, "hash_mismatch"),
    (append_member, 1, 1, "trailing_data"),
    (truncate_log, 1, 1, "invalid_format"),
    (swap_logs, 1, 1, "hash_mismatch"),
    (edit_digest, 1, 1, "hash_mismatch"),
    (lose_metadata, 1, 0, None),
    (lose_newest_metadata, 1, 1, "unsigned_newest"),
    (change_metadata, 1, 1, "signature_mismatch"),
    (replay, 1, 1, "misplaced"),
]


def validate_logs(bucket, endpoint, cloudtrail, *options):
    """`aws cloudtrail validate-logs`: exit code, and what it says."""
    env = environment(AWS_ENDPOINT_URL_S3=endpoint, AWS_ENDPOINT_URL_CLOUDTRAIL=cloudtrail)
    span = ["--start-time", "2026-10-01T00:00:00Z", "--end-time", "2026-10-01T06:30:00Z"]
    done = subprocess.run(
        [sys.executable, "-m", "awscli", "cloudtrail", "validate-logs", "--trail-arn", ARN, *span]
        + ["--region", REGION, "--s3-bucket", bucket, *options],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def integrity(bucket, endpoint, cloudtrail, *options, codes=(0,), env=None):
    env = {"AWS_ENDPOINT_URL_CLOUDTRAIL": cloudtrail, "AWS_ENDPOINT_URL_S3": endpoint, **(env or {})}
    args = ["integrity", f"s3://{bucket}/", "--report", "json", "-q", *options]
    return run_trailmill(*args, env=env, codes=codes)


@pytest.mark.parametrize("tamper, theirs, ours, verdict", CASES, ids=[case[0].__name__ for case in CASES])
def test_beside_aws_cli(s3, new_bucket, endpoint, cloudtrail, tamper, theirs, ours, verdict):
    chain = Chain(s3, new_bucket("trail"))
    tamper(chain)

    code, said = validate_logs(chain.bucket, endpoint, cloudtrail)
    report = integrity(chain.bucket, endpoint, cloudtrail, codes=(ours,)).report

    assert code == theirs, said
    verdicts = {finding["verdict"] for finding in report["findings"]}
    assert verdict in verdicts if verdict else not verdicts, report["findings"]
    assert report["outcome"] == ("not_proven" if ours else "all_proven")
    if not ours:
        assert report["digests"] == {"verified": 6} and report["logs"] == {"verified": 6}


def test_organisations_and_copies_are_proven_where_aws_cli_finds_nothing(s3, new_bucket, endpoint, cloudtrail):
    chain = Chain(s3, new_bucket("trail"), "AWSLogs/o-abc123/")
    code, said = validate_logs(chain.bucket, endpoint, cloudtrail, "--account-id", ACCOUNT)
    assert code == 0 and "No digests found" in said, said
    assert integrity(chain.bucket, endpoint, cloudtrail).report["outcome"] == "all_proven"

    copy = new_bucket("copy")
    for key in chain.digests + chain.logs:
        source = {"Bucket": chain.bucket, "Key": key}
        s3.copy_object(Bucket=copy, Key=key, CopySource=source)
    assert integrity(copy, endpoint, cloudtrail).report["digests"] == {"verified_relocated": 6}


def test_evidence_proves_a_copy_without_aws(s3, new_bucket, endpoint, cloudtrail, tmp_path):
    chain = Chain(s3, new_bucket("trail"))
    evidence, copy = tmp_path / "evidence", tmp_path / "copy"
    report = integrity(chain.bucket, endpoint, cloudtrail, "--save-evidence", evidence).report
    assert report["keys"]["fingerprints"] == {FINGERPRINT: True}
    assert re.search("ListPublicKeys", report["keys"]["from"])
    for key in chain.digests + chain.logs:
        path = copy / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chain.get(key)[0])

    args = ["integrity", copy, "--report", "json", "-q", "--keys", evidence / "keys.json"]
    alone = run_trailmill(*args, codes=(1,)).report
    proven = run_trailmill(*args, "--signatures", evidence / "signatures.json").report

    assert {finding["verdict"] for finding in alone["findings"]} == {"unproven", "unsigned_newest"}
    assert proven["outcome"] == "all_proven"
    assert json.loads((evidence / "integrity.json").read_text())["outcome"] == "all_proven"


def test_keys_are_asked_for_once_a_month_and_region_and_a_refusal_is_named(s3, new_bucket, endpoint, cloudtrail):
    chain = Chain(s3, new_bucket("trail"))
    ListPublicKeys.seen.clear()
    integrity(chain.bucket, endpoint, cloudtrail)

    target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys"
    assert [seen[0] for seen in ListPublicKeys.seen] == [target, target], "one question, two pages"
    assert f"/{REGION}/cloudtrail/aws4_request" in ListPublicKeys.seen[0][1]
    first, second = (seen[2] for seen in ListPublicKeys.seen)
    assert first["StartTime"] <= FIRST.timestamp() <= first["EndTime"]
    assert second == {**first, "NextToken": "more"}

    ListPublicKeys.is_denied = True
    try:
        denied = integrity(chain.bucket, endpoint, cloudtrail, codes=(3,))
    finally:
        ListPublicKeys.is_denied = False
    assert "permission missing: cloudtrail:ListPublicKeys" in denied.stderr


def test_a_backfill_digest_is_checked_with_the_key_of_the_day_it_was_made(s3, new_bucket, endpoint, cloudtrail):
    chain = Chain(s3, new_bucket("trail"))
    backfill = Chain(s3, chain.bucket, logs_per_hour=0, hours=0)
    backfill.key, backfill.fingerprint = LATE_KEY, hashlib.md5(LATE_PUBLIC).hexdigest()
    backfill.suffix, backfill.metadata = "_backfill", {"backfill-generation-timestamp": LATE.strftime(STAMP)}
    backfill.add_hour(3, late=[FIRST + timedelta(hours=3)])

    report = integrity(chain.bucket, endpoint, cloudtrail).report

    assert report["digests"] == report["logs"] == {"verified": 7}
    assert [found["is_backfill"] for found in report["chains"]] == [False, True]
    assert len(report["keys"]["fingerprints"]) == 2


def test_a_conversion_converts_what_digests_prove(s3, new_bucket, lake, endpoint, cloudtrail):
    chain = Chain(s3, new_bucket("trail"))
    forge_log(chain)
    edit_log(chain)
    env = {"AWS_ENDPOINT_URL_CLOUDTRAIL": cloudtrail, "AWS_ENDPOINT_URL_S3": endpoint}
    args = ["convert", f"s3://{chain.bucket}/", lake.url, "--catalog", "none", "--integrity", "require"]

    report = run_trailmill(*args, "--report", "json", "-q", env=env, codes=(1,)).report

    assert report["integrity"]["objects"] == {"verified": 5, "hash_mismatch": 1}
    assert report["integrity"]["digests_verified"] == report["integrity"]["digests"] == 6
    # Each digest is a record, too.
    assert (report["records_written"], report["objects_quarantined"], report["objects_unavailable"]) == (11, 1, 1)
    shown = run_trailmill("catalog", "show", lake.url, "--integrity", "--report", "json", env=env).report
    main = [partition for partition in shown if partition["table"] == "cloudtrail"]
    assert sum(partition["rows_proven"] for partition in main) == 5
    assert sum(partition["rows_unproven"] + partition["rows_unchecked"] for partition in main) == 0


def test_digests_say_which_days_are_listed(s3, new_bucket, endpoint):
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    chain = Chain(s3, new_bucket("trail"), first=midnight - timedelta(days=4), hours=96)
    env = {"AWS_ENDPOINT_URL_S3": endpoint}

    def convert(lake, *more):
        args = ["convert", f"s3://{chain.bucket}/", lake.url, "--catalog", "none", "--report", "json", "-q"]
        return run_trailmill(*args, *more, env=env).report

    plain, named = (BucketLake(s3, new_bucket("lake"), "lake") for _ in range(2))
    before, first = convert(plain), convert(named, "--from-digests")
    assert first["records_written"] == before["records_written"] == 96 + 96
    assert first["listing"]["from_digests"]["digests"] == 96

    # A log of long ago is delivered now: its folder is older than what a look-back lists.
    chain.add_hour(96, late=[midnight - timedelta(days=60)])
    chain.add_hour(97)
    look_back = ["--look-back", "30"]
    missed, found = convert(plain, *look_back), convert(named, *look_back, "--from-digests")
    assert missed["records_written"] == 2 + 2, missed
    assert found["records_written"] == 3 + 2, found
    savings = found["listing"]["from_digests"]
    assert savings["digests"] < 60 and (savings["regions"], savings["regions_listed"]) == (1, 0)

    convert(plain, "--full")
    assert_same_rows(without_nested(rows(plain)), without_nested(rows(named)))
    for lake in (plain, named):
        run_trailmill("verify", f"s3://{chain.bucket}/", lake.url, "-q", env=env)
    assert convert(named, *look_back, "--from-digests")["units"] == 0


def test_what_digests_do_not_cover_is_listed(s3, new_bucket, lake, endpoint):
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    chain = Chain(s3, new_bucket("trail"), first=midnight - timedelta(days=4), hours=90)
    # Two hours whose digests are gone, a log from before validation was on, and one whose digest is to come.
    chain.delete(*chain.digests[30:32])
    chain.add_log(1, 7000, chain.first - timedelta(days=20))
    chain.add_log(2, 7001, chain.first + timedelta(hours=91))
    args = ["convert", f"s3://{chain.bucket}/", lake.url, "--catalog", "none", "--from-digests", "--report", "json"]

    report = run_trailmill(*args, env={"AWS_ENDPOINT_URL_S3": endpoint}).report

    assert report["records_written"] - report["rows_by_table"]["cloudtrail_digest"] == 92
    chain.delete(*chain.digests)
    other = BucketLake(s3, new_bucket("lake"), "lake")
    without = run_trailmill(*args[:2], other.url, *args[3:], env={"AWS_ENDPOINT_URL_S3": endpoint})
    assert without.report["records_written"] == 92 and "no digests found" in without.stderr


def test_folders_have_no_days_to_choose_from(lake, tmp_path):
    (tmp_path / "logs").mkdir()
    refused = run_trailmill("convert", tmp_path / "logs", lake.url, "--from-digests", codes=(2,))
    assert "requires a source in S3" in refused.stderr
