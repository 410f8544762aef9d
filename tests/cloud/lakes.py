"""What lies in a lake, in a folder or a bucket, and how two lakes are compared."""

import gzip
import io
import json
import re
from pathlib import Path

import pyarrow.parquet as pq

OWN = "_trailmill/"
# What a run leaves that need not be the same twice: when it was, and what only saves reading.
NOT_CONTENT = re.compile(r"^_trailmill/(runs/|listings/|unavailable/|checkpoints/|ledger/|lease\.json$)")

# Fingerprints are made with a key that is each lake's own.
KEYED = re.compile(r"^_trailmill/copies/")


class BucketLake:
    """A lake in a bucket, or any prefix of one."""

    def __init__(self, s3, bucket, prefix=""):
        self.s3, self.bucket = s3, bucket
        self.prefix = prefix and prefix.rstrip("/") + "/"

    @property
    def url(self):
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def listing(self):
        """Every object's key below the lake with its ETag: with equal ones the lakes are equal."""
        found = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix
        ):
            for item in page.get("Contents", []):
                found[item["Key"][len(self.prefix) :]] = item["ETag"]
        return found

    def read(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"].read()

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=body)

    def delete(self, key):
        self.s3.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def keys(self, pattern=""):
        return sorted(key for key in self.listing() if re.search(pattern, key))

    def content(self):
        """What must be the same after any run that got to its end; of KEYED the names only."""
        return {
            key: "" if KEYED.search(key) else etag
            for key, etag in self.listing().items()
            if not NOT_CONTENT.search(key)
        }

    def data_files(self):
        return [key for key in self.keys(r"\.parquet$") if not key.startswith(OWN)]

    def intents(self):
        return self.keys("^_trailmill/intents/")

    def documents(self, folder):
        """The JSON documents of one of our folders, by key; gzipped or not."""
        out = {}
        for key in self.keys(f"^{OWN}{folder}"):
            body = self.read(key)
            out[key] = json.loads(gzip.decompress(body) if key.endswith(".gz") else body)
        return out

    def manifests(self):
        return list(self.documents("manifests/").values())

    def rows(self):
        return rows(self)


class FolderLake(BucketLake):
    """A lake in a local folder."""

    def __init__(self, folder):
        self.folder, self.prefix = Path(folder), ""

    @property
    def url(self):
        return str(self.folder)

    def listing(self):
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        return {file.relative_to(self.folder).as_posix(): str(file.stat().st_size) for file in files}

    def read(self, key):
        return (self.folder / key).read_bytes()


def rows(lake):
    """Per table, the sorted rows of a lake: partition values and every column, as JSON texts.

    Nulls, and structs of nothing else, count as absent: a file carries only the nested members that it
    has values for.
    """
    out = {}
    for key in lake.data_files():
        table, *parts = key.split("/")[:-1]
        partition = dict(part.split("=", 1) for part in parts)
        file = pq.ParquetFile(io.BytesIO(lake.read(key)))
        found = out.setdefault(table, [])
        for row in file.read().to_pylist(maps_as_pydicts=None):
            found.append(json.dumps([partition, _pruned(row)], sort_keys=True, default=str))
    return {table: sorted(found) for table, found in out.items()}


def _pruned(value):
    if isinstance(value, dict):
        pruned = {name: _pruned(member) for name, member in value.items()}
        return {name: member for name, member in pruned.items() if member is not None} or None
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def is_typed(table):
    """Whether a table holds the rows of another once more, with inferred columns."""
    return table.endswith("_typed")


def without_nested(tables):
    """The tables without the typed ones, whose columns depend on what was converted together."""
    return {table: found for table, found in tables.items() if not is_typed(table)}


def without_partitions(tables):
    """Rows without what they are partitioned by in one layout or another."""
    def plain(text):
        row = json.loads(text)[1]
        return json.dumps({name: row[name] for name in row if name not in ("account", "region", "event_date")})

    return {table: sorted(map(plain, found)) for table, found in tables.items()}


def assert_same_rows(wanted, got, what=""):
    """Insists on the same tables with the same rows, and names a few that differ."""
    assert {t: len(r) for t, r in got.items()} == {t: len(r) for t, r in wanted.items()}, what
    for table, rows_wanted in wanted.items():
        missing = sorted(set(rows_wanted) - set(got[table]))[:2]
        extra = sorted(set(got[table]) - set(rows_wanted))[:2]
        assert got[table] == rows_wanted, f"{what}: {table}\nmissing {missing}\nextra   {extra}"


def assert_same_content(wanted, got, what=""):
    """Insists on the same keys with the same bytes, and names those that differ."""
    problems = [f"missing    {key}" for key in sorted(wanted.keys() - got.keys())]
    problems += [f"unexpected {key}" for key in sorted(got.keys() - wanted.keys())]
    both = wanted.keys() & got.keys()
    problems += [f"other bytes {key}" for key in sorted(both) if wanted[key] != got[key]]
    assert not problems, f"{what}\n" + "\n".join(problems[:20])
