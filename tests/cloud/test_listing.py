"""What is listed of a bucket, how often it is asked, and that nothing is missed: narrowing, look-back, ledger."""

import datetime
import json
import random

import faulty_proxy as faults
import pytest
from conftest import (
    SMALL_UNITS,
    convert_args,
    log_object,
    record,
    run_trailmill,
    start_trailmill,
)
from lakes import BucketLake, FolderLake

ACCOUNTS = ["111122223333", "444455556666", "777788889999"]
REGIONS = ["eu-west-1", "us-east-1"]


def day(text):
    return datetime.date.fromisoformat(text)


def key(account="111122223333", region="us-east-1", on="2026-05-01", name="x.json.gz", folder="CloudTrail", above=""):
    """A key in the layout of trails; `on` is the delivery date."""
    return f"{above}AWSLogs/{account}/{folder}/{region}/{on.replace('-', '/')}/{name}"


@pytest.fixture
def logs(s3, new_bucket):
    """A bucket for the objects of one test; `logs.add(key)` puts an object with a record of its own."""
    bucket = BucketLake(s3, new_bucket("listed"))
    bucket.count = 0

    def add(*keys):
        for name in keys:
            bucket.count += 1
            bucket.put(name, log_object([record(bucket.count)]))

    bucket.add = add
    return bucket


@pytest.fixture
def convert(lake, proxy):
    """Converts into the test's own lake, through the proxy."""

    def run(source, *options, codes=(0,)):
        return run_trailmill(*convert_args(source, lake.url, *options), endpoint=proxy.url, codes=codes)

    return run


def lists(proxy, bucket):
    """The prefixes that a run's LIST requests to a bucket have asked for.

    Without the first, which asks whether anything lies in the source at all.
    """
    asked = [r for r in proxy.log if r.operation == "ListObjectsV2" and r.bucket == bucket]
    assert not asked or "delimiter" not in asked[0].query
    return [r.query.get("prefix", "") for r in asked[1:]]


def plan(source, lake, *options, endpoint=None, codes=(0,)):
    args = ["plan", source, lake, "--no-digests", "--report", "json", "-q", *options]
    done = run_trailmill(*args, endpoint=endpoint, codes=codes)
    return done.report if done.code == 0 else None


def move_listings_back(lake, days):
    """Makes it look as if the last complete listing was some days earlier."""
    for name, document in lake.documents("listings/").items():
        earlier = (day(document["listed"]) - datetime.timedelta(days)).isoformat()
        lake.delete(name)
        moved = name.replace(document["listed"], earlier)
        lake.put(moved, json.dumps({**document, "listed": earlier}).encode())


def rewrite_listings(lake, change):
    """Changes what the lake remembers of complete listings."""
    for name, document in lake.documents("listings/").items():
        lake.delete(name)
        lake.put(name, json.dumps(change(document)).encode())


def kill_at(proxy, place, args):
    """Starts the program, and kills it when it is about to put an object."""
    runs = []
    hit = proxy.on("PutObject", place, faults.before(lambda: runs[0].kill()))
    runs.append(start_trailmill(*args, endpoint=proxy.url))
    assert hit.is_hit.wait(60)
    runs[0].process.wait(60)
    proxy.clear()


# Narrowing


@pytest.fixture(scope="module")
def organization(s3, new_bucket):
    """Three accounts, two regions, four days, with digests, Config and a loose object."""
    bucket = BucketLake(s3, new_bucket("organization"))
    number = 0
    for account in ACCOUNTS:
        for region in REGIONS:
            for on in ["2026-04-30", "2026-05-01", "2026-05-02", "2026-06-01"]:
                number += 1
                bucket.put(key(account, region, on), log_object([record(number)]))
            bucket.put(key(account, region, folder="CloudTrail-Digest"), b"{}")
            bucket.put(key(account, region, folder="Config"), b"{}")
    bucket.put("loose.json.gz", log_object([record(1000)]))
    return bucket


