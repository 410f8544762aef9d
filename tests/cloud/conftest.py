"""A test server for AWS, a proxy that breaks requests, buckets, archives, and the program to run on them.

No test here needs AWS or a network. Settings from the environment: TRAILMILL_BIN, the program (default:
target/debug/trailmill); TRAILMILL_ALL_KILLS=1, kill at every single request and not at some of them.
"""

import datetime
import functools
import gzip
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import types
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faulty_proxy import FaultyProxy  # noqa: E402
from lakes import BucketLake, FolderLake, without_nested  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).with_name("strict_moto.py")
BINARY = Path(os.environ.get("TRAILMILL_BIN", ROOT / "target/debug/trailmill")).resolve()

ACCESS_KEY = "testing"
# What must never be seen in any output; the test server takes any.
SECRET_KEY = "sEcretKey/ThatNobody+MaySee/0123456789"
SESSION_TOKEN = "sessionTokenThatNobodyMaySee0123456789=="
FORBIDDEN = re.compile(
    "|".join(map(re.escape, [SECRET_KEY, SESSION_TOKEN]))
    + r"|Signature=|AWS4-HMAC|x-amz-security-token: *\S|authorization: *\S",
    re.I,
)
REGION = "us-east-1"

NO_CATALOG = ["--catalog", "none"]
# Units small enough that the archive makes a dozen of them, with few files in each.
SMALL_UNITS = ["--unit-size", "25kB", "--partition-by", "region"]


def pytest_sessionstart(session):
    """Says at once what is missing."""
    if not BINARY.is_file():
        pytest.exit(f"no program at {BINARY}: run `cargo build`, or set TRAILMILL_BIN", 2)


def environment(endpoint=None, **more):
    """A clean environment with made-up credentials; `more` overrides, None removes."""
    home = Path(tempfile.gettempdir()) / "trailmill-no-home"
    found = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
        "AWS_REGION": REGION,
    }
    if endpoint:
        found["AWS_ENDPOINT_URL"] = endpoint
    found.update(more)
    return {name: value for name, value in found.items() if value is not None}


class Run:
    """A run of the program that has ended."""

    def __init__(self, args, code, stdout, stderr, seconds):
        self.args, self.code, self.seconds = args, code, seconds
        self.stdout, self.stderr = stdout, stderr
        leak = FORBIDDEN.search(stdout + stderr)
        assert not leak, f"{args}: a secret in the output: {leak.group()!r}\n{stdout}\n{stderr}"

    def exits(self, *codes):
        """Insists on one of these exit codes; returns itself."""
        assert self.code in codes, f"{self.args}: exit code {self.code}\n{self.stderr}\n{self.stdout}"
        return self

    @functools.cached_property
    def report(self):
        return json.loads(self.stdout)


class Started:
    """A run of the program that is under way."""

    def __init__(self, args, environ):
        self.args, self.began = [str(arg) for arg in args], time.monotonic()
        # Files, so that nobody needs to read while it runs.
        self._out, self._err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(BINARY), *self.args], env=environ, stdout=self._out, stderr=self._err
        )
        self.pid = self.process.pid

    def kill(self):
        """SIGKILL; returns when the process is no more."""
        self.process.kill()
        self.process.wait()

    def signal(self, name):
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    @property
    def is_running(self):
        return self.process.poll() is None

    def wait(self, seconds=120):
        """Waits for its end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            code = "none: it did not end"
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read())
            file.close()
        return Run(self.args, code, *texts, time.monotonic() - self.began)


LAYOUT = ["--partition-by", "account,region,event_date"]


def with_layout(args):
    """The arguments, with the partition keys that most tests are about unless they give others."""
    args = [str(arg) for arg in args]
    begins = args[0] == "convert" or args[0] == "plan" and args[1] not in ("show", "discard")
    is_given = "--partition-by" in args or "--plan" in args
    return args + LAYOUT if begins and not is_given else args


def start_trailmill(*args, endpoint=None, env=None):
    """Starts the program, and does not wait for its end."""
    return Started(with_layout(args), environment(endpoint, **(env or {})))


def run_trailmill(*args, endpoint=None, env=None, codes=(0,), seconds=120):
    """Runs the program to its end and insists on its exit code; `codes=None` takes any."""
    done = start_trailmill(*args, endpoint=endpoint, env=env).wait(seconds)
    return done if codes is None else done.exits(*codes)


def convert_args(source, lake, *options):
    """The arguments of a conversion with small units that leaves every catalog alone."""
    sources = source if isinstance(source, list) else [source]
    return ["convert", *sources, lake, *NO_CATALOG, "--report", "json", "-q", *options]


@pytest.fixture(scope="session")
def endpoint():
    """The address of moto's server, running as a process of its own."""
    pytest.importorskip("moto.server", reason="moto is not installed: tests/requirements.txt has it")
    log = tempfile.TemporaryFile("w+")
    server = subprocess.Popen(
        [sys.executable, "-B", SERVER, "-H", "127.0.0.1", "-p", "0"],
        env={"PATH": os.environ.get("PATH", ""), "MOTO_S3_CUSTOM_ENDPOINTS": ""},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        server.wait(10)


def _address(server, log):
    """Waits until the server says where it is, and answers there."""
    for _ in range(600):
        log.seek(0)
        said = log.read()
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", said)
        if found:
            with urllib.request.urlopen(f"{found.group(1)}/moto-api/data.json", timeout=30):
                return found.group(1)
        assert server.poll() is None, f"moto's server ended:\n{said}"
        time.sleep(0.05)
    raise AssertionError(f"moto's server did not start:\n{said}")


def client(service, endpoint, **more):
    """A boto3 client of the test server."""
    import boto3
    import botocore.config

    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=botocore.config.Config(
            s3={"addressing_style": "path"}, max_pool_connections=20, retries={"max_attempts": 2}
        ),
        **more,
    )


