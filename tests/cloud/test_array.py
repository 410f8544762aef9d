"""Array jobs: the same lake as one process makes, whatever happens to children, plan and finish.

The first half plays whole arrays with `batch` and compares lakes row for row; the second half clones the
buckets of one small plan, before its children and before its end, and breaks one thing in each.
"""

import collections
import json
import os
import re
import shutil
import tarfile
import tempfile
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import faulty_proxy as faults
import pytest
from batch import Batch
from conftest import (
    BINARY,
    NO_CATALOG,
    RECENTLY,
    SMALL_UNITS,
    client,
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
from lakes import OWN, BucketLake, assert_same_content, assert_same_rows, without_nested
from simulated_bucket import BUCKET, SimulatedBucket, measured_plan
from strict_glue import StrictGlue

# Units of an array job small enough that there are more of them than children.
PLANNED = ["--unit-size", "200kB", "--sample-objects", "60"]
INFERRED = ["request", "response", "additional", "service_details", "insight", "aggregate"]
EVENTS = ["cloudtrail", *(f"cloudtrail_{name}" for name in ("network_activity", "insight", "aggregated"))]
# Digests have no typed table.
TABLES = {*EVENTS, *(f"{name}_typed" for name in EVENTS), "cloudtrail_digest"}


class Job:
    """An array job's commands over some sources and a lake."""

    def __init__(self, sources, lake, endpoint, glue=None, database="trailmill"):
        self.sources, self.lake, self.endpoint = sources, lake, endpoint
        self.glue, self.database = glue, database
        self.env = {"AWS_ENDPOINT_URL_GLUE": glue.url} if glue else {}
        self.catalog = ["--database", database] if glue else NO_CATALOG

    def run(self, *args, endpoint=None, env=None, codes=(0,), seconds=120):
        at = {"endpoint": endpoint or self.endpoint, "env": {**self.env, **(env or {})}}
        return run_trailmill(*args, "--report", "json", **at, codes=codes, seconds=seconds)

    def start(self, *args, endpoint=None, env=None):
        at = {"endpoint": endpoint or self.endpoint, "env": {**self.env, **(env or {})}}
        return start_trailmill(*args, "--report", "json", "-q", **at)

    def plan(self, *options, children=3, **how):
        args = ["plan", *self.sources, self.lake.url, "--children", children, *self.catalog, "-q"]
        return self.run(*args, *options, **how)

    def child(self, index=None, size=None, *options, **how):
        """A child, or one process for the whole plan."""
        return self.run("convert", "--plan", self.lake.url, "-q", *options, env=child(index, size), **how)

    def start_child(self, index=None, size=None, *options, env=None, **how):
        args = ["convert", "--plan", self.lake.url, *options]
        return self.start(*args, env={**child(index, size), **(env or {})}, **how)

    def finish_args(self, *options):
        return ["finish", "--plan", self.lake.url, *self.catalog, *options]

    def finish(self, *options, codes=(0, 1), **how):
        return self.run(*self.finish_args(*options), "-q", codes=codes, **how)

    def discard(self, **how):
        return self.run("plan", "discard", self.lake.url, **how)

    def array(self, children, **luck):
        """Plays the whole array; returns the Batch after `finish`, with `finish`'s report."""
        played = Batch(BINARY, environment(self.endpoint, **self.env), children, **luck)
        try:
            assert played.run(self.lake.url), [attempt.stderr for attempt in played.attempts]
            played.report = self.finish().report
            played.wait()
        finally:
            played.stop()
        assert [(a.told, a.stderr) for a in played.wrong] == []
        return played


def child(index, size):
    """What Batch tells a child."""
    if index is None:
        return {}
    return {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(size)}


# Whole arrays


def write_awkward(folder):
    """An archive with everything that is not plain: in two prefixes, of which one holds copies."""
    main, copied = folder / "main", folder / "copied"
    run_trailmill(
        "sample", main, "--size", "5MB", "--seed", "11", "--accounts", "3", "--days", "3", "-q"
    )

    def put(where, account, region, name, body):
        file = where / log_key(name, region=region).replace("111122223333", account)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body if isinstance(body, bytes) else log_object(body))

    # Whole objects again, in another prefix; parts of objects in folders of other accounts and regions.
    digests = sorted(main.rglob("CloudTrail-Digest/**/*.gz"))
    assert digests
    logs = sorted(main.rglob("*/CloudTrail/*/*.gz"))[::5] + sorted(main.rglob("CloudTrail/**/*.gz"))[::5]
    for file in logs + digests[::5]:
        again = copied / file.relative_to(main)
        again.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, again)
    accounts, regions = ["111122223333", "222233334444", "333344445555"], ["us-east-1", "eu-west-1"]
    shared = [record(n, requestParameters={"roleArn": f"arn:{n}", "n": n}) for n in range(80)]
    for a, account in enumerate(accounts):
        for r, region in enumerate(regions):
            put(main, account, region, f"shared-{a}{r}.json.gz", shared[10 * a + 5 * r :])
            put(copied, account, region, f"shared-{a}{r}.json.gz", shared[: 70 - 9 * a])
    # Fields of other kinds, or of no other object, of which the sample sees few.
    shapes = [1, "text", {"x": 1, "y": {"z": [1, 2]}}, [1, {"q": "r"}], True, 1.5, None, {}, [], {"x": "other"}]
    for n in range(40):
        found = {"thing": shapes[n % 10], f"lateField{n}": {"deep": shapes[(n + 3) % 10]}, "Name": f"n{n}"}
        records = [record(1000 + 10 * n + i, requestParameters=found) for i in range(5)]
        put(main, accounts[n % 3], regions[n % 2], f"shapes-{n:02}.json.gz", records)
    late = [record(2000 + n, eventTime=f"2026-0{1 + n % 8}-03T04:05:06Z") for n in range(30)]
    put(main, accounts[0], regions[0], "late-1.json.gz", late[:20])
    put(main, accounts[1], regions[1], "late-2.json.gz", late[10:])
    nobody = [without(record(2100 + n), "recipientAccountId") for n in range(20)]
    put(main, accounts[2], regions[0], "nobody.json.gz", nobody)
    # Of no account and in two folders: either partition is as good.
    put(main, accounts[0], regions[0], "either.json.gz", EITHER)
    put(main, accounts[1], regions[0], "either.json.gz", EITHER)
    bad = [record(2300), without(record(2301), "eventTime"), OUTSIDE, record(2303, eventTime="yesterday")]
    put(main, accounts[0], regions[1], "bad-records.json.gz", [*bad, *shared[:5]])
    put(main, accounts[0], regions[1], "cut.json.gz", log_object(shared)[:-40])
    put(main, accounts[1], regions[1], "no-gzip.json.gz", b"this is no gzip")
    inner = folder / "inner"
    put(inner, accounts[0], regions[0], "in-tar.json.gz", [*shared[:20], *map(record, range(2400, 2440))])
    put(inner, accounts[2], regions[1], "in-tar.json.gz", [*shared[20:40], *map(record, range(2440, 2460))])
    for name, mode in [("backup.tar.gz", "w:gz"), ("older.tar", "w")]:
        with tarfile.open(copied / name, mode) as tar:
            tar.add(inner, "logs")
    shutil.rmtree(inner)
    return main, copied


