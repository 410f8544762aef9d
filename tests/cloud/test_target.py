"""What may become a lake in a bucket, and what a lake in a bucket does without one of its manifests."""

import json

from conftest import NO_CATALOG, log_key, log_object, record, run_trailmill


def put_logs(s3, bucket, count=6):
    for number in range(count):
        records = [record(10 * number + n) for n in range(10)]
        s3.put_object(Bucket=bucket, Key=log_key(f"{number}.json.gz"), Body=log_object(records))


def keys(s3, bucket):
    return {found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_a_bucket_of_logs_in_the_place_of_the_lake_is_not_written_into(s3, new_bucket, endpoint):
    first, second = new_bucket("first"), new_bucket("second")
    put_logs(s3, first)
    put_logs(s3, second)
    before = keys(s3, second)

    for command in (["convert"], ["plan", "--children", "2"]):
        places = [f"s3://{first}", f"s3://{second}"]
        refused = run_trailmill(command[0], *places, *command[1:], *NO_CATALOG, endpoint=endpoint, codes=(2,))
        assert "--into-existing" in refused.stderr
        assert keys(s3, second) == before

    more = ["--into-existing", *NO_CATALOG]
    run_trailmill("convert", f"s3://{first}", f"s3://{second}/lake", *NO_CATALOG, endpoint=endpoint)
    run_trailmill("convert", f"s3://{first}/AWSLogs", f"s3://{second}", *more, endpoint=endpoint)
    run_trailmill("verify", f"s3://{first}/AWSLogs", f"s3://{second}", endpoint=endpoint)


def test_a_lake_in_a_bucket_that_lost_everything_of_ours_is_not_converted_twice(s3, new_bucket, endpoint):
    logs, lake = new_bucket("logs"), new_bucket("lake")
    put_logs(s3, logs)
    run = ["convert", f"s3://{logs}", f"s3://{lake}", *NO_CATALOG]
    run_trailmill(*run, endpoint=endpoint)
    for key in keys(s3, lake):
        if key.startswith("_trailmill/"):
            s3.delete_object(Bucket=lake, Key=key)
    before = keys(s3, lake)

    for more in ([], ["--into-existing"]):
        refused = run_trailmill(*run, *more, endpoint=endpoint, codes=(2,))
        assert "not a trailmill lake" in refused.stderr

    assert keys(s3, lake) == before


def test_a_lost_manifest_in_a_bucket_is_refused_and_made_again(s3, new_bucket, endpoint):
    logs, lake = new_bucket("logs"), new_bucket("lake")
    put_logs(s3, logs)
    units = ["--unit-size", "1B", "--partition-by", "region"]
    run = ["convert", f"s3://{logs}", f"s3://{lake}", *units, *NO_CATALOG]
    run_trailmill(*run, endpoint=endpoint)
    manifests = sorted(key for key in keys(s3, lake) if "/manifests/" in key)
    assert len(manifests) > 3
    s3.delete_object(Bucket=lake, Key=manifests[1])
    s3.put_object(Bucket=lake, Key=manifests[2], Body=b"")

    refused = run_trailmill(*run, endpoint=endpoint, codes=(3,))
    assert "units 1)" in refused.stderr and "trailmill repair" in refused.stderr
    repaired = run_trailmill("repair", f"s3://{lake}", "--report", "json", endpoint=endpoint)

    report = json.loads(repaired.stdout)
    assert [unit["number"] for unit in report["units"]] == [1, 2]
    assert all(unit["rows"] for unit in report["units"])
    again = run_trailmill(*run, "--report", "json", endpoint=endpoint)
    assert json.loads(again.stdout)["units"] == 0
    run_trailmill("verify", f"s3://{logs}", f"s3://{lake}", endpoint=endpoint)
