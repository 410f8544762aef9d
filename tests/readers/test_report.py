"""The report of activity: DuckDB gives the same answer to every statement, and a browser shows it.

Chromium opens pages from a server of this machine, with every other host unknown: it must say nothing in
its console and ask for nothing. It is looked for as chromium-headless-shell, chromium and google-chrome;
TRAILMILL_CHROMIUM names another.
"""

import contextlib
import datetime
import decimal
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading

import pytest
from conftest import trailmill

BROWSERS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
CHROMIUM = os.environ.get("TRAILMILL_CHROMIUM") or next(filter(shutil.which, BROWSERS), None)
WINDOW = ["--since", "2026-10-20", "--until", "2026-10-28T12:00:00Z", "--account", "111122223333", "--top", "50"]

# Reads a page from outside of it: the page itself may run nothing.
PROBE = """<!DOCTYPE html><link rel="icon" href="data:,"><iframe id="page" width="1240" height="900"></iframe>
<pre id="found"></pre><script>
const frame = document.getElementById("page");
frame.onload = () => {
  const page = frame.contentDocument, found = {tables: {}};
  const text = (element) => element ? element.textContent : null;
  found.shapes = [...page.querySelectorAll("svg path, svg rect:not(.hit)")].map((shape) => {
    const box = shape.getBoundingClientRect(), fill = frame.contentWindow.getComputedStyle(shape).fill;
    return {section: shape.closest("section[id]")?.id, width: box.width, height: box.height, fill};
  });
  for (const section of page.querySelectorAll("section[id]")) {
    const rows = [...section.querySelectorAll("tbody tr")];
    found.tables[section.id] = rows.map((row) => [...row.cells].filter((cell) => !cell.classList.contains("bar")).map(text));
  }
  found.tiles = [...page.querySelectorAll(".tiles div")].map((tile) =>
    [text(tile.querySelector("dt")), tile.querySelector("dd").firstChild.textContent]);
  found.overflows = page.documentElement.scrollWidth > 1240;
  found.active = page.querySelectorAll("script, img, iframe, object, embed, [onload], [onerror], [style]").length;
  document.getElementById("found").textContent = JSON.stringify(found);
};
frame.src = "/page.html";
</script>"""


@pytest.fixture(scope="module")
def asked():
    """Returns connections to lakes that take Athena's spelling; one a lake."""
    connections = {}

    def connect(lake):
        if lake.path not in connections:
            connection = lake.duckdb()
            connection.execute("CREATE MACRO json_extract_scalar(j, p) AS json_extract_string(j, p)")
            connections[lake.path] = connection
        return connections[lake.path]

    return connect


def rows(connection, sql):
    """The rows of an answer, as the document has them."""
    table = connection.sql(sql).to_arrow_table()
    return [[plain(value) for value in row.values()] for row in table.to_pylist()]


def plain(value):
    if isinstance(value, datetime.datetime):
        text = value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z").replace(".000Z", "Z")
    if isinstance(value, decimal.Decimal):
        return int(value)
    if isinstance(value, str) and len(value) > 256:
        return value[:256] + "…"
    return value


def report(lake, *options):
    return json.loads(trailmill("report", lake.path, "--output", "json", "-q", *options))


@pytest.mark.parametrize("options", [[], WINDOW], ids=["everything", "window"])
@pytest.mark.parametrize("name", ["sample", "default", "wide"])
def test_duckdb_gives_the_same_answer_to_every_statement(name, options, asked, request):
    lake = request.getfixturevalue(name)
    found = report(lake, *options)

    for panel in found["panels"]:
        assert panel["rows"] == rows(asked(lake), panel["sql"]), panel["id"]
    filled = [panel["id"] for panel in found["panels"] if panel["rows"]]
    assert len(filled) > 15, filled


@pytest.mark.parametrize("name", ["sample", "default"])
def test_days_are_those_of_the_events(name, asked, request):
    lake = request.getfixturevalue(name)
    coverage = report(lake)["coverage"]

    days = {}
    for account, region, day, events in rows(asked(lake), coverage["sql"]):
        days.setdefault((account, region), {})[day] = events
    first = datetime.date.fromisoformat(coverage["first_day"])
    assert coverage["pairs_total"] == len(days)
    assert coverage["first_day"] == min(min(found) for found in days.values())
    for pair in coverage["pairs"]:
        have = days[pair["account"], pair["region"]]
        assert (pair["events"], pair["days"]) == (sum(have.values()), len(have))
        for cell, (events, is_gap) in enumerate(zip(pair["cells"], pair["gap_cells"], strict=True)):
            of_cell = [str(first + datetime.timedelta(cell * coverage["days_per_cell"] + day)) for day in range(coverage["days_per_cell"])]
            assert events == sum(have.get(day, 0) for day in of_cell)
            assert not is_gap or any(day not in have for day in of_cell)