def without(found, name):
    return {key: value for key, value in found.items() if key != name}


# Of a region that cannot be a part of a path.
OUTSIDE = record(2302, awsRegion="../x")
EITHER = [without(record(2200 + n), "recipientAccountId") for n in range(10)]
EITHER_IDS = [found["eventID"] for found in EITHER]
EITHER_PARTITIONS = {
    (account, found["awsRegion"], found["eventTime"][:10])
    for account in ("111122223333", "222233334444")
    for found in EITHER
}


@pytest.fixture(scope="module")
def awkward(s3, new_bucket, tmp_path_factory):
    """The awkward archive in two buckets."""
    sources = []
    for folder in write_awkward(tmp_path_factory.mktemp("awkward")):
        bucket = new_bucket("awkward")
        upload(s3, folder, bucket)
        sources.append(f"s3://{bucket}/")
    return sources


@pytest.fixture(scope="module")
def glue():
    with StrictGlue() as server:
        yield server


@pytest.fixture(scope="module")
def new_job(awkward, s3, new_bucket, endpoint, glue):
    """Makes jobs over the awkward archive, each with a lake and a database of its own; no children, no plan."""
    count = iter(range(1000))

    def make(*options, children=7):
        job = Job(awkward, BucketLake(s3, new_bucket("lake"), "lake"), endpoint, glue, f"logs_{next(count)}")
        if children:
            job.planned = job.plan(*PLANNED, *options, children=children).report
        return job

    return make


@pytest.fixture(scope="module")
def whole(new_job):
    """The lake of one process that converted its whole plan."""
    job = new_job()
    job.child()
    job.report = job.finish(codes=(1,)).report
    return job


class Rows:
    """The rows of lakes, each read once."""

    def __init__(self, folder):
        self.folder, self.read = folder, {}

    def of(self, lake):
        """Per table, the JSON of (partition, values) of every row, nulls left out."""
        if lake.url not in self.read:
            self.read[lake.url] = lake.rows()
        return self.read[lake.url]

    def differences(self, a, b, without=(), but=(), only=()):
        """Rows that one of two lakes has more often than the other, by table.

        `without` leaves columns and partition keys out, `but` events; `only` takes no others.
        """

        def is_wanted(row):
            return not any(event in row for event in but) and (not only or any(event in row for event in only))

        def rows(lake, table):
            kept = (
                [{name: value for name, value in part.items() if name not in without} for part in row]
                for row in map(json.loads, filter(is_wanted, self.of(lake).get(table, [])))
            )
            return collections.Counter(json.dumps(row, sort_keys=True) for row in kept)

        found = {}
        for table in self.of(a).keys() | self.of(b).keys():
            first, second = rows(a, table), rows(b, table)
            differ = [*(first - second)][:2], [*(second - first)][:2]
            if any(differ):
                found[table] = differ
        return found

    def duckdb_differences(self, a, b, but=()):
        """As `differences`, of all columns, as DuckDB sees them: rows that only one has, by table.

        One scan of both lakes' files gives both the same columns and struct members.
        """
        db, found = duckdb.connect(), {}
        folders = [tempfile.mkdtemp(dir=self.folder) for _ in "ab"]
        for folder, lake in zip(folders, (a, b)):
            for key in lake.data_files():
                file = Path(folder, key)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(lake.read(key))
        for table in sorted(self.of(a).keys() | self.of(b).keys()):
            event = "digests3object" if table.endswith("_digest") else "eventid"
            db.execute(
                "CREATE OR REPLACE TEMP TABLE found AS SELECT * FROM read_parquet(?, hive_partitioning = true, "
                "hive_types_autocast = false, union_by_name = true, filename = true)",
                [[f"{folder}/{table}/**/*.parquet" for folder in folders]],
            )
            side = (
                "SELECT CAST(to_json(r) AS VARCHAR) FROM (SELECT * EXCLUDE (filename) FROM found "
                f"WHERE starts_with(filename, ?) AND NOT coalesce(list_contains(?, {event}), false)) r"
            )
            given = [[f"{folder}/", list(but)] for folder in folders]
            for first, second in [given, given[::-1]]:
                only = db.execute(f"{side} EXCEPT ALL {side}", [*first, *second]).fetchall()
                if only:
                    found[table] = found.get(table, []) + [row for row, in only][:2]
        return found


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return Rows(tmp_path_factory.mktemp("rows"))


def test_the_comparison_of_rows_sees_one_nested_value_of_one_row(rows, s3, new_bucket, endpoint):
    lakes = []
    for value in ("x", "y"):
        logs, lake = (BucketLake(s3, new_bucket("few"), name) for name in ("logs", "lake"))
        found = [record(1), record(2, requestParameters={"deep": {"a": value}})]
        logs.put(log_key("a.json.gz"), log_object(found))
        run_trailmill(*convert_args(logs.url, lake.url), endpoint=endpoint)
        lakes.append(lake)

    assert rows.differences(*lakes).keys() == {"cloudtrail", "cloudtrail_typed"}
    assert rows.differences(*lakes, without=["requestparameters"]).keys() == {"cloudtrail_typed"}
    assert rows.differences(*lakes, without=["request", "requestparameters"]) == {}
    assert rows.duckdb_differences(*lakes).keys() == {"cloudtrail", "cloudtrail_typed"}
    assert rows.duckdb_differences(*lakes, but=[record(2)["eventID"]]) == {}


