"""A writer that is cut off from S3 and Glue while another host takes over the lake, and then comes back.

For each command, every kind of request it makes is found by running it once. Then, for each kind, a writer
on another host is cut off at that request; this host waits out the lease, takes the lake over and converts,
with objects that came since; the first writer comes back. What it had sent is dropped, or arrives late. It
must end without a trace: rows, proof, schema and Glue are those of a lake that only ever had one writer.
"""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import (
    BINARY,
    SMALL_UNITS,
    Started,
    environment,
    log_key,
    log_object,
    record,
)
from faulty_proxy import EVERY, FaultyProxy
from lakes import BucketLake, without_nested
from strict_glue import StrictGlue

# With the variable every request is dropped and also comes late, and no command makes do with half of them.
ALL = bool(os.environ.get("TRAILMILL_ALL_CUTS"))
# Seconds until others may take over; runs of the suite must not wait for half a minute each.
LEASE = 2
LEASE_ARGS = ["--lease-timeout", str(LEASE)]
# Worlds that wait side by side.
AT_ONCE = 6
# What tells kinds of requests apart: the operation, and what the key stands for.
KINDS = [
    ("lease", r"_trailmill/lease\.json$"),
    *((f"{folder} of ours", rf"_trailmill/{folder}(/|$)") for folder in [
        "schema", "manifests", "intents", "copies", "quarantine", "runs", "checkpoints", "ledger",
        "listings", "gone", "abandoned", "planned", "plans",
    ]),
    ("something of ours", r"_trailmill/"),
    ("data", r"/cloudtrail(_\w+)?/"),
    ("source", r"^logs"),
    ("lake", r"^lake"),
]  # fmt: skip
# A second writer is not kept out by what only reads the source before anything else.
NOT_WRITERS = {"HeadBucket"}


def kind_of(request):
    """The kind of a request: `PutObject manifests of ours`."""
    if "x-amz-target" in request.headers:
        return f"{request.operation} of Glue"
    for place in request.places:
        for name, pattern in KINDS:
            if re.search(pattern, place):
                return f"{request.operation} {name}"
    return f"{request.operation} {request.places[0]}"


class Cut:
    """Cuts a client off at its first request of a kind: nothing it sends arrives until it is healed.

    Requests that were sent meanwhile are dropped then, or, if `late`, they arrive.
    """

    def __init__(self, proxies, kind, late):
        self.kind, self.late = kind, late
        self.hit, self.healed, self._lock = threading.Event(), threading.Event(), threading.Lock()
        for proxy in proxies:
            proxy.on(None, "", self._fault, count=EVERY)

    def _fault(self, exchange):
        exchange.read_body()
        with self._lock:
            if not self.hit.is_set() and kind_of(exchange.request) == self.kind:
                self.hit.set()
            is_cut = self.hit.is_set() and not self.healed.is_set()
        if is_cut:
            self.healed.wait(120)
            if not self.late:
                return exchange.drop()
        exchange.send(exchange.forward())

    def heal(self):
        self.healed.set()


