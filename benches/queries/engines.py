"""What asks: DuckDB, `trailmill query`, and Trino where it was fetched. Each says rows, seconds and bytes.

Bytes are those that an engine asks for. DuckDB reads through a file system of Python that counts; Trino says so
itself (`physicalInputBytes`); `trailmill query` says how many bytes the files have that it opens, which is more
than it reads, and is marked so.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "bench"


class DuckDb:
    name, label, dialect, bytes_are = "duckdb", "DuckDB", "duckdb", "read"

    def __init__(self, layouts, threads):
        import duckdb

        self.layouts, self.con = layouts, duckdb.connect()
        self.con.execute(f"SET threads = {threads}")
        # Each question begins without what the one before has read.
        self.con.execute("SET enable_external_file_cache = false")
        self.counter = counting_file_system()
        self.con.register_filesystem(self.counter)

    def version(self):
        import duckdb

        return f"duckdb {duckdb.__version__}"

    def table(self, layout, counted=False):
        files = f"{'count://' if counted else ''}{layout.table}/**/*.parquet"
        return f"read_parquet('{files}', hive_partitioning = true, hive_types_autocast = false)"

    def ask(self, layout, write):
        """Rows and seconds, from files; then the same through the file system that counts."""
        started = time.monotonic()
        rows = self.con.execute(write(self.table(layout))).fetchall()
        seconds = time.monotonic() - started
        self.counter.bytes = 0
        self.con.execute(write(self.table(layout, counted=True))).fetchall()
        return len(rows), seconds, self.counter.bytes

    def stop(self):
        self.con.close()


def counting_file_system():
    """Local files under `count://`, with a count of the bytes that are read."""
    from fsspec.implementations.local import LocalFileSystem
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

    class Counting(AbstractFileSystem):
        protocol, cachable = "count", False

        def __init__(self):
            super().__init__(skip_instance_cache=True)
            self.local, self.bytes = LocalFileSystem(), 0

        def ls(self, path, detail=True, **_):
            return self.local.ls(self._strip_protocol(path), detail=detail)

        def info(self, path, **_):
            return self.local.info(self._strip_protocol(path))

        def created(self, path):
            return self.local.created(self._strip_protocol(path))

        def modified(self, path):
            return self.local.modified(self._strip_protocol(path))

        def _open(self, path, mode="rb", **_):
            return Counted(self, path, mode, cache_type="none")

    class Counted(AbstractBufferedFile):
        def _fetch_range(self, start, end):
            self.fs.bytes += end - start
            with open(self.path, "rb") as file:
                file.seek(start)
                return file.read(end - start)

    return Counting()


class Trailmill:
    name, label, dialect, bytes_are = "trailmill", "trailmill query", "trailmill", "in the files opened"

    def __init__(self, layouts, threads, program):
        self.program, self.threads = program, threads

    def version(self):
        return subprocess.check_output([self.program, "--version"], text=True).strip()

    def ask(self, layout, write):
        if not layout.is_lake:
            return None
        command = [self.program, "query", str(layout.folder), write("cloudtrail"), "--output", "jsonl"]
        started = time.monotonic()
        asked = subprocess.run(
            [*command, "--threads", str(self.threads)], capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - started
        # 1 says that no row was found.
        if asked.returncode not in (0, 1):
            raise RuntimeError(asked.stderr.strip().splitlines()[-1])
        opened = re.search(r"([\d,]+) bytes", asked.stderr)
        rows = [line for line in asked.stdout.splitlines() if line.startswith("{")]
        return len(rows), seconds, int(opened.group(1).replace(",", "")) if opened else None

    def stop(self):
        pass


class Trino:
    """Trino over moto, as scripts/trino starts it."""

    name, label, dialect, bytes_are = "trino", "Trino", "trino", "read"

    def __init__(self, layouts, threads, distribution, folder):
        sys.path.insert(0, str(ROOT / "tests/trino"))
        import boto3
        import servers

        self.servers = servers
        self.number = distribution.name.rpartition("-")[2]
        folder.mkdir(parents=True, exist_ok=True)
        self.moto = servers.Moto(folder)
        client = {"endpoint_url": self.moto.url, "region_name": servers.REGION} | {
            name.lower(): value for name, value in servers.KEYS.items()
        }
        self.s3, self.glue = (boto3.client(kind, **client) for kind in ("s3", "glue"))
        self.s3.create_bucket(Bucket="bench")
        self.glue.create_database(DatabaseInput={"Name": DATABASE})
        for layout in layouts:
            self.add(layout)
        self.trino = servers.Trino(distribution, self.number, folder, self.moto.url, self.moto.url)
        self.wait_for_node(layouts[0])

    def wait_for_node(self, layout):
        """Trino answers before its node is among those that run queries."""
        for _ in range(60):
            try:
                return self.run(f"SELECT count(*) FROM {layout.name}")
            except RuntimeError as error:
                if "No nodes available" not in str(error):
                    raise
                time.sleep(1)
        raise RuntimeError("Trino has no node that runs queries")

    def add(self, layout):
        """Uploads a table's files, and registers the table with its partitions."""
        partitions = {}
        for file in layout.table.rglob("*.parquet"):
            below = file.relative_to(layout.table)
            self.s3.upload_file(str(file), "bench", f"{layout.name}/{below}")
            partitions[str(below.parent)] = [part.partition("=")[2] for part in below.parent.parts]
        keys = [part.partition("=")[0] for part in next(iter(partitions)).split("/")]
        known = [c for c in columns_of(layout.table) if c["Name"] not in keys]
        formats = {
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "NumberOfBuckets": -1,
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
            },
        }
        place = lambda below: {"Columns": known, "Location": f"s3://bench/{layout.name}/{below}", **formats}  # noqa: E731
        self.glue.create_table(
            DatabaseName=DATABASE,
            TableInput={
                "Name": layout.name,
                "TableType": "EXTERNAL_TABLE",
                "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
                "StorageDescriptor": place(""),
            },
        )
        for below, values in partitions.items():
            self.glue.create_partition(
                DatabaseName=DATABASE,
                TableName=layout.name,
                PartitionInput={"Values": values, "StorageDescriptor": place(f"{below}/")},
            )

    def version(self):
        return f"Trino {self.number}"

    def ask(self, layout, write):
        started = time.monotonic()
        rows, read = self.run(write(layout.name))
        return rows, time.monotonic() - started, read

    def run(self, sql):
        """The number of rows of a statement, and the bytes that Trino read for it."""
        headers = {"X-Trino-User": "bench", "X-Trino-Catalog": self.servers.CATALOG, "X-Trino-Schema": DATABASE}
        request = urllib.request.Request(f"{self.trino.url}/v1/statement", sql.encode(), headers)
        rows, read = 0, 0
        while request is not None:
            with urllib.request.urlopen(request, timeout=600) as response:
                answer = json.load(response)
            if "error" in answer:
                raise RuntimeError(answer["error"].get("message"))
            rows += len(answer.get("data", []))
            read = max(read, answer["stats"].get("physicalInputBytes", 0))
            following = answer.get("nextUri")
            request = following and urllib.request.Request(following, headers=headers)
        return rows, read

    def stop(self):
        self.trino.stop()
        self.moto.stop()


def columns_of(table):
    """Hive's names and types of the columns, from a file."""
    import duckdb

    file = next(table.rglob("*.parquet"))
    described = duckdb.connect().execute(f"DESCRIBE SELECT * FROM read_parquet('{file}', hive_partitioning = false)")
    return [{"Name": name, "Type": hive(kind)} for name, kind, *_ in described.fetchall()]


def hive(kind):
    """A type of DuckDB's, as Hive writes it."""
    kind = kind.strip()
    if kind.endswith("[]"):
        return f"array<{hive(kind[:-2])}>"
    if kind.startswith("STRUCT("):
        members = (member.strip().partition(" ") for member in split(kind[7:-1]))
        return "struct<" + ",".join(name.strip('"') + ":" + hive(of) for name, _, of in members) + ">"
    if kind.startswith("MAP("):
        return "map<" + ",".join(hive(part) for part in split(kind[4:-1])) + ">"
    known = {"VARCHAR": "string", "BOOLEAN": "boolean", "BIGINT": "bigint", "DOUBLE": "double"}
    return known.get(kind, "timestamp" if kind.startswith("TIMESTAMP") else "string")


def split(members):
    """The parts between commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in members:
        depth += (letter in "([<") - (letter in ")]>")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts

