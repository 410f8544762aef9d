"""The benchmark of questions: every layout gives the same answers, and one that does not is called wrong.

Runs `benches/queries` as `scripts/bench queries` does, on 3 MB. What is measured here means nothing.
"""

import csv
import os
import subprocess
import sys

import pytest
from conftest import BINARY, ROOT

QUERIES = ROOT / "benches/queries"

# Stands in for trailmill, and loses a file of the lake that it has compacted.
LOSING = """#!{python}
import subprocess, sys
from pathlib import Path

done = subprocess.run(["{binary}", *sys.argv[1:]])
if sys.argv[1] == "compact":
    max(Path(sys.argv[2], "cloudtrail").rglob("*.parquet"), key=lambda path: path.stat().st_size).unlink()
sys.exit(done.returncode)
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


def ask(scratch, out, program=BINARY):
    options = ["--size", "3MB", "--rounds", "1", "--scratch", scratch, "--out", out, "--trino", scratch / "none"]
    return subprocess.run(
        [sys.executable, "-B", QUERIES, *map(str, options)],
        env={**os.environ, "TRAILMILL_BIN": str(program)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_every_layout_answers_every_question_alike(scratch, tmp_path):
    done = ask(scratch, tmp_path / "out")

    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out/queries.csv", newline="") as file:
        asked = list(csv.DictReader(file))
    assert len(asked) == 17 * (3 + 2)
    assert all(int(one["bytes"]) > 0 and not one["failure"] for one in asked), asked
    # So small a sample may lack one or the other call.
    assert sum(int(one["rows"]) > 0 for one in asked) >= 5 * 14, asked
    page = (tmp_path / "out/README.md").read_text()
    assert "skipped: Trino: not fetched" in page and "WRONG" not in page
    assert (tmp_path / "out/queries.svg").read_text().count("<rect") > 17 * 3


def test_a_layout_that_lost_rows_is_wrong(scratch, tmp_path):
    program = tmp_path / "trailmill"
    program.write_text(LOSING.format(python=sys.executable, binary=BINARY))
    program.chmod(0o755)

    done = ask(scratch, tmp_path / "out", program=program)

    assert done.returncode == 1, done.stderr
    assert "- WRONG: " in (tmp_path / "out/README.md").read_text()
