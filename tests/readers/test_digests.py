"""Digests of CloudTrail as rows: each with its log files, as the source has them."""

import gzip
import json

import pyarrow.parquet as pq
from conftest import trailmill

FILE = ["s3Bucket", "s3Object", "hashValue", "hashAlgorithm", "newestEventTime", "oldestEventTime"]


def test_a_digest_is_a_row_with_its_log_files(tmp_path):
    logs, lake = tmp_path / "logs", tmp_path / "lake"
    trailmill("sample", logs, "--size", "4MB", "--seed", "7", "-q")
    sources = [json.loads(gzip.open(path).read()) for path in logs.rglob("*_CloudTrail-Digest_*")]

    trailmill("convert", logs, lake, "-q", codes=(0, 1))

    rows = [row for path in (lake / "cloudtrail_digest").rglob("*.parquet")
            for row in pq.ParquetFile(path).read().to_pylist()]  # fmt: skip
    assert sources and len(rows) == len(sources)
    by_object = {row["digests3object"]: row for row in rows}
    for source in sources:
        row = by_object[source["digestS3Object"]]
        for key, value in source.items():
            if key != "logFiles":
                assert row[key.lower()] == value, key
        files = [{key.lower(): file[key] for key in FILE} for file in source["logFiles"]]
        assert row["logfiles"] == files
        assert row["event_timestamp"].isoformat()[:19] + "Z" == source["digestEndTime"]
        assert row["extra_fields"] is None
