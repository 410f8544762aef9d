"""Puts the newest run's table and chart into the pages that show them, between markers. Needs Python alone.

`table.py` rewrites the pages; `table.py --check` changes nothing and fails where one is stale.
"""

import argparse
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/benchmarks.md"]
MARKERS = {
    "table": ("<!-- bench:start -->", "<!-- bench:end -->"),
    "chart": ("<!-- chart:start -->", "<!-- chart:end -->"),
    "queries": ("<!-- queries:start -->", "<!-- queries:end -->"),
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a page is stale")
    parser.add_argument("--page", type=Path, nargs="+", default=PAGES, help="files to rewrite")
    parser.add_argument("--runs", type=Path, default=ROOT / "benches/runs", help="folder of runs")
    options = parser.parse_args()
    run, queries = newest(options.runs, "summary.md"), newest(options.runs, "queries.md")
    if run is None:
        sys.exit(f"!! no run below {options.runs}: run scripts/bench")
    for page in options.page:
        before = page.read_text()
        after = fill(page, before, run, queries)
        if before == after:
            print(f"{page} shows the newest run.")
        elif options.check:
            sys.exit(f"!! {page} is stale: run scripts/bench table")
        else:
            page.write_text(after)
            print(f"{page} shows the newest run now.")


def newest(runs, summary):
    """The folder of the newest run that has such a summary, if any. Names begin with the date."""
    summaries = sorted(runs.glob(f"*/{summary}"), key=lambda path: path.parent.name)
    return summaries[-1].parent if summaries else None


def fill(page, text, run, queries):
    """The page's text with what its markers are for."""
    here = place(page, run)
    shown = {
        "table": linked(here, run / "summary.md"),
        "chart": f"![Speed, memory and size]({here}/speed.svg)\n",
        "queries": "",
    }
    if queries is not None:
        there = place(page, queries)
        shown["queries"] = f"![Bytes read]({there}/queries.svg)\n\n" + linked(there, queries / "queries.md")
    found = 0
    for name, (start, end) in MARKERS.items():
        before, at_start, rest = text.partition(start)
        _, at_end, after = rest.partition(end)
        if at_start and at_end:
            text = f"{before}{start}\n{shown[name]}{end}{after}"
            found += 1
    if not found:
        sys.exit(f"!! {page} lacks the markers of a table or a chart: {MARKERS}")
    return text


def place(page, run):
    """How the page names the folder of a run."""
    return Path(os.path.relpath(run.resolve(), page.resolve().parent)).as_posix()


def linked(here, summary):
    """A run's table: its own links begin at its folder, the page's at the page."""
    return re.sub(r"\]\((?!\w+:)", f"]({here}/", summary.read_text())


if __name__ == "__main__":
    main()
