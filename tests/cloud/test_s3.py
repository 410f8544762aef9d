"""Sources and lakes in buckets: the same lake as a local one, only new objects, any key, any reader."""

import gzip
import io
import json
import re
import threading
import zipfile

import faulty_proxy as faults
import pyarrow.parquet as pq
import pytest
from conftest import (
    NO_CATALOG,
    REGION,
    SMALL_UNITS,
    client,
    convert_args,
    log_key,
    log_object,
    record,
    run_trailmill,
    start_trailmill,
)
from faulty_proxy import EVERY
from lakes import (
    OWN,
    BucketLake,
    FolderLake,
    assert_same_content,
    assert_same_rows,
    is_typed,
    rows,
    without_nested,
    without_partitions,
)

# What may be written by a run that finds nothing new.
HOUSEKEEPING = re.compile(r"_trailmill/(lease\.json|runs/)")
YEARS_AGO = "2023/02/03"


@pytest.fixture
def logs(s3, new_bucket):
    """A bucket for a few objects of one test: `logs.put(key, records)`."""
    bucket = BucketLake(s3, new_bucket("few-logs"))
    bucket.put_records = lambda key, records: bucket.put(key, log_object(records))
    return bucket


@pytest.fixture
def convert(lake, endpoint):
    """Converts into the test's own lake; the endpoint may be another."""

    def run(source, *options, lake=lake, endpoint=endpoint, env=None, codes=(0,)):
        args = convert_args(source, lake.url, *options)
        return run_trailmill(*args, endpoint=endpoint, env=env, codes=codes)

    return run


def event_ids(lake):
    """The event ids of a lake's rows, as often as they occur."""
    found = []
    for key in lake.data_files():
        if is_typed(key.split("/")[0]):
            continue
        found += pq.ParquetFile(io.BytesIO(lake.read(key))).read(["eventid"])["eventid"].to_pylist()
    return sorted(found)


def ids(numbers):
    return sorted(record(number)["eventID"] for number in numbers)


# The same lake, wherever things are


def test_a_bucket_becomes_a_bucket_with_the_rows_of_a_local_run(archive, convert, lake, local_rows):
    done = convert(archive.url, codes=(1,))

    assert_same_rows(local_rows, lake.rows())
    assert done.report["records_read"] == sum(
        done.report[f"records_{end}"] for end in ["written", "duplicate", "filtered", "quarantined"]
    )


def test_a_bucket_becomes_a_folder_with_the_rows_of_a_local_run(archive, convert, local_rows, tmp_path):
    lake = FolderLake(tmp_path / "lake")

    convert(archive.url, lake=lake, codes=(1,))

    assert_same_rows(local_rows, lake.rows())


def test_a_folder_becomes_a_bucket_with_the_rows_of_a_local_run(archive, convert, lake, local_rows):
    convert(archive.folder, codes=(1,))

    assert_same_rows(local_rows, lake.rows())


def test_small_units_hold_the_same_rows(reference, local_rows, archive, tmp_path):
    # What the inferred columns hold depends on what was converted together; everything else does not.
    wanted = FolderLake(tmp_path / "lake")
    run_trailmill(*convert_args(archive.folder, wanted.url, *SMALL_UNITS), codes=(1,))

    assert_same_rows(without_nested(wanted.rows()), without_nested(reference.rows()))
    assert_same_rows(
        without_partitions(without_nested(local_rows)),
        without_partitions(without_nested(reference.rows())),
    )


def test_a_lake_has_its_layout_and_nothing_else(reference):
    own = {"manifests", "copies", "schema", "quarantine", "runs", "checkpoints", "ledger", "listings"}
    own.add("lease.json")
    for key in reference.listing():
        if key.startswith(OWN):
            assert key.split("/")[1] in own, key
        else:
            assert re.fullmatch(
                r"cloudtrail\w*/region=[a-z0-9-]+/part-[0-9a-f-]+\.parquet", key
            ), key
    assert reference.intents() == []
    assert len(reference.keys(r"^_trailmill/manifests/")) == reference.report["units"]
    assert len(reference.data_files()) == reference.report["files"]


def test_data_files_are_those_that_manifests_name(reference):
    named = [file["key"] for manifest in reference.manifests() for file in manifest["files"]]
    assert sorted(named) == reference.data_files()


def test_the_same_source_makes_the_same_bytes_with_one_thread_and_one_request(
    archive, convert, lake, reference
):
    convert(archive.url, *SMALL_UNITS, "--threads", "1", "--requests", "1", codes=(1,))

    assert_same_content(reference.wanted, lake.content())


