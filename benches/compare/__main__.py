"""Measures trailmill and other tools at the same job: CloudTrail objects to partitioned zstd Parquet.

`scripts/bench` runs this. Here: the order of things. Elsewhere: what a tool is (`tools`, `peers/`),
the input (`corpus`), one run (`measure`), whether its output is right (`check`), what is said (`report`).
"""

import argparse
import csv
import json
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

import check
import corpus
import machine
import measure
import report
import tools
from results import FIELDS, Result, Run, Session

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = Path(os.environ.get("TRAILMILL_BENCH_SCRATCH", ROOT / "target/bench"))
NAMES = ", ".join(tool.name for tool in tools.ALL)
MORE = """other commands:
  scripts/bench queries          17 questions of three layouts: seconds and bytes
  scripts/bench limits CORPUS    what the hardware allows, stage by stage (cargo bench --bench limits)
  scripts/bench table [--check]  puts the newest table and chart into README.md and docs/benchmarks.md

TRAILMILL_BIN=path uses a program that is built already; else it is built (cargo build --release).
The exit code is 1 if a tool failed or its output is not what the source holds. A tool that cannot be
installed is skipped, with a line that says so."""


def main():
    options = arguments()
    scratch = options.scratch.resolve()
    if not os.access(tools.program_path(), os.X_OK):
        sys.exit(f"!! no program at {tools.program_path()}: build it, or set TRAILMILL_BIN")
    out = options.out or ROOT / "benches/runs" / machine.run_name()
    if out.exists() and any(out.iterdir()):
        sys.exit(f"!! {out} holds a run already: remove it, or name another folder with --out")
    results = [Result(tool, skipped=tool.why_not() or "") for tool in options.tools]
    for result in results:
        if result.skipped:
            say(f"skipped: {result.tool.label}: {result.skipped}")
    load = machine.load()
    if load > 0.5:
        say(f"!! the machine is busy (load {load:.1f}): do not trust what follows")
    objects, how = objects_of(options, scratch)
    say("reading the corpus with Python, for the truth about it")
    truth = cached(scratch / "truth.json", objects, lambda: apart(corpus.truth, objects))
    if not truth.get("objects"):
        sys.exit(f"!! no .json.gz objects of CloudTrail below {options.corpus or objects}")
    job = tools.Job(str(objects), str(scratch / "out"), options.threads, truth["largest"])
    session = Session(how, truth, job, options.rounds, results, load)
    say(session.size_in_words())
    out.mkdir(parents=True, exist_ok=True)
    compare(session, out, scratch)
    report.write(session, out)
    print((out / "summary.md").read_text(), end="")
    say(f"written to {out}")
    sys.exit(0 if all(result.is_right for result in session.results) else 1)


