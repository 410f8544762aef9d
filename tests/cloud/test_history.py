"""Event history of a lake in a bucket: the same answers as from a folder, and no more files than it needs."""

import json

from conftest import convert_args, log_key, log_object, record, run_trailmill


def history(lake, *options, endpoint=None, codes=(0,)):
    return run_trailmill("history", lake, *options, endpoint=endpoint, codes=codes)


def events(answer):
    return sorted((json.loads(line) for line in answer.stdout.splitlines()), key=lambda it: it["eventID"])


def test_a_lake_in_a_bucket_answers_as_one_in_a_folder(local_lake, reference, endpoint, tmp_path):
    for filters in ([], ["--write"], ["--region", "eu-*"], ["--error", "*"]):
        options = [*filters, "--limit", "all", "--output", "jsonl"]

        local = history(local_lake.url, *options, codes=(0, 1))
        remote = history(reference.url, *options, "--cache", tmp_path, endpoint=endpoint, codes=(0, 1))

        assert events(remote) == events(local)


def test_files_that_cannot_have_an_answer_are_not_fetched(s3, new_bucket, lake, endpoint, proxy, tmp_path):
    logs = new_bucket("logs")
    for day in (1, 2, 3):
        records = [record(100 * day + n, eventTime=f"2024-05-{day:02}T00:00:00Z") for n in range(5)]
        s3.put_object(Bucket=logs, Key=log_key(f"{day}.json.gz"), Body=log_object(records))
    run_trailmill(*convert_args(f"s3://{logs}/", lake.url), endpoint=endpoint)

    answer = history(
        lake.url, "--since", "2024-05-03", "--output", "jsonl", "--cache", tmp_path, endpoint=proxy.url
    )

    assert len(events(answer)) == 5
    fetched = {request.key.rsplit("/", 1)[1] for request in proxy.log if request.key.endswith(".parquet")}
    is_wanted = lambda key: "cloudtrail/" in key and "2024-05-03" in key  # noqa: E731
    assert fetched == {key.rsplit("/", 1)[1] for key in lake.data_files() if is_wanted(key)}