CHOICES = [
    ([], 25),
    (["--account", "444455556666"], 8),
    (["--account", "444455556666,111122223333"], 16),
    (["--account", "444455556666", "--account", "111122223333"], 16),
    (["--region", "eu-west-1"], 12),
    (["--from", "2026-05-01"], 18),
    (["--to", "2026-05-01"], 12),
    (["--from", "2026-05-01", "--to", "2026-05-02", "--region", "us-east-1"], 6),
    (["--organization", "o-abc123"], 0),
]


@pytest.mark.parametrize("options, objects", CHOICES, ids=[" ".join(c[0]) or "all" for c in CHOICES])
def test_a_bucket_and_a_folder_are_narrowed_alike(organization, options, objects, tmp_path, endpoint):
    folder = tmp_path / "logs"
    for name in organization.keys():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(organization.read(name))

    # A first run that would find nothing is no plan.
    codes = (0,) if objects else (1,)
    there = plan(organization.url + "/", tmp_path / "lake", *options, endpoint=endpoint, codes=codes)
    here = plan(folder, tmp_path / "lake", *options, codes=codes)

    if not objects:
        assert there is here is None
        return
    assert there["objects"] == here["objects"] == objects
    assert there["by_delivery"] == here["by_delivery"]


def test_digests_and_other_services_are_never_listed_and_named(organization, tmp_path, proxy):
    found = plan(organization.url + "/", tmp_path / "lake", endpoint=proxy.url)

    assert found["listing"]["folders_ignored"] == {"CloudTrail-Digest": 3, "Config": 3}
    asked = lists(proxy, organization.bucket)
    assert not any("Digest" in prefix or "Config" in prefix for prefix in asked)
    # The top, AWSLogs, each account, each folder of logs, each region, and the loose object's level.
    assert len(asked) == 1 + 1 + 3 + 3 + 6 + 1
    assert found["listing"]["requests"] == len(asked)


def test_narrowing_narrows_the_requests(organization, tmp_path, proxy):
    plan(organization.url + "/", tmp_path / "lake", "--account", ACCOUNTS[1], endpoint=proxy.url)
    assert len(lists(proxy, organization.bucket)) == 1 + 1 + 1 + 1 + 2 + 1
    assert not any(ACCOUNTS[0] in prefix for prefix in lists(proxy, organization.bucket))

    proxy.clear_log()
    below = f"{organization.url}/AWSLogs/{ACCOUNTS[0]}/CloudTrail/eu-west-1/"
    assert plan(below, tmp_path / "lake", endpoint=proxy.url)["objects"] == 4
    assert len(lists(proxy, organization.bucket)) == 1


def test_a_day_of_a_large_region_is_listed_alone(s3, logs, tmp_path, proxy):
    for number in range(60):
        on = (day("2026-01-01") + datetime.timedelta(number)).isoformat()
        for n in range(40):
            logs.put(key(on=on, name=f"{n:04}.json.gz"), b"{}")

    everything = plan(logs.url + "/", tmp_path / "lake", endpoint=proxy.url)
    all_requests = len(lists(proxy, logs.bucket))
    proxy.clear_log()
    narrowed = plan(logs.url + "/", tmp_path / "lake", "--from", "2026-02-01", "--to", "2026-02-01", endpoint=proxy.url)

    assert (everything["objects"], narrowed["objects"]) == (2400, 40)
    # Three pages of keys, the walk of four levels; what is cut finds its end at once.
    assert all_requests <= 4 + 3 + 8
    assert len(lists(proxy, logs.bucket)) == 4 + 1
    assert narrowed["listing"]["objects_listed"] == 40


@pytest.mark.parametrize(
    "options", [["--from", "2026-05-02", "--to", "2026-05-01"], ["--from", "yesterday"], ["--account", "12"]]
)
def test_what_cannot_be_meant_is_refused(options, tmp_path):
    args = ["plan", tmp_path, tmp_path / "lake", *options]
    assert run_trailmill(*args, codes=(2,)).stderr