def in_catalog(job):
    """Tables and partitions, without the names that each job has for itself."""
    found = {}
    for (_, database, name), table in job.glue.tables.items():
        if database == job.database:
            text = json.dumps([table.input, sorted(table.partitions.items())], sort_keys=True)
            table, partitions = json.loads(text.replace(job.lake.url, "LAKE"))
            # Files and bytes depend on who has the copies, in a table as in its partitions.
            for described in [table, *(partition for _, partition in partitions)]:
                for size in ("numFiles", "objectCount", "sizeKey", "totalSize", "averageRecordSize"):
                    assert int(described["Parameters"].pop(size)) > 0
            found[name] = table, partitions
    return found


def is_exact(job, *options):
    """Insists on a lake that holds its sources, and on a catalog and manifests that say so."""
    verified = job.run("verify", *job.sources, job.lake.url, "-q", *options).report
    assert verified["differences"] == [] and verified["file_problems"] == 0
    assert verified["records_missing"] == verified["records_unexpected"] == 0
    if job.glue:
        drift = job.run("catalog", "diff", job.lake.url)
        assert drift.code == 0, drift.stdout
    manifests = job.lake.manifests()
    assert sorted(file["key"] for m in manifests for file in m["files"]) == job.lake.data_files()
    # Nothing of the plan is left but that it was.
    assert job.lake.keys(rf"^{OWN}(planned/|intents/)") == []
    return verified


BALANCE = ["records_read", "records_written", "records_duplicate", "records_filtered", "records_quarantined"]
ARRAYS = {
    "7 children, kills and twins": (7, 7, {"kill": 0.35, "twice": 0.5, "seed": 3}),
    "30 children, kills, twins and Spot": (7, 30, {"kill": 0.2, "spot": 0.15, "twice": 0.2, "seed": 4}),
}


@pytest.fixture(scope="module")
def played(new_job):
    """Arrays by name, each played once."""
    done = {}

    def play(name):
        if name not in done:
            planned, children, luck = ARRAYS[name]
            job = new_job(children=planned)
            job.batch = job.array(children, attempts=6, **luck)
            done[name] = job
        return done[name]

    return play


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_makes_the_lake_of_one_process_row_for_row(played, whole, rows, name):
    job = played(name)

    assert rows.of(job.lake).keys() == TABLES
    assert rows.differences(whole.lake, job.lake, but=EITHER_IDS) == {}
    assert rows.differences(whole.lake, job.lake, without=["account"], only=EITHER_IDS) == {}
    # The run's own account of it, too.
    for field in [*BALANCE, "rows_by_table", "quarantined_by_reason", "units", "objects_known"]:
        assert job.batch.report[field] == whole.report[field], field
    assert {attempt.is_lost for attempt in job.batch.attempts} == {True, False}, "nothing was lost"
    assert any(attempt.is_twin for attempt in job.batch.attempts)


def test_duckdb_sees_the_same_rows_in_the_lakes_of_an_array_and_of_one_process(played, whole, rows):
    job = played([*ARRAYS][-1])

    assert rows.duckdb_differences(whole.lake, job.lake, but=EITHER_IDS) == {}


@pytest.mark.parametrize("name", ["one process", *ARRAYS])
def test_an_array_makes_a_lake_that_verify_and_the_catalog_agree_with(played, whole, name):
    job = whole if name == "one process" else played(name)

    verified = is_exact(job)

    report = job.report if job is whole else job.batch.report
    assert verified["records_expected"] == verified["rows_checked"] == report["records_written"]
    assert report["records_read"] == sum(report[field] for field in BALANCE[1:])
    assert report["records_duplicate"] > 300 and report["records_quarantined"] >= 2


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_and_one_process_give_the_catalog_the_same_tables_and_partitions(played, whole, name):
    found, wanted = in_catalog(played(name)), in_catalog(whole)

    assert found.keys() == wanted.keys() == TABLES
    for table in wanted:
        for name, value in wanted[table][0].items():
            assert found[table][0][name] == value, (table, name)
        # Who claims a record of no account first decides on its partition.
        assert plain_partitions(found[table][1]) == plain_partitions(wanted[table][1]), table
        counts = [sum(int(p["Parameters"]["numRows"]) for _, p in side[table][1]) for side in (found, wanted)]
        assert counts[0] == counts[1], table


def plain_partitions(partitions):
    """Partitions by their values, without those that records of no account may be in."""
    found = {tuple(values): described for values, described in partitions}
    return {values: found[values] for values in found if values not in EITHER_PARTITIONS}


def test_records_of_no_account_in_two_folders_are_in_one_of_them(played, whole, rows):
    for lake in [whole.lake, *(played(name).lake for name in ARRAYS)]:
        ids = [json.loads(row)[1]["eventid"] for row in rows.of(lake)["cloudtrail"]]
        assert sorted(found for found in ids if found in EITHER_IDS) == EITHER_IDS


def test_a_record_of_a_region_that_leads_out_of_the_lake_is_in_an_unknown_one(played, whole, rows):
    for lake in [whole.lake, *(played(name).lake for name in ARRAYS)]:
        found = [json.loads(row) for row in rows.of(lake)["cloudtrail"] if OUTSIDE["eventID"] in row]
        assert [(partition["region"], row["awsregion"]) for partition, row in found] == [("unknown", "../x")]


def test_a_conversion_without_a_plan_makes_the_same_documented_columns_and_texts(new_job, whole, rows):
    job = new_job(children=None)
    plain = job.run(
        "convert", *job.sources, job.lake.url, "-q", *PLANNED[:2], "--database", job.database, codes=(1,)
    ).report

    assert rows.differences(whole.lake, job.lake, without=INFERRED, but=EITHER_IDS) == {}
    assert rows.differences(whole.lake, job.lake, without=[*INFERRED, "account"], only=EITHER_IDS) == {}
    assert [plain[field] for field in BALANCE] == [whole.report[field] for field in BALANCE]
    is_exact(job)


def test_what_the_sample_did_not_see_is_in_the_schema_of_the_next_plan(whole):
    versions = sorted(whole.lake.documents("schema/").items())
    planned = json.dumps(versions[0][1])
    grown = json.dumps(versions[-1][1])

    # Fields that are only ever null or empty have no kind.
    late = [f"latefield{n}" for n in range(40) if n % 10 not in (3, 4, 5)]
    assert any(name not in planned for name in late), "the sample saw all of them"
    assert [name for name in late if name not in grown] == []
    columns = {c["Name"]: c["Type"] for c in in_catalog(whole)["cloudtrail_typed"][0]["StorageDescriptor"]["Columns"]}
    assert all(name in columns["request"] for name in late)