def test_a_lake_may_be_a_whole_bucket(archive, convert, s3, new_bucket, reference):
    lake = BucketLake(s3, new_bucket("whole"))

    convert(archive.url, *SMALL_UNITS, lake=lake, codes=(1,))

    assert_same_content(reference.wanted, lake.content())


def test_a_bucket_lake_is_proved_by_verify_against_its_source(archive, reference, endpoint):
    run_trailmill("verify", archive.url, reference.url, "-q", endpoint=endpoint)
    run_trailmill("verify", archive.folder, reference.url, "-q", endpoint=endpoint)


def test_verify_notices_a_data_file_that_is_gone_from_a_bucket(logs, convert, lake, endpoint):
    logs.put_records(log_key("a.json.gz"), map(record, range(40)))
    convert(logs.url)
    lake.delete(lake.data_files()[0])

    done = run_trailmill(
        "verify", logs.url, lake.url, "-q", "--report", "json", endpoint=endpoint, codes=(1,)
    )

    assert done.report["records_missing"] > 0


# Only what is new


@pytest.mark.parametrize("options", [[], ["--full"]])
def test_a_second_run_writes_nothing(archive, proxy, convert, lake, options):
    first = convert(archive.url, *SMALL_UNITS, codes=(1,))
    before = lake.listing()
    lease = before.pop("_trailmill/lease.json")
    proxy.clear_log()

    done = convert(archive.url, *SMALL_UNITS, *options, endpoint=proxy.url)

    assert (done.report["units"], done.report["records_read"]) == (0, 0)
    if options:
        assert done.report["objects_known"] == first.report["objects_read"]
    after = {key: tag for key, tag in lake.listing().items() if key in before or "/runs/" not in key}
    assert after.pop("_trailmill/lease.json") != lease, "it counts who held it"
    assert_same_content(before, after)
    written = [r for r in proxy.writes() if not all(HOUSEKEEPING.search(key) for key in r.keys)]
    assert written == []
    # Nor does it fetch what it knows.
    assert proxy.requests("GetObject", f"^{archive.bucket}/") == []


def test_objects_are_found_wherever_their_names_sort(logs, convert, lake):
    logs.put_records(log_key("m.json.gz"), map(record, range(10)))
    convert(logs.url)
    old = lake.content()
    logs.put_records(log_key("a.json.gz"), map(record, range(10, 14)))
    logs.put_records(log_key("z.json.gz", region="af-south-1"), map(record, range(14, 20)))
    logs.put_records("0/late.json.gz", map(record, range(20, 22)))

    done = convert(logs.url)

    assert (done.report["objects_read"], done.report["objects_known"]) == (3, 1)
    assert event_ids(lake) == ids(range(22))
    # What was there before is there still, as it was; the ledger is made anew.
    kept = {key: etag for key, etag in old.items() if not re.search("^_trailmill/(ledger|checkpoints)/", key)}
    assert kept.items() <= lake.content().items()


@pytest.mark.parametrize("listed", [["2031-01-01"], ["2031-01-01", "2026-01-02"], ["9999-12-31"]])
def test_a_clock_that_was_ahead_once_does_not_hide_what_comes_after(logs, convert, lake, listed):
    logs.put_records(log_key("a.json.gz"), [record(1)])
    convert(f"{logs.url}/", "--look-back", "1")
    (name, document), *_ = lake.documents("listings/").items()
    lake.delete(name)
    for day in listed:
        poisoned = {**document, "listed": day, "objects": 1_000_000}
        lake.put(f"{name.rsplit('-', 3)[0]}-{day}.json", json.dumps(poisoned).encode())
    logs.put_records(log_key("b.json.gz"), [record(2)])
    logs.put_records(log_key("c.json.gz", day="2026/01/03"), [record(3)])

    convert(f"{logs.url}/", "--look-back", "1")

    assert event_ids(lake) == ids([1, 2, 3])
    left = [document["listed"] for document in lake.documents("listings/").values()]
    assert len(left) == 1 and left[0] < "2031", "the next run counts from a day that was"


