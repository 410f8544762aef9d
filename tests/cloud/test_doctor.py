"""`doctor`: every permission that is missing is found and named, nothing else is, and nothing is left behind."""

import json
import re
import time

import faulty_proxy as faults
import pytest
from conftest import BINARY, client, log_key, log_object, record, run_trailmill
from faulty_proxy import EVERY, Answer
from lakes import OWN, BucketLake

ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11112222-3333-4444-5555-666677778888"


@pytest.fixture(scope="session")
def glue(endpoint):
    return client("glue", endpoint)


@pytest.fixture(scope="session")
def database(glue):
    """A database that is there."""
    glue.create_database(DatabaseInput={"Name": "trails"})
    return "trails"


@pytest.fixture
def logs(s3, new_bucket):
    """A bucket with one log object."""
    bucket = BucketLake(s3, new_bucket("logs-of-doctor"))
    bucket.put(log_key("a.json.gz"), log_object([record(1)]))
    return bucket


@pytest.fixture
def doctor(logs, lake, database, proxy, glue):
    """Runs `doctor` through the proxy, and sees to it that nothing is left behind."""

    def run(*options, codes=(0,), source=None, at=None, env=None, leftovers=False):
        args = ["doctor", source or f"{logs.url}/AWSLogs/", lake.url, "--database", database]
        done = run_trailmill(
            *args, "--report", "json", *options, endpoint=at or proxy.url, env=env, codes=codes
        )
        if not leftovers:
            assert lake.keys() == [], "a probe is left"
            assert glue.get_tables(DatabaseName=database)["TableList"] == [], "a table is left"
        return Found(done.report)

    return run


class Found:
    """A report of `doctor`."""

    def __init__(self, report):
        self.report, self.checks = report, report["checks"]

    def outcomes(self, subject, place=""):
        return [c["outcome"] for c in self.checks if c["subject"] == subject and place in c["place"]]

    def one(self, subject, place=""):
        found = [c for c in self.checks if c["subject"] == subject and place in c["place"]]
        assert len(found) == 1, found
        return found[0]

    def having(self, *outcomes):
        return [c["subject"] for c in self.checks if c["outcome"] in outcomes]

    @property
    def statements(self):
        policy = self.report["policy"]
        return [(s["Action"], s["Resource"]) for s in policy["Statement"]] if policy else []


def said(exchange, code, name, message):
    """Answers with real words, which may hold quotes."""
    exchange.read_body()
    if "x-amz-target" in exchange.request.headers:
        kind, body = "application/x-amz-json-1.1", json.dumps({"__type": name, "Message": message})
    else:
        escaped = message.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        kind = "application/xml"
        body = f"<?xml version='1.0'?>\n<Error><Code>{name}</Code><Message>{escaped}</Message></Error>"
    exchange.send(Answer(code, [("Content-Type", kind)], body.encode()))


def refuses(code, name, message):
    return lambda exchange: said(exchange, code, name, message)


def not_authorized(action, resource, why="no identity-based policy allows the action"):
    return (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/etl/i-0 is not authorized to perform: {action} "
        f'on resource: "{resource}" because {why}'
    )


def test_all_is_well(doctor, logs, lake):
    found = doctor()

    assert found.having("missing", "failed", "unreachable") == []
    assert found.report["policy"] is None and found.report["grants"] == []
    assert found.report["account"] == ACCOUNT
    for subject in ["credentials", "region", "identity", "clock", "conditional put"]:
        assert found.outcomes(subject) == ["ok"], subject
    assert found.outcomes("s3:ListBucket") == found.outcomes("s3:GetObject") == ["ok", "ok"]
    assert found.outcomes("s3:PutObject") == found.outcomes("s3:DeleteObject") == ["ok"]
    for action in ["CreateTable", "UpdateTable", "DeleteTable", "GetTable", "GetPartitions", "GetDatabase"]:
        assert set(found.outcomes(f"glue:{action}")) == {"ok"}, action
    for action in ["BatchCreatePartition", "BatchUpdatePartition", "BatchDeletePartition", "BatchGetPartition"]:
        assert set(found.outcomes(f"glue:{action}")) == {"ok"}, action
    assert found.outcomes("encryption") == ["warning"]


