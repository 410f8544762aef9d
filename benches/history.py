"""Times `trailmill history` and `report` beside DuckDB, over the same files in the same run.

`scripts/bench history LAKE` runs this. The lake is one that `trailmill convert` wrote. Point questions are asked of
both in turn, as whole processes; answers must have the same number of events, else the exit code is 1. Values are taken from
the lake: an access key, a bucket with a prefix, and a function in its last three days.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent / "compare"))

import machine  # noqa: E402

# The tables that `history` searches.
TABLES = "cloudtrail", "cloudtrail_network_activity"

# What a process of DuckDB does for one question.
ASK = "import duckdb, sys; con = duckdb.connect(); con.execute('SET threads = ' + sys.argv[2]); con.execute('SET enable_progress_bar = false'); print(len(con.execute(sys.argv[1]).fetchall()))"  # fmt: skip

SHOWN = "eventtime, eventsource, eventname, awsregion, sourceipaddress, useragent, errorcode, eventid"


def main():
    options = arguments()
    program = os.environ.get("TRAILMILL_BIN", "trailmill")
    facts = machine.facts(machine.load())
    files = [file for table in TABLES for file in (options.lake / table).rglob("*.parquet")]
    globs = [f"{options.lake}/{table}/**/*.parquet" for table in TABLES if (options.lake / table).is_dir()]
    table = f"read_parquet({globs}, hive_partitioning = true, hive_types_autocast = false)"
    size = sum(file.stat().st_size for file in files)
    text, runs, is_same = [], [], True

    def say(line=""):
        text.append(line)
        print(line, flush=True)

    def measure(what, who, command):
        run = run_of(command)
        runs.append((what, who, f"{run.seconds:.3f}", f"{run.processor:.3f}", f"{run.peak:.0f}"))
        return run

    say(f"{size / 1e6:,.0f} MB in {len(files):,} files; median of {options.rounds}; {options.threads} threads")
    say()
    say("| | events | trailmill, s | DuckDB, s | ratio | trailmill, CPU s | DuckDB, CPU s | ratio | MiB | files read |")
    say("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|")
    for name, condition, asked in questions(table):
        sql = f"SELECT {SHOWN} FROM {table} WHERE {condition} ORDER BY event_timestamp DESC"
        ours = [program, "history", str(options.lake), *asked, "--limit", "all", "--output", "csv"]
        theirs = [sys.executable, "-c", ASK, sql, str(options.threads)]
        ours += ["--threads", str(options.threads)]
        # The first round warms up; then they take turns.
        turn = lambda: (measure(name, "trailmill", ours), measure(name, "DuckDB", theirs))  # noqa: B023, E731
        rounds = [turn() for _ in range(options.rounds + 1)]
        # The first line has names; values with a line end are in quotes and rare.
        found = {max(ours.text.count("\n") - 1, 0) for ours, _ in rounds}
        found |= {int(theirs.text) for _, theirs in rounds}
        is_same &= len(found) == 1
        events = f"{found.pop():,}" if len(found) == 1 else f"DIFFER: {found}"
        both = list(zip(*rounds[1:], strict=True))
        seconds, processor = ([median(runs, field) for runs in both] for field in ("seconds", "processor"))
        peak = max(ours.peak for ours, _ in rounds)
        read = rounds[0][0].said.rpartition(";")[2].strip(" .\n").removesuffix(" files read")
        cells = [f"{of[0]:.2f} | {of[1]:.2f} | {of[0] / of[1]:.2f}" for of in (seconds, processor)]
        say(f"| {name} | {events} | {' | '.join(cells)} | {peak:,.0f} | {read} |")
    say()
    with tempfile.TemporaryDirectory() as folder:
        for form in "html", "json":
            page = Path(folder) / f"report.{form}"
            command = [program, "report", str(options.lake), "-o", str(page), "--threads", str(options.threads)]
            command += ["--output", form, "--quiet"]
            all_runs = [measure(f"report {form}", "trailmill", command) for _ in range(options.rounds)]
            peak = max(run.peak for run in all_runs)
            say(
                f"- `report --output {form}`: {median(all_runs, 'seconds'):.1f} s, "
                f"{median(all_runs, 'processor'):.1f} s of processor time, "
                f"peak {peak:,.0f} MiB, {page.stat().st_size / 1e3:,.0f} kB"
            )
    if options.out:
        write(options, text, runs, facts)
    sys.exit(0 if is_same else 1)


def write(options, text, runs, facts):
    """The record of a run."""
    options.out.mkdir(parents=True, exist_ok=True)
    about = [f"| {name} | {value} |" for name, value in facts]
    measured = f"Measured on {time.strftime('%Y-%m-%d')} at commit {machine.commit()} by `scripts/bench history LAKE`."
    every = "`runs.csv` has every run, the first of each question too, which warms up."
    lines = [f"# {options.out.name}", "", measured, "", *text, "", every, "", "| | |", "|---|---|", *about]
    (options.out / "README.md").write_text("\n".join(lines) + "\n")
    with open(options.out / "runs.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("question", "tool", "seconds", "processor_seconds", "peak_mib"), *runs])


def questions(table):
    """Names, what DuckDB is asked, and what `history` is, for values that some events have and few."""
    import duckdb

    one = lambda query: duckdb.connect().execute(query).fetchone()  # noqa: E731
    few = "HAVING count(*) BETWEEN 20 AND 2000 ORDER BY md5({}) LIMIT 1"
    key, = one(f"SELECT useridentity.accesskeyid AS k FROM {table} WHERE k IS NOT NULL GROUP BY k {few.format('k')}")  # fmt: skip
    bucket, prefix = one(
        f"SELECT s3_bucket AS b, split_part(s3_key, '/', 1) AS p FROM {table} WHERE eventsource = 's3.amazonaws.com' AND "
        f"regexp_matches(s3_key, '^[a-z0-9-]+/') GROUP BY b, p {few.format('b || p')}"
    )
    function, = one(
        f"SELECT lambda_function AS f FROM {table} WHERE eventname = 'Invoke' AND regexp_matches(f, '^[a-z0-9-]+$') "
        f"GROUP BY f {few.format('f')}"
    )  # fmt: skip
    day, = one(f"SELECT strftime(max(event_timestamp) - INTERVAL 3 DAY, '%Y-%m-%d') FROM {table}")  # fmt: skip
    yield "one access key", f"useridentity.accesskeyid = '{key}'", ["--access-key", key]
    yield (
        "one bucket and prefix",
        f"eventsource = 's3.amazonaws.com' AND s3_bucket = '{bucket}' AND starts_with(s3_key, '{prefix}/')",
        ["--source", "s3", "--resource", f"{bucket}/{prefix}/*"],
    )
    yield (
        "one function, three days",
        f"eventsource = 'lambda.amazonaws.com' AND eventname LIKE 'Invoke%' AND lambda_function = '{function}' AND "
        f"event_date >= '{day}'",
        ["--source", "lambda", "--event", "Invoke*", "--resource", function, "--since", day],
    )


def median(runs, field):
    return statistics.median(getattr(run, field) for run in runs)


class Run(NamedTuple):
    """What a process did: seconds, processor time, peak of memory in MiB, stdout and stderr."""

    seconds: float
    processor: float
    peak: float
    text: str
    said: str


def run_of(command):
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    text, said = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        sys.exit(f"!! {' '.join(command)} ended with {process.returncode}: {said}")
    seconds = time.monotonic() - started
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text, said)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench history", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__
    )
    parser.add_argument("lake", type=Path, help="the folder of a lake")
    parser.add_argument("--rounds", type=int, default=3, metavar="COUNT", help="times that each counts (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="COUNT", help="of both (all cores)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the record of the run goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