@pytest.mark.parametrize(
    ("options", "layout"),
    [
        (["--partition-by", "event_source,year,month"], r"event_source=[^/]+/year=\d{4}/month=\d\d"),
        (["--no-typed", "--compression", "snappy"], r"account=\w+/region=[^/]+/event_date=[\d-]+"),
        (["--duplicates", "keep", "--table", "audit"], r"account=\w+/region=[^/]+/event_date=[\d-]+"),
    ],
)
def test_a_plan_holds_for_its_children_what_it_was_made_with(s3, new_bucket, endpoint, archive, rows, options, layout):
    def made(convert):
        job = Job([archive.url], BucketLake(s3, new_bucket("lake"), "lake"), endpoint)
        convert(job)
        return job

    def array(job):
        job.plan("--unit-size", "25kB", *options, children=4)
        job.report = job.array(4, kill=0.4, twice=0.5, seed=9).report

    def plain(job):
        args = convert_args(archive.url, job.lake.url, "--unit-size", "25kB", *options)
        job.report = run_trailmill(*args, endpoint=endpoint, codes=(1,)).report

    by_array, by_one = made(array), made(plain)

    assert rows.differences(by_one.lake, by_array.lake, without=INFERRED) == {}
    assert [by_array.report[f] for f in BALANCE] == [by_one.report[f] for f in BALANCE]
    assert all(re.fullmatch(rf"\w+/{layout}/part-.*\.parquet", key) for key in by_array.lake.data_files())
    manifest = by_array.lake.manifests()[0]
    settings = manifest["settings"]
    assert settings["compression"] == ("snappy" if "snappy" in options else "zstd:1")
    assert settings["typed"] == ("--no-typed" not in options)
    of_verify = [o for pair in zip(options[::2], options[1::2]) for o in pair if pair[0] in ("--duplicates", "--table")]
    is_exact(by_array, *of_verify)


# One plan in many buckets


class Clones:
    """A bucket at one moment, put into as many buckets as are wanted."""

    def __init__(self, s3, new_bucket, job):
        self.s3, self.new_bucket, self.job = s3, new_bucket, job
        self.objects = {key: job.lake.read(key) for key in job.lake.listing()}

    def make(self, endpoint, glue=None):
        lake = BucketLake(self.s3, self.new_bucket("lake"), "lake")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lake.put, self.objects, self.objects.values()))
        return Job(self.job.sources, lake, endpoint, glue)


@pytest.fixture(scope="module")
def small(archive, s3, new_bucket, endpoint, glue):
    """One plan over the small archive, at all its stages; `wanted` is what its lake becomes."""
    stages = types.SimpleNamespace()
    job = Job([archive.url], BucketLake(s3, new_bucket("lake"), "lake"), endpoint, glue)
    stages.plan = job.plan(*SMALL_UNITS, "--sample-objects", "5").report
    stages.open = Clones(s3, new_bucket, job)
    job.child()
    stages.converted = Clones(s3, new_bucket, job)
    stages.report = job.finish(codes=(1,)).report
    stages.wanted, stages.catalog = job.lake.content(), in_catalog(job)
    stages.job = job
    assert stages.plan["totals"]["units"] >= 10, "too few units to be killed between"
    assert stages.catalog and len(stages.report["new_fields"]) > 0
    return stages


@pytest.fixture(scope="module", autouse=True)
def told_to_stop(small, endpoint):
    """Children that take their time to end, which they do while the other tests run."""
    gate, proxies, ending = threading.Event(), [], {}
    situations = {
        "S3 does not answer a claim": ("PutObject", CHILD_PUTS["claim"], faults.hold(gate)),
        "S3 throttles every put": ("PutObject", "", faults.status(503, "SlowDown")),
        "slow source bodies": ("GetObject", "^logs-", faults.slow_answer(100, 100)),
    }

    def end(run):
        asked = time.monotonic()
        run.signal("TERM")
        return run.wait(60), time.monotonic() - asked

    with ThreadPoolExecutor(len(situations)) as pool:
        for what, fault in situations.items():
            proxies.append(FaultyProxy(endpoint))
            rule = proxies[-1].on(*fault, count=EVERY)
            run = small.open.make(endpoint).start_child(endpoint=proxies[-1].url)
            rule.wait()
            ending[what] = pool.submit(end, run)
        yield ending
        gate.set()
    for proxy in proxies:
        proxy.stop()


@pytest.fixture
def opened(small, endpoint):
    """A lake with an open plan, none of whose units are done."""
    return small.open.make(endpoint)


@pytest.fixture
def own_glue():
    with StrictGlue() as server:
        yield server


@pytest.fixture
def converted(small, endpoint, own_glue):
    """A lake with an open plan, all of whose units are done, and a catalog that knows nothing of it."""
    return small.converted.make(endpoint, own_glue)


@pytest.fixture
def is_done(small):
    def check(job, what=""):
        """Insists on the lake that the plan comes to when nothing happens."""
        assert_same_content(small.wanted, job.lake.content(), what)
        assert job.lake.keys(r"_trailmill/planned/") == [], what
        if job.glue:
            assert in_catalog(job) == small.catalog, what

    return check


def assert_unchanged(before, lake, only=None):
    """Insists on the same keys and bytes, of all or `only` some keys; the lease counts who held it."""
    lease = f"{OWN}lease.json"
    found = {key: tag for key, tag in lake.listing().items() if only is None or key in only}
    assert_same_content({**before, lease: ""}, {**found, lease: ""})


# What a discarded plan leaves: its schema, which nothing names, and what belongs to the lake.
STAYS = rf"^{OWN}(plans/|schema/|lease\.json|copies/key\.json)"
CHILD_PUTS = {
    "claim": r"_trailmill/planned/.*/claims/",
    "data file": r"/part-[^/]*\.parquet$",
    "copies": r"_trailmill/copies/",
    "quarantine": r"_trailmill/quarantine/",
    "done document": r"_trailmill/planned/.*/done/",
}
CHILD_FAULTS = {
    "503 SlowDown": (faults.status(503, "SlowDown"), 2),
    "a reset in the client's body": (faults.cut_request, 2),
    "a reset when it is done": (faults.drop_after, 2),
    "500 when it is done": (faults.status_after(500, "InternalError"), 2),
    "409, another put is under way": (faults.status(409, "ConditionalRequestConflict"), 2),
}