def test_text_is_one_line_per_check(logs, lake, database, endpoint):
    done = run_trailmill("doctor", logs.url, lake.url, "--database", database, endpoint=endpoint)

    lines = done.stdout.splitlines()
    shape = re.compile(r"^(ok|missing|failed|warning|skipped|unreachable) +\S| +-> ")
    assert all(shape.match(line) for line in lines[:-2]), done.stdout
    assert re.match(r"\d+ ok, 0 missing, 0 failed", lines[-1])


@pytest.mark.parametrize(
    ("operation", "action", "which", "resource"),
    [
        ("ListObjectsV2", "s3:ListBucket", "logs", "{bucket}"),
        ("GetObject", "s3:GetObject", "logs", "{bucket}/AWSLogs/*"),
        ("ListObjectsV2", "s3:ListBucket", "lake", "{bucket}"),
        ("GetObject", "s3:GetObject", "lake", "{bucket}/lake/*"),
        ("PutObject", "s3:PutObject", "lake", "{bucket}/lake/*"),
        ("DeleteObject", "s3:DeleteObject", "lake", "{bucket}/lake/*"),
    ],
)
def test_a_missing_permission_of_s3_is_the_only_one_in_the_policy(
    doctor, logs, lake, proxy, operation, action, which, resource
):
    bucket = {"logs": logs, "lake": lake}[which].bucket
    proxy.on(operation, f"^{bucket}/", faults.status(403, "AccessDenied", "Access Denied"), count=EVERY)

    found = doctor(codes=(1,), leftovers=operation == "DeleteObject")

    assert found.having("missing") == [action]
    assert found.one(action, bucket)["outcome"] == "missing"
    assert found.statements == [([action], [f"arn:aws:s3:::{resource.format(bucket=bucket)}"])]
    assert found.having("failed", "unreachable") == []
    if operation == "DeleteObject":
        assert "may still be there" in found.one(action)["detail"]


def test_permissions_that_are_missing_together_are_one_document(doctor, logs, lake, proxy):
    proxy.on(None, f"^{logs.bucket}/", faults.status(403, "AccessDenied"), count=EVERY)
    proxy.on("PutObject", f"^{lake.bucket}/", faults.status(403, "AccessDenied"), count=EVERY)
    for action in ("UpdateTable", "BatchUpdatePartition"):
        proxy.on(action, "", faults.status(400, "AccessDeniedException"), count=EVERY)

    found = doctor(codes=(1,))

    assert found.statements == [
        (
            ["glue:BatchUpdatePartition", "glue:UpdateTable"],
            [f"arn:aws:glue:us-east-1:{ACCOUNT}:{r}" for r in ("catalog", "database/trails", "table/trails/*")],
        ),
        (["s3:PutObject"], [f"arn:aws:s3:::{lake.bucket}/lake/*"]),
        (["s3:ListBucket"], [f"arn:aws:s3:::{logs.bucket}"]),
    ]
    sids = [s["Sid"] for s in found.report["policy"]["Statement"]]
    assert len(set(sids)) == len(sids) and all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


@pytest.mark.parametrize(("operation", "action"), [("GetObject", "kms:Decrypt"), ("PutObject", "kms:GenerateDataKey")])
def test_a_key_that_refuses_is_told_apart(doctor, logs, lake, proxy, operation, action):
    bucket = logs.bucket if operation == "GetObject" else lake.bucket
    fault = refuses(403, "AccessDenied", not_authorized(action, KEY))
    proxy.on(operation, f"^{bucket}/", fault, count=EVERY)

    found = doctor(codes=(1,))

    assert found.having("missing") == [action]
    assert found.statements == [([action], [KEY])]


def test_an_explicit_deny_is_no_missing_allow(doctor, lake, proxy):
    why = "with an explicit deny in a service control policy"
    fault = refuses(403, "AccessDenied", not_authorized("s3:PutObject", "arn:aws:s3:::x", why))
    proxy.on("PutObject", f"^{lake.bucket}/", fault, count=EVERY)

    found = doctor(codes=(1,))

    check = found.one("s3:PutObject")
    assert check["outcome"] == "missing" and "does not help" in check["fix"]
    assert found.report["policy"] is None


