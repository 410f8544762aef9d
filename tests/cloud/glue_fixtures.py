"""Lakes and a Glue catalog for `test_glue.py`."""

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import botocore.config
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from strict_glue import StrictGlue  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TRAILMILL_BIN", ROOT / "target/debug/trailmill")).resolve()
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def environment():
    """Made-up credentials, and nothing of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, **KEYS, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


def record(number, day="2026-01-02", region="eu-west-1", account="111122223333", **more):
    return {
        "eventVersion": "1.08",
        "userIdentity": {"type": "Root", "accountId": account},
        "eventTime": f"{day}T03:04:05Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "PutObject",
        "awsRegion": region,
        "sourceIPAddress": "203.0.113.9",
        "requestParameters": {"bucketName": "b", "key": f"k{number}"},
        "eventID": f"00000000-0000-4000-8000-{number:012}",
        "eventType": "AwsApiCall",
        "recipientAccountId": account,
        **more,
    }


class World:
    """Logs, the lake made from them, and the Glue catalog it is registered in.

    Without typed tables unless asked: calls are counted, and one table more doubles them.
    """

    def __init__(self, folder, url, glue=None, typed=False):
        self.logs, self.lake, self.url, self.glue = folder / "logs", folder / "lake", url, glue
        self.tables = [] if typed else ["--no-typed"]
        self.layout = ["--partition-by", "account,region,event_date"]
        self.logs.mkdir(parents=True)

    def put(self, name, records):
        with gzip.open(self.logs / f"{name}.json.gz", "wt") as file:
            json.dump({"Records": records}, file)

    def run(self, *args, code=0, without=("nothing",)):
        """Runs the program, without some variables; returns (stdout, stderr)."""
        variables = {k: v for k, v in environment().items() if not k.startswith(tuple(without))}
        if args[0] in ("convert", "plan") and not {"--partition-by", "--plan", "discard"} & set(args):
            args = (*args, *self.layout)
        done = subprocess.run(
            [str(BINARY), *map(str, args)],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env=variables,
        )
        assert done.returncode == code, f"{args}: exit code {done.returncode}\n{done.stderr}"
        return done.stdout, done.stderr

    def options(self, retry=20):
        return [
            "--catalog", "glue", "--glue-endpoint-url", self.url,
            "--retry-timeout", retry,
        ]  # fmt: skip

    def convert(self, *args, code=0, retry=20):
        """Converts what is new; returns the report, or what was said."""
        given = ("convert", self.logs, self.lake, "--report", "json", "-q", *self.options(retry))
        given += tuple(self.tables)
        out, err = self.run(*given, *args, code=code)
        return json.loads(out) if code == 0 else err

    def sync(self, *args, code=0, retry=20):
        out, err = self.run("catalog", "sync", self.lake, *self.options(retry), *args, code=code)
        return out if code == 0 else err

    def diff(self, *args, code=0):
        given = ("catalog", "diff", self.lake, *self.options(), "--report", "json", *args)
        return json.loads(self.run(*given, code=code)[0])["tables"]

    @property
    def client(self):
        return client(self.url)


def client(url):
    """boto3, which shares no code with the program."""
    return boto3.client(
        "glue",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def some_records():
    """Four partitions: two days in two regions."""
    days, regions = ("2026-01-02", "2026-01-03"), ("eu-west-1", "us-east-1")
    places = [(day, region) for day in days for region in regions]
    return [record(n, *place) for n, place in enumerate(places)]


@pytest.fixture
def glue():
    with StrictGlue() as server:
        yield server


@pytest.fixture
def world(tmp_path, glue):
    """Logs that are not converted yet."""
    world = World(tmp_path, glue.url, glue)
    world.put("a", some_records())
    return world


@pytest.fixture
def converted(world):
    """A lake that is registered, and an empty log of calls."""
    world.convert()
    world.glue.forget()
    return world


@pytest.fixture
def typed(tmp_path, glue):
    """As `converted`, with typed tables."""
    world = World(tmp_path / "typed", glue.url, glue, typed=True)
    world.put("a", some_records())
    world.convert()
    glue.forget()
    return world


@pytest.fixture(scope="session")
def moto_url():
    """moto's server, another independent idea of Glue."""
    pytest.importorskip("moto")
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("moto's server did not start")
        yield url
    finally:
        server.terminate()
        server.wait(20)