def test_a_mistyped_prefix_and_an_empty_bucket_are_no_quiet_night(logs, new_bucket, convert, lake, endpoint):
    logs.put_records(f"in/{log_key('a.json.gz')}", [record(1)])
    empty = f"s3://{new_bucket('nothing')}/"

    for source in [f"{logs.url}/out/", f"{logs.url}/in/AWSLog/", empty]:
        for options in [[], ["--full"]]:
            said = convert(source, *options, codes=(2,))
            assert "nothing found in" in said.stderr and source in said.stderr and said.stdout == ""
        for array in [[], ["--children", "2"]]:
            run_trailmill("plan", source, lake.url, *NO_CATALOG, *array, endpoint=endpoint, codes=(2,))
    assert lake.keys() == []
    convert(f"{logs.url}/in/")
    convert(f"{logs.url}/out/", codes=(2,))
    # What the lake knows may be removed by a retention.
    logs.delete(f"in/{log_key('a.json.gz')}")
    assert convert(f"{logs.url}/in/").report["units"] == 0
    assert event_ids(lake) == ids([1])


def test_objects_under_old_dates_are_found_when_everything_is_listed(logs, convert, lake):
    logs.put_records(log_key("m.json.gz"), map(record, range(10)))
    convert(logs.url)
    # History that somebody copies into the bucket afterwards.
    logs.put_records(log_key("a.json.gz", day=YEARS_AGO), map(record, range(10, 14)))

    convert(logs.url, "--full")

    assert event_ids(lake) == ids(range(14))


def test_an_account_that_is_new_in_the_bucket_is_read_from_its_beginning(logs, convert, lake):
    logs.put_records(log_key("m.json.gz"), map(record, range(10)))
    convert(logs.url)
    old = log_key("a.json.gz", day=YEARS_AGO).replace("111122223333", "444455556666")
    logs.put_records(old, map(record, range(10, 14)))

    convert(logs.url)

    assert event_ids(lake) == ids(range(14))


def test_an_object_with_other_bytes_is_read_again_and_its_old_records_are_copies(logs, convert, lake):
    key = log_key("a.json.gz")
    logs.put_records(key, map(record, range(10)))
    convert(logs.url)
    logs.put_records(key, map(record, range(13)))

    report = convert(logs.url).report

    assert (report["records_read"], report["records_duplicate"]) == (13, 10)
    assert event_ids(lake) == ids(range(13))
    assert convert(logs.url).report["records_read"] == 0


def test_another_version_of_an_object_doubles_no_record_without_an_event_id(logs, convert, lake):
    def nameless(n):
        return {key: value for key, value in record(n).items() if key != "eventID"}

    key, other = log_key("a.json.gz"), log_key("b.json.gz")
    logs.put_records(key, [nameless(1), nameless(1), nameless(2)])
    logs.put_records(other, [nameless(1)])
    assert convert(logs.url).report["records_written"] == 4
    logs.put_records(key, [nameless(0), nameless(1), nameless(1), nameless(1), nameless(2)])

    report = convert(logs.url).report

    assert (report["records_written"], report["records_duplicate"]) == (2, 3)
    assert len(lake.rows()["cloudtrail"]) == 6


def test_an_object_put_again_with_the_same_bytes_is_known(logs, convert):
    logs.put_records(log_key("a.json.gz"), map(record, range(10)))
    convert(logs.url)
    logs.put_records(log_key("a.json.gz"), map(record, range(10)))

    assert convert(logs.url).report["objects_known"] == 1


def test_the_same_records_in_two_buckets_are_written_once(logs, s3, new_bucket, convert, lake):
    other = BucketLake(s3, new_bucket("other-logs"))
    for bucket in (logs, other):
        bucket.put(log_key("a.json.gz"), log_object(map(record, range(20))))

    report = convert([logs.url, other.url]).report

    assert (report["records_written"], report["records_duplicate"]) == (20, 20)
    assert event_ids(lake) == ids(range(20))


def test_folders_and_buckets_are_read_together(logs, convert, lake, tmp_path):
    logs.put_records(log_key("a.json.gz"), map(record, range(5)))
    (tmp_path / "b.json").write_bytes(gzip.decompress(log_object(map(record, range(5, 9)))))

    convert([tmp_path, logs.url])

    assert event_ids(lake) == ids(range(9))


def test_listings_of_many_pages_are_read_to_their_end(archive, proxy, convert, lake, reference):
    pages = proxy.on("ListObjectsV2", "", faults.pages_of(3), count=EVERY)

    convert(archive.url, *SMALL_UNITS, endpoint=proxy.url, codes=(1,))
    done = convert(archive.url, *SMALL_UNITS, endpoint=proxy.url)

    assert pages.hits > 10
    assert done.report["units"] == 0
    assert_same_content(reference.wanted, lake.content())


# Any key