def can_be_elsewhere():
    """Whether a process can be given a host name of its own."""
    try:
        done = subprocess.run(
            ["unshare", "--uts", "hostname", "elsewhere"], capture_output=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


pytestmark = pytest.mark.skipif(not can_be_elsewhere(), reason="needs root: a host name for a process")


class Elsewhere(Started):
    """A run of the program on another host, as far as it can tell."""

    def __init__(self, args, environ):
        self.args, self.began = [str(arg) for arg in args], time.monotonic()
        self._out, self._err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        command = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh", str(BINARY)]
        self.process = subprocess.Popen(
            [*command, *self.args], env=environ, stdout=self._out, stderr=self._err
        )
        self.pid = self.process.pid


class World:
    """Logs, a lake and a Glue, and the way to them that can be cut."""

    def __init__(self, s3, endpoint, logs, lake):
        self.s3, self.endpoint, self.logs = s3, endpoint, logs
        self.lake = BucketLake(s3, lake, "lake")
        self.glue = StrictGlue().__enter__()
        self.proxies = [FaultyProxy(endpoint), FaultyProxy(self.glue.url)]
        self.objects = 0

    def stop(self):
        for proxy in self.proxies:
            proxy.stop()
        self.glue.__exit__(None, None, None)

    def put(self, count=4, each=8):
        """Objects that arrive."""
        for _ in range(count):
            number = self.objects
            self.objects += 1
            records = [record(100 * number + n, requestParameters={f"f{number}": n}) for n in range(each)]
            body = log_object(records)
            self.s3.put_object(Bucket=self.logs, Key=log_key(f"{number:04}.json.gz"), Body=body)

    def environ(self, is_cut):
        s3, glue = [proxy.url for proxy in self.proxies] if is_cut else [self.endpoint, self.glue.url]
        return environment(s3, AWS_ENDPOINT_URL_GLUE=glue)

    def args(self, command, *options):
        source = f"s3://{self.logs}/"
        most = ["-q", "--retry-timeout", "60", *LEASE_ARGS]
        return {
            "convert": ["convert", source, self.lake.url, *SMALL_UNITS, *most],
            "other": ["convert", source, self.lake.url, "--partition-by", "region", "--unit-size", "4kB", *most],
            "sync": ["catalog", "sync", self.lake.url, *most],
            "plan": ["plan", source, self.lake.url, "--children", "2", *SMALL_UNITS, *most],
            "child": ["convert", "--plan", self.lake.url, "-q"],
            "finish": ["finish", "--plan", self.lake.url, *most],
            "discard": ["plan", "discard", self.lake.url, *most],
            "diff": ["catalog", "diff", self.lake.url],
            "verify": ["verify", source, self.lake.url, "--report", "json"],
        }[command] + list(options)

    def run(self, command, *options, codes=(0,), seconds=120):
        run = Started(self.args(command, *options), self.environ(False))
        return run.wait(seconds) if codes is None else run.wait(seconds).exits(*codes)

    def start_elsewhere(self, command):
        return Elsewhere(self.args(command), self.environ(True))

    def orphan(self):
        """A data file that a run has left which was killed long ago and never started again."""
        file = next(key for key in self.lake.data_files())
        folder, name = file.rsplit("/", 1)
        _, number, _, segment, part = name.split("-")
        for n in (0, 7):
            key = f"{folder}/part-{int(number) + n:08}-{'ab' * 8}-{segment}-{part}"
            self.lake.put(key, self.lake.read(file))

    def settle(self):
        """What a night's job does; then insists on the lake of one undisturbed writer."""
        for _ in range(4):
            code = self.run("convert", codes=None).code
            if code == 75:
                # A plan is open: it is converted, or discarded.
                self.run("child", codes=None)
                if self.run("finish", codes=None).code not in (0, 1):
                    self.run("discard", codes=None)
            elif code == 0:
                break
        assert code == 0
        self.run("sync", codes=(0, 1))
        self.run("diff")
        if ALL:
            self.run("verify")
        # Every record has its eventid, so that the count and the ids are the whole proof.
        rows = without_nested(self.lake.rows()).values()
        ids = [json.loads(row)[1]["eventid"] for found in rows for row in found]
        assert len(ids) == 8 * self.objects, f"{len(ids)} rows of {8 * self.objects} records"
        assert len(set(ids)) == len(ids), "doubled rows"
        assert self.lake.intents() == []


def prepare(world, command):
    """Leaves the lake as the command finds it."""
    world.put()
    if command in ("convert", "plan"):
        return
    if command == "other":
        # Intents of a run with other settings, killed before its second manifest.
        held = threading.Event()
        seen = world.proxies[0].on("PutObject", r"_trailmill/manifests/", lambda _: held.wait(60))
        killed = Started(world.args("convert"), world.environ(True))
        seen.wait()
        killed.kill()
        held.set()
        world.proxies[0].clear()
        world.proxies[0].drain()
    elif command == "sync":
        world.run("convert")
        world.orphan()
    else:
        world.run("plan")
        if command == "finish":
            world.run("child")


def take_over(world, command):
    """What the other host does meanwhile."""
    world.put()
    if command in ("finish", "discard"):
        world.run("child", codes=None)
        world.run("finish", codes=(0, 1, 2, 75))
    world.run("convert", codes=(0, 75))


@pytest.fixture(scope="module")
def new_world(s3, new_bucket, endpoint):
    worlds, lock = [], threading.Lock()

    def make():
        with lock:
            worlds.append(World(s3, endpoint, new_bucket("logs"), new_bucket("lake")))
            return worlds[-1]

    yield make
    for world in worlds:
        world.stop()


def kinds(world, command):
    """Every kind of request of a command, in the order in which they first come."""
    for proxy in world.proxies:
        proxy.clear_log()
    run = world.start_elsewhere(command).wait()
    assert run.code in (0, 1), run.stderr
    log = [request for proxy in world.proxies for request in proxy.log]
    return list(dict.fromkeys(map(kind_of, log)))


def cut_off(world, command, kind, late):
    """Cuts a writer off, lets another take over, and insists on the lake of one undisturbed writer."""
    prepare(world, command)
    cut = Cut(world.proxies, kind, late)
    stale = world.start_elsewhere(command)
    deadline = time.monotonic() + 60
    while not cut.hit.wait(0.1) and stale.is_running and time.monotonic() < deadline:
        pass
    # A request that depends on time, such as a renewal, may not have come.
    if cut.hit.is_set():
        take_over(world, command)
    cut.heal()
    done = stale.wait(90)
    assert done.code in (0, 1, 2, 75), f"exit code {done.code}\n{done.stderr}"
    for proxy in world.proxies:
        proxy.clear()
        proxy.drain()
    world.settle()
    return done


@pytest.mark.parametrize("command", ["convert", "other", "sync", "plan", "finish", "discard"])
def test_a_writer_that_was_cut_off_changes_nothing_when_it_comes_back(new_world, command):
    reference = new_world()
    prepare(reference, command)
    found = [kind for kind in kinds(reference, command) if kind.split()[0] not in NOT_WRITERS]
    assert len(found) >= 8, found
    cases = [(kind, late) for kind in found for late in (False, True)]
    if not ALL:
        # Each kind of request has one of its two fates.
        cases = [case for n, case in enumerate(cases) if n % 4 in (0, 3)]

    def outcome(case):
        try:
            return cut_off(new_world(), command, *case).code
        except AssertionError as err:
            return str(err)[:1500]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = dict(zip(cases, pool.map(outcome, cases)))

    wrong = {case: found for case, found in outcomes.items() if not isinstance(found, int)}
    assert not wrong, "\n".join(f"{case}: {found}" for case, found in wrong.items())
    assert 75 in outcomes.values(), outcomes
