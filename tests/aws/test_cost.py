"""docs/cost.md: its examples follow from its prices, and `plan show` says the same of the part that it knows."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import cost

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/cost.md"
BEGIN, END = "<!-- cost:start -->", "<!-- cost:end -->"


def test_the_examples_follow_from_the_prices():
    """TRAILMILL_WRITE_DOCS=1 writes them."""
    page = PAGE.read_text()
    before, shown, after = page.partition(BEGIN)[0], page.partition(BEGIN)[2].partition(END)[0], page.partition(END)[2]
    if os.environ.get("TRAILMILL_WRITE_DOCS"):
        shown = f"\n{cost.section(page)}\n"
        PAGE.write_text(f"{before}{BEGIN}{shown}{END}{after}")

    assert shown.strip() == cost.section(page)


def test_every_price_has_a_source_and_a_date():
    rows = re.findall(r"^\| `\w+` .*$", PAGE.read_text(), re.M)

    assert len(rows) >= 14
    for row in rows:
        assert re.search(r"\(https://\S+\) \| .*\b20\d\d\b.* \|$", row), row


def test_figures_are_those_of_the_program_and_of_the_benchmarks():
    source = "\n".join(file.read_text() for file in (ROOT / "src").rglob("*.rs"))
    benchmarks = (ROOT / "docs/benchmarks.md").read_text()
    size = int(re.search(r"(\d+) MB of JSON in 3,812 objects", benchmarks).group(1))
    row = next(line for line in benchmarks.splitlines() if line.startswith("| trailmill, default"))
    spark = next(line for line in benchmarks.splitlines() if line.startswith("| Spark"))

    assert re.search(r"DEFAULT_SPEED: f64 = 75\.0", source) and cost.SPEED == 75e6
    assert "REQUEST_WEIGHT: u64 = 64 << 10" in source and cost.REQUEST_WEIGHT == 64 << 10
    assert "DEFAULT_UNIT_SIZE: ByteCount = ByteCount::mb(64)" in source and cost.UNIT == 64e6
    assert abs(float(row.split("|")[6]) / size - cost.PARQUET) < 0.01
    assert abs(size / float(spark.split("|")[4]) * 1e6 - cost.SPARK) < 0.2e6


def test_plan_show_computes_the_same(tmp_path):
    program = os.environ.get("TRAILMILL_BIN")
    if not program:
        pytest.skip("TRAILMILL_BIN is not set")
    p = cost.prices(PAGE.read_text())
    given = {"--vcpu-price": p["vcpu"], "--memory-price": p["memory"], "--put-price": p["put"], "--get-price": p["get"]}
    options = [str(word) for pair in given.items() for word in pair]

    def run(*args):
        done = subprocess.run([program, *args], cwd=tmp_path, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("sample", "logs", "--size", "10MB", "-q")
    run("plan", "logs", "lake", "--children", "3")
    shown = json.loads(run("plan", "show", "lake", "--report", "json", *options))
    totals, found = shown["document"]["totals"], shown["estimate"]
    hours, puts, gets, dollars = cost.array(
        p, totals["units"], totals["objects"], totals["files"], totals["weight"], shown["document"]["children"]
    )

    assert (found["puts"], found["gets"]) == (puts, gets)
    assert found["vcpu_hours"] == pytest.approx(hours)
    assert found["dollars"] == pytest.approx(dollars)
