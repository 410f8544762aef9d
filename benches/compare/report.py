"""Writes what a session found: summary.md with the table, README.md with all of it, speed.svg."""

import shlex
import sys
import time
from dataclasses import replace

import machine
import plot

BASE = "trailmill"
MIB = 1 << 20


def write(session, out):
    plot.write(session, out / "speed.svg")
    (out / "summary.md").write_text(summary(session))
    (out / "README.md").write_text(readme(session, out.name))


def summary(session):
    lines = [
        f"{session.size_in_words()}; {machine.model()} "
        "([every figure, and what was run](README.md)).",
        "",
        *table(session),
        "",
        *(f"- {note}" for note in notes(session)),
    ]
    return "\n".join(lines) + "\n"


def table(session):
    lines = [
        "| | MB of JSON/s | seconds | CPU s | peak MiB | Parquet MB | files | trailmill, text, is |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for result in session.results:
        lines.append(f"| {' | '.join([result.tool.label, *cells(session, result)])} |")
    return lines


def cells(session, result):
    if result.skipped:
        return ["skipped", *[""] * 6]
    if result.failure:
        return ["FAILED", *[""] * 6]
    if result.wrong:
        return ["FAILED CHECK", *[""] * 6]
    seconds = result.values("conversion_seconds")
    return [
        f"{session.speeds(result)[0]:,.0f}",
        f"{result.median('conversion_seconds'):.2f} ({min(seconds):.2f}–{max(seconds):.2f})",
        f"{result.median('cpu_seconds'):.1f}",
        f"{result.median('peak_bytes') / MIB:,.0f}",
        f"{result.median('bytes_written') / 1e6:,.0f}",
        f"{result.median('files'):,.0f}",
        ratio(session, result),
    ]


def ratio(session, result):
    """How many times as fast as a tool trailmill is."""
    base = next((each for each in session.results if each.tool.name == BASE), None)
    if base is None or base is result or not base.has_times:
        return ""
    times = result.median("conversion_seconds") / base.median("conversion_seconds")
    return f"{times:.1f}× as fast"


def notes(session):
    """What a reader of the table must know."""
    yield (
        "Seconds are those of the whole process for trailmill, and of the conversion alone, without "
        "start-up, for the others; in brackets the shortest and the longest."
    )
    for result in session.results:
        label = result.tool.label
        if result.skipped:
            yield f"{label} was skipped: {result.skipped}."
        elif result.failure:
            yield f"{label} failed: {result.failure}"
        elif result.wrong:
            yield f"{label} failed the check: {'; '.join(result.wrong)}."


def readme(session, name):
    truth, job = session.truth, session.job
    shown = replace(job, corpus="CORPUS", out="OUT")
    command = shlex.join(["scripts/bench", *sys.argv[1:]])
    parts = [
        f"# {name}",
        f"Measured on {time.strftime('%Y-%m-%d')} at commit {machine.commit()} by\n\n```sh\n{command}\n```",
        "![Speed, memory and size](speed.svg)",
        "\n".join(table(session)),
        "\n".join(f"- {note}" for note in notes(session)),
        "`runs.csv` has every run. In a first round, which does not count, every tool ran once and "
        f"was checked; then they took turns, {session.rounds} rounds, all with zstd level 1. Peak "
        "memory is that of the whole process tree.",
        "## How much work each does",
        bullets((result.tool.label, result.tool.does) for result in session.results),
        "Output was checked against the source as Python's `json` reads it: "
        + ", ".join(truth["facts"])
        + ". trailmill drops exact copies: its rows and the copies that it counted were added up, "
        "and the facts were compared in an untimed run with `--duplicates keep`.",
        "## Whole process",
        "\n".join(whole(session)),
        "## Machine and versions",
        bullets([*machine.facts(session.load), *versions(session)]),
        "## Corpus",
        f"{session.how}; of that, only objects of management and data events.",
        bullets(
            [
                ("objects", f"{truth['objects']:,}, at most {truth['largest'] / 1e6:.1f} MB of JSON"),
                ("JSON", f"{truth['bytes_json']:,} bytes, SHA-256 {truth['sha256']}"),
                ("compressed", f"{truth['bytes_compressed']:,} bytes"),
                *((name, f"{value:,}") for name, value in truth["facts"].items()),
            ]
        ),
        "## What was run",
        *(f"### {result.tool.label}\n\n{code(result.tool, shown)}" for result in session.results),
    ]
    return "\n\n".join(parts) + "\n"


def versions(session):
    return [(each.tool.label, each.tool.version()) for each in session.results if not each.skipped]


def whole(session):
    """The table of whole processes: what a user waits for, start-up included."""
    yield "| | seconds | MB of JSON/s |"
    yield "|---|--:|--:|"
    for result in session.results:
        if result.has_times:
            seconds = result.median("wall_seconds")
            speed = session.truth["bytes_json"] / 1e6 / seconds
            yield f"| {result.tool.label} | {seconds:.2f} | {speed:,.0f} |"


def bullets(pairs):
    return "\n".join(f"- {name}: {value}" for name, value in pairs)


def code(tool, job):
    language, text = tool.shown(job)
    return f"```{language}\n{text}\n```"