@contextlib.contextmanager
def served(page):
    """Serves a page and what looks at it; returns the address and what was asked for."""
    asked_for = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked_for.append(self.path)
            body = {"/page.html": page, "/probe.html": PROBE}.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked_for
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Opens a page: what is in it, what the console says, which addresses were wanted."""
    if not CHROMIUM:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed (apt-get install chromium-headless-shell)")

    def open_page(page):
        folder = tmp_path_factory.mktemp("browser")
        with served(page) as (address, asked_for):
            done = subprocess.run(
                [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
                 "--virtual-time-budget=10000", "--window-size=1280,900", f"--user-data-dir={folder / 'profile'}",
                 "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--log-net-log={folder / 'net.json'}",
                 "--dump-dom", f"{address}/probe.html"],
                capture_output=True, text=True, timeout=120, check=True,
            )  # fmt: skip
        found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, done.stdout[:2000] + done.stderr
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        wanted = set(re.findall(r'"url":"(https?://[^"]*)"', (folder / "net.json").read_text()))
        others = {url for url in wanted if not url.startswith(address)}
        return json.loads(html.unescape(found[1])), console, sorted(set(asked_for)), others

    return open_page


def page_of(lake, *options):
    return trailmill("report", lake.path, "-q", *options)


def shown(value):
    """A value as a table has it."""
    if value == "":
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        return value[:16].replace("T", " ")
    return value if len(value) <= 120 else value[:120] + "…"


def test_a_browser_draws_the_page_and_asks_for_nothing(default, asked, browse):
    found, console, asked_for, others = browse(page_of(default))

    assert console == [] and others == set()
    assert asked_for == ["/page.html", "/probe.html"]
    assert found["active"] == 0 and not found["overflows"]
    drawn = {}
    for shape in found["shapes"]:
        if shape["width"] > 0.5 and shape["height"] > 0.5:
            drawn.setdefault(shape["section"], set()).add(shape["fill"])
    for section in ["coverage", "activity", "errors", "logins", "principals", "s3_access", "new_events"]:
        assert drawn.get(section), f"{section} has no chart"
    assert len(drawn["coverage"]) >= 5 and len(drawn["activity"]) >= 2
    # Shapes without a style are black.
    assert not any("rgb(0, 0, 0)" in fills for fills in drawn.values())


def test_the_numbers_on_the_page_are_those_of_duckdb(default, asked, browse):
    (found, *_), document = browse(page_of(default)), report(default)

    for panel in document["panels"]:
        on_page = found["tables"].get(panel["id"])
        if not on_page:
            continue
        wanted = [[shown(value) for value in row] for row in rows(asked(default), panel["sql"])]
        assert on_page == wanted, panel["id"]
    [totals] = rows(asked(default), next(p["sql"] for p in document["panels"] if p["id"] == "totals"))
    tiles = dict(found["tiles"])
    assert [tiles[name] for name in ["events", "writes", "errors", "access denied"]] == [shown(n) for n in totals[:4]]


def test_hostile_texts_do_nothing_in_a_browser(folder, browse):
    logs = folder / "hostile-logs"
    place = logs / "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/01"
    place.mkdir(parents=True)
    texts = ["<script>alert(1)</script>", '"><img src=//evil.example/x onerror=alert(1)>', "</style></svg><svg onload=alert(1)>",
             "\u202egpj.exe", "<a href=javascript:alert(1)>x</a>", "A" * (1 << 20)]  # fmt: skip
    records = [
        {"eventVersion": "1.09", "eventID": str(n), "eventTime": f"2026-10-0{1 + n % 3}T00:00:00Z", "awsRegion": "us-east-1",
         "recipientAccountId": "111122223333", "eventSource": "s3.amazonaws.com", "eventName": text, "userAgent": text,
         "errorCode": text, "errorMessage": text, "sourceIPAddress": text, "eventCategory": text,
         "userIdentity": {"type": "Root", "arn": text}, "requestParameters": {"bucketName": text, "key": text}}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    name = "111122223333_CloudTrail_us-east-1_20261001T0000Z_hostile.json"
    (place / name).write_text(json.dumps({"Records": records}))
    trailmill("convert", logs, folder / "hostile", "-q")

    found, console, asked_for, others = browse(trailmill("report", folder / "hostile", "-q"))

    assert console == [] and others == set() and found["active"] == 0
    assert asked_for == ["/page.html", "/probe.html"]
    assert [texts[0], "1", "1", "0"] in found["tables"]["user_agents"]
    assert ["\\u{202e}gpj.exe", "1", "1", "0"] in found["tables"]["user_agents"]


def test_what_does_not_belong_on_a_page_is_stopped_by_its_policy(default, browse):
    page = page_of(default)
    for markup, is_told in [
        ("<script>document.title = 1</script>", "script"),
        ('<p style="color: red">x</p>', "style"),
        ('<img src="/pixel.png">', "img"),
    ]:
        _, console, asked_for, _ = browse(page.replace("<main>", "<main>" + markup))

        assert console, f"{is_told} was allowed"
        assert "/pixel.png" not in asked_for