# Look-back


def test_a_second_run_lists_only_the_window_and_writes_nothing(logs, convert, lake, proxy):
    today = datetime.date.today()
    for back in range(0, 400, 4):
        logs.add(key(on=(today - datetime.timedelta(back)).isoformat()))
    convert(logs.url + "/")
    before = lake.content()
    assert len(lake.documents("listings/")) == 1

    proxy.clear_log()
    again = convert(logs.url + "/", "--look-back", "35").report

    assert again["units"] == 0 and again["objects_known"] == 9
    assert again["listing"]["objects_listed"] == 9
    [since] = again["listing"]["since"].values()
    assert since == (today - datetime.timedelta(35)).isoformat()
    assert lake.content() == before
    full = convert(logs.url + "/", "--full").report
    assert (full["units"], full["objects_known"], full["listing"]["since"]) == (0, 100, {})
    assert lake.content() == before


def test_late_objects_are_found_whatever_their_names(logs, convert):
    today = datetime.date.today()
    names = ["m.json.gz", "0.json.gz", "zzz.json.gz", "~.json.gz", "111122223333_CloudTrail_us-east-1.json.gz"]
    random.Random(7).shuffle(names)
    on = (today - datetime.timedelta(34)).isoformat()
    logs.add(key(on=on), key(on=today.isoformat()))
    convert(logs.url + "/")

    for name in names:
        logs.add(key(on=on, name=name))
        assert convert(logs.url + "/").report["records_written"] == 1, name
    logs.add(key(on=on, region="ap-south-1"), key(on=on, account="999900001111"), "late.json.gz")
    assert convert(logs.url + "/").report["records_written"] == 3


def test_what_is_older_than_the_window_is_found_with_full(logs, convert):
    today = datetime.date.today()
    old = (today - datetime.timedelta(60)).isoformat()
    logs.add(key(on=today.isoformat()))
    convert(logs.url + "/")
    logs.add(key(on=old, name="old.json.gz"))

    assert convert(logs.url + "/", "--look-back", "35").report["objects_read"] == 0
    assert convert(logs.url + "/", "--look-back", "61").report["objects_read"] == 1
    logs.add(key(on=old, name="older.json.gz"))
    assert convert(logs.url + "/", "--look-back", "35").report["objects_read"] == 0
    assert convert(logs.url + "/", "--full").report["objects_read"] == 1


def test_a_small_bucket_is_listed_whole_and_a_large_one_is_not(logs, convert, lake):
    today = datetime.date.today()
    old = (today - datetime.timedelta(600)).isoformat()
    logs.add(key(on=today.isoformat()))
    convert(logs.url + "/")
    logs.add(key(on=old, name="copied-in.json.gz"))
    assert convert(logs.url + "/").report["objects_read"] == 1

    rewrite_listings(lake, lambda listing: {**listing, "objects": 100_001})
    logs.add(key(on=old, name="late.json.gz"))
    assert convert(logs.url + "/").report["objects_read"] == 0
    assert convert(logs.url + "/", "--full").report["objects_read"] == 1


def test_a_nightly_job_that_was_down_misses_nothing(logs, convert, lake):
    today = datetime.date.today()
    logs.add(key(on=(today - datetime.timedelta(120)).isoformat()))
    convert(logs.url + "/")
    move_listings_back(lake, 90)

    # Delivered on every day since, and some while before.
    for back in range(0, 120):
        logs.add(key(on=(today - datetime.timedelta(back)).isoformat(), name="down.json.gz"))

    assert convert(logs.url + "/", "--look-back", "35").report["objects_read"] == 120
    assert len(lake.documents("listings/")) == 1