@pytest.mark.parametrize("name", CHILD_FAULTS)
def test_a_child_gets_over_what_passes_at_every_put(opened, proxy, is_done, name):
    fault, count = CHILD_FAULTS[name]
    rules = {what: proxy.on("PutObject", place, fault, count=count) for what, place in CHILD_PUTS.items()}

    opened.child(endpoint=proxy.url)

    assert [what for what, rule in rules.items() if rule.hits < min(count, 1)] == []
    opened.finish(codes=(1,))
    is_done(opened)


def test_every_put_of_a_child_may_come_through_without_its_knowing(opened, proxy, is_done):
    rule = proxy.on("PutObject", "", faults.once_per_key(faults.drop_after), count=EVERY)

    opened.child(endpoint=proxy.url)

    assert rule.hits > 60
    opened.finish(codes=(1,))
    is_done(opened)


def killed_at(job, proxy, rule_args, when, nth, start):
    """Kills a run at the nth request of a kind, before or after it is done."""
    running = []
    fault = getattr(faults, when)(lambda: running[0].kill())
    rule = proxy.on(*rule_args, fault, first=nth)
    running.append(start())
    running[0].wait()
    proxy.clear()
    proxy.drain()
    assert rule.hits == 1, f"{rule_args}, {nth}: did not come"


@pytest.mark.parametrize(("when", "nth"), [("before", 1), ("after", 5)])
@pytest.mark.parametrize("place", CHILD_PUTS)
def test_a_child_killed_at_any_put_is_completed_by_its_next_attempt(opened, proxy, is_done, place, when, nth):
    if place == "quarantine" and nth > 1:
        nth = 2
    at = ("PutObject", CHILD_PUTS[place])
    killed_at(opened, proxy, at, when, nth, lambda: opened.start_child(endpoint=proxy.url))

    opened.child()

    opened.finish(codes=(1,))
    is_done(opened, f"killed {when} {place} {nth}")


def test_children_of_one_index_at_once_do_the_same(opened, proxy, small, is_done):
    proxy.on("PutObject", "", faults.late(0.02), count=EVERY)
    for index in range(2):
        twins = [opened.start_child(index, 2, endpoint=proxy.url) for _ in range(3)]
        for twin in twins:
            twin.wait().exits(0)

    opened.finish(codes=(1,))
    assert {r.status for r in proxy.requests("PutObject")} == {200, 412}
    is_done(opened)


@pytest.mark.parametrize("sizes", [(2, 5), (7, 1), (3, None)])
def test_an_array_of_another_size_completes_what_a_broken_one_began(opened, small, proxy, endpoint, sizes):
    broken, size = sizes
    # Every child claims and is lost before its first unit is done; the last of them first.
    for index in reversed(range(broken)):
        running = []
        kill = faults.before(lambda: running[0].kill())  # noqa: B023
        proxy.on("PutObject", CHILD_PUTS["done document"], kill)
        running.append(opened.start_child(index, broken, endpoint=proxy.url))
        running[0].wait()
        proxy.clear()
        proxy.drain()

    for index in [None] if size is None else range(size):
        opened.child(index, size)

    report = opened.finish(codes=(1,)).report
    assert [report[f] for f in BALANCE] == [small.report[f] for f in BALANCE]
    is_exact(opened)
    assert_same_rows(without_nested(small.job.lake.rows()), without_nested(opened.lake.rows()))


def test_children_with_nothing_to_do_end_well(opened, small):
    opened.child(3, 3, codes=(2,))
    children = small.plan["totals"]["units"] + 3
    for index in range(children):
        opened.child(index, children)

    opened.finish(codes=(1,))
    is_exact(opened)


def test_sigterm_ends_a_child_with_75_and_its_next_attempt_completes_the_plan(opened, proxy, is_done):
    gate = threading.Event()
    held = proxy.on("PutObject", CHILD_PUTS["done document"], faults.hold(gate), first=2)
    proxy.on("PutObject", CHILD_PUTS["data file"], faults.late(0.3), count=EVERY)
    run = opened.start_child(None, None, "--threads", "1", "--memory", "260kB", endpoint=proxy.url)
    held.wait()
    run.signal("TERM")
    gate.set()

    done = run.wait().exits(75)

    assert done.seconds < 30 and done.report["interrupted"]
    missing = opened.finish(codes=(75,)).report
    assert 0 < missing["missing"] < missing["units"] and missing["numbers"]
    opened.child()
    opened.finish(codes=(1,))
    is_done(opened)


EXPIRED = faults.status(400, "ExpiredToken", "The provided token has expired.")


@pytest.mark.parametrize("place", ["data file", "source object"])
def test_credentials_that_expire_end_a_child_with_75(opened, proxy, is_done, place):
    at = ("GetObject", "^logs-") if place == "source object" else ("PutObject", CHILD_PUTS[place])
    proxy.on(*at, EXPIRED, first=2, count=EVERY)

    done = opened.child(None, None, "--retry-timeout", "2", endpoint=proxy.url, codes=(75,))

    assert re.search(r"credentials|token|expired", done.stderr, re.I), done.stderr
    proxy.clear()
    opened.child()
    opened.finish(codes=(1,))
    is_done(opened)


def test_an_object_that_is_gone_does_not_stop_the_plan_and_is_named(archive, s3, new_bucket, endpoint):
    bucket = new_bucket("logs")
    upload(s3, archive.folder, bucket)
    job = Job([f"s3://{bucket}/"], BucketLake(s3, new_bucket("lake"), "lake"), endpoint)
    job.plan(*SMALL_UNITS)
    s3.delete_object(Bucket=bucket, Key=log_key("copy-1.json.gz"))

    job.child()
    report = job.finish(codes=(1,)).report

    assert list(report["unavailable_by_reason"].items()) == [("object is gone since it was listed; run again", 1)]
    is_exact(job)


# The end


def test_finish_says_which_units_and_children_are_missing_and_changes_nothing(opened, small):
    opened.child(1, 3)
    before = opened.lake.listing()

    missing = opened.finish(codes=(75,)).report

    assert missing["units"] == small.plan["totals"]["units"]
    assert missing["missing"] == len(missing["numbers"]) and missing["children"] == [0, 2]
    assert_unchanged(before, opened.lake)


def test_of_two_finishes_at_once_one_ends_with_75(converted, proxy, endpoint, is_done):
    gate = threading.Event()
    held = proxy.on("PutObject", r"_trailmill/manifests/", faults.hold(gate), first=3)
    first = converted.start(*converted.finish_args(), endpoint=proxy.url)
    held.wait()

    second = converted.finish(codes=(75,))

    assert str(first.pid) in second.stderr
    gate.set()
    first.wait().exits(1)
    is_done(converted)
    assert converted.finish(codes=(0,)).report == {"ended": None}


