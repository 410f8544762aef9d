"""The report of a lake in a bucket: the figures of one in a folder."""

import json

from conftest import run_trailmill


def document(lake, *options, endpoint=None):
    answer = run_trailmill("report", lake, "--output", "json", *options, endpoint=endpoint)
    found = json.loads(answer.stdout)
    assert found.pop("lake") == lake
    # The two were cut to files in other ways.
    for table in found["facts"]["tables"]:
        del table["files"], table["bytes"]
    return found


def test_a_lake_in_a_bucket_gives_the_report_of_one_in_a_folder(local_lake, reference, endpoint, tmp_path):
    for options in ([], ["--threads", "1", "--top", "100"]):
        remote = document(reference.url, *options, "--cache", tmp_path, endpoint=endpoint)

        assert remote == document(local_lake.url, *options)
        assert len(remote["panels"]) > 20
