"""`verify` on places in buckets: it proves what is there, and reports what is not."""

import io
import re
import tarfile
import zipfile

import faulty_proxy as faults
import pytest
from conftest import convert_args, log_key, log_object, record, run_trailmill
from faulty_proxy import EVERY
from lakes import BucketLake, is_typed, without_nested


@pytest.fixture
def logs(s3, new_bucket):
    """A bucket with a few objects of one test."""
    return BucketLake(s3, new_bucket("few-logs"))


@pytest.fixture
def small(logs, lake, endpoint):
    """Two objects and the lake made of them."""
    logs.put(log_key("a.json.gz"), log_object(map(record, range(10))))
    logs.put(log_key("b.json.gz"), log_object(map(record, range(10, 20))))
    run_trailmill(*convert_args(logs.url, lake.url), endpoint=endpoint)
    return lake


def verify(endpoint, sources, lake, *options, codes=(0,)):
    """The report of `verify`."""
    sources = sources if isinstance(sources, list) else [sources]
    args = ["verify", *sources, lake, "--report", "json", "-q", *options]
    return run_trailmill(*args, endpoint=endpoint, codes=codes).report


def proves(report, records):
    """Insists that source and lake were found equal, with that many records."""
    assert report["differences"] == [] and report["file_problems"] == 0, report
    assert report["records_missing"] == report["records_unexpected"] == 0, report
    assert report["records_expected"] == report["rows_checked"] == records, report
    return report


def test_a_lake_in_a_bucket_equals_its_source(archive, reference, local_rows, endpoint):
    records = sum(map(len, without_nested(local_rows).values()))

    for source in (archive.url, archive.folder):
        report = proves(verify(endpoint, source, reference.url), records)

        assert report["records_quarantined"] >= 1 and report["records_duplicate"] >= 20
        main = [key for key in reference.data_files() if not is_typed(key.split("/")[0])]
        assert report["files_read"] == len(main)
    text = run_trailmill("verify", archive.url, reference.url, "-q", endpoint=endpoint).stdout
    assert text.startswith("Equal, but for 1 record and 1 object that are in the quarantine: ")


def test_a_local_lake_equals_a_source_in_a_bucket(archive, endpoint, tmp_path):
    made = run_trailmill(
        *convert_args(archive.url, tmp_path / "lake"), endpoint=endpoint, codes=(1,)
    ).report

    proves(verify(endpoint, archive.url, tmp_path / "lake"), made["records_written"])


def test_archives_and_odd_keys_are_read(archive, logs, lake, endpoint, tmp_path):
    packed, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(archive.folder, "logs")
    with zipfile.ZipFile(zipped, "w") as members:
        members.writestr("x/one.json.gz", log_object(map(record, range(200, 230))))
    logs.put("in/all.tar.gz", packed.getvalue())
    logs.put("in/some more.zip", zipped.getvalue())
    for number, key in enumerate(["in//a//b.json.gz", "in/with space +%.json.gz", "in/é/ü.json.gz", "in/./x.json.gz"]):
        logs.put(key, log_object(map(record, range(300 + 10 * number, 305 + 10 * number))))
    logs.put("in/_hidden/x.json.gz", log_object(map(record, range(400, 405))))
    logs.put("in/folder/", b"")
    logs.put("in/empty.json.gz", b"")
    made = run_trailmill(*convert_args(f"{logs.url}/in/", lake.url), endpoint=endpoint, codes=(0, 1)).report

    proves(verify(endpoint, f"{logs.url}/in/", lake.url), made["records_written"])
    assert made["records_written"] > 50


def test_a_prefix_is_a_prefix_and_not_a_folder(logs, lake, endpoint):
    for name in ("2026/a", "2026-copy/a", "2025/a"):
        logs.put(f"{name}.json.gz", log_object([record(len(name))]))
    run_trailmill(*convert_args(f"{logs.url}/2026", lake.url), endpoint=endpoint)

    proves(verify(endpoint, f"{logs.url}/2026", lake.url), 2)


