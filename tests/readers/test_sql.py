"""`trailmill query` answers the queries people have as DuckDB does, and as the source records say.

The same lists as for DuckDB (`test_queries`) and for Trino (`../trino/queries.py`), each statement unchanged:
in DuckDB's spelling, in Athena's, and as AWS's user guide prints it.
"""

import datetime
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import BINARY, trailmill
from test_queries import ordered, queries

sys.path.append(str(Path(__file__).resolve().parents[1] / "trino"))

import queries as athena  # noqa: E402

# What docs/queries.md says of these lists.
DUCKDB_QUERIES, ATHENA_QUERIES = 43, 60


def plain(value):
    """A value that compares whatever wrote it."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 6)
    if isinstance(value, datetime.datetime):
        value = value.replace(tzinfo=None)
        return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}"
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        # A map: Trino has it as pairs.
        return sorted([key, plain(one)] for key, one in value.items())
    return value


def rows(found):
    return ordered(tuple(plain(value) for value in row) for row in found)


def answers(lake, statements):
    """Asks all statements in one run; an answer is a list of rows."""
    text = ";\n".join(statements)
    output = subprocess.run(
        [str(BINARY), "query", str(lake.path), "--output", "json"],
        input=text, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert output.returncode == 0, output.stderr
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(output.stdout.rstrip()):
        answer, at = decoder.raw_decode(output.stdout, at)
        found.append([tuple(row.values()) for row in answer])
        at += 1
    return found


def test_queries_in_duckdb_s_spelling_answer_as_duckdb_does(sample, connection):
    asked = list(queries(sample.events))
    found = answers(sample, [sql for _, sql, _ in asked])

    wrong = []
    for (name, sql, wanted), answer in zip(asked, found, strict=True):
        theirs = rows(connection.execute(sql).fetchall())
        if rows(answer) != theirs or theirs != rows(wanted):
            wrong.append((name, rows(answer)[:2], theirs[:2]))
    assert not wrong
    assert len(asked) == DUCKDB_QUERIES


def test_queries_in_athena_s_spelling_answer_as_the_source_does(sample):
    events = sample.events
    asked = [*athena.acceptance(events), *athena.documented(events)]
    asked += athena.columns_of_our_own(events)
    by_day = [
        athena.Query(one.name, one.sql.replace(athena.T, athena.T + "_by_day"), one.wanted)
        for one in athena.by_day(events)
    ]
    asked += by_day
    found = answers(sample, [one.sql for one in asked])

    wrong = []
    for one, answer in zip(asked, found, strict=True):
        one.wanted = rows(one.wanted)
        if not one.is_answered_by(rows(answer)):
            wrong.append((one.name, rows(answer)[:2], one.wanted[:2]))
    assert not wrong
    assert len(asked) == ATHENA_QUERIES


def test_the_corners_of_sql_are_those_of_duckdb(sample, connection):
    connection.execute("USE trailmill")
    lines = Path(__file__).with_name("statements.sql").read_text().splitlines()
    asked = [line.removesuffix(";") for line in lines if not line.startswith("--")]

    wrong = []
    for sql, answer in zip(asked, answers(sample, asked), strict=True):
        theirs = connection.execute(sql).fetchall()
        is_ordered = "ORDER BY" in sql.rsplit(")", 1)[-1]
        ours, theirs = ([tuple(plain(v) for v in row) for row in rows] for rows in (answer, theirs))
        if not is_ordered:
            ours, theirs = ordered(ours), ordered(theirs)
        if ours != theirs:
            wrong.append((sql, [r for r in ours if r not in theirs][:2], theirs[:2]))
    assert not wrong
    assert len(asked) >= 70


def test_an_answer_has_the_form_that_is_asked_for(sample):
    sql = "SELECT eventname, count(*) AS n FROM cloudtrail GROUP BY 1 ORDER BY n DESC, 1 LIMIT 2"
    as_json = json.loads(trailmill("query", sample.path, sql, "--output", "json", "-q"))
    lines = trailmill("query", sample.path, sql, "--output", "jsonl", "-q").splitlines()
    table = trailmill("query", sample.path, sql, "-q").splitlines()
    csv = trailmill("query", sample.path, sql, "--output", "csv", "-q").splitlines()

    assert [json.loads(line) for line in lines] == as_json
    assert csv == ["eventname,n", *(f"{row['eventname']},{row['n']}" for row in as_json)]
    assert [line.split() for line in table[2:]] == [[r["eventname"], str(r["n"])] for r in as_json]


def test_a_prompt_takes_statements_of_several_lines_and_goes_on_after_an_error(sample, tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(HOME=str(tmp_path), TERM="xterm", XDG_STATE_HOME=str(tmp_path / "state"))
        os.execv(BINARY, [str(BINARY), "query", str(sample.path)])
    shown = ""
    for typed, awaited in [
        ("", ".quit leaves"),
        (".tables\r", "cloudtrail_by_day  view"),
        ("SELECT nosuch FROM cloudtrail;\r", "column `nosuch` not found"),
        ("SELECT count(*) AS n\r", ""),
        ("FROM cloudtrail;\r", f"{len(sample.events)}\r\n1 row"),
        (".quit\r", ""),
    ]:
        os.write(terminal, typed.encode())
        deadline = time.monotonic() + 60
        while awaited and awaited not in shown and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536).decode()
        assert awaited in shown, shown
    assert os.waitpid(pid, 0)[1] == 0
    history = tmp_path / "state/trailmill/query-history"
    assert "FROM cloudtrail;" in history.read_text()
    assert history.stat().st_mode & 0o77 == 0
