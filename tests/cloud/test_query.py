"""SQL over a lake in a bucket: the same answers as over a folder, no file that is not needed, and none twice."""

import json

import pytest
from conftest import convert_args, log_key, log_object, record, run_trailmill
from lakes import BucketLake

BY_NAME = "SELECT eventname, count(*) AS n FROM cloudtrail GROUP BY 1 ORDER BY 1"


def query(lake, sql, *options, endpoint=None):
    options = ["--output", "jsonl", *options]
    answer = run_trailmill("query", lake, sql, *options, endpoint=endpoint)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def data_requests(proxy):
    """The data files whose bytes were asked for. Whether they have changed is asked each time."""
    asked = [request for request in proxy.log if request.key.endswith(".parquet")]
    return [request.key.rsplit("/", 1)[1] for request in asked if request.method == "GET"]


def test_a_lake_in_a_bucket_answers_as_one_in_a_folder(local_lake, reference, endpoint, tmp_path):
    local = query(local_lake.url, BY_NAME)
    remote = query(reference.url, BY_NAME, "--cache", tmp_path, endpoint=endpoint)

    assert remote == local
    assert len(local) > 1


def test_files_are_fetched_once_and_only_those_that_count(
    s3, new_bucket, lake, endpoint, proxy, tmp_path
):
    logs = new_bucket("logs")
    for day in (1, 2, 3):
        records = [record(100 * day + n, eventTime=f"2024-05-{day:02}T00:00:00Z") for n in range(5)]
        s3.put_object(Bucket=logs, Key=log_key(f"{day}.json.gz"), Body=log_object(records))
    run_trailmill(*convert_args(f"s3://{logs}/", lake.url), endpoint=endpoint)
    cache = tmp_path / "cache"
    of_day = "SELECT count(*) AS n FROM cloudtrail WHERE event_date = '2024-05-03'"
    of_all = "SELECT count(*) AS n FROM cloudtrail"

    first = query(lake.url, of_day, "--cache", cache, endpoint=proxy.url)
    fetched = data_requests(proxy)
    again = query(lake.url, of_day, "--cache", cache, endpoint=proxy.url)

    assert first == again == [{"n": 5}]
    wanted = [key for key in lake.data_files() if key.startswith("cloudtrail/")]
    assert sorted(fetched) == sorted(k.rsplit("/", 1)[1] for k in wanted if "2024-05-03" in k)
    assert data_requests(proxy) == fetched, "a file that is in the cache was fetched"
    assert cache.stat().st_mode & 0o777 == 0o700

    # A copy that was cut off is fetched again, and what was not used for longest makes room.
    copy = next(path for path in cache.rglob("*.parquet") if "2024-05-03" in str(path))
    copy.write_bytes(copy.read_bytes()[:-1])
    assert query(lake.url, of_day, "--cache", cache, endpoint=proxy.url) == [{"n": 5}]
    assert data_requests(proxy) == [*fetched, copy.name]
    small = ["--cache", cache, "--cache-size", "1kB"]
    assert query(lake.url, of_all, *small, endpoint=proxy.url) == [{"n": 15}]
    assert len(list(cache.rglob("*.parquet"))) == len(wanted), "files of the question stay"
    copy.unlink()
    assert query(lake.url, of_day, *small, endpoint=proxy.url) == [{"n": 5}]
    left = {path.name for path in cache.rglob("*.parquet")}
    assert left == set(fetched)
    assert {path.name for path in cache.rglob("*.etag")} == {f"{name}.etag" for name in left}


@pytest.mark.parametrize(
    "command",
    [
        ["history", "--limit", "all", "--output", "jsonl"],
        ["report", "--output", "json"],
        ["query", "SELECT eventname FROM cloudtrail", "--output", "jsonl"],
    ],
    ids=lambda command: command[0],
)
def test_a_file_is_read_again_once_it_is_another_object_and_only_then(
    s3, new_bucket, lake, endpoint, proxy, tmp_path, command
):
    def convert(name, place):
        logs = new_bucket("logs")
        records = [record(n, eventTime="2024-05-01T00:00:00Z", eventName=name) for n in range(5)]
        s3.put_object(Bucket=logs, Key=log_key("1.json.gz"), Body=log_object(records))
        run_trailmill(*convert_args(f"s3://{logs}/", place), endpoint=endpoint)

    def ask():
        proxy.clear_log()
        options = [*command[1:], "--cache", tmp_path / "cache"]
        answer = run_trailmill(command[0], lake.url, *options, endpoint=proxy.url)
        return answer.stdout, data_requests(proxy)

    convert("GetThing", lake.url)
    first, fetched = ask()
    again, fetched_again = ask()

    assert fetched and "GetThing" in first
    assert (again, fetched_again) == (first, [])
    methods = [request.method for request in proxy.log if request.key.endswith(".parquet")]
    assert methods == ["HEAD"] * len(fetched)

    # Somebody puts another object in its place.
    other = BucketLake(s3, new_bucket("other"), "lake")
    convert("PutThing", other.url)
    table = lambda of: [key for key in of.data_files() if key.startswith("cloudtrail/")]  # noqa: E731
    by_partition = {key.rsplit("/", 1)[0]: key for key in table(other)}
    for key in table(lake):
        lake.put(key, other.read(by_partition[key.rsplit("/", 1)[0]]))
    changed, fetched_again = ask()

    assert sorted(fetched_again) == sorted(fetched)
    assert "PutThing" in changed and "GetThing" not in changed
    assert ask() == (changed, [])


def test_an_answer_from_more_files_than_the_cache_may_hold_keeps_to_its_bound(reference, endpoint, tmp_path):
    whole, small = tmp_path / "whole", tmp_path / "small"

    def ask(*options):
        options = ["--limit", "all", "--output", "jsonl", "--threads", "1", *options]
        return run_trailmill("history", reference.url, *options, endpoint=endpoint).stdout

    def sizes(folder):
        return [path.stat().st_size for path in folder.rglob("*.parquet")]

    answer = ask("--cache", whole)

    # Those that are read at once stay, whatever the bound; the others make room.
    assert ask("--cache", small, "--cache-size", max(sizes(whole)) * 2) == answer
    assert 0 < len(sizes(small)) < len(sizes(whole))