@pytest.mark.parametrize(
    "name",
    [
        "with spaces and  two.json.gz",
        "ünïcödé-日本-🦀.json.gz",
        "plus+percent%20and%2Fslash.json.gz",
        "quote\"s&<amp>;'and`#?=:@,$!*().json.gz",
        "back\\slash|pipe^caret~[brackets]{braces}.json.gz",
        "ends-in-a-dot./x.json.gz",
    ],
)
def test_any_name_is_read_once(logs, convert, lake, name):
    logs.put_records(log_key(name), map(record, range(4)))

    first = convert(logs.url)

    assert first.report["records_written"] == 4
    assert event_ids(lake) == ids(range(4))
    assert convert(logs.url).report["objects_known"] == 1


@pytest.mark.parametrize("prefix", ["/AWSLogs/", "trail//AWSLogs/", "//a///AWSLogs/", "AWSLogs//"])
def test_empty_parts_of_a_key_are_read(logs, convert, lake, endpoint, prefix):
    # A trail whose prefix was given with a slash writes s3://logs//AWSLogs/… and means it.
    tail = log_key("a.json.gz").removeprefix("AWSLogs/")
    logs.put_records(prefix + tail, map(record, range(4)))
    logs.put_records("elsewhere/" + log_key("b.json.gz"), map(record, range(4, 6)))
    source = f"s3://{logs.bucket}/{prefix}"

    done = convert(source)

    assert done.report["objects_read"] == 1
    assert event_ids(lake) == ids(range(4))
    run_trailmill("verify", source, lake.url, "-q", endpoint=endpoint)
    # And from the bucket's root, as well.
    assert convert(logs.url).report["objects_known"] == 1


def test_layouts_of_organizations_and_control_tower_give_the_partitions_of_the_records(
    logs, convert, lake
):
    tail = log_key("x.json.gz").removeprefix("AWSLogs/")
    for number, start in enumerate(["AWSLogs/o-abc123/", "o-abc123/AWSLogs/o-abc123/", "a/b/AWSLogs/"]):
        logs.put_records(start + tail, [record(2 * number)])

    convert(logs.url)

    # The region is the record's, whatever the key says.
    folders = {key.rsplit("/", 2)[0] for key in lake.data_files()}
    layout = "account=111122223333/region=eu-west-1"
    assert folders == {f"cloudtrail/{layout}", f"cloudtrail_typed/{layout}"}


def test_digests_other_services_and_folder_markers_are_passed_over(logs, proxy, convert):
    logs.put_records(log_key("a.json.gz"), map(record, range(3)))
    logs.put(log_key("d.json.gz", folder="CloudTrail-Digest"), gzip.compress(b"{}"))
    logs.put(log_key("c.json.gz", folder="Config"), gzip.compress(b"{}"))
    logs.put("AWSLogs/", b"")
    logs.put("AWSLogs/111122223333/CloudTrail/", b"")

    report = convert(logs.url, "--no-digests", endpoint=proxy.url).report

    # Their folders are not even listed.
    assert (report["objects_read"], report["objects_ignored"]) == (1, 0)
    assert report["listing"]["folders_ignored"] == {"CloudTrail-Digest": 1, "Config": 1}
    assert report["objects_quarantined"] == 0
    fetched = {request.key for request in proxy.requests("GetObject", f"^{logs.bucket}/")}
    assert fetched == {log_key("a.json.gz")}


def test_names_that_start_with_a_dot_or_an_underscore_are_passed_over_as_in_folders(logs, convert, lake):
    logs.put_records(log_key("a.json.gz"), map(record, range(3)))
    for hidden in ["_temporary/0/x.json.gz", ".hidden/x.json.gz", "./x.json.gz", "a/../x.json.gz"]:
        logs.put_records(log_key(hidden), map(record, range(3, 6)))

    convert(logs.url)

    assert event_ids(lake) == ids(range(3))


def test_a_source_may_be_one_object(logs, convert, lake):
    logs.put_records(log_key("a.json.gz"), map(record, range(3)))
    logs.put_records(log_key("b.json.gz"), map(record, range(3, 6)))

    convert(f"{logs.url}/{log_key('b.json.gz')}")

    assert event_ids(lake) == ids(range(3, 6))


def test_archives_in_a_bucket_are_read_member_by_member(logs, convert, lake):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x/a.json.gz", log_object(map(record, range(10))))
        archive.writestr("x/b.json.gz", log_object(map(record, range(10, 25))))
    logs.put("exports/case.zip", packed.getvalue())

    report = convert(logs.url).report

    assert report["records_written"] == 25
    assert event_ids(lake) == ids(range(25))
    assert convert(logs.url).report["units"] == 0