DELETES = ("DeleteObject", "DeleteObjects")
FINISH_PLACES = {
    "lease": ("PutObject", r"_trailmill/lease\.json$", (1,)),
    "manifest": ("PutObject", r"_trailmill/manifests/", (5,)),
    "schema lock": ("PutObject", r"_trailmill/schema/", (1,)),
    "part of the ledger": ("PutObject", r"_trailmill/ledger/", (1,)),
    "checkpoint": ("PutObject", r"_trailmill/checkpoints/", (1,)),
    "complete listing": ("PutObject", r"_trailmill/listings/", (1,)),
    "run log": ("PutObject", r"_trailmill/runs/", (1,)),
    "plan's end": ("PutObject", r"_trailmill/plans/.*end\.json", (1,)),
    "plan's documents": (DELETES, r"_trailmill/planned/", (1,)),
    "decision": ("PutObject", r"_trailmill/plans/.*decision\.json", (1,)),
    "done document": ("GetObject", r"_trailmill/planned/.*/done/", (7,)),
    "own listing": ("ListObjectsV2", r"_trailmill/", (2,)),
}
FINISH_KILLS = [
    (place, when, nth)
    for place, (operation, _, often) in FINISH_PLACES.items()
    for when in (("before", "after") if operation in ("PutObject", DELETES) else ("before",))
    for nth in often
]


@pytest.mark.parametrize(("place", "when", "nth"), FINISH_KILLS)
def test_a_finish_killed_at_a_boundary_is_completed_by_the_next(converted, proxy, is_done, place, when, nth):
    args = converted.finish_args()
    killed_at(
        converted, proxy, FINISH_PLACES[place][:2], when, nth,
        lambda: converted.start(*args, endpoint=proxy.url),
    )  # fmt: skip
    # When only its end was left to be written, the next finds nothing to do: the documents that are left
    # then are garbage, which goes with the next plan.
    converted.finish(codes=(0, 1))
    if place in ("plan's end", "plan's documents"):
        converted.plan(*SMALL_UNITS)

    is_done(converted, f"killed {when} {place} {nth}")


@pytest.mark.parametrize(
    ("when", "action"),
    [("before", "CreateTable"), ("after", "CreateTable"), ("after", "BatchCreatePartition")],
)
def test_a_finish_killed_at_a_call_of_the_catalog_is_completed_by_the_next(
    converted, is_done, own_glue, action, when
):
    at_glue = FaultyProxy(own_glue.url)
    running = []
    rule = at_glue.on(action, "", getattr(faults, when)(lambda: running[0].kill()))
    running.append(converted.start(*converted.finish_args(), env={"AWS_ENDPOINT_URL_GLUE": at_glue.url}))
    running[0].wait()
    at_glue.stop()
    assert rule.hits == 1

    converted.finish(codes=(1,))

    is_done(converted)


def test_credentials_that_expire_end_plan_and_finish_with_75(converted, archive, s3, new_bucket, proxy, is_done):
    proxy.on("PutObject", r"_trailmill/manifests/", EXPIRED, first=3, count=EVERY)
    converted.finish("--retry-timeout", "2", endpoint=proxy.url, codes=(75,))
    new = Job([archive.url], BucketLake(s3, new_bucket("lake"), "lake"), converted.endpoint)
    proxy.on("PutObject", r"_trailmill/planned/", EXPIRED, count=EVERY)
    new.plan(*SMALL_UNITS, "--retry-timeout", "2", endpoint=proxy.url, codes=(75,))
    proxy.clear()

    converted.finish(codes=(1,))
    is_done(converted)
    # A plan that was never opened is none.
    new.child(codes=(2,))
    new.plan(*SMALL_UNITS)
    new.child()
    new.finish(codes=(1,))
    is_exact(new)


def test_what_passes_at_the_requests_of_finish_is_not_noticed(converted, proxy, is_done):
    proxy.on(None, "", faults.once_per_key(faults.status(503, "SlowDown")), count=EVERY)
    converted.finish(codes=(1,), endpoint=proxy.url)
    is_done(converted)


def test_every_put_of_finish_may_come_through_without_its_knowing(converted, proxy, is_done):
    proxy.on(("PutObject", *DELETES), "", faults.once_per_key(faults.drop_after), count=EVERY)
    converted.finish(codes=(1,), endpoint=proxy.url)
    is_done(converted)


# What comes late


@pytest.mark.parametrize("by", ["lake", "document"])
@pytest.mark.parametrize("end", ["finish", "discard"])
def test_a_child_that_comes_after_the_end_changes_nothing(converted, small, end, by):
    getattr(converted, end)()
    before = converted.lake.listing()
    plan = converted.lake.url if by == "lake" else f"{converted.lake.url}/{OWN}plans/{small.plan['id']}.json"

    for index in (None, 2):
        args = ["convert", "--plan", plan, "-q"]
        report = converted.run(*args, env=child(index, 3)).report
        assert report["units"] == 0 and report["records_read"] == 0

    assert_unchanged(before, converted.lake)
    finished = converted.run("finish", "--plan", plan, *converted.catalog, "-q").report
    assert finished["ended"] in (None, "finished", "discarded")
    assert_unchanged(before, converted.lake)


def test_a_child_that_is_late_when_its_plan_is_finished_owns_nothing(s3, new_bucket, endpoint, proxy):
    # The first unit is held before it claims; the second has claimed everything that they share by then.
    logs = BucketLake(s3, new_bucket("logs"))
    for name, own in [("a.json.gz", 0), ("b.json.gz", 5)]:
        logs.put(log_key(name), log_object(map(record, range(20 + own))))
    job = Job([logs.url], BucketLake(s3, new_bucket("lake"), "lake"), endpoint)
    assert job.plan("--unit-size", "1kB", children=2).report["totals"]["units"] == 2
    gate = threading.Event()
    held = proxy.on("PutObject", CHILD_PUTS["claim"], faults.hold(gate), count=EVERY)
    late = job.start_child(0, 2, endpoint=proxy.url)
    held.wait()
    job.child(1, 2)
    job.child(0, 2)
    job.finish(codes=(0,))
    before = job.lake.listing()
    gate.set()

    late.wait().exits(0, 75)

    # Claims of a plan that has ended mean nothing, and go with the next.
    found = {key: tag for key, tag in job.lake.listing().items() if "/claims/" not in key}
    assert_same_content(before, found)
    job.plan("--unit-size", "1kB")
    is_exact(job)