def compare(session, out, scratch):
    """A round to warm up and to check, then those that count.

    The tools take turns, so that a slow minute of the machine hits all of them.
    """
    corpus.read_once(Path(session.job.corpus))
    rows = {}
    for result in session.runnable():
        run, said = one_run(session, result, 0, scratch)
        if run:
            rows[run.tool] = run.rows
            result.wrong = verify(session, result.tool, run, said, scratch)
        for line in result.wrong:
            say(f"  CHECK FAILED: {line}")
    with open(out / "runs.csv", "w", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        table.writeheader()
        for number in range(1, session.rounds + 1):
            for result in session.runnable():
                run, _ = one_run(session, result, number, scratch)
                if run:
                    result.runs.append(run)
                    table.writerow(run.row())
                    file.flush()
                if run and run.rows != rows[run.tool]:
                    result.wrong.append(f"{run.rows} rows in round {number}, before {rows[run.tool]}")
    shutil.rmtree(session.job.out, ignore_errors=True)


def one_run(session, result, number, scratch):
    """Runs a tool once. Returns what was measured, None if it failed, and what the tool said."""
    tool, job = result.tool, session.job
    where = f"round {number} of {session.rounds}" if number else "warming up"
    usage, said = launch(tool.command(job), job, scratch)
    if usage.code != 0:
        result.failure = f"exit code {usage.code}: {last_line(scratch / 'stderr')}"
        say(f"{where}, {tool.label}: FAILED, {result.failure}")
        return None, said
    size, files = check.written(tool.data(job.out))
    run = Run(
        tool=tool.name,
        round=number,
        wall_seconds=usage.wall_seconds,
        # Of trailmill the whole process counts; of a peer, its own word for the conversion alone.
        conversion_seconds=said["seconds"] if isinstance(tool, tools.Peer) else usage.wall_seconds,
        cpu_seconds=usage.cpu_seconds,
        peak_bytes=usage.peak_bytes,
        bytes_written=size,
        files=files,
        rows=apart(check.rows, tool.data(job.out)) if files else 0,
    )
    seconds = f"{run.conversion_seconds:.2f} s, whole process {run.wall_seconds:.2f} s"
    say(f"{where}, {tool.label}: {seconds}")
    return run, said


def verify(session, tool, run, said, scratch):
    """What is wrong with a tool's output. trailmill drops copies: it is run again, told to keep them."""
    job, wanted = session.job, session.truth["facts"]
    wrong = []
    if isinstance(tool, tools.Trailmill):
        copies = said["records_duplicate"]
        if run.rows + copies != wanted["rows"]:
            wrong.append(f"{run.rows} rows and {copies} copies, should be {wanted['rows']}")
        usage, _ = launch(tool.command(job, "--duplicates", "keep"), job, scratch)
        if usage.code != 0:
            return [*wrong, f"exit code {usage.code} when it keeps copies"]
    if not check.written(tool.data(job.out))[1]:
        return [*wrong, "no Parquet files"]
    return wrong + check.differences(wanted, apart(check.facts, tool.data(job.out)))


def launch(command, job, scratch):
    """Runs a command into an empty folder; returns what it took and the JSON that it printed."""
    shutil.rmtree(job.out, ignore_errors=True)
    cores = job.threads if job.threads < machine.cores() else None
    usage = measure.run(command, scratch / "stdout", scratch / "stderr", cores)
    said = (scratch / "stdout").read_text()
    return usage, json.loads(said[said.find("{") :]) if usage.code == 0 else {}


def last_line(path):
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures trailmill and other tools at the same job, and checks what they write.",
        epilog=MORE,
    )
    add = parser.add_argument
    add("--corpus", type=Path, metavar="FOLDER", help="measure with these objects (.json.gz)")
    add("--size", default="750MB", help="or with a sample of so much JSON, which is kept (%(default)s)")
    add("--rounds", type=int, default=5, metavar="COUNT", help="runs of each tool (%(default)s)")
    add("--tools", type=named, default=tools.ALL, metavar="A,B,C", help=f"which of {NAMES} (all)")
    add("--threads", type=int, default=machine.cores(), metavar="COUNT", help="of each tool (all cores)")
    add("--out", type=Path, metavar="FOLDER", help="where results go (benches/runs/DATE-MACHINE)")
    add("--scratch", type=Path, default=SCRATCH, metavar="FOLDER",
        help="for corpora and what tools write (bench/ in the target folder)")  # fmt: skip
    return parser.parse_args()


def named(text):
    known = {tool.name: tool for tool in tools.ALL}
    unknown = [name for name in text.split(",") if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no tool {', '.join(unknown)}: there are {NAMES}")
    return [known[name] for name in text.split(",")]


def objects_of(options, scratch):
    """The folder of objects, and in words where it is from."""
    if options.corpus:
        objects = scratch / "given"
        corpus.link(options.corpus.resolve(), objects)
        (scratch / "truth.json").unlink(missing_ok=True)
        return objects, f"The objects of `{options.corpus}`"
    say(f"making a sample of {options.size}, unless it is there")
    return corpus.make(options.size, scratch)


def cached(path, objects, find):
    """What `find` returns for a folder of objects, kept in a file."""
    known = json.loads(path.read_text()) if path.is_file() else {}
    if str(objects) not in known:
        known = {str(objects): find()}
        path.write_text(json.dumps(known))
    return known[str(objects)]


def apart(function, *arguments):
    """Calls a function in a new process: memory of this one would count as that of the tools."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