def test_a_lake_beside_its_source_in_one_bucket_is_not_read_as_a_source(logs, convert, s3):
    logs.put_records(log_key("a.json.gz"), map(record, range(3)))
    lake = BucketLake(s3, logs.bucket, "lake")
    source = f"s3://{logs.bucket}/AWSLogs/"

    convert(source, lake=lake)

    assert convert(source, lake=lake).report["objects_known"] == 1
    # Inside one another is refused, as in folders: the lake would be read the next time.
    for wrong in [f"s3://{logs.bucket}", f"s3://{logs.bucket}/lake", f"s3://{logs.bucket}/lake/x"]:
        done = convert(wrong, lake=lake, codes=(2,))
        assert "inside" in done.stderr


# Other readers


def test_pyarrow_reads_the_lake_at_its_endpoint(reference, endpoint):
    import pyarrow.dataset as ds
    from pyarrow.fs import S3FileSystem

    files = S3FileSystem(
        access_key="testing", secret_key="testing", endpoint_override=endpoint, region=REGION
    )
    table = ds.dataset(
        f"{reference.bucket}/{reference.prefix}cloudtrail",
        filesystem=files,
        partitioning="hive",
        exclude_invalid_files=False,
    ).to_table(columns=["eventid", "eventname", "region"])

    assert table.num_rows == reference.report["rows_by_table"]["cloudtrail"]
    assert table["eventname"].null_count == 0


@pytest.fixture(scope="module")
def duckdb_at(endpoint):
    """Connects DuckDB to the endpoint; skips where its extension for S3 cannot be installed."""
    import duckdb

    db = duckdb.connect()
    try:
        db.execute("INSTALL httpfs; LOAD httpfs")
    except duckdb.Error as err:
        pytest.skip(f"DuckDB's httpfs cannot be installed here: {str(err)[:100]}")
    db.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID 'testing', SECRET 'testing', REGION '{REGION}', "
        f"ENDPOINT '{endpoint.removeprefix('http://')}', URL_STYLE 'path', USE_SSL false)"
    )
    return db


def test_duckdb_reads_the_lake_at_its_endpoint(reference, duckdb_at):
    files = f"'{reference.url}/cloudtrail/**/*.parquet', hive_partitioning = true, union_by_name = true"
    found = duckdb_at.execute(
        f"SELECT count(*), count(DISTINCT region) FROM read_parquet({files})"
    ).fetchone()

    assert found[0] == reference.report["rows_by_table"]["cloudtrail"]
    assert found[1] > 1


@pytest.fixture(scope="module")
def registered(archive, s3, new_bucket, endpoint):
    """A lake in a bucket that is registered in the test server's Glue."""
    lake = BucketLake(s3, new_bucket("registered"), "lake")
    args = ["convert", archive.url, lake.url, "--report", "json", "-q", *SMALL_UNITS]
    done = run_trailmill(*args, "--database", "logs_of_tests", endpoint=endpoint, codes=(1,))
    lake.report = done.report
    return lake


def test_a_lake_in_a_bucket_is_registered_where_it_is(registered, endpoint):
    glue = client("glue", endpoint)
    tables = glue.get_tables(DatabaseName="logs_of_tests")["TableList"]
    found = {table["Name"]: table["StorageDescriptor"]["Location"] for table in tables}

    assert found == {name: f"{registered.url}/{name}/" for name in registered.report["rows_by_table"]}
    for name in found:
        folders = {key.rsplit("/", 1)[0] for key in registered.data_files() if key.startswith(f"{name}/")}
        partitions = glue.get_partitions(DatabaseName="logs_of_tests", TableName=name)["Partitions"]
        assert {p["StorageDescriptor"]["Location"] for p in partitions} == {
            f"{registered.url}/{folder}/" for folder in folders
        }


def test_duckdb_reads_the_lake_with_the_ddl_of_the_catalog(registered, endpoint, duckdb_at):
    done = run_trailmill("catalog", "ddl", registered.url, "--dialect", "duckdb", endpoint=endpoint)

    duckdb_at.execute(done.stdout)
    found = duckdb_at.execute("SELECT count(*) FROM logs_of_tests.cloudtrail").fetchone()

    assert found[0] == registered.report["rows_by_table"]["cloudtrail"]


# The other commands


