"""What S3 and the network may do to a run: it ends in the undisturbed lake, now or in the next run.

Each test breaks something through the proxy, runs (again) until a run says that all is done, and compares
every key and ETag with the lake of an undisturbed run: nothing lost, nothing doubled, no intent and no file
left over.
"""

import http.server
import json
import os
import re
import threading
import time
import types
from datetime import datetime, timedelta, timezone

import faulty_proxy as faults
import pytest
from conftest import (
    FORBIDDEN,
    SMALL_UNITS,
    convert_args,
    environment,
    log_key,
    log_object,
    record,
    run_trailmill,
    start_trailmill,
    upload,
)
from faulty_proxy import EVERY, FaultyProxy
from lakes import BucketLake, FolderLake, assert_same_content, assert_same_rows, without_nested

DELETES = ("DeleteObject", "DeleteObjects")
# Every kind of request of a conversion, in about the order in which they come.
PLACES = {
    "source listing": ("ListObjectsV2", r"^logs-"),
    "own listing": ("ListObjectsV2", r"_trailmill/"),
    "source object": ("GetObject", r"^logs-"),
    "lease": ("PutObject", r"_trailmill/lease\.json$"),
    "intent": ("PutObject", r"_trailmill/intents/"),
    "data file": ("PutObject", r"/part-[^/]*\.parquet$"),
    "copies": ("PutObject", r"_trailmill/copies/"),
    "schema lock": ("PutObject", r"_trailmill/schema/"),
    "quarantine": ("PutObject", r"_trailmill/quarantine/"),
    "manifest": ("PutObject", r"_trailmill/manifests/"),
    "part of the ledger": ("PutObject", r"_trailmill/ledger/"),
    "checkpoint": ("PutObject", r"_trailmill/checkpoints/"),
    "complete listing": ("PutObject", r"_trailmill/listings/"),
    "intent's end": (DELETES, r"_trailmill/intents/"),
    "run log": ("PutObject", r"_trailmill/runs/"),
}
PUTS = [place for place, (operation, _) in PLACES.items() if operation == "PutObject"]
WRITES = PUTS + ["intent's end"]
READS = ["source listing", "own listing", "source object"]


@pytest.fixture
def lake(s3, new_bucket):
    return BucketLake(s3, new_bucket("lake"), "lake")


class World:
    """An archive, a lake and a proxy between them and the program."""

    def __init__(self, archive, lake, proxy, reference):
        self.archive, self.lake, self.proxy, self.reference = archive, lake, proxy, reference

    def args(self, *options):
        return convert_args(self.archive.url, self.lake.url, *SMALL_UNITS, *options)

    def run(self, *options, env=None):
        return run_trailmill(*self.args(*options), endpoint=self.proxy.url, env=env, codes=None)

    def start(self, *options, env=None):
        return start_trailmill(*self.args(*options), endpoint=self.proxy.url, env=env)

    def on(self, place, fault, first=1, count=1):
        return self.proxy.on(*PLACES[place], fault, first, count)

    def is_done(self, what=""):
        """Insists on the lake of an undisturbed run."""
        assert_same_content(self.reference.wanted, self.lake.content(), what)
        assert json.loads(self.lake.read("_trailmill/lease.json"))["released"], what

    def finishes(self, what=""):
        """Runs without faults until all is done, and insists on the lake of an undisturbed run."""
        self.proxy.clear()
        self.proxy.drain()
        done = self.run()
        assert done.code in (0, 1), f"{what}: exit code {done.code}\n{done.stderr}"
        self.is_done(what)


def all_finish(worlds):
    """As World.finishes, side by side."""
    for world in worlds.values():
        world.proxy.clear()
        world.proxy.drain()
    runs = {what: world.start() for what, world in worlds.items()}
    for what, run in runs.items():
        done = run.wait()
        assert done.code in (0, 1), f"{what}: exit code {done.code}\n{done.stderr}"
        worlds[what].is_done(what)


@pytest.fixture
def world(archive, lake, proxy, reference):
    return World(archive, lake, proxy, reference)


