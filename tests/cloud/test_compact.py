"""Compaction in S3 with Glue: locations are switched, queries see each row once, old files wait."""

import io
import json
from collections import Counter

import boto3
import pyarrow.parquet as pq
import pytest
from conftest import log_key, log_object, record, run_trailmill
from strict_glue import StrictGlue

DAYS = ["2024-05-01", "2024-05-02"]


class World:
    """Logs and a lake in buckets, and a Glue of its own."""

    def __init__(self, s3, new_bucket, lake, endpoint, glue):
        self.s3, self.lake, self.endpoint, self.glue = s3, lake, endpoint, glue
        self.logs = new_bucket("logs")
        self.count = 0

    def put(self, objects=3):
        for _ in range(objects):
            first = 100 * self.count
            records = [record(first + n, eventTime=f"{DAYS[n % 2]}T00:00:{n % 60:02}Z") for n in range(40)]
            self.s3.put_object(Bucket=self.logs, Key=log_key(f"{self.count}.json.gz"), Body=log_object(records))
            self.count += 1

    def run(self, *args, codes=(0,)):
        env = {"AWS_ENDPOINT_URL_GLUE": self.glue.url}
        return run_trailmill(*args, endpoint=self.endpoint, env=env, codes=codes)

    def convert(self, *options):
        args = ["convert", f"s3://{self.logs}/", self.lake.url, "--partition-by", "event_date", "-q"]
        return self.run(*args, "--unit-size", "20kB", "--report", "json", *options)

    def compact(self, *options, codes=(0,)):
        args = ["compact", self.lake.url, "--older-than", "0m", "--report", "json", "-q"]
        done = self.run(*args, *options, codes=codes)
        return json.loads(done.stdout) if done.stdout else done

    def verify(self, *options, codes=(0,)):
        return self.run("verify", f"s3://{self.logs}/", self.lake.url, *options, codes=codes)

    def partitions(self, table="cloudtrail"):
        """The registered partitions with their locations, as boto3 reads them."""
        glue = boto3.client(
            "glue", endpoint_url=self.glue.url, region_name="us-east-1",
            aws_access_key_id="testing", aws_secret_access_key="testing",
        )  # fmt: skip
        pages = glue.get_paginator("get_partitions").paginate(DatabaseName="trailmill", TableName=table)
        found = [partition for page in pages for partition in page["Partitions"]]
        return {tuple(it["Values"]): it["StorageDescriptor"]["Location"] for it in found}

    def rows(self, table="cloudtrail"):
        """The ids that an engine finds which takes locations from Glue and lists what lies there."""
        ids = Counter()
        for location in self.partitions(table).values():
            prefix = location.removeprefix(f"s3://{self.lake.bucket}/{self.lake.prefix}")
            for key in self.lake.keys(f"^{prefix}[^/]*parquet$"):
                file = pq.ParquetFile(io.BytesIO(self.lake.read(key)))
                ids.update(file.read(["eventid"])["eventid"].to_pylist())
        return ids


@pytest.fixture
def world(s3, new_bucket, lake, endpoint):
    with StrictGlue() as glue:
        world = World(s3, new_bucket, lake, endpoint, glue)
        world.put()
        world.convert()
        yield world


def test_locations_are_switched_and_old_files_go_after_the_grace_period(world):
    before, locations = world.rows(), world.partitions()
    old = set(world.lake.data_files())

    report = world.compact("--grace", "1h")

    assert len(report["partitions"]) == 2 and report["catalog_changes"] > 0
    after = world.partitions()
    assert after.keys() == locations.keys() and not set(after.values()) & set(locations.values())
    assert all("/_trailmill/compacted/cloudtrail/event_date=" in location for location in after.values())
    for table in ("cloudtrail", "cloudtrail_typed"):
        assert world.rows(table) == before, table
    assert set(world.lake.data_files()) == old, "queries may still read them"
    world.verify()
    world.run("catalog", "diff", world.lake.url)
    assert world.compact("--grace", "1h")["files_waiting"] == len(old)

    report = world.compact("--grace", "0m")

    assert report["files_removed"] == len(old)
    assert world.lake.data_files() == []
    assert world.rows() == before
    world.verify()
    world.run("catalog", "diff", world.lake.url)
    answer = world.run("history", world.lake.url, "--limit", "all", "--output", "jsonl")
    assert len(answer.stdout.splitlines()) == before.total()


def test_what_comes_late_is_seen_and_merged(world):
    world.compact("--grace", "0m")
    before = world.rows()
    world.put(2)

    done = json.loads(world.convert().stdout)

    assert (done["records_written"], done["objects_known"]) == (80, 3)
    late = world.rows()
    assert late.total() == before.total() + 80
    locations = world.partitions()
    world.compact("--grace", "0m")
    world.compact("--grace", "0m")
    assert world.rows() == late and not set(world.partitions().values()) & set(locations.values())
    assert len(world.lake.keys(r"\.parquet$")) == 4, "two partitions of two tables"
    world.verify()
    world.run("catalog", "diff", world.lake.url)


def test_old_files_stay_while_glue_still_names_them(world):
    old = world.lake.data_files()
    world.glue.deny("BatchUpdatePartition", "not now")
    world.compact("--grace", "0m", codes=(3,))
    world.glue.denied.clear()
    assert world.lake.data_files() == old

    report = world.compact("--grace", "0m")

    assert report["files_removed"] == 0 and report["files_waiting"] == len(old)
    assert world.lake.data_files() == old
    assert world.compact("--grace", "0m")["files_removed"] == len(old)


def test_projected_partitions_are_refused(world):
    world.run("catalog", "sync", world.lake.url, "--partition-projection")
    before = world.lake.content()

    done = world.compact(codes=(2,))

    assert "partition projection" in done.stderr
    assert world.lake.content() == before


def test_a_view_for_duckdb_names_where_partitions_are(world):
    world.compact("--grace", "0m")
    sql = world.run("catalog", "ddl", world.lake.url, "--dialect", "duckdb", "--no-views").stdout
    patterns = [f"{location}*.parquet" for location in world.partitions().values()]
    for pattern in patterns:
        assert f"'{pattern}'" in sql


def test_an_array_job_writes_where_partitions_are_and_keeps_compaction_out(world):
    world.compact("--grace", "0m")
    before = set(world.lake.keys("parquet$"))
    world.put(3)
    layout = ["--partition-by", "event_date", "--unit-size", "20kB"]
    world.run("plan", f"s3://{world.logs}/", world.lake.url, "--children", "2", *layout, "-q")

    refused = world.compact("--grace", "0m", codes=(75,))
    assert "open plan" in refused.stderr
    world.run("convert", "--plan", world.lake.url, "-q")
    world.run("finish", "--plan", world.lake.url, "-q")

    assert len(world.rows()) == world.rows().total() == 240
    new = set(world.lake.keys("parquet$")) - before
    assert new and all(key.startswith("_trailmill/compacted/") for key in new)
    world.verify()
    world.run("catalog", "diff", world.lake.url)