@pytest.mark.parametrize(
    "action",
    ["GetTable", "GetPartitions", "BatchGetPartition", "CreateTable", "UpdateTable", "BatchCreatePartition",
     "BatchUpdatePartition", "BatchDeletePartition"],
)  # fmt: skip
def test_a_missing_permission_of_glue_is_named(doctor, proxy, action):
    arn = f"arn:aws:glue:us-east-1:{ACCOUNT}:catalog"
    proxy.on(action, "", refuses(400, "AccessDeniedException", not_authorized(f"glue:{action}", arn)), count=EVERY)

    found = doctor(codes=(1,))

    assert set(found.having("missing")) == {f"glue:{action}"}
    [(actions, resources)] = found.statements
    assert actions == [f"glue:{action}"] and resources[0] == arn and len(resources) == 3


def test_a_database_that_may_not_be_seen(doctor, proxy):
    proxy.on("GetDatabase", "", faults.status(400, "AccessDeniedException"), count=EVERY)

    found = doctor(codes=(1,))

    arn = f"arn:aws:glue:us-east-1:{ACCOUNT}"
    assert found.statements == [(["glue:GetDatabase"], [f"{arn}:catalog", f"{arn}:database/trails"])]
    assert found.outcomes("glue:CreateDatabase") == ["skipped"]


def test_without_the_right_to_remove_a_table_none_is_made(doctor, proxy):
    proxy.on("DeleteTable", "", faults.status(400, "AccessDeniedException"), count=EVERY)

    found = doctor()

    assert found.outcomes("glue:DeleteTable") == ["warning"]
    assert proxy.requests("CreateTable") == []
    assert found.outcomes("glue:CreateTable") == found.outcomes("glue:UpdateTable") == ["skipped"]


def test_nothing_is_said_to_work_in_a_database_that_is_not_there(logs, lake, glue, proxy):
    done = run_trailmill(
        "doctor", logs.url, lake.url, "--database", "nowhere", "--report", "json", endpoint=proxy.url
    )

    found = Found(done.report)
    assert found.outcomes("glue:GetDatabase") == found.outcomes("glue:GetTable") == ["ok"]
    for action in ["CreateDatabase", "CreateTable", "UpdateTable", "BatchCreatePartition", "BatchDeletePartition"]:
        assert found.outcomes(f"glue:{action}") == ["skipped"], action
    names = [d["Name"] for d in glue.get_databases()["DatabaseList"]]
    assert "nowhere" not in names and proxy.requests("CreateDatabase") == []


@pytest.mark.parametrize(
    ("operation", "lacks", "permission", "on"),
    [
        ("GetDatabase", ": Required Describe on trails", "DESCRIBE", '"Database"'),
        ("CreateTable", ": Required Create Table on trails", "CREATE_TABLE", '"Database"'),
        ("CreateTable", " on s3://lake/x", "DATA_LOCATION_ACCESS", '"DataLocation"'),
        ("UpdateTable", ": Required Alter on cloudtrail", "ALTER", '"TableWildcard"'),
        ("BatchCreatePartition", ": Required Insert on cloudtrail", "INSERT", '"TableWildcard"'),
        ("GetTable", ": Required Select on cloudtrail", "SELECT", '"TableWildcard"'),
    ],
)
def test_what_lake_formation_refuses_is_a_grant_and_no_policy(doctor, proxy, operation, lacks, permission, on):
    message = f"Insufficient Lake Formation permission(s){lacks}"
    proxy.on(operation, "", refuses(400, "AccessDeniedException", message), count=EVERY)

    found = doctor(codes=(1,))

    assert found.report["policy"] is None
    [grant] = found.report["grants"]
    assert f"--permissions {permission} " in grant and on in grant, grant
    assert f"DataLakePrincipalIdentifier=arn:aws:sts::{ACCOUNT}:user/moto" in grant
    assert json.loads(grant.split("--resource ")[1].strip("'"))


def test_another_accounts_catalog_and_another_partition(doctor, proxy):
    proxy.on("GetTable", "", faults.status(400, "AccessDeniedException"), count=EVERY)

    found = doctor("--catalog-id", "999900001111", "--aws-region", "cn-north-1", codes=(1,), leftovers=True)

    [(_, resources)] = [s for s in found.statements if s[0] == ["glue:GetTable"]] or [found.statements[0]]
    assert resources[0] == "arn:aws-cn:glue:cn-north-1:999900001111:catalog"
    assert "owner" in found.one("glue:GetTable")["fix"]


