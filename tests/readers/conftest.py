"""Lakes to read: a made-up archive, the same as one wide partition, and real logs if there are any.

Settings from the environment: TRAILMILL_BIN, the program (default: target/debug/trailmill);
TRAILMILL_REAL_LOGS, a folder of real logs (default: none, and what needs them is skipped).
"""

import functools
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import source  # noqa: E402
from contract import MAIN, twin  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TRAILMILL_BIN", ROOT / "target/debug/trailmill")).resolve()
REAL = os.environ.get("TRAILMILL_REAL_LOGS")


def pytest_sessionstart(session):
    """Says at once what is missing."""
    if not BINARY.is_file():
        pytest.exit(f"no program at {BINARY}: run `cargo build`, or set TRAILMILL_BIN", 2)


def trailmill(*args, codes=(0,)):
    """Runs the program and returns its stdout."""
    done = subprocess.run(
        [str(BINARY), *map(str, args)], capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode in codes, f"{args}: exit code {done.returncode}\n{done.stderr}"
    return done.stdout


def rows_of(file):
    return pq.ParquetFile(file).read().to_pylist(maps_as_pydicts=None)


class Lake:
    """A lake, what it was made from, and what its rows must be."""

    def __init__(self, logs, path, *options):
        self.logs, self.path = Path(logs), Path(path)
        # Digests and wrappers have tests of their own: what is compared here are records and their tables.
        options = ["--no-digests", "--unwrap", "off", *options]
        output = trailmill("convert", logs, path, "--report", "json", "-q", *options, codes=(0, 1))
        self.report = json.loads(output)

    @functools.cached_property
    def read(self):
        return source.read(self.logs)

    @functools.cached_property
    def records(self):
        """The records that must be in the lake."""
        return source.distinct([r for r in self.read[0] if r.instant is not None])

    @functools.cached_property
    def events(self):
        """Plain dicts of the events table's records, for queries."""
        return [r.plain for r in self.records if r.table == "cloudtrail"]

    @functools.cached_property
    def files(self):
        """Every data file with its table."""
        found = sorted(self.path.glob("*/**/*.parquet"))
        return [(f, f.relative_to(self.path).parts[0]) for f in found if "_trailmill" not in f.parts]

    @functools.cached_property
    def keys(self):
        """The partition keys, as the paths of the lake have them."""
        (file, _) = self.files[0]
        return [part.split("=")[0] for part in file.relative_to(self.path).parts[1:-1]]

    def files_of(self, table):
        return [str(file) for file, name in self.files if name == table]

    @functools.cached_property
    def rows(self):
        """(table, partition values, row as a dict) of every row of the main tables, read file by file
        with pyarrow."""
        out = []
        for file, table in self.files:
            if table in MAIN:
                parts = file.relative_to(self.path).parts[1:-1]
                values = dict(part.split("=", 1) for part in parts)
                out += [(table, values, row) for row in rows_of(file)]
        return out

    @functools.cached_property
    def typed_rows(self):
        """The rows of the typed tables that stand at the places of `rows`."""
        out = []
        for file, table in self.files:
            if table in MAIN:
                out += rows_of(self.path / twin(table) / file.relative_to(self.path / table))
        return out

    def ddl(self, dialect, *options):
        """The statements of `catalog ddl`."""
        text = trailmill("catalog", "ddl", self.path, "--dialect", dialect, *options)
        return [part.strip() for part in text.split(";\n") if part.strip()]

    def duckdb(self, *options):
        """A connection of DuckDB with the tables and views of `catalog ddl`, and times in UTC."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for statement in self.ddl("duckdb", *options):
            connection.execute(statement)
        return connection


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lakes")


@pytest.fixture(scope="session")
def sample(folder):
    """8 MB of made-up logs in the finest partitions: many small files."""
    trailmill("sample", folder / "logs", "--size", "8MB", "--seed", "7", "-q")
    return Lake(folder / "logs", folder / "lake", "--partition-by", "account,region,event_date")


@pytest.fixture(scope="module")
def connection(sample):
    """The sample's tables and views in DuckDB."""
    return sample.duckdb()


@pytest.fixture(scope="session")
def default(folder, sample):
    """The same logs in a lake as it is without options: few files."""
    return Lake(sample.logs, folder / "default")


@pytest.fixture(scope="session")
def wide(folder):
    """40 MB of made-up logs by year: few files of several pages, so that page indexes count."""
    trailmill("sample", folder / "wide-logs", "--size", "40MB", "--seed", "7", "-q")
    return Lake(folder / "wide-logs", folder / "wide", "--partition-by", "year")


@pytest.fixture(scope="session")
def real(folder):
    """Real logs that other people published; not part of this repository."""
    if not REAL:
        pytest.skip("TRAILMILL_REAL_LOGS names no folder of real logs")
    logs = Path(REAL).resolve()
    assert logs.is_dir(), f"TRAILMILL_REAL_LOGS: there is no folder {logs}"
    return Lake(logs, folder / "real", "--partition-by", "account,region,event_date")


@pytest.fixture(scope="session", params=["sample", "real"])
def lake(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def spark(folder):
    """A Spark session without Hive, or a skip that says why there is none."""
    pytest.importorskip("pyspark")
    if os.environ.get("TRAILMILL_NO_SPARK"):
        pytest.skip(os.environ["TRAILMILL_NO_SPARK"])
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master("local[2]")
        .appName("trailmill readers")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.catalogImplementation", "in-memory")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def spark_tables(session, lake, database):
    """Runs `catalog ddl --dialect spark` in a database of its own; returns the database's name."""
    for statement in lake.ddl("spark"):
        session.sql(statement.replace("`trailmill`", f"`{database}`"))
    return types.SimpleNamespace(name=database, sql=session.sql)
