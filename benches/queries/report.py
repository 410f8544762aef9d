"""What is said of a run: `queries.csv` has everything, `queries.md` the table, `queries.svg` the chart."""

import csv
import statistics
from dataclasses import dataclass

import machine
import plot
from questions import QUESTIONS

LABELS = {"duckdb": "DuckDB", "trailmill": "trailmill query", "trino": "Trino"}
COLOURS = {"fresh": "#3aa6a0", "compacted": "#0b6e6e", "duckdb_copy": "#d9772b"}


@dataclass(frozen=True)
class Asked:
    """One question that one engine was asked in one layout. `read` is bytes, None where nobody counts."""

    engine: str
    layout: str
    question: str
    rows: int | None
    seconds: list
    read: int | None
    failure: str


@dataclass(frozen=True)
class Session:
    how: str
    raw: int
    layouts: list
    asked: list
    versions: dict
    skipped: list
    wrong: list
    load: float
    rounds: int

    def of(self, engine, layout, question):
        for one in self.asked:
            if (one.engine, one.layout, one.question) == (engine, layout, question):
                return one
        return None

    def engines(self):
        return list(dict.fromkeys(one.engine for one in self.asked))


def write(session, out):
    with open(out / "queries.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["engine", "layout", "question", "rows", "seconds_median", "seconds_all", "bytes", "failure"])
        for one in session.asked:
            middle = f"{statistics.median(one.seconds):.4f}" if one.seconds else ""
            spelled = " ".join(f"{seconds:.4f}" for seconds in one.seconds)
            table.writerow(
                [one.engine, one.layout, one.question, one.rows, middle, spelled, one.read, one.failure]
            )
    (out / "queries.svg").write_text(draw(session))
    (out / "queries.md").write_text(summary(session))
    (out / "README.md").write_text(page(session, out.name))


def summary(session):
    """The table of each engine, and what it says against the goals."""
    lines = [
        f"{session.raw / 1e6:,.1f} MB of gzip JSON, {session.rounds} rounds after one to warm up "
        "([every figure, and what was run](README.md)).",
        "",
        "| | size, MB | files | of gzip JSON |",
        "|---|--:|--:|--:|",
    ]
    for layout in session.layouts:
        size, files = layout.size()
        lines.append(f"| {layout.label} | {size / 1e6:,.1f} | {files:,} | {100 * size / session.raw:.0f} % |")
    for engine in session.engines():
        layouts = [layout for layout in session.layouts if session.of(engine, layout.name, QUESTIONS[0].name)]
        kind = "MB in the files opened" if engine == "trailmill" else "MB read"
        heads = [f"{layout.label}, {unit}" for unit in (kind, "s") for layout in layouts]
        lines += ["", f"**{LABELS[engine]}**", "", f"| | rows | {' | '.join(heads)} |",
                  f"|---|--:|{'--:|' * len(heads)}"]  # fmt: skip
        for question in QUESTIONS:
            ones = [session.of(engine, layout.name, question.name) for layout in layouts]
            rows = next((one.rows for one in ones if one and one.rows is not None), "–")
            cells = [megabytes(one) for one in ones] + [seconds(one) for one in ones]
            lines.append(f"| {question.name} | {rows} | {' | '.join(cells)} |")
        if engine != "trailmill":
            lines += ["", *goals(session, engine)]
    return "\n".join(lines) + "\n"


def megabytes(one):
    return f"{one.read / 1e6:,.2f}" if one and one.read is not None else "–"


def seconds(one):
    return f"{statistics.median(one.seconds):.3f}" if one and one.seconds else "–"


def goals(session, engine):
    """How many questions are within what was aimed at."""
    read = lambda layout, question: getattr(session.of(engine, layout, question), "read", None)  # noqa: E731
    counted = {"fresh": 0, "compacted": 0, "raw": 0}
    for question in QUESTIONS:
        peer = read("duckdb_copy", question.name)
        fresh, compacted = read("fresh", question.name), read("compacted", question.name)
        if None in (peer, fresh, compacted):
            continue
        counted["fresh"] += fresh <= peer
        counted["compacted"] += compacted <= 0.3 * peer
        counted["raw"] += compacted <= 0.03 * session.raw
    total = len(QUESTIONS)
    return [
        f"- A fresh lake reads at most as much as DuckDB's files for {counted['fresh']} of {total} questions; a "
        f"compacted one at most 0.3 times as much for {counted['compacted']}, and at most 3 % of the gzip JSON for "
        f"{counted['raw']}."
    ]


def page(session, name):
    lines = [
        f"# {name}",
        "",
        f"17 questions in three layouts, by `scripts/bench queries`, at commit {machine.commit()}. {session.how}; the "
        "lakes keep copies of records, as DuckDB does, so that answers are alike.",
        "",
        "![Bytes read](queries.svg)",
        "",
        summary(session).partition("\n\n")[2],
        "Bytes are those an engine asks for: DuckDB's through a file system that counts, Trino's as it says itself, and "
        "of `trailmill query` the size of the files that it opens. `queries.csv` has every figure; "
        "`benches/queries/questions.py` has the questions.",
        "",
        "| | |",
        "|---|---|",
        *[f"| {what} | {value} |" for what, value in machine.facts(session.load)],
        *[f"| {label} | {version} |" for label, version in session.versions.items()],
        "",
    ]
    lines += [f"- skipped: {why}" for why in session.skipped]
    lines += [f"- WRONG: {why}" for why in session.wrong]
    return "\n".join(lines).rstrip() + "\n"


def draw(session):
    """Bytes of each question, by layout; of Trino where it was asked."""
    engine = "trino" if "trino" in session.engines() else "duckdb"
    row, left, right = 44, 250, 760
    height = 120 + row * len(QUESTIONS)
    read = {
        (layout.name, question.name): getattr(session.of(engine, layout.name, question.name), "read", None)
        for layout in session.layouts
        for question in QUESTIONS
    }
    most = max((value for value in read.values() if value), default=1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="920" height="{height}" viewBox="0 0 920 {height}" {plot.FONT}>',
        f'<rect width="920" height="{height}" fill="#ffffff"/>',
        plot.text(24, 36, f"Megabytes that {LABELS[engine]} reads for an answer", 20, plot.INK, "bold"),
        plot.text(24, 60, f"{session.raw / 1e6:,.0f} MB of gzip JSON; less is better", 13, plot.SOFT),
    ]
    for at, layout in enumerate(session.layouts):
        x = 24 + 210 * at
        parts.append(f'<rect x="{x}" y="74" width="12" height="12" fill="{COLOURS[layout.name]}"/>')
        parts.append(plot.text(x + 18, 85, layout.label, 13, plot.INK))
    for at, question in enumerate(QUESTIONS):
        top = 104 + row * at
        parts.append(plot.text(left - 10, top + 22, question.name, 13, plot.INK, anchor="end"))
        for number, layout in enumerate(session.layouts):
            value = read[layout.name, question.name]
            if value is None:
                continue
            width, y = max((right - left) * value / most, 1), top + 12 * number
            parts.append(
                f'<rect x="{left}" y="{y}" width="{width:.1f}" height="10" fill="{COLOURS[layout.name]}"/>'
            )
            parts.append(plot.text(left + width + 6, y + 9, f"{value / 1e6:,.2f}", 11, plot.INK))
    return "\n".join([*parts, "</svg>"]) + "\n"
