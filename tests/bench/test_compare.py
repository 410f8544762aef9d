"""The benchmark harness: what it writes down, and that it catches a tool that writes nonsense.

Runs `benches/compare` as `scripts/bench` does, on 2 MB and with the program of TRAILMILL_BIN (default:
target/debug/trailmill). What is measured here means nothing.
"""

import csv
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest
from conftest import BINARY, ROOT

COMPARE = ROOT / "benches/compare"

# Stands in for trailmill, and damages the lakes that it writes.
DAMAGING = """#!{python}
import subprocess, sys
from pathlib import Path
import duckdb

done = subprocess.run(["{binary}", *sys.argv[1:]])
if sys.argv[1] == "convert":
    files = Path(sys.argv[-1], "cloudtrail").rglob("*.parquet")
    file = max(files, key=lambda path: path.stat().st_size)
    {damage}
sys.exit(done.returncode)
"""
REWRITE = """duckdb.execute(f"COPY ({query}) TO '{{file}}.new' (FORMAT parquet)")
    Path(f"{{file}}.new").replace(file)"""
DAMAGES = {
    "a file": "file.unlink()",
    "a row": REWRITE.format(query="FROM '{file}' OFFSET 1"),
    "a letter": REWRITE.format(query="SELECT * REPLACE (useragent[2:] AS useragent) FROM '{file}'"),
    "a column": REWRITE.format(query="SELECT * REPLACE (NULL::VARCHAR AS errorcode) FROM '{file}'"),
    "a day": "file.parent.rename(file.parent.parent / 'event_date=1999-01-01')",
}


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


def bench(scratch, out, *options, program=BINARY):
    options = ["--size", "2MB", "--rounds", "1", "--scratch", scratch, "--out", out, *options]
    return subprocess.run(
        [sys.executable, "-B", COMPARE, *map(str, options)],
        env={**os.environ, "TRAILMILL_BIN": str(program)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="session")
def run(scratch, tmp_path_factory):
    """The folder of a run of trailmill and DuckDB, in both of its ways."""
    out = tmp_path_factory.mktemp("runs") / "2026-11-25-here"
    done = bench(scratch, out, "--tools", "trailmill,duckdb,duckdb_typed")
    assert done.returncode == 0, done.stderr
    return out


def test_a_run_is_written_down(run):
    with open(run / "runs.csv") as file:
        rows = list(csv.DictReader(file))
    readme, summary = (run / "README.md").read_text(), (run / "summary.md").read_text()

    assert [row["tool"] for row in rows] == ["trailmill", "duckdb", "duckdb_typed"]
    assert all(float(row["wall_seconds"]) > 0 and int(row["peak_bytes"]) > 1 << 20 for row in rows)
    assert 0 < int(rows[0]["rows"]) <= int(rows[1]["rows"]) == int(rows[2]["rows"])
    assert "read_json_objects('CORPUS" in readme and "convert --no-typed" in readme
    assert "read_json('CORPUS" in readme
    assert "--size 2MB --rounds 1" in readme
    assert "| DuckDB |" in summary and summary.count("×") == 2 and "FAILED" not in summary
    assert xml.parse(run / "speed.svg").getroot().tag.endswith("svg")


def test_a_folder_of_results_is_not_written_over(scratch, run):
    done = bench(scratch, run, "--tools", "trailmill")

    assert done.returncode == 1 and "holds a run already" in done.stderr


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_tool_that_loses_something_fails_the_check(scratch, tmp_path, damage):
    program = tmp_path / "trailmill"
    program.write_text(DAMAGING.format(python=sys.executable, binary=BINARY, damage=DAMAGES[damage]))
    program.chmod(0o755)

    done = bench(scratch, tmp_path / "out", "--tools", "trailmill", program=program)

    assert done.returncode == 1, done.stderr
    assert "CHECK FAILED" in done.stderr
    assert "| trailmill, text | FAILED CHECK |" in (tmp_path / "out/summary.md").read_text()


def test_a_tool_that_ends_with_an_error_has_no_times(scratch, tmp_path):
    program = tmp_path / "trailmill"
    program.write_text(f'#!/bin/sh\n[ "$1" = convert ] && echo no >&2 && exit 3\nexec {BINARY} "$@"\n')
    program.chmod(0o755)

    done = bench(scratch, tmp_path / "out", "--tools", "trailmill", program=program)

    assert done.returncode == 1, done.stderr
    assert "exit code 3: no" in (tmp_path / "out/README.md").read_text()


def table(runs, *options, pages):
    command = [sys.executable, "-B", COMPARE / "table.py", "--runs", runs, "--page", *pages]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def test_the_table_and_the_chart_of_the_newest_run_fill_the_pages(run, tmp_path):
    readme, page, runs = tmp_path / "README.md", tmp_path / "docs/benchmarks.md", tmp_path / "runs"
    page.parent.mkdir()
    readme.write_text("before\n<!-- chart:start -->\nold\n<!-- chart:end -->\nafter\n")
    page.write_text("before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter\n")
    shutil.copytree(run, runs / "2026-11-25-here")
    (runs / "2025-01-01-there").mkdir()
    (runs / "2025-01-01-there/summary.md").write_text("older\n")

    stale = table(runs, "--check", pages=[readme, page])
    written = table(runs, pages=[readme, page])
    fresh = table(runs, "--check", pages=[readme, page])

    assert (stale.returncode, written.returncode, fresh.returncode) == (1, 0, 0)
    chart = "![Speed, memory and size](runs/2026-11-25-here/speed.svg)\n"
    assert readme.read_text() == f"before\n<!-- chart:start -->\n{chart}<!-- chart:end -->\nafter\n"
    summary = (run / "summary.md").read_text()
    assert "](README.md)" in summary
    summary = summary.replace("](README.md)", "](../runs/2026-11-25-here/README.md)")
    assert page.read_text() == f"before\n<!-- bench:start -->\n{summary}<!-- bench:end -->\nafter\n"


def test_a_page_without_markers_is_left_alone(run, tmp_path):
    page = tmp_path / "README.md"
    page.write_text("no markers\n")

    done = table(run.parent, pages=[page])

    assert done.returncode == 1 and "lacks the markers" in done.stderr
    assert page.read_text() == "no markers\n"