def test_a_narrowed_run_does_not_count_as_complete(logs, convert, lake):
    old = (datetime.date.today() - datetime.timedelta(200)).isoformat()
    logs.add(key(on=old), key(account=ACCOUNTS[1], on=old))

    assert convert(logs.url + "/", "--account", ACCOUNTS[1]).report["objects_read"] == 1
    assert lake.documents("listings/") == {}
    assert convert(logs.url + "/").report["objects_read"] == 1
    assert len(lake.documents("listings/")) == 1


def test_a_source_above_one_that_was_listed_is_listed_whole(logs, convert):
    old = (datetime.date.today() - datetime.timedelta(200)).isoformat()
    logs.add(key(on=old), key(account=ACCOUNTS[1], on=old))

    convert(f"{logs.url}/AWSLogs/{ACCOUNTS[0]}/")
    assert convert(logs.url + "/").report["objects_read"] == 1
    logs.add(key(on=old, name="late.json.gz"))
    narrow = ["--look-back", "35"]
    assert convert(f"{logs.url}/AWSLogs/{ACCOUNTS[0]}/", *narrow).report["objects_read"] == 0
    assert convert(f"{logs.url}/AWSLogs/{ACCOUNTS[0]}/", "--full").report["objects_read"] == 1


def test_an_interrupted_first_run_does_not_count_and_the_next_finds_everything(logs, lake, proxy, convert):
    for number in range(40):
        logs.add(key(on=f"2020-01-{1 + number % 28:02}", name=f"{number}.json.gz"))
    options = ["--unit-size", "100"]
    kill_at(proxy, "/_trailmill/manifests/00000005", convert_args(logs.url + "/", lake.url, *options))
    assert lake.documents("listings/") == {} and len(lake.manifests()) == 5

    report = convert(logs.url + "/", *options).report

    assert sum(m["tally"]["written"] for m in lake.manifests()) == 40
    assert report["objects_known"] == 5 and report["units_resumed"] > 0
    assert lake.intents() == []


def test_what_a_narrowed_run_finds_begun_is_finished_first(logs, lake, proxy, convert):
    for account in ACCOUNTS:
        logs.add(*(key(account, on="2020-01-01", name=f"{n}.json.gz") for n in range(5)))
    options = ["--unit-size", "100"]
    kill_at(proxy, "/_trailmill/manifests/00000002", convert_args(logs.url + "/", lake.url, *options))
    begun = len(lake.intents())
    assert begun > 0

    report = convert(logs.url + "/", *options, "--account", "999900001111").report

    assert report["units_resumed"] == report["units"] > 0
    convert(logs.url + "/", *options)
    assert sum(m["tally"]["written"] for m in lake.manifests()) == 15


def test_strict_looks_at_everything_first(logs, convert, lake):
    logs.add(*(key(name=f"{n}.json.gz") for n in range(10)))
    logs.put(key(name="5.json.gz"), b"not json")
    assert convert(logs.url + "/", "--strict", "--unit-size", "100", codes=(3,)).stderr
    assert lake.manifests() == []
    logs.add(key(name="5.json.gz"))

    assert convert(logs.url + "/", "--strict", "--unit-size", "100").report["units"] == 10


# The ledger


def test_a_run_reads_no_manifest_that_a_checkpoint_covers(logs, convert, lake, proxy):
    for number in range(300):
        logs.add(key(ACCOUNTS[number % 3], on="2026-05-01", name=f"{number:03}.json.gz"))
    assert convert(logs.url + "/", "--unit-size", "100").report["units"] == 300
    proxy.clear_log()

    again = convert(logs.url + "/", "--full").report

    assert (again["units"], again["objects_known"]) == (0, 300)
    read = [r.key for r in proxy.log if r.operation == "GetObject"]
    assert not any("/manifests/" in name for name in read)
    # The checkpoint twice: before the rest it says how the lake is partitioned.
    assert len(read) <= 11, read
    logs.add(key(name="new.json.gz"))
    proxy.clear_log()
    assert convert(logs.url + "/", "--full").report["units"] == 1
    assert not any(r.operation == "GetObject" and "/manifests/" in r.key for r in proxy.log)
    assert len(lake.keys("^_trailmill/checkpoints/")) == 1