def test_what_a_child_writes_while_its_plan_is_given_up_is_in_no_lake(opened, proxy):
    gate = threading.Event()
    held = proxy.on("PutObject", CHILD_PUTS["data file"], faults.hold(gate), first=3, count=EVERY)
    late = opened.start_child(0, 3, endpoint=proxy.url)
    held.wait()
    opened.discard()
    gate.set()
    late.wait().exits(75)

    opened.plan(*SMALL_UNITS)
    opened.array(2)

    is_exact(opened)


# While a plan is open


def test_others_wait_for_an_open_plan(opened, archive, small):
    opened.child(0, 3)
    before = opened.lake.listing()

    args = convert_args(archive.url, opened.lake.url, *SMALL_UNITS)
    busy = run_trailmill(*args, endpoint=opened.endpoint, codes=(75,))
    kept = opened.plan(*SMALL_UNITS, children=9).report
    shown = opened.run("plan", "show", opened.lake.url).report

    assert small.plan["id"] in busy.stderr and "finish" in busy.stderr
    assert kept["id"] == small.plan["id"] and kept["is_new"] is False and kept["children"] == 3
    assert shown["ended"] is None and 0 < shown["units_done"] < small.plan["totals"]["units"]
    assert_unchanged(before, opened.lake)


def test_looking_and_syncing_leave_what_children_wrote(converted, small, is_done):
    before = converted.lake.listing()

    for args in [["catalog", "diff"], ["catalog", "sync"], ["schema", "show"], ["catalog", "show"], ["quarantine"]]:
        converted.run(*args, converted.lake.url)

    assert_unchanged(before, converted.lake, only=before)
    converted.finish(codes=(1,))
    is_done(converted)


def test_syncing_during_the_second_plan_of_a_lake_leaves_its_files(nightly):
    nightly.logs.put(log_key("later.json.gz"), log_object(map(record, range(500, 560))))
    nightly.plan(*SMALL_UNITS)
    nightly.child()
    before = nightly.lake.data_files()

    nightly.run("catalog", "sync", nightly.lake.url)

    assert nightly.lake.data_files() == before
    nightly.finish(codes=(0,))
    is_exact(nightly)


@pytest.mark.parametrize("stage", ["open", "converted"])
def test_a_plan_that_is_given_up_leaves_the_bucket_as_it_was(small, endpoint, archive, stage):
    job = getattr(small, stage).make(endpoint)

    job.discard()

    # The lake was not there before the plan.
    assert [key for key in job.lake.listing() if not re.match(STAYS, key)] == []
    again = job.plan(*SMALL_UNITS).report
    assert again["is_new"] and again["id"] != small.plan["id"]
    job.array(3)
    is_exact(job)


def test_a_second_plan_that_is_given_up_leaves_the_lake_as_it_was(nightly):
    nightly.logs.put(log_key("later.json.gz"), log_object([record(n, requestParameters={"new": n}) for n in range(40)]))
    before = nightly.lake.listing()
    nightly.plan(*SMALL_UNITS)
    nightly.child(0, 2)

    nightly.discard()

    kept = {key for key in nightly.lake.listing() if key in before or not re.match(STAYS, key)}
    assert_unchanged(before, nightly.lake, only=kept)


@pytest.mark.parametrize(("when", "nth"), [("before", 1), ("after", 4)])
def test_a_discard_killed_on_its_way_is_completed_by_the_next(small, endpoint, proxy, when, nth):
    job = small.converted.make(endpoint)
    killed_at(
        job, proxy, (DELETES, "(parquet|planned|copies)"), when, nth,
        lambda: job.start("plan", "discard", job.lake.url, endpoint=proxy.url),
    )  # fmt: skip

    document = f"{job.lake.url}/{OWN}plans/{small.plan['id']}.json"
    job.run("plan", "discard", document)

    assert [key for key in job.lake.listing() if not re.match(STAYS, key)] == []


# Night after night


@pytest.fixture
def nightly(s3, new_bucket, endpoint, own_glue):
    """A lake that one array has made of some logs; more may come."""
    logs = BucketLake(s3, new_bucket("nightly"))
    for n in range(6):
        logs.put(log_key(f"first-{n}.json.gz"), log_object(map(record, range(40 * n, 40 * n + 60))))
    job = Job([logs.url], BucketLake(s3, new_bucket("lake"), "lake"), endpoint, own_glue)
    job.logs = logs
    job.plan("--unit-size", "5kB", "--partition-by", "region")
    job.array(3)
    return job


def test_every_night_adds_what_is_new_and_copies_of_no_night(nightly):
    first = nightly.lake.listing()
    logs = nightly.logs
    # Copies of the first night, in another account's folder and on another day, and new records.
    other = log_key("second.json.gz", region="eu-west-1", day=RECENTLY).replace("111122223333", "444455556666")
    logs.put(other, log_object(map(record, range(250, 330))))
    logs.put(log_key("second-copy.json.gz"), log_object(map(record, range(320))))
    logs.put(log_key("field.json.gz"), log_object([record(400 + n, requestParameters={"new": n}) for n in range(9)]))

    plan = nightly.plan("--unit-size", "5kB", "--partition-by", "region").report
    played = nightly.array(3, kill=0.4, twice=0.4, seed=2)

    assert plan["totals"]["objects"] == 3 and plan["objects_known"] == 6
    assert played.report["records_written"] == 330 - 260 + 9
    now = nightly.lake.listing()
    old = {key: tag for key, tag in first.items() if re.search(r"\.parquet$|/copies/|/manifests/", key)}
    assert_same_content(old, {key: now.get(key) for key in old})
    is_exact(nightly)
    before = nightly.lake.listing()
    third = nightly.plan("--unit-size", "5kB", "--partition-by", "region").report
    assert third["plan"] is None and third["objects_known"] == 9
    assert nightly.child(0, 3).report["units"] == 0
    assert nightly.finish(codes=(0,)).report == {"ended": None}
    assert_unchanged(before, nightly.lake)