@pytest.mark.parametrize(("skew", "outcome", "code"), [(30, "ok", 0), (120, "warning", 0), (-120, "warning", 0), (900, "failed", 1)])
def test_a_clock_that_is_wrong(doctor, proxy, skew, outcome, code):
    def other_time(exchange):
        answer = exchange.forward()
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - skew))
        headers = [(n, v) for n, v in answer.headers if n.lower() != "date"]
        exchange.send(Answer(answer.status, [*headers, ("Date", date)], answer.body))

    proxy.on(None, "", other_time, count=EVERY)

    found = doctor(codes=(code,))

    check = found.one("clock")
    assert check["outcome"] == outcome
    assert ("ahead" in check["detail"]) == (skew > 0)


@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_a_store_that_ignores_conditions_is_a_failure(doctor, proxy, header):
    def ignores(exchange):
        exchange.read_body()
        headers = exchange.handler.headers
        while header in headers:
            del headers[header]
        exchange.send(exchange.forward())

    proxy.on("PutObject", "", ignores, count=EVERY)

    found = doctor(codes=(1,))

    check = found.one("conditional put")
    assert check["outcome"] == "failed" and header in check["detail"].lower()
    assert found.having("missing") == []


def test_a_store_that_refuses_all_conditions(doctor, proxy):
    def refuses_conditions(exchange):
        if exchange.request.is_conditional:
            return exchange.answer(501, "NotImplemented")
        faults.passes(exchange)

    proxy.on("PutObject", "", refuses_conditions, count=EVERY)

    found = doctor(codes=(1,))

    assert found.one("s3:PutObject")["outcome"] == "failed"
    assert found.report["policy"] is None


def test_a_public_bucket_is_a_warning_in_plain_words(doctor, logs, lake, proxy, s3):
    body = b"<PolicyStatus xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><IsPublic>true</IsPublic></PolicyStatus>"
    xml = [("Content-Type", "application/xml")]
    proxy.on("GetBucketPolicyStatus", f"^{logs.bucket}", lambda e: e.send(Answer(200, xml, body)), count=EVERY)
    s3.put_bucket_acl(Bucket=lake.bucket, ACL="public-read")

    found = doctor()

    by_policy, by_list = (found.one("public access", b.bucket) for b in (logs, lake))
    assert by_policy["outcome"] == by_list["outcome"] == "warning"
    assert "anyone on the internet" in by_policy["detail"] and "policy" in by_policy["detail"]
    assert "access control list" in by_list["detail"]
    assert f"put-public-access-block --bucket {lake.bucket} " in by_list["fix"]

    block = dict.fromkeys(["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"], True)
    for bucket in (logs, lake):
        s3.put_public_access_block(Bucket=bucket.bucket, PublicAccessBlockConfiguration=block)
    assert doctor().outcomes("public access") == ["ok", "ok"]


@pytest.mark.parametrize("question", ["GetPublicAccessBlock", "GetBucketPolicyStatus", "GetBucketAcl"])
def test_what_may_not_be_asked_is_skipped_and_not_said_to_be_well(doctor, proxy, question):
    proxy.on(question, "", faults.status(403, "AccessDenied"), count=EVERY)

    found = doctor()

    expected = "ok" if question == "GetPublicAccessBlock" else "skipped"
    assert found.outcomes("public access") == [expected] * 2


def test_encryption_is_what_was_asked_for(doctor, lake, s3):
    found = doctor("--sse", "aws:kms", "--sse-kms-key-id", KEY)
    check = found.one("encryption")
    assert check["outcome"] == "ok" and KEY in check["detail"]
    assert doctor("--sse", "AES256").one("encryption")["detail"].endswith("AES256")

    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}
    s3.put_bucket_encryption(Bucket=lake.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert KEY in doctor().one("default encryption")["detail"]


def test_requester_pays(doctor, logs, proxy):
    body = b"<RequestPaymentConfiguration xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Payer>Requester</Payer></RequestPaymentConfiguration>"
    xml = [("Content-Type", "application/xml")]
    proxy.on("GetBucketRequestPayment", f"^{logs.bucket}", lambda e: e.send(Answer(200, xml, body)), count=EVERY)

    assert doctor(codes=(1,)).one("requester pays", logs.bucket)["fix"] == "give `--request-payer`"
    assert doctor("--request-payer").one("requester pays", logs.bucket)["outcome"] == "ok"
    asked = proxy.requests("GetObject", f"^{logs.bucket}/")
    assert asked[-1].headers.get("x-amz-request-payer") == "requester"


def test_keys_that_are_not_known_are_no_missing_permission(doctor, logs, lake, proxy):
    proxy.on(None, f"^({logs.bucket}|{lake.bucket})/.", faults.status(403, "InvalidAccessKeyId"), count=EVERY)

    found = doctor(codes=(1,))

    assert found.having("missing") == [] and found.report["policy"] is None
    assert "unknown access key" in found.one("s3:PutObject")["fix"]


def test_no_credentials_at_all(logs, lake, endpoint):
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}

    done = run_trailmill("doctor", logs.url, lake.url, endpoint=endpoint, env=none, codes=(2,))

    assert done.stdout.startswith("missing     credentials")