@pytest.mark.parametrize("place", ["/ledger/[0-9]", "/ledger/totals", "/ledger/days", "/checkpoints/", "/listings/"])
def test_a_kill_while_a_checkpoint_is_written_leaves_a_lake_that_is_finished(logs, lake, proxy, place, s3, new_bucket):
    logs.add(*(key(ACCOUNTS[n % 3], on=f"2026-0{1 + n % 5}-01", name=f"{n}.json.gz") for n in range(20)))
    options = ["--unit-size", "1kB"]
    args = convert_args(logs.url + "/", lake.url, *options)
    wanted = BucketLake(s3, new_bucket("lake"), "lake")
    run_trailmill(*convert_args(logs.url + "/", wanted.url, *options), endpoint=proxy.url)
    kill_at(proxy, f"{lake.bucket}/.*{place}", args)
    assert lake.keys("^_trailmill/listings/") == []

    report = run_trailmill(*args, endpoint=proxy.url).report

    assert report["units"] == 0 and report["objects_known"] == 20
    assert set(lake.content()) == set(wanted.content())
    for name in lake.keys("^_trailmill/(ledger|checkpoints)/"):
        assert lake.read(name) == wanted.read(name), name


def test_garbage_in_the_ledger_is_removed_and_a_damaged_part_is_made_again(logs, lake, convert):
    logs.add(key(name="a.json.gz"))
    convert(logs.url + "/")
    lake.put("_trailmill/ledger/2026-05-00-0123.bin", b"what a killed run left")
    logs.add(key(name="b.json.gz"))
    convert(logs.url + "/", "--full")

    [part] = lake.keys(r"^_trailmill/ledger/.*\.bin$")
    whole = lake.read(part)
    lake.put(part, b"x" * 24)
    mended = convert(logs.url + "/", "--full")
    assert "ledger" in mended.stderr and "manifests" in mended.stderr
    assert mended.report["objects_known"] == 2
    assert lake.read(part) == whole
    for name in lake.keys("^_trailmill/(ledger|checkpoints)/"):
        lake.delete(name)
    again = convert(logs.url + "/", "--full").report
    assert (again["units"], again["objects_known"]) == (0, 2)


def test_an_object_with_other_bytes_is_read_again(logs, convert):
    logs.add(key())
    convert(logs.url + "/")
    logs.add(key())

    assert convert(logs.url + "/", "--full").report["records_written"] == 1


def test_a_folder_has_a_ledger_too(archive, tmp_path):
    lake = FolderLake(tmp_path / "lake")
    run_trailmill(*convert_args(archive.folder, lake.url, *SMALL_UNITS), codes=(1,))
    assert len(lake.keys("^_trailmill/checkpoints/")) == 1
    assert lake.keys("^_trailmill/listings/") == []

    again = run_trailmill(*convert_args(archive.folder, lake.url, *SMALL_UNITS)).report

    assert again["units"] == 0 and again["objects_known"] > 0


def test_a_tree_without_the_layout_is_listed_as_it_is(archive, s3, new_bucket, convert, lake, proxy):
    bucket = new_bucket("flat")
    folder = archive.folder
    names = sorted(path for path in folder.rglob("*.json.gz") if "/CloudTrail/" in str(path))[:20]
    for number, path in enumerate(names):
        s3.put_object(Bucket=bucket, Key=f"logs/{number % 7}/{path.name}", Body=path.read_bytes())
    report = convert(f"s3://{bucket}/", codes=(0, 1)).report

    assert report["objects_read"] == len(names)
    assert convert(f"s3://{bucket}/").report["objects_known"] == len(names)
