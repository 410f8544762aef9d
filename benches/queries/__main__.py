"""Asks 17 questions of the same records in three layouts: seconds, and bytes read.

`scripts/bench queries` runs this. Layouts are a lake as `trailmill convert` writes it, the same lake after
`trailmill compact`, and what DuckDB's COPY makes of the objects. Answers must have the same number of rows
everywhere, else the exit code is 1. Here: the order of things. Elsewhere: the questions, what asks them
(`engines`), the pages that say what was found (`report`).
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benches/compare"))

import corpus  # noqa: E402
import engines  # noqa: E402
import machine  # noqa: E402
import report  # noqa: E402
from peers import with_duckdb  # noqa: E402
from questions import QUESTIONS, sql, values  # noqa: E402
from tools import Job, program_path  # noqa: E402

SCRATCH = Path(os.environ.get("TRAILMILL_BENCH_SCRATCH", ROOT / "target/bench"))


@dataclass(frozen=True)
class Layout:
    name: str
    label: str
    folder: Path
    is_lake: bool

    @property
    def table(self):
        return self.folder / "cloudtrail" if self.is_lake else self.folder

    def size(self):
        files = [path.stat().st_size for path in self.table.rglob("*.parquet")]
        return sum(files), len(files)


def main():
    options = arguments()
    if not os.access(program_path(), os.X_OK):
        sys.exit(f"!! no program at {program_path()}: build it, or set TRAILMILL_BIN")
    out = options.out or ROOT / "benches/runs" / f"{machine.run_name()}-queries"
    if out.exists() and any(out.iterdir()):
        sys.exit(f"!! {out} holds a run already: remove it, or name another folder with --out")
    scratch = options.scratch.resolve() / "queries"
    load = machine.load()
    if load > 0.5:
        say(f"!! the machine is busy (load {load:.1f}): do not trust the seconds")
    objects, how = objects_of(options, scratch)
    raw = sum(path.stat().st_size for path in objects.rglob("*.json.gz"))
    layouts = make_layouts(objects, scratch, options.threads)
    asked, versions, skipped = [], {}, []
    about = None
    for make in makers(options, layouts, scratch, skipped):
        engine = make()
        try:
            if about is None:
                # DuckDB comes first, and finds the values in the fresh lake.
                about = values(engine.con, engine.table(layouts[0]))
            versions[engine.label] = engine.version()
            asked += ask_all(engine, layouts, about, options.rounds)
        finally:
            engine.stop()
    wrong = differing(asked)
    out.mkdir(parents=True, exist_ok=True)
    session = report.Session(how, raw, layouts, asked, versions, skipped, wrong, load, options.rounds)
    report.write(session, out)
    print((out / "queries.md").read_text(), end="")
    say(f"written to {out}")
    sys.exit(1 if wrong else 0)


def objects_of(options, scratch):
    scratch.mkdir(parents=True, exist_ok=True)
    if options.corpus:
        objects = scratch / "given"
        corpus.link(options.corpus.resolve(), objects)
        return objects, f"The objects of `{options.corpus}`"
    say(f"making a sample of {options.size}, unless it is there")
    return corpus.make(options.size, scratch.parent)


def make_layouts(objects, scratch, threads):
    """Writes the layouts. Copies of records stay in all of them, so that answers are alike."""
    fresh = Layout("fresh", "lake", scratch / "fresh", True)
    compacted = Layout("compacted", "lake, compacted", scratch / "compacted", True)
    duckdb = Layout("duckdb_copy", "DuckDB's COPY", scratch / "duckdb", False)
    for layout in (fresh, compacted, duckdb):
        shutil.rmtree(layout.folder, ignore_errors=True)
    say("converting the objects")
    run("convert", objects, fresh.folder, "--duplicates", "keep", "--threads", threads)
    say("compacting a copy of the lake")
    shutil.copytree(fresh.folder, compacted.folder)
    run("compact", compacted.folder, "--older-than", "0m", "--threads", threads)
    say("converting the objects with DuckDB")
    largest = max(len(corpus.gzip.decompress(path.read_bytes())) for path in objects.rglob("*.json.gz"))
    job = Job(str(objects), str(duckdb.folder), threads, largest)
    con = with_duckdb.start(job)
    with_duckdb.convert(con, job)
    with_duckdb.stop(con)
    return [fresh, compacted, duckdb]


def run(*arguments):
    command = [program_path(), *map(str, arguments), "--quiet"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"!! {' '.join(command)} ended with {done.returncode}")


def makers(options, layouts, scratch, skipped):
    """How to start each engine that is there, DuckDB first."""
    yield lambda: engines.DuckDb(layouts, options.threads)
    yield lambda: engines.Trailmill(layouts, options.threads, program_path())
    why = why_no_trino(options.trino)
    if why:
        skipped.append(f"Trino: {why}")
        say(f"skipped: Trino: {why}")
        return
    shutil.rmtree(scratch / "trino", ignore_errors=True)
    yield lambda: engines.Trino(layouts, options.threads, options.trino, scratch / "trino")


def why_no_trino(distribution):
    if distribution is None or not distribution.is_dir():
        return "not fetched: run scripts/trino once, or name its folder with --trino"
    missing = [name for name in ("moto", "boto3") if importlib.util.find_spec(name) is None]
    return f"the Python packages {', '.join(missing)} are not installed" if missing else None


def ask_all(engine, layouts, about, rounds):
    """Every question in every layout, in turn; the first round warms up and does not count."""
    found = []
    for question in QUESTIONS:
        for layout in layouts:
            seconds, answer, failure = [], None, ""
            write = lambda table, q=question, at=layout: sql(q, engine.dialect, table, not at.is_lake, about)  # noqa: E731
            try:
                for number in range(rounds + 1):
                    answer = engine.ask(layout, write)
                    if answer is None:
                        break
                    seconds += [answer[1]] if number else []
            except Exception as error:  # noqa: BLE001
                failure = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                say(f"{engine.label}, {layout.label}, {question.name}: FAILED: {failure}")
            if answer or failure:
                rows, _, read = answer if answer else (None, None, None)
                found.append(report.Asked(engine.name, layout.name, question.name, rows, seconds, read, failure))
        say(f"{engine.label}: {question.name}")
    return found


def differing(asked):
    """Questions whose answers have other numbers of rows somewhere, and those that failed."""
    wrong = [f"{one.question}: {one.engine} over {one.layout}: {one.failure}" for one in asked if one.failure]
    for question in QUESTIONS:
        rows = {
            f"{one.engine} over {one.layout}": one.rows
            for one in asked
            if one.question == question.name and not one.failure
        }
        if len(set(rows.values())) > 1:
            wrong.append(f"{question.name}: rows {json.dumps(rows)}")
    return wrong


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench queries",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
    )
    add = parser.add_argument
    add("--corpus", type=Path, metavar="FOLDER", help="ask about these objects (.json.gz)")
    add("--size", default="750MB", help="or about a sample of so much JSON, which is kept (%(default)s)")
    add("--rounds", type=int, default=3, metavar="COUNT", help="times that each question counts (%(default)s)")
    add("--threads", type=int, default=machine.cores(), metavar="COUNT", help="of each engine (all cores)")
    add("--trino", type=Path, metavar="FOLDER", default=newest_trino(),
        help="where scripts/trino put Trino (trino/ in the target folder)")  # fmt: skip
    add("--out", type=Path, metavar="FOLDER", help="where results go (benches/runs/DATE-MACHINE-queries)")
    add("--scratch", type=Path, default=SCRATCH, metavar="FOLDER",
        help="for corpora and layouts (bench/ in the target folder)")  # fmt: skip
    return parser.parse_args()


def newest_trino():
    found = sorted((SCRATCH.parent / "trino").glob("trino-*[0-9]"))
    return found[-1] if found else None


def say(words):
    print(f"== {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