def test_services_that_do_not_answer(logs, lake):
    began = time.monotonic()

    done = run_trailmill("doctor", logs.url, lake.url, endpoint="http://127.0.0.1:9", codes=(75,))

    assert "unreachable" in done.stdout and time.monotonic() - began < 90


def test_glue_that_does_not_answer(doctor):
    found = doctor("--glue-endpoint-url", "http://127.0.0.1:9", codes=(75,))

    assert found.outcomes("glue:GetDatabase") == ["unreachable"]
    assert found.outcomes("s3:PutObject") == ["ok"]


def test_places_that_are_not_there(doctor, logs):
    found = doctor(source="s3://no-such-bucket-anywhere/x", codes=(1,))
    assert found.one("bucket", "no-such-bucket")["outcome"] == "failed"

    found = doctor(source=f"{logs.url}/AWSLogs/nothing/")
    assert found.one("s3:ListBucket", logs.bucket)["outcome"] == "warning"


def test_places_of_this_machine_need_no_aws(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.json.gz").write_bytes(log_object([record(1)]))

    for lake in ("lake", "a/b/lake", "made"):
        (tmp_path / "made").mkdir(exist_ok=True)
        before = sorted(tmp_path.rglob("*"))
        found = Found(run_trailmill("doctor", tmp_path / "logs", tmp_path / lake, "--report", "json").report)
        assert set(found.having("ok")) == {"source", "lake", "write", "put if absent", "rename", "lock", "disk space"}
        assert sorted(tmp_path.rglob("*")) == before, "something is left"
    (tmp_path / "file").write_text("x")
    for source, lake in [("absent", "lake"), ("logs", "file"), ("logs", "file/lake")]:
        run_trailmill("doctor", tmp_path / source, tmp_path / lake, codes=(1,))
    run_trailmill("doctor", tmp_path / "logs", tmp_path / "lake", "--catalog", "glue", codes=(2,))


def test_mixed_places(logs, lake, database, endpoint, tmp_path):
    (tmp_path / "a.json.gz").write_bytes(log_object([record(1)]))

    run_trailmill("doctor", tmp_path, lake.url, "--database", database, endpoint=endpoint)
    run_trailmill("doctor", logs.url, tmp_path / "lake", endpoint=endpoint)
    done = run_trailmill("doctor", logs.url, lake.url, "--catalog", "none", endpoint=endpoint)

    assert "glue" not in done.stdout and lake.keys(OWN) == [] and BINARY.is_file()


def test_what_integrity_takes_is_tried_when_it_is_asked_for(doctor, logs, proxy, endpoint):
    none = doctor("--integrity")
    assert none.outcomes("digests") == ["warning"] and none.outcomes("cloudtrail:ListPublicKeys") == []
    digest = log_key("111122223333_CloudTrail-Digest_x.json.gz", folder="CloudTrail-Digest")
    logs.put(digest, b"x")
    message = not_authorized("cloudtrail:ListPublicKeys", "*")
    proxy.on("ListPublicKeys", "", refuses(400, "AccessDeniedException", message), count=EVERY)

    found = doctor("--integrity", codes=(1,))

    assert found.outcomes("digests") == ["ok"]
    assert found.outcomes("s3:GetObject", "CloudTrail-Digest") == ["ok", "ok"]
    assert found.outcomes("cloudtrail:ListPublicKeys", "us-east-1") == ["missing"]
    assert (["cloudtrail:ListPublicKeys"], ["*"]) in found.statements