@pytest.fixture(scope="session")
def s3(endpoint):
    return client("s3", endpoint)


@pytest.fixture(scope="session")
def new_bucket(s3):
    """Makes buckets that nobody has used: `new_bucket("lake")` is `lake-0001`."""
    numbers = itertools.count(1)

    def make(name="bucket"):
        bucket = f"{name}-{next(numbers):04}"
        s3.create_bucket(Bucket=bucket)
        return bucket

    return make


@pytest.fixture
def lake(s3, new_bucket):
    """An empty lake in a bucket of its own."""
    return BucketLake(s3, new_bucket("lake"), "lake")


@pytest.fixture(scope="session")
def sqs(endpoint):
    return client("sqs", endpoint)


@pytest.fixture(scope="session")
def elasticmq():
    """ElasticMQ, which counts receipts and times itself as SQS says it does; needs Java, and Maven once."""
    from elasticmq import ElasticMq

    with ElasticMq() as server:
        yield server


@pytest.fixture
def logs(s3, new_bucket):
    """An empty bucket for log objects."""
    from queues import Logs

    return Logs(s3, new_bucket("logs"))


@pytest.fixture
def plain_rows(s3, new_bucket, endpoint):
    """The rows that a plain conversion makes of some logs."""

    def make(logs):
        made = BucketLake(s3, new_bucket("plain"), "lake")
        run_trailmill("convert", logs.url, made.url, *NO_CATALOG, "-q", endpoint=endpoint, seconds=3600)
        return without_nested(made.rows())

    return make


@pytest.fixture
def proxy(endpoint):
    """A proxy in front of the test server, for one test."""
    made = FaultyProxy(endpoint)
    yield made
    made.stop()
    assert not made.problems, made.problems


def upload(s3, folder, bucket, prefix=""):
    """Puts every file of a folder into a bucket; returns the keys."""
    keys = []
    for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        key = prefix + file.relative_to(folder).as_posix()
        s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
        keys.append(key)
    return keys


def record(number, **more):
    """A made-up record of a management event."""
    found = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "userName": f"user{number % 7}"},
        "eventTime": f"2026-10-{1 + number % 9:02}T0{number % 10}:00:00Z",
        "eventSource": "sts.amazonaws.com",
        "eventName": "GetCallerIdentity",
        "awsRegion": "us-east-1" if number % 2 else "eu-west-1",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli",
        "requestParameters": None,
        "responseElements": None,
        "requestID": f"00000000-0000-4000-8000-{number:012}",
        "eventID": f"00000000-0000-4000-9000-{number:012}",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }
    return {**found, **more}


def log_object(records):
    """The bytes of a log object."""
    return gzip.compress(json.dumps({"Records": list(records)}).encode(), mtime=0)


# Delivered just now: later runs list again what is not too old by its key.
RECENTLY = f"{datetime.now(timezone.utc) - timedelta(days=1):%Y/%m/%d}"


def log_key(name, folder="CloudTrail", region="us-east-1", day=RECENTLY):
    """A key in the layout of trails."""
    return f"AWSLogs/111122223333/{folder}/{region}/{day}/{name}"


@pytest.fixture(scope="session")
def archive(s3, new_bucket, tmp_path_factory):
    """A made-up archive in a folder and in a bucket, some of it bad. Tests only read it.

    `reference` holds what an undisturbed run makes of it in a bucket, with SMALL_UNITS.
    """
    folder = tmp_path_factory.mktemp("archive") / "logs"
    options = ["--size", "500kB", "--seed", "7", "--accounts", "1", "--days", "2"]
    run_trailmill("sample", folder, *options, "-q")
    day = folder / log_key("x").rsplit("/", 1)[0]
    day.mkdir(parents=True, exist_ok=True)
    # Exact copies in two objects, a record that is no row, an object that ends in the middle.
    (day / "copy-1.json.gz").write_bytes(log_object(map(record, range(20))))
    (day / "copy-2.json.gz").write_bytes(log_object(map(record, range(20))))
    no_time = {name: value for name, value in record(99).items() if name != "eventTime"}
    (day / "no-time.json.gz").write_bytes(log_object([record(21), no_time]))
    (day / "cut.json.gz").write_bytes(log_object(map(record, range(30, 60)))[:-40])
    bucket = new_bucket("logs")
    upload(s3, folder, bucket)
    return types.SimpleNamespace(folder=folder, bucket=bucket, url=f"s3://{bucket}/")


@pytest.fixture(scope="session")
def local_lake(archive, tmp_path_factory):
    """The lake that a local run makes of the archive, as one unit."""
    folder = tmp_path_factory.mktemp("local") / "lake"
    run_trailmill(*convert_args(archive.folder, folder), codes=(1,))
    return FolderLake(folder)


@pytest.fixture(scope="session")
def local_rows(local_lake):
    return local_lake.rows()


@pytest.fixture(scope="session")
def reference(archive, endpoint, s3, new_bucket):
    """The lake in a bucket that an undisturbed run with SMALL_UNITS makes of the archive."""
    made = BucketLake(s3, new_bucket("reference"), "lake")
    done = run_trailmill(
        *convert_args(archive.url, made.url, *SMALL_UNITS), endpoint=endpoint, codes=(1,)
    )
    assert done.report["units"] >= 10, "too few units to be killed between"
    made.report = done.report
    made.wanted = made.content()
    return made