@pytest.fixture
def new_world(archive, s3, new_bucket, endpoint, reference):
    """Makes worlds for runs at the same time."""
    proxies = []

    def make():
        proxies.append(FaultyProxy(endpoint))
        return World(archive, BucketLake(s3, new_bucket("lake"), "lake"), proxies[-1], reference)

    yield make
    for proxy in proxies:
        proxy.stop()
        assert not proxy.problems


# What passes is not noticed


PASSING = {
    "503 SlowDown": (faults.status(503, "SlowDown"), 2, list(PLACES)),
    "500 InternalError": (faults.status(500, "InternalError"), 2, list(PLACES)),
    "429": (faults.status(429, "TooManyRequests"), 1, list(PLACES)),
    "503 RequestTimeout": (faults.status(503, "RequestTimeout"), 1, list(PLACES)),
    "a reset before the answer": (faults.drop, 2, list(PLACES)),
    "a reset in the client's body": (faults.cut_request, 2, PUTS),
    "a reset in the server's body": (faults.cut_answer, 2, READS),
    "a reset when it is done": (faults.drop_after, 1, WRITES),
    "500 when it is done": (faults.status_after(500, "InternalError"), 1, WRITES),
    "503 when it is done": (faults.status_after(503, "SlowDown"), 1, WRITES),
    "409, another put is under way": (faults.status(409, "ConditionalRequestConflict"), 2, PUTS),
    "a slow body": (faults.slow_answer(0.5), 1, READS),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_run_gets_over_what_passes_at_every_place(world, name):
    fault, count, places = PASSING[name]
    rules = {place: world.on(place, fault, count=count) for place in places}

    done = world.run()

    assert done.code == 1, f"exit code {done.code}\n{done.stderr}"
    assert {place: rule.hits for place, rule in rules.items() if rule.hits < count} == {}
    world.is_done()


def test_every_put_may_come_through_without_our_knowing(world):
    rule = world.proxy.on("PutObject", "", faults.once_per_key(faults.drop_after), count=EVERY)

    world.run().exits(1)

    assert rule.hits > 60
    world.is_done()


def test_every_request_may_fail_once(world):
    rule = world.proxy.on(None, "", faults.once_per_key(faults.status(503, "SlowDown")), count=EVERY)

    world.run().exits(1)

    assert rule.hits > 60
    world.is_done()


def test_412_for_a_put_of_ours_that_is_not_there_loses_nothing(world):
    rules = [world.on(place, faults.status(412, "PreconditionFailed")) for place in PUTS]

    world.run()

    assert sum(rule.hits for rule in rules) >= 1
    world.finishes()
    assert world.run().exits(0).report["records_read"] == 0


# What does not pass


DENIED = {
    "source listing": "s3:ListBucket",
    "source object": "s3:GetObject",
    "own listing": "s3:ListBucket",
    "lease": "s3:PutObject",
    "intent": "s3:PutObject",
    "data file": "s3:PutObject",
    "schema lock": "s3:PutObject",
    "manifest": "s3:PutObject",
    "intent's end": "s3:DeleteObject",
}


@pytest.mark.parametrize("place", DENIED)
def test_a_permission_that_lacks_is_named_and_nothing_is_lost(world, place):
    rule = world.on(place, faults.status(403, "AccessDenied", "Access Denied"), count=EVERY)

    done = world.run()

    assert rule.hits
    assert done.code == 3, f"exit code {done.code}\n{done.stderr}"
    said = done.stderr.strip().splitlines()
    assert DENIED[place] in said[0], done.stderr
    assert re.search(r"logs-\d+" if "source" in place else r"lake-\d+", done.stderr), done.stderr
    # A refusal is no outage: nobody waits for it.
    assert done.seconds < 20
    if place != "source object":
        return world.finishes(place)
    # Units of which nothing could be read keep their numbers.
    world.proxy.clear()
    world.run().exits(0, 1)
    assert_same_rows(world.reference.rows(), world.lake.rows(), place)


def test_a_key_that_may_not_be_used_is_named(world):
    message = (
        "User: arn:aws:iam::111122223333:user/etl is not authorized to perform: kms:GenerateDataKey "
        "on resource: arn:aws:kms:us-east-1:111122223333:key/0000"
    )
    world.on("data file", faults.status(403, "AccessDenied", message), count=EVERY)

    done = world.run().exits(3)

    # It is not s3:PutObject that lacks.
    said = done.stderr.splitlines()[0]
    assert "kms:GenerateDataKey" in said and "s3:PutObject" not in said
    world.finishes()


def test_one_object_that_may_not_be_read_does_not_stop_the_run_and_is_named(world):
    key = log_key("copy-2.json.gz")
    world.proxy.on("GetObject", re.escape(key), faults.status(403, "AccessDenied"), count=EVERY)

    done = world.run().exits(1)

    listed = run_trailmill("quarantine", world.lake.url, endpoint=world.proxy.url).stdout
    assert done.report["objects_unavailable"] == 1
    assert "copy-2.json.gz" in listed and "s3:GetObject" in listed
    world.proxy.clear()
    world.run().exits(0, 1)
    assert_same_rows(without_nested(world.reference.rows()), without_nested(world.lake.rows()))


def test_what_stays_down_ends_in_75_and_the_next_run_completes_the_lake(new_world):
    places = [*READS, "lease", "intent", "data file", "copies", "schema lock", "manifest"]
    places += ["run log", "checkpoint"]
    worlds = {place: new_world() for place in places}
    for number, (place, world) in enumerate(worlds.items()):
        fault = faults.drop if number % 2 else faults.status(503, "SlowDown")
        # Not the first: something has been done before.
        once = ("source listing", "lease", "run log", "checkpoint")
        world.on(place, fault, first=1 if place in once else 2, count=EVERY)
    started = {place: worlds[place].start(*GIVE_UP) for place in places}

    for place, run in started.items():
        done = run.wait()
        assert done.code == 75, f"{place}: exit code {done.code}\n{done.stderr}"
        assert "try again" in done.stderr or "run again" in done.stderr, f"{place}: {done.stderr}"
    all_finish(worlds)


# How long a run goes on trying before it gives up; the default is minutes.
GIVE_UP = ["--retry-timeout", "3"]


# Credentials that end


EXPIRED = faults.status(400, "ExpiredToken", "The provided token has expired.")


def test_a_token_that_has_expired_for_good_ends_in_75(world):
    world.on("data file", EXPIRED, first=3, count=EVERY)

    done = world.run(*GIVE_UP)

    assert done.code == 75, f"exit code {done.code}\n{done.stderr}"
    assert re.search(r"credentials|token|expired", done.stderr, re.I), done.stderr
    world.finishes()


@pytest.fixture
def credentials():
    """An endpoint for credentials, as containers have one: another token for every question."""
    given = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            given.append(f"token-number-{len(given) + 1}")
            until = datetime.now(timezone.utc) + timedelta(hours=1)
            body = json.dumps(
                {
                    "AccessKeyId": "testing",
                    "SecretAccessKey": environment()["AWS_SECRET_ACCESS_KEY"],
                    "Token": given[-1],
                    "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    gone = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    env = dict.fromkeys(gone)
    env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"http://127.0.0.1:{server.server_address[1]}/role"
    yield types.SimpleNamespace(given=given, env=env)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("place", ["source object", "source listing", "data file", "manifest", "intent"])
def test_a_run_goes_on_with_new_credentials_when_the_old_ones_end(world, credentials, place):
    operation, pattern = PLACES[place]

    def only_the_first_token_has_ended(exchange):
        token = exchange.request.headers.get("x-amz-security-token")
        (EXPIRED if token == "token-number-1" else faults.passes)(exchange)

    rule = world.proxy.on(operation, pattern, only_the_first_token_has_ended, first=1, count=EVERY)

    done = world.run(env=credentials.env)

    assert rule.hits and len(credentials.given) >= 2
    assert done.code == 1, f"exit code {done.code}\n{done.stderr}"
    assert "token-number" not in done.stdout + done.stderr
    world.is_done()


def test_one_set_of_credentials_serves_a_whole_run(world, credentials):
    world.run(env=credentials.env).exits(1)

    # Both clients see one identity, asked for once or, when they ask at the same time, twice.
    assert len(credentials.given) <= 2
    assert {r.headers.get("x-amz-security-token") for r in world.proxy.log} <= set(credentials.given)
    world.is_done()


# What is only kept to save reading


@pytest.fixture
def converted(world):
    """A world whose lake is complete."""
    world.run().exits(1)
    return world


@pytest.mark.parametrize("folder", ["checkpoints", "ledger", "listings"])
@pytest.mark.parametrize("how", ["one is gone", "all are gone", "one is cut"])
def test_a_lake_whose_ledger_is_damaged_is_not_converted_again(converted, folder, how):
    keys = converted.lake.keys(rf"^_trailmill/{folder}/")
    assert keys
    for key in keys if how == "all are gone" else keys[:1]:
        if how == "one is cut":
            body = converted.lake.read(key)
            converted.lake.put(key, body[: len(body) // 2])
        else:
            converted.lake.delete(key)

    done = converted.run("--full")

    # It says what is damaged, or reads the manifests, which are the truth.
    assert done.code in (0, 3), f"exit code {done.code}\n{done.stderr}"
    if done.code == 3:
        assert folder in done.stderr, done.stderr
    else:
        assert done.report["records_read"] == 0
    converted.is_done()


# What others do in the meantime


def test_a_foreign_object_under_a_data_files_name_is_left_alone_and_stops_the_run(world):
    name = world.reference.data_files()[5]

    def put():
        world.lake.put(name, b"not ours")

    world.on("intent", faults.meanwhile(put))

    done = world.run()

    assert done.code == 3, f"exit code {done.code}\n{done.stderr}"
    assert name.rsplit("/", 1)[1] in done.stderr
    assert world.lake.read(name) == b"not ours"
    world.lake.delete(name)
    world.finishes()


@pytest.fixture
def own_archive(archive, s3, new_bucket):
    """A copy of the archive in a bucket that the test may change."""
    bucket = new_bucket("logs")
    upload(s3, archive.folder, bucket)
    return types.SimpleNamespace(url=f"s3://{bucket}/", bucket=bucket, logs=BucketLake(s3, bucket))


@pytest.fixture
def is_exact(tmp_path):
    """Insists that a lake holds exactly its source as it is now, and no file that no manifest names."""

    def check(world, *kept):
        named = {file["key"] for manifest in world.lake.manifests() for file in manifest["files"]}
        assert sorted(named) == world.lake.data_files()
        assert world.lake.intents() == []
        logs = world.archive.logs
        for key, body in [*((key, logs.read(key)) for key in logs.keys()), *kept]:
            file = tmp_path / "logs" / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        wanted = FolderLake(tmp_path / "lake")
        run_trailmill(*convert_args(tmp_path / "logs", wanted.url, *SMALL_UNITS), codes=(0, 1))
        assert_same_rows(without_nested(wanted.rows()), without_nested(world.lake.rows()))

    return check


@pytest.mark.parametrize("how", ["goes", "is replaced"])
def test_an_object_that_changes_before_it_is_fetched_is_not_lost(
    own_archive, lake, proxy, is_exact, how
):
    world = World(own_archive, lake, proxy, None)
    key = log_key("copy-1.json.gz")

    def change():
        if how == "goes":
            own_archive.logs.delete(key)
        else:
            own_archive.logs.put(key, log_object(map(record, range(500, 530))))

    proxy.on("GetObject", re.escape(key), faults.meanwhile(change))

    first = world.run()
    assert first.code in (1, 75), f"exit code {first.code}\n{first.stderr}"
    world.run().exits(0, 1)

    is_exact(world)


@pytest.mark.parametrize("how", ["an object goes", "an object is replaced", "other settings"])
def test_files_of_a_unit_that_cannot_be_finished_are_removed(
    own_archive, lake, proxy, is_exact, how
):
    world = World(own_archive, lake, proxy, None)
    killed = []
    world.on("manifest", faults.before(lambda: killed[0].kill()), first=4)
    killed.append(world.start())
    killed[0].wait()
    proxy.clear()
    proxy.drain()
    done = {o["key"] for manifest in lake.manifests() for o in manifest["objects"]}
    left = [key for key in own_archive.logs.keys(r"/CloudTrail/.*gz$")
            if f"s3://{own_archive.bucket}/{key}" not in done]
    orphans = set(lake.data_files()) - {f["key"] for m in lake.manifests() for f in m["files"]}
    assert orphans and left
    options = []
    if how == "an object goes":
        own_archive.logs.delete(left[0])
    elif how == "an object is replaced":
        own_archive.logs.put(left[0], log_object(map(record, range(600, 640))))
    else:
        options = ["--compression", "snappy"]

    world.run(*options).exits(0, 1)

    is_exact(world)


# Kills at every boundary


def kill_at(world, place, when, nth, *options):
    """Kills a run at the nth request of a place, before or after it is done."""
    running = []
    rule = world.on(place, getattr(faults, when)(lambda: running[0].kill()), first=nth)
    running.append(world.start(*options))
    running[0].wait()
    world.proxy.clear()
    world.proxy.drain()
    return rule


# Which of many requests is the one to be killed at; the first of all others.
HAPPENS_OFTEN = {
    "intent": (1, 5),
    "data file": (1, 5),
    "copies": (1, 5),
    "schema lock": (1, 5),
    "manifest": (1, 5),
    "intent's end": (1, 5),
    "quarantine": (1, 2),
    "part of the ledger": (1, 2),
}
KILLS = [
    (place, when, nth)
    for place in WRITES
    for when in ("before", "after")
    for nth in HAPPENS_OFTEN.get(place, (1,))
]


@pytest.mark.parametrize(("place", "when", "nth"), KILLS)
def test_a_run_killed_at_a_boundary_is_finished_by_the_next(world, place, when, nth):
    rule = kill_at(world, place, when, nth)

    assert rule.hits == 1, f"{place} {nth} did not come"
    world.finishes(f"killed {when} {place} {nth}")


@pytest.mark.skipif(not os.environ.get("TRAILMILL_ALL_KILLS"), reason="TRAILMILL_ALL_KILLS is not set")
def test_a_run_killed_at_any_write_at_all_is_finished_by_the_next(new_world):
    for nth in range(1, 300):
        for when in ("before", "after"):
            world, running = new_world(), []
            writes = ("PutObject", *DELETES)
            fault = getattr(faults, when)(lambda: running[0].kill())  # noqa: B023
            rule = world.proxy.on(writes, "", fault, first=nth)
            running.append(world.start())
            running[0].wait()
            if not rule.hits:
                return
            world.finishes(f"killed {when} write {nth}")
            world.proxy.stop()


def test_a_run_killed_again_and_again_still_ends_in_the_same_lake(world):
    for number in range(8):
        running = []
        kill = faults.before(lambda: running[0].kill())  # noqa: B023
        world.proxy.on(("PutObject", *DELETES), "", kill, first=8 + 4 * number)
        running.append(world.start("--threads", "1" if number % 2 else "3"))
        running[0].wait()
        world.proxy.clear()
        world.proxy.drain()

    world.finishes()


def test_a_put_of_a_killed_run_may_arrive_when_the_next_has_ended(new_world):
    for place in ["data file", "intent", "schema lock", "manifest", "lease"]:
        world, gate = new_world(), threading.Event()
        held = world.on(place, faults.hold(gate), first=1 if place == "lease" else 3)
        killed = world.start()
        held.wait()
        killed.kill()
        # The dead one's request is still on its way while the next run does it all.
        done = World(world.archive, world.lake, new_world().proxy, world.reference).run()
        assert done.code in (0, 1), f"{place}: exit code {done.code}\n{done.stderr}"

        gate.set()

        world.finishes(place)


# Asked to stop


def test_sigterm_commits_what_is_in_flight_and_the_next_run_completes_the_lake(world):
    gate = threading.Event()
    held = world.on("manifest", faults.hold(gate), first=3)
    # Little memory and slow puts, so that not everything is in flight by then.
    world.on("data file", faults.late(0.5), count=EVERY)
    run = world.start("--threads", "1", "--memory", "260kB")
    held.wait()
    run.signal("TERM")
    gate.set()

    done = run.wait().exits(75)

    assert done.report["interrupted"] and done.report["units"] < world.reference.report["units"]
    assert len(world.lake.manifests()) == done.report["units"]
    assert json.loads(world.lake.read("_trailmill/lease.json"))["released"]
    world.finishes()


def test_sigterm_ends_a_run_within_20_seconds_whatever_s3_does(new_world):
    gate = threading.Event()
    situations = {
        "slow source bodies": ("source object", faults.slow_answer(100, pieces=100)),
        "S3 throttles every fetch": ("source object", faults.status(503, "SlowDown")),
        "S3 does not answer a put": ("data file", faults.hold(gate)),
        "S3 throttles every put": ("data file", faults.status(503, "SlowDown")),
        "S3 does not answer a manifest": ("manifest", faults.hold(gate)),
        "S3 does not answer a listing": ("source listing", faults.hold(gate)),
        "connections break": ("data file", faults.drop),
    }
    worlds, runs, rules = {}, {}, {}
    for what, (place, fault) in situations.items():
        worlds[what] = new_world()
        rules[what] = worlds[what].on(place, fault, first=2 if place == "data file" else 1, count=EVERY)
        runs[what] = worlds[what].start()
    for rule in rules.values():
        rule.wait()
    time.sleep(0.5)
    for run in runs.values():
        assert run.is_running
        run.signal("TERM")
    asked = time.monotonic()

    ended = {what: (run.wait(60), time.monotonic() - asked) for what, run in runs.items()}

    gate.set()
    codes = {what: done.code for what, (done, _) in ended.items()}
    assert codes == dict.fromkeys(codes, 75), {w: (d.code, d.stderr[-300:]) for w, (d, _) in ended.items()}
    assert max(seconds for _, seconds in ended.values()) < 22
    all_finish(worlds)


# The lease


def foreign_lease(world, renewals=0):
    """The lease of a run on another machine; what nobody may know is whether it lives."""
    kept = world.lease
    return json.dumps({**kept, "host": "elsewhere", "renewals": renewals}).encode()


@pytest.fixture(scope="session")
def lease_document(archive, s3, new_bucket, endpoint):
    """A lease as the program writes it."""
    proxy, gate = FaultyProxy(endpoint), threading.Event()
    lake = BucketLake(s3, new_bucket("lake"), "lake")
    held = proxy.on(*PLACES["intent"], faults.hold(gate))
    run = start_trailmill(*convert_args(archive.url, lake.url, *SMALL_UNITS), endpoint=proxy.url)
    held.wait()
    found = json.loads(lake.read("_trailmill/lease.json"))
    run.kill()
    gate.set()
    proxy.drain()
    proxy.stop()
    return found


@pytest.fixture
def leased(world, lease_document):
    world.lease = lease_document
    return world


SILENT = ["source listing", "own listing", "source object", "data file", "manifest", "lease"]


@pytest.fixture(scope="module", autouse=True)
def patient(archive, reference, s3, new_bucket, endpoint, lease_document):
    """Runs that have to wait for half a minute, which they do while the other tests run."""
    worlds, never = {}, threading.Event()
    for name in ["abandoned", *SILENT]:
        lake = BucketLake(s3, new_bucket("lake"), "lake")
        worlds[name] = world = World(archive, lake, FaultyProxy(endpoint), reference)
        world.lease = lease_document
        if name == "abandoned":
            lake.put("_trailmill/lease.json", foreign_lease(world))
        else:
            world.on(name, faults.silence(never))
        world.waiting = world.start()
    args = convert_args(archive.url, f"s3://{new_bucket('lake')}/lake", *GIVE_UP)
    worlds["nowhere"] = start_trailmill(*args, endpoint="http://127.0.0.1:9")
    yield worlds
    never.set()
    worlds.pop("nowhere").kill()
    for world in worlds.values():
        if world.waiting.is_running:
            world.waiting.kill()
        world.proxy.stop()


def test_a_lease_names_its_holder(lease_document):
    assert lease_document["pid"] > 1
    assert lease_document["host"]


def test_a_lease_of_another_machine_that_is_renewed_ends_in_75(leased):
    leased.lake.put("_trailmill/lease.json", foreign_lease(leased))
    over = threading.Event()

    def renew():
        for number in range(1, 1000):
            if over.wait(0.5):
                return
            leased.lake.put("_trailmill/lease.json", foreign_lease(leased, number))

    renewing = threading.Thread(target=renew)
    renewing.start()
    done = leased.run()
    over.set()
    renewing.join()

    assert done.code == 75, f"exit code {done.code}\n{done.stderr}"
    assert "elsewhere" in done.stderr
    assert done.seconds < 15
    assert [key for key in leased.lake.listing() if not key.endswith("lease.json")] == []


def test_a_run_whose_lease_was_taken_over_commits_nothing_more(leased):
    gate = threading.Event()
    held = leased.on("data file", faults.hold(gate), first=4, count=EVERY)
    run = leased.start()
    held.wait()
    leased.lake.put("_trailmill/lease.json", foreign_lease(leased))
    leased.proxy.clear_log()
    # It renews every few seconds, and learns then that it is no longer the holder.
    deadline = time.monotonic() + 20
    while not [r for r in leased.proxy.requests("PutObject", "lease.json") if r.status in (404, 412)]:
        assert time.monotonic() < deadline, "the lease was not renewed"
        time.sleep(0.1)
    committed = leased.lake.keys("manifests/")
    gate.set()

    done = run.wait()

    assert done.code == 75, f"exit code {done.code}\n{done.stderr}"
    assert leased.lake.keys("manifests/") == committed
    assert json.loads(leased.lake.read("_trailmill/lease.json"))["host"] == "elsewhere"
    leased.lake.delete("_trailmill/lease.json")
    leased.finishes()


def test_a_lease_that_is_no_document_is_watched_and_does_not_crash_the_run(leased):
    leased.lake.put("_trailmill/lease.json", b"{")
    run = leased.start()
    time.sleep(2)
    assert run.is_running
    leased.lake.delete("_trailmill/lease.json")

    run.wait().exits(1)

    leased.is_done()


# Secrets


def test_no_secret_is_written_anywhere(world):
    world.on("data file", faults.status(403, "AccessDenied"), first=6, count=EVERY)
    broken = world.run(env={"RUST_LOG": "trace", "RUST_BACKTRACE": "1"})
    world.proxy.clear()
    world.run(env={"RUST_LOG": "trace"}).exits(0, 1)

    # Run has looked at the output already; this is what lies in the lake.
    assert broken.code == 3
    for folder in ("runs/", "manifests/", "schema/", "intents/"):
        for key, document in world.lake.documents(folder).items():
            assert not FORBIDDEN.search(json.dumps(document)), key


# Last, because they have waited meanwhile


def test_a_lease_of_a_machine_that_is_gone_is_taken_over(patient):
    world = patient["abandoned"]

    done = world.waiting.wait()

    assert done.code == 1, f"exit code {done.code}\n{done.stderr}"
    world.is_done()


def test_an_endpoint_that_is_not_there_ends_in_75(patient):
    done = patient["nowhere"].wait().exits(75)

    assert re.search(r"s3://lake-\d+", done.stderr), done.stderr


@pytest.mark.parametrize("place", SILENT)
def test_a_request_that_is_never_answered_is_asked_again(patient, place):
    world = patient[place]

    done = world.waiting.wait()

    assert done.code == 1, f"exit code {done.code}\n{done.stderr}"
    world.is_done()