def test_an_archive_larger_than_one_block_is_read_in_blocks(logs, lake, endpoint, proxy):
    # Not compressed, so that it is larger than what one request reads.
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_STORED) as members:
        members.writestr("filler.bin.json", b" " * (9 << 20))
        members.writestr("one.json.gz", log_object(map(record, range(30))))
    logs.put("large.zip", zipped.getvalue())
    run_trailmill(*convert_args(logs.url, lake.url), endpoint=endpoint, codes=(0, 1))

    proves(verify(proxy.url, logs.url, lake.url), 30)
    ranges = {r.headers.get("range") for r in proxy.requests("GetObject", "large.zip")}
    assert len(ranges) > 1 and None not in ranges, ranges


def test_a_removed_data_file_is_reported(small, logs, endpoint):
    gone = small.data_files()[0]
    small.delete(gone)

    report = verify(endpoint, logs.url, small.url, codes=(1,))

    assert report["records_missing"] > 0
    # The typed table has rows that the main one has not, then.
    assert {d["kind"] for d in report["differences"]} == {"missing", "unexpected"}
    missing = [d for d in report["differences"] if d["kind"] == "missing"]
    assert all(d["object"].startswith(f"{logs.url}/") for d in missing)


def test_a_flipped_byte_and_a_file_cut_short_are_reported(small, logs, endpoint):
    key = small.data_files()[0]
    body = small.read(key)
    # In the head of the first column's first page.
    for wrong in (body[:6] + bytes([body[6] ^ 0xFF]) + body[7:], body[:-20]):
        small.put(key, wrong)

        report = verify(endpoint, logs.url, small.url, codes=(1,))

        assert report["file_problems"] == 1 and report["records_missing"] > 0, report
        assert report["differences"][0]["file"] == key


def test_an_extra_file_is_reported_where_engines_would_read_it(small, logs, endpoint):
    key = small.data_files()[0]
    body = small.read(key)
    folder = key.rsplit("/", 1)[0]
    for hidden in (f"{folder}/_copy.parquet", f"{folder}/.tmp/copy.parquet", "elsewhere/copy.parquet"):
        small.put(hidden, body)
    proves(verify(endpoint, logs.url, small.url), 20)

    small.put(f"{folder}/copy.parquet", body)
    report = verify(endpoint, logs.url, small.url, codes=(1,))

    assert report["records_unexpected"] > 0
    # The typed table has no rows for it.
    assert {d["kind"] for d in report["differences"]} == {"unexpected", "missing"}


def test_a_missing_object_makes_its_rows_unexpected(small, logs, endpoint):
    logs.delete(log_key("b.json.gz"))

    report = verify(endpoint, logs.url, small.url, codes=(1,))

    assert report["records_unexpected"] == 10


def test_records_that_were_quarantined_are_known_by_their_address(logs, lake, endpoint):
    no_time = {name: value for name, value in record(1).items() if name != "eventTime"}
    logs.put("a b//c.json.gz", log_object([record(0), no_time, record(2)]))
    run_trailmill(*convert_args(logs.url, lake.url), endpoint=endpoint, codes=(1,))

    report = proves(verify(endpoint, logs.url, lake.url), 2)
    listed = run_trailmill("quarantine", lake.url, "--report", "json", endpoint=endpoint).report

    assert report["records_quarantined"] == 1
    assert listed[0]["object"] == f"{logs.url}/a b//c.json.gz"


def test_what_a_bucket_refuses_or_does_not_answer_is_no_difference(small, logs, proxy):
    short = ["--retry-timeout", "1"]
    for fault, code in [(faults.status(403, "AccessDenied"), 3), (faults.status(503, "SlowDown"), 75)]:
        for place in (r"b\.json\.gz$", r"\.parquet$"):
            if code == 3 and "gz" in place:
                # Counted as not read: tests/cloud/test_unavailable.py.
                continue
            proxy.clear()
            proxy.on("GetObject", place, fault, count=EVERY)

            done = run_trailmill(
                "verify", logs.url, small.url, "-q", *short, endpoint=proxy.url, codes=(code,)
            )

            assert done.stdout == "", done.stdout


