"""Puts the table of the newest run into README.md, between its markers. Needs Python alone.

`table.py` rewrites the README; `table.py --check` changes nothing and fails where it is stale.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the table is stale")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="file to rewrite")
    parser.add_argument("--runs", type=Path, default=ROOT / "benches/runs", help="folder of runs")
    options = parser.parse_args()
    before = options.readme.read_text()
    after = fill(before, newest(options.runs).read_text())
    if before == after:
        print("The table is that of the newest run.")
    elif options.check:
        sys.exit(f"!! the table in {options.readme} is stale: run scripts/bench table")
    else:
        options.readme.write_text(after)
        print(f"{options.readme} has the table of the newest run.")


def newest(runs):
    """The summary of the newest run. Names begin with the date."""
    summaries = sorted(runs.glob("*/summary.md"), key=lambda path: path.parent.name)
    if not summaries:
        sys.exit(f"!! no run below {runs}: run scripts/bench")
    return summaries[-1]


def fill(readme, summary):
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        sys.exit(f"!! the README lacks the markers {START} and {END}")
    return f"{before}{start}\n{summary}{end}{after}"


if __name__ == "__main__":
    main()
