"""The tools that are compared: how each is run, where its rows end up, what work it does."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """One conversion. `largest` is the JSON of the largest object, in bytes: some must be told."""

    corpus: str
    out: str
    threads: int
    largest: int


@dataclass(frozen=True)
class Trailmill:
    name: str
    label: str
    options: tuple
    does: str

    def why_not(self):
        return None

    def version(self):
        return subprocess.check_output([program_path(), "--version"], text=True).strip()

    def command(self, job, *more):
        common = ["--threads", str(job.threads), "--report", "json", "--quiet"]
        return [program_path(), "convert", *self.options, *more, *common, job.corpus, job.out]

    def shown(self, job):
        return "sh", " ".join(["trailmill", *self.command(job)[1:]])

    def data(self, out):
        return Path(out) / "cloudtrail"


@dataclass(frozen=True)
class Peer:
    """A tool of `peers/`, which measures its own conversion."""

    name: str
    label: str
    does: str

    @property
    def module(self):
        return importlib.import_module(f"peers.with_{self.name}")

    def why_not(self):
        if importlib.util.find_spec(self.module.PACKAGE) is None:
            return f"the Python package {self.module.PACKAGE} is not installed"
        if self.name == "spark":
            return os.environ.get("TRAILMILL_NO_SPARK")
        return None

    def version(self):
        package = self.module.PACKAGE
        version = f"{package} {metadata.version(package)}"
        if package == "chdb":
            version += f" (ClickHouse {metadata.version('chdb-core')})"
        return version

    def command(self, job):
        return [sys.executable, "-B", str(HERE / "peer.py"), self.name, json.dumps(asdict(job))]

    def shown(self, job):
        return "python" if self.name in ("polars", "spark") else "sql", self.module.shown(job).strip()

    def data(self, out):
        return Path(out)


def program_path():
    return os.environ.get("TRAILMILL_BIN") or str(HERE.parents[1] / "target/release/trailmill")


PLAIN = "text columns only, identities too; no order, copies stay, no manifest"
DUCKDB = PLAIN + "; numbers in JSON texts change (1.30 becomes 1.3)"
ALL = [
    Trailmill(
        "trailmill",
        "trailmill, text",
        ("--no-typed",),
        "documented types (structs, timestamp), fields of no column kept, sorted files, exact copies "
        "dropped, every record counted, manifest and catalog written; JSON texts as they were",
    ),
    Trailmill(
        "trailmill-typed",
        "trailmill, default",
        (),
        "the same, and the typed table with nested columns inferred from the free-form fields",
    ),
    Peer("clickhouse", "ClickHouse (chdb)", PLAIN + "; JSON texts as they were"),
    Peer("duckdb", "DuckDB", DUCKDB),
    Peer("duckdb_typed", "DuckDB (read_json)", DUCKDB),
    Peer(
        "polars",
        "Polars",
        PLAIN + "; numbers in JSON texts change, and texts with nested quotes or control characters "
        "come out as broken JSON",
    ),
    Peer("spark", "Spark", PLAIN + "; JSON texts as they were"),
]