def test_conversions_and_arrays_take_turns_on_one_lake(nightly):
    def more(name, start):
        nightly.logs.put(log_key(name), log_object(map(record, range(start, start + 30))))

    args = ["--unit-size", "5kB", "--partition-by", "region", "-q", "--database", nightly.database]
    for turn in range(2):
        more(f"plain-{turn}.json.gz", 1000 + 50 * turn)
        done = nightly.run("convert", *nightly.sources, nightly.lake.url, *args)
        assert done.report["records_written"] == 30
        more(f"array-{turn}.json.gz", 1020 + 50 * turn)
        nightly.plan("--unit-size", "5kB", "--partition-by", "region")
        assert nightly.array(2).report["records_written"] == 20
    is_exact(nightly)


# Wrong usage


WRONG = {
    "a plan and sources": lambda job: ["convert", "s3://logs/", job.lake.url, "--plan", job.lake.url],
    "no number": lambda job: ["convert", "--plan", job.lake.url, "--array-index", "one"],
    "a part of no array": lambda job: ["convert", "--plan", job.lake.url, "--array-size", "0", "--array-index", "0"],
    "no lake": lambda job: ["convert", "--plan", f"s3://{job.lake.bucket}/elsewhere"],
    "no plan": lambda job: ["convert", "--plan", f"{job.lake.url}/{OWN}plans/00000000-0000000000000000.json"],
    "no bucket": lambda job: ["convert", "--plan", "s3://there-is-no-such-bucket/lake"],
    "finish without a plan": lambda job: ["finish"],
    "finish of no lake": lambda job: ["finish", "--plan", f"s3://{job.lake.bucket}/elsewhere"],
    "another database": lambda job: ["finish", "--plan", job.lake.url, "--database", "another"],
    "no children": lambda job: ["plan", *job.sources, job.lake.url, "--children", "0"],
    "too many children": lambda job: ["plan", *job.sources, job.lake.url, "--children", "10001"],
    "children of no number": lambda job: ["plan", *job.sources, job.lake.url, "--children", "many"],
    "a strict plan": lambda job: ["plan", *job.sources, job.lake.url, "--children", "2", "--strict"],
    "options of the plan at a child": lambda job: ["convert", "--plan", job.lake.url, "--partition-by", "region"],
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_usage_ends_with_2_and_changes_nothing(small, endpoint, own_glue, what):
    job = WrongUsage.of(small, endpoint)
    before = job.lake.listing()

    done = run_trailmill(*WRONG[what](job), endpoint=endpoint, env={"AWS_ENDPOINT_URL_GLUE": own_glue.url}, codes=(2,))

    assert done.stderr and done.stdout == ""
    assert_unchanged(before, job.lake)


class WrongUsage:
    """One lake with an open plan whose units are done, for all tests that must not change it."""

    job = None

    @classmethod
    def of(cls, small, endpoint):
        cls.job = cls.job or small.converted.make(endpoint)
        return cls.job


def test_a_plan_of_another_version_is_refused_by_children(small, endpoint):
    job = small.open.make(endpoint)
    key = f"{OWN}plans/{small.plan['id']}.json"
    document = json.loads(job.lake.read(key))
    job.lake.put(key, json.dumps({**document, "settings": {**document["settings"], "program": "0.0.0"}}).encode())

    assert "0.0.0" in job.child(codes=(2,)).stderr


# Many keys


def test_a_plan_holds_every_key_of_a_large_bucket_once_in_bounded_memory(capsys):
    objects = int(os.environ.get("TRAILMILL_SIMULATED_OBJECTS", 120_000))
    with SimulatedBucket(objects) as bucket:
        done = measured_plan(BINARY, bucket, environment(), "--unit-size", "4MB")

        assert done.code == 0, done.said
        planned = (address for units in bucket.parts() for unit in units for address, *_ in unit["objects"])
        wanted = (f"s3://{BUCKET}/{key}" for keys in bucket.archive.keys() for key, *_ in keys)
        # In the order of the listing or not: none is missing, and none comes twice.
        assert sorted(planned) == sorted(wanted)
    assert done.plan["totals"]["objects"] == objects and done.plan["children"] >= 1
    # Pages of the listing and one part of the plan, and not what has been listed.
    assert done.peak_bytes < 400e6
    with capsys.disabled():
        print(f" {objects:,} keys: {done.seconds:.1f} s, peak RSS {done.peak_bytes / 1e6:.0f} MB ", end="")


def test_the_simulated_bucket_lists_as_s3_does():
    with SimulatedBucket(5_000, workers=1) as bucket:
        s3 = client("s3", bucket.url)
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET))
        keys = [item["Key"] for page in pages for item in page["Contents"]]
        assert len(pages) == 5 and len(keys) == 5_000 and keys == sorted(set(keys))
        some = keys[1234]
        account = some[: some.index("CloudTrail/")]
        for prefix, after in [("", some), (account, ""), (account, some), (some[:-20], ""), (some, ""), ("x", "")]:
            wanted = [key for key in keys if key.startswith(prefix) and key > after][:1000]
            found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix, **({"StartAfter": after} if after else {}))
            assert [item["Key"] for item in found.get("Contents", [])] == wanted, (prefix, after)
        for prefix in ["", "AWSLogs/", account, f"{account}CloudTrail/", some[: some.rindex("/") - 2], some[:-30]]:
            found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix, Delimiter="/")
            below = {key[: (key + "/").index("/", len(prefix)) + 1] for key in keys if key.startswith(prefix)}
            got = [item["Prefix"] for item in found.get("CommonPrefixes", [])]
            got += [item["Key"] for item in found.get("Contents", [])]
            assert {name for name in got if "Digest" not in name} == below, prefix
        # And the lake beside it keeps what is put there once.
        s3.put_object(Bucket="lake", Key="x/ä", Body=b"1", IfNoneMatch="*")
        with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
            s3.put_object(Bucket="lake", Key="x/ä", Body=b"2", IfNoneMatch="*")
        assert s3.get_object(Bucket="lake", Key="x/ä")["Body"].read() == b"1"
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="lake")["Contents"]] == ["x/ä"]
        s3.delete_object(Bucket="lake", Key="x/ä")
        assert s3.list_objects_v2(Bucket="lake")["KeyCount"] == 0


# Last, because they have been told to stop long ago


@pytest.mark.parametrize(
    "what", ["S3 does not answer a claim", "S3 throttles every put", "slow source bodies"]
)
def test_sigterm_ends_a_child_within_20_seconds_whatever_s3_does(told_to_stop, what):
    done, seconds = told_to_stop[what].result(60)

    assert done.code == 75, f"exit code {done.code}\n{done.stderr}"
    assert seconds < 22
