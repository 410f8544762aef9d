"""Compaction as readers see it: the same rows in every column, and no instant with others."""

import collections
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from conftest import BINARY, Lake, trailmill


def canonical(value):
    """A value without members that are null, which a file may leave out as well."""
    if isinstance(value, dict):
        return {name: canonical(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [canonical(element) for element in value]
    return value


def rows(lake, table):
    """The rows of a table, whatever their order, read file by file with pyarrow."""
    found = collections.Counter()
    for file in (lake / table).glob("**/*.parquet"):
        for row in pq.ParquetFile(file).read().to_pylist(maps_as_pydicts=None):
            found[file.parent.name, json.dumps(canonical(row), sort_keys=True, default=str)] += 1
    return found


@pytest.fixture(scope="module")
def small_files(folder):
    """8 MB of logs by day, converted in many units."""
    trailmill("sample", folder / "compact-logs", "--size", "8MB", "--seed", "9", "-q")
    options = ["--partition-by", "event_date", "--unit-size", "200kB"]
    return Lake(folder / "compact-logs", folder / "small-files", *options)


@pytest.fixture(scope="module")
def compacted(small_files, folder):
    lake = folder / "compacted"
    shutil.copytree(small_files.path, lake)
    report = json.loads(trailmill("compact", lake, "--older-than", "0m", "--report", "json", "-q"))
    assert report["partitions"] and report["files_after"] < report["files_before"] / 2
    return lake


def test_every_value_of_every_table_is_there_as_often(small_files, compacted):
    tables = sorted(path.name for path in compacted.iterdir() if not path.name.startswith("_"))
    assert "cloudtrail_typed" in tables
    for table in tables:
        before, after = rows(small_files.path, table), rows(compacted, table)
        assert before == after and before.total() > 0, table


def test_duckdb_agrees_about_the_main_table(small_files, compacted):
    def table(lake):
        return f"read_parquet('{lake}/cloudtrail/**/*.parquet', hive_partitioning = true)"

    for one, other in [(small_files.path, compacted), (compacted, small_files.path)]:
        query = f"SELECT * FROM {table(one)} EXCEPT ALL SELECT * FROM {table(other)}"
        assert duckdb.sql(query).fetchall() == []


def test_files_are_sorted_and_say_so(compacted):
    for file in (compacted / "cloudtrail").glob("**/*.parquet"):
        read = pq.ParquetFile(file)
        assert read.metadata.metadata[b"trailmill.sorted_by"] == b"eventsource,eventname,event_timestamp"
        keys = read.read(["eventsource", "eventname", "event_timestamp"]).to_pylist()
        keys = [(row["eventsource"] or "", row["eventname"] or "", row["event_timestamp"]) for row in keys]
        assert keys == sorted(keys)


def test_a_reader_that_walks_the_folder_never_sees_other_rows(small_files, folder):
    lake = folder / "walked"
    shutil.copytree(small_files.path, lake)
    want = sum(rows(lake, "cloudtrail").values())
    walk = ["compact", str(lake), "--older-than", "0m", "-q"]
    process = subprocess.Popen([str(BINARY), *walk], stdout=subprocess.DEVNULL)
    seen, retries = 0, 0
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        try:
            # Every file is opened after all are listed; a file that has gone since is an error, never a gap.
            found = ds.dataset(lake / "cloudtrail", format="parquet").to_table(columns=["eventid"])
        except (FileNotFoundError, OSError):
            retries += 1
            continue
        assert found.num_rows == want
        seen += 1
    assert process.wait(timeout=60) == 0
    assert seen > 0, f"{retries} walks met a change"
    assert ds.dataset(lake / "cloudtrail", format="parquet").count_rows() == want


def nightly(logs, lake, **more):
    """Runs scripts/nightly; partitions of days, in several files."""
    script = Path(__file__).parents[2] / "scripts/nightly"
    convert = "--partition-by event_date --unit-size 500kB -q"
    env = {**os.environ, "TRAILMILL_BIN": str(BINARY), "CONVERT_OPTIONS": convert, **more}
    return subprocess.run([script, logs, lake], env=env, capture_output=True, text=True, check=False)


def files_a_day(lake):
    return collections.Counter(path.parent.name for path in (lake / "cloudtrail").glob("**/*.parquet"))


def test_a_nightly_job_compacts_what_is_old_unless_that_is_turned_off(folder):
    logs = folder / "nightly-logs"
    # The sample ends in October 2026, so that most of its days are old whenever this runs.
    trailmill("sample", logs, "--size", "5MB", "--days", "120", "--seed", "4", "-q")

    off = nightly(logs, folder / "nightly-off", COMPACT="off")
    on = nightly(logs, folder / "nightly-on")
    again = nightly(logs, folder / "nightly-on")

    assert (off.returncode, on.returncode, again.returncode) == (0, 0, 0), on.stderr + off.stderr
    before, after = files_a_day(folder / "nightly-off"), files_a_day(folder / "nightly-on")
    assert before.keys() == after.keys() and max(before.values()) > 1
    newest = sorted(after)
    assert all(after[day] == 1 for day in newest[: len(newest) // 2])
    assert rows(folder / "nightly-off", "cloudtrail") == rows(folder / "nightly-on", "cloudtrail")


def test_a_nightly_job_refuses_what_it_does_not_know(folder):
    refused = nightly(folder / "nightly-logs", folder / "nightly-no", COMPACT="maybe")

    assert refused.returncode == 2 and "expected on or off" in refused.stderr