def test_commands_that_only_look_write_nothing(archive, registered, proxy):
    lake, at = registered.url, {"endpoint": proxy.url}
    plan = run_trailmill("plan", archive.url, lake, *SMALL_UNITS, **at)
    show = run_trailmill("catalog", "show", lake, **at)
    ddl = run_trailmill("catalog", "ddl", lake, **at)
    diff = run_trailmill("catalog", "diff", lake, **at)
    schema = run_trailmill("schema", "show", lake, **at)
    infer = run_trailmill("schema", "infer", archive.url, **at, codes=(0, 1))
    listed = run_trailmill("quarantine", lake, **at)

    assert all(run.stdout.strip() for run in (plan, diff, schema, infer))
    assert f"{lake}/cloudtrail/" in show.stdout and f"{lake}/cloudtrail/" in ddl.stdout
    assert "no-time.json.gz" in listed.stdout and "cut.json.gz" in listed.stdout
    assert proxy.writes() == []


def test_quarantined_bytes_are_handed_out_from_a_bucket(reference, endpoint):
    listed = run_trailmill("quarantine", reference.url, "--report", "json", endpoint=endpoint)
    entries = json.loads(listed.stdout)
    number = next(i for i, entry in enumerate(entries) if "no-time" in entry["object"])

    raw = run_trailmill("quarantine", reference.url, "--raw", number, endpoint=endpoint)

    assert json.loads(raw.stdout)["eventID"] == record(99)["eventID"]


def test_a_plan_of_a_lake_that_is_not_there_counts_what_would_be_read(archive, lake, proxy):
    done = run_trailmill(
        "plan", archive.url, lake.url, *SMALL_UNITS, *NO_CATALOG, endpoint=proxy.url
    )

    assert done.stdout.strip()
    assert proxy.writes() == []
    assert lake.listing() == {}


# Wrong usage, and what is asked of S3


@pytest.mark.parametrize("which", ["source", "lake"])
def test_a_bucket_that_does_not_exist_is_wrong_usage(archive, lake, endpoint, which):
    missing = "s3://there-is-no-such-bucket/x"
    source, into = (missing, lake.url) if which == "source" else (archive.url, missing)

    done = run_trailmill(*convert_args(source, into), endpoint=endpoint, codes=(2,))

    assert "there-is-no-such-bucket" in done.stderr
    assert done.stdout == ""
    assert lake.listing() == {}


def test_a_run_without_credentials_says_how_to_get_some(archive, lake, endpoint):
    gone = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}

    done = run_trailmill(
        *convert_args(archive.url, lake.url), endpoint=endpoint, env=gone, codes=(2,)
    )

    assert "credentials" in done.stderr
    assert done.seconds < 20


def test_the_endpoint_comes_from_the_option_the_service_or_all_services(logs, proxy, lake, convert):
    logs.put_records(log_key("a.json.gz"), [record(1)])
    nowhere = "http://127.0.0.1:9"
    for number, (options, env) in enumerate(
        [
            (["--endpoint-url", proxy.url], {}),
            (["--endpoint-url", proxy.url], {"AWS_ENDPOINT_URL": nowhere}),
            ([], {"AWS_ENDPOINT_URL": proxy.url}),
            ([], {"AWS_ENDPOINT_URL": nowhere, "AWS_ENDPOINT_URL_S3": proxy.url}),
        ]
    ):
        proxy.clear_log()
        into = BucketLake(lake.s3, lake.bucket, f"lake-{number}")

        convert(logs.url, *options, lake=into, endpoint=None, env=env)

        assert event_ids(into) == ids([1])
        assert proxy.requests("PutObject")