def test_requests_are_made_at_once_but_not_more_than_allowed(archive, reference, proxy):
    proxy.on("GetObject", "", faults.late(0.05), count=EVERY)

    verify(proxy.url, archive.url, reference.url, "--requests", "6", "--threads", "1")

    assert 3 <= proxy.peak <= 6, proxy.peak


def test_schemas_and_quarantines_are_read_from_buckets(archive, reference, endpoint):
    shown = run_trailmill("schema", "show", reference.url, "--report", "json", endpoint=endpoint)
    assert shown.report
    run_trailmill("schema", "diff", reference.url, reference.url, endpoint=endpoint)
    run_trailmill("schema", "diff", "seed", reference.url, endpoint=endpoint, codes=(1,))
    inferred = run_trailmill("schema", "infer", archive.url, endpoint=endpoint).stdout
    assert inferred == run_trailmill("schema", "infer", archive.folder).stdout

    listed = run_trailmill("quarantine", reference.url, endpoint=endpoint).stdout
    found = re.search(rf"(\d+)  {archive.url}\S*no-time\.json\.gz  record 1", listed)
    assert found, listed
    number = found.group(1)
    raw = run_trailmill("quarantine", reference.url, "--raw", number, endpoint=endpoint).stdout
    assert "eventVersion" in raw


def test_a_lake_that_is_not_there_is_a_wrong_setting(archive, new_bucket, endpoint):
    for lake in (f"s3://{new_bucket('empty')}/x", "s3://no-such-bucket-anywhere/x"):
        run_trailmill("verify", archive.url, lake, endpoint=endpoint, codes=(2,))


def test_what_a_retention_removed_from_a_bucket_is_counted(small, logs, endpoint):
    partial = "--source-may-be-partial"
    logs.delete(log_key("b.json.gz"))
    verify(endpoint, logs.url, small.url, codes=(1,))

    report = verify(endpoint, logs.url, small.url, partial)

    assert (report["objects_gone"], report["rows_not_compared"]) == (1, 10)
    assert report["records_expected"] == 10 and report["rows_lost"] == 0
    # Other bytes under the key of an object: what was converted is gone, what is there must be compared.
    logs.put(log_key("a.json.gz"), log_object(map(record, range(5))))
    report = verify(endpoint, logs.url, small.url, partial)
    assert (report["objects_gone"], report["records_expected"]) == (2, 5)
    logs.put(log_key("a.json.gz"), log_object(map(record, range(3, 12))))
    logs.put(log_key("c.json.gz"), log_object([record(50)]))
    report = verify(endpoint, logs.url, small.url, partial, codes=(1,))
    assert report["records_missing"] == 1 and report["records_unexpected"] == 0


def test_a_data_file_of_objects_that_are_gone_is_missed(small, logs, endpoint):
    logs.delete(log_key("b.json.gz"))
    for data in small.data_files():
        body = small.read(data)
        small.delete(data)

        report = verify(endpoint, logs.url, small.url, "--source-may-be-partial", codes=(1,))

        if is_typed(data.split("/")[0]):
            assert report["differences"] != []
        else:
            assert report["rows_lost"] > 0
        small.put(data, body)
    verify(endpoint, logs.url, small.url, "--source-may-be-partial")


def test_days_and_places_are_compared_one_by_one(logs, lake, endpoint):
    days = ["2026/03/01", "2026/03/02", "2026/03/03"]
    for number, day in enumerate(days):
        key = log_key("x.json.gz", day=day, region=["us-east-1", "eu-west-1", "eu-west-1"][number])
        logs.put(key, log_object(map(record, range(10 * number, 10 * number + 10))))
    run_trailmill(*convert_args(logs.url, lake.url), endpoint=endpoint)

    for options, count in [
        (["--from", "2026-03-02"], 20),
        (["--to", "2026-03-02"], 20),
        (["--from", "2026-03-02", "--to", "2026-03-02"], 10),
        (["--region", "eu-west-1"], 20),
        (["--account", "111122223333"], 30),
    ]:
        report = verify(endpoint, logs.url, lake.url, *options)

        assert report["records_expected"] == count and report["rows_not_compared"] == 30 - count, options
    run_trailmill("verify", logs.url, lake.url, "--from", "2027-01-01", endpoint=endpoint, codes=(2,))