def test_profile_and_region_are_those_of_the_options(logs, proxy, convert, tmp_path):
    logs.put_records(log_key("a.json.gz"), [record(1)])
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text(f"[profile audit]\nregion = eu-west-3\nendpoint_url = {proxy.url}\n")
    credentials.write_text(
        "[audit]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = sEcretOfTheProfile\n"
    )
    env = {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        **{f"AWS_{name}": None for name in ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION"]},
    }

    first = convert(logs.url, "--profile", "audit", endpoint=None, env=env)
    signed = {request.headers.get("authorization", "") for request in proxy.log}
    proxy.clear_log()
    convert(logs.url, "--profile", "audit", "--aws-region", "eu-north-1", endpoint=None, env=env)
    there = {request.headers.get("authorization", "") for request in proxy.log}

    assert first.report["records_written"] == 1
    # One identity and one region in every request of all clients.
    assert signed and all("Credential=AKIAOFTHEPROFILE/" in header for header in signed)
    assert all(re.search("/eu-west-3/(s3|sts)/", header) for header in signed)
    assert all(re.search("/eu-north-1/(s3|sts)/", header) for header in there)
    assert "sEcretOfTheProfile" not in first.stdout + first.stderr


@pytest.mark.parametrize(
    ("options", "algorithm", "key"),
    [
        ([], None, None),
        (["--sse", "AES256"], "AES256", None),
        (["--sse", "aws:kms"], "aws:kms", None),
        (["--sse", "aws:kms", "--sse-kms-key-id", "alias/lake"], "aws:kms", "alias/lake"),
    ],
)
def test_every_object_is_put_with_the_encryption_asked_for(
    logs, proxy, convert, lake, options, algorithm, key
):
    logs.put_records(log_key("a.json.gz"), map(record, range(4)))

    convert(logs.url, *options, endpoint=proxy.url)

    puts = proxy.requests("PutObject", f"^{lake.bucket}/")
    assert len(puts) >= 5
    for put in puts:
        assert put.headers.get("x-amz-server-side-encryption") == algorithm, put
        assert put.headers.get("x-amz-server-side-encryption-aws-kms-key-id") == key, put


def test_the_requester_pays_for_every_request_when_asked_to(logs, proxy, convert):
    logs.put_records(log_key("a.json.gz"), map(record, range(4)))
    logs.put_records("/" + log_key("b.json.gz"), map(record, range(4, 6)))

    convert(logs.url, "--request-payer", endpoint=proxy.url)

    asked = proxy.requests("GetObject", f"^{logs.bucket}/") + proxy.requests(
        "ListObjectsV2", f"^{logs.bucket}/"
    )
    assert len(asked) >= 3
    assert {request.headers.get("x-amz-request-payer") for request in asked} == {"requester"}


def test_data_files_and_documents_are_put_only_where_nothing_is(archive, proxy, convert, lake):
    convert(archive.url, *SMALL_UNITS, endpoint=proxy.url, codes=(1,))

    puts = proxy.requests("PutObject", f"^{lake.bucket}/")
    lease = [put for put in puts if put.key.endswith("lease.json")]
    assert all(put.is_conditional for put in lease)
    puts = [put for put in puts if put not in lease]
    assert all(put.headers.get("if-none-match") == "*" for put in puts)
    assert len({put.key for put in puts}) == len(puts)
    assert {put.status for put in puts} == {200}


@pytest.mark.parametrize("condition", ["IfMatch", "IfNoneMatch"])
def test_of_two_conditional_puts_at_once_the_test_server_takes_one_as_s3_does(condition, s3, endpoint, new_bucket):
    bucket, clients = new_bucket("conditions"), [client("s3", endpoint), client("s3", endpoint)]
    for number in range(20):
        place = {"Bucket": bucket, "Key": f"{number}"}
        wanted = "*" if condition == "IfNoneMatch" else s3.put_object(**place, Body=b"before")["ETag"]
        start, outcomes = threading.Barrier(2), []

        def put(client, body):
            start.wait()
            try:
                client.put_object(**place, Body=body, **{condition: wanted})
                outcomes.append("put")
            except client.exceptions.ClientError as refused:
                outcomes.append(refused.response["Error"]["Code"])

        threads = [threading.Thread(target=put, args=pair) for pair in zip(clients, (b"one", b"two"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["PreconditionFailed", "put"], (number, outcomes)


def test_no_more_requests_are_in_flight_than_asked_for(archive, proxy, convert):
    proxy.on(None, "", faults.late(0.01), count=EVERY)

    convert(archive.url, *SMALL_UNITS, "--requests", "3", endpoint=proxy.url, codes=(1,))

    # The lease is renewed beside them.
    assert 2 <= proxy.peak <= 4


def test_objects_are_fetched_many_at_a_time(logs, proxy, convert):
    for number in range(40):
        logs.put_records(log_key(f"{number:03}.json.gz"), [record(number)])
    proxy.on("GetObject", f"^{logs.bucket}/", faults.late(0.2), count=EVERY)

    convert(logs.url, endpoint=proxy.url)

    assert proxy.peak >= 8, f"{proxy.peak} at most were under way at once"


# Who may read the lake


def test_a_lake_that_anybody_may_read_is_warned_about(logs, convert, lake, s3):
    logs.put_records(log_key("a.json.gz"), [record(1)])
    private = convert(logs.url)
    logs.put_records(log_key("b.json.gz"), [record(2)])
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{lake.bucket}/*",
            }
        ],
    }
    s3.put_bucket_policy(Bucket=lake.bucket, Policy=json.dumps(policy))

    public = convert(logs.url)

    assert private.report["warnings"] == []
    assert len(public.report["warnings"]) == 1
    assert "public" in public.report["warnings"][0] and lake.bucket in public.report["warnings"][0]
    # It is for people, too, also for those who want to see no progress.
    assert "public" in public.stderr


def test_a_bucket_that_may_not_be_asked_about_is_used_all_the_same(logs, proxy, convert, lake):
    logs.put_records(log_key("a.json.gz"), [record(1)])
    questions = proxy.on(
        ["HeadBucket", "GetBucketLocation", "GetBucketPolicyStatus", "GetPublicAccessBlock",
         "GetBucketAcl", "GetBucketPolicy", "GetBucketEncryption"],
        "", faults.status(403, "AccessDenied"), count=EVERY,
    )  # fmt: skip

    convert(logs.url, endpoint=proxy.url)

    assert questions.hits
    assert event_ids(lake) == ids([1])


# Two at once


def test_of_two_runs_at_once_one_converts_and_the_other_names_it_and_exits_75(
    archive, proxy, lake, reference, endpoint
):
    gate = threading.Event()
    held = proxy.on("PutObject", rf"^{lake.bucket}/.*\.parquet$", faults.hold(gate), first=3)
    args = convert_args(archive.url, lake.url, *SMALL_UNITS)
    first = start_trailmill(*args, endpoint=proxy.url)
    held.wait()

    second = run_trailmill(*args, endpoint=endpoint, codes=(75,))

    assert str(first.pid) in second.stderr
    assert second.stdout == ""
    gate.set()
    first.wait().exits(1)
    assert_same_content(reference.wanted, lake.content())


def test_many_runs_started_at_once_make_one_lake(archive, proxy, lake, reference):
    args = convert_args(archive.url, lake.url, *SMALL_UNITS)
    started = [start_trailmill(*args, endpoint=proxy.url) for _ in range(4)]
    codes = sorted(run.wait().code for run in started)

    # Some may come when another has finished, and find nothing to do.
    assert set(codes) <= {0, 1, 75} and codes.count(1) == 1, codes
    assert_same_content(reference.wanted, lake.content())


def test_a_second_process_may_look_while_one_writes(archive, proxy, lake, endpoint):
    gate = threading.Event()
    held = proxy.on("PutObject", r"_trailmill/manifests/", faults.hold(gate), first=3)
    first = start_trailmill(*convert_args(archive.url, lake.url, *SMALL_UNITS), endpoint=proxy.url)
    held.wait()

    run_trailmill("plan", archive.url, lake.url, *SMALL_UNITS, *NO_CATALOG, endpoint=endpoint)
    run_trailmill("schema", "show", lake.url, endpoint=endpoint)

    gate.set()
    first.wait().exits(1)


def test_rows_of_two_lakes_compare_as_this_suite_says(tmp_path):
    # The comparison itself: one value of one row is seen.
    a, b = FolderLake(tmp_path / "a"), FolderLake(tmp_path / "b")
    for lake, name in [(a, "GetCallerIdentity"), (b, "AssumeRole")]:
        logs = tmp_path / f"logs-{name}"
        logs.mkdir()
        (logs / "x.json.gz").write_bytes(log_object([record(1), record(2, eventName=name)]))
        run_trailmill(*convert_args(logs, lake.url))

    with pytest.raises(AssertionError):
        assert_same_rows(rows(a), rows(b))


def test_lost_files_in_a_bucket_come_back_exactly(lake, logs, convert, endpoint):
    for day in range(3):
        key = log_key(f"a{day}.json.gz")
        logs.put_records(key, [record(n) for n in range(day * 20, day * 20 + 25)])
    convert(logs.url, *SMALL_UNITS)
    wanted = rows(lake)
    lost = lake.data_files()[::2]
    for key in lost:
        lake.delete(key)

    run = convert(logs.url, "--restore", *SMALL_UNITS)

    restored = run.report["restored"]
    assert restored["files_left"] == 0
    assert restored["rows"] == run.report["records_written"] > 0
    assert_same_rows(wanted, rows(lake))
    again = convert(logs.url, "--restore", *SMALL_UNITS)
    assert again.report["units"] == 0
    run_trailmill("verify", logs.url, lake.url, endpoint=endpoint)
