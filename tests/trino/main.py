"""Runs the acceptance queries in Trino, over tables that trailmill registered in a Glue of moto.

Started by scripts/trino, which fetches Trino and makes the Python environment. Prints a line per
query; exit code 1 if an answer differs from what tests/readers works out of the source records.
"""

import collections
import contextlib
import datetime
import functools
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "readers"))

import boto3  # noqa: E402
import conftest  # noqa: E402
import security_lake  # noqa: E402
import servers  # noqa: E402
import source  # noqa: E402
from conftest import trailmill  # noqa: E402
from contract import TABLES, columns_of, twin  # noqa: E402
from ocsf_events import made, wanted_class  # noqa: E402
from queries import (  # noqa: E402
    Query,
    acceptance,
    by_day,
    columns_of_our_own,
    documented,
    filters,
)
from test_ddl import WANTED as VIEWS  # noqa: E402
from test_queries import count  # noqa: E402
from test_values import (  # noqa: E402
    test_every_record_is_there_with_every_documented_value as every_value,
)
from test_values import test_inferred_columns_say_what_the_text_says as every_member  # noqa: E402


# Which events a daily view counts.
COUNTED = {
    "daily_activity": lambda event: True,
    "daily_clients": lambda event: True,
    "daily_errors": VIEWS["cloudtrail_errors"],
    "daily_lambda": VIEWS["cloudtrail_lambda_invocations"],
}


class Bench:
    """moto with a bucket of logs and a bucket for lakes, Trino on top, and the tally."""

    def __init__(self, distribution, version, folder, stack):
        os.environ.update(servers.KEYS, AWS_REGION=servers.REGION, AWS_DEFAULT_REGION=servers.REGION)
        self.moto = servers.Moto(folder)
        stack.callback(self.moto.stop)
        os.environ["AWS_ENDPOINT_URL"] = self.moto.url
        self.s3, self.glue = (boto3.client(n, endpoint_url=self.moto.url) for n in ("s3", "glue"))
        for bucket in ("logs", "lake"):
            self.s3.create_bucket(Bucket=bucket)
        self.trino = servers.Trino(distribution, version, folder, self.moto.url, self.moto.url)
        stack.callback(self.trino.stop)
        self.asked, self.failed = 0, 0

    def upload(self, folder, files, prefix):
        for file in files:
            key = f"{prefix}/{file.relative_to(folder)}"
            self.s3.put_object(Bucket="logs", Key=key, Body=file.read_bytes())

    def check(self, lake, name, ask):
        """Asks, and prints how it went. `ask` returns (number of rows, what is wrong or None)."""
        started = time.monotonic()
        try:
            number, wrong = ask()
        except servers.TrinoError as error:
            number, wrong = "-", error
        except AssertionError as error:
            number, wrong = "-", str(error)[:1000]
        self.asked += 1
        self.failed += wrong is not None
        seconds = time.monotonic() - started
        verdict = "ok" if wrong is None else "DIFFERS"
        print(f"{lake:10} {name[:62]:62} {number!s:>6} {seconds:6.1f} s  {verdict}", flush=True)
        if wrong is not None:
            lines = wrong.causes if isinstance(wrong, servers.TrinoError) else [wrong]
            print("\n".join(f"           {line}" for line in lines))


def shared(table, row):
    """What a row of a typed table and its counterpart have in common."""
    names = [name for name, kind, _ in TABLES[twin(table)] if kind != "nested"]
    return table, repr([row[name] for name in names])


class Lake:
    """A lake in the bucket, as Trino reads it, beside the records that must be in it."""

    def __init__(self, bench, name, logs, keys="account,region,event_date"):
        self.bench, self.name, self.logs, self.keys = bench, name, Path(logs), keys.split(",")
        self.path = f"s3://lake/{name}"

    def convert(self, *options, files=None):
        """Adds files to the bucket of logs, all of them if not told which, and converts."""
        self.bench.upload(self.logs, files or logs_of(self.logs), self.name)
        options = ("--database", self.name, "--partition-by", ",".join(self.keys), *options)
        trailmill("convert", f"s3://logs/{self.name}", self.path, "-q", *options, codes=(0, 1))

    def forget_rows(self):
        for name in ("rows", "typed_rows"):
            self.__dict__.pop(name, None)

    @functools.cached_property
    def records(self):
        found, _ = source.read(self.logs)
        return source.distinct([r for r in found if r.instant is not None])

    @functools.cached_property
    def events(self):
        return [r.plain for r in self.records if r.table == "cloudtrail"]

    @functools.cached_property
    def sizes(self):
        """How many rows each table must have."""
        return collections.Counter(record.table for record in self.records)

    @functools.cached_property
    def rows(self):
        """(table, partition values, row as a dict) of every row of the main tables, as Trino reads them."""
        return [(table, *row) for table in self.sizes for row in self.whole(table)]

    @functools.cached_property
    def typed_rows(self):
        """The rows of the typed tables in the order of `rows`, found by the columns that both have."""
        by_shared = {}
        for table in self.sizes:
            for _, row in self.whole(twin(table)):
                by_shared.setdefault(shared(table, row), []).append(row)
        return [by_shared[shared(table, row)].pop() for table, _, row in self.rows]

    def whole(self, table):
        """(partition values, row as a dict) of every row of a table."""
        types, rows = self.ask_typed(f"SELECT * FROM {table}")
        for row in rows:
            values = {name: decoded(value, kind) for (name, kind), value in zip(types, row)}
            yield {key: values.pop(key) for key in self.keys}, values

    def ask_typed(self, sql):
        columns, rows = self.bench.trino.run(sql, self.name)
        return [(column["name"], column["typeSignature"]) for column in columns], rows

    def ask(self, sql):
        return self.ask_typed(sql)[1]

    def check(self, name, ask):
        self.bench.check(self.name, name, ask)

    def check_query(self, query):
        def ask():
            rows = self.ask(query.sql.replace("trailmill.", f"{self.name}."))
            if query.is_answered_by(rows):
                return len(rows), None
            wrong = [row for row in rows if tuple(row) not in map(tuple, query.wanted)][:2]
            return len(rows), f"not in the source: {wrong}; {len(query.wanted)} rows expected"

        self.check(query.name, ask)

    def check_queries(self, *families):
        for family in families or (acceptance, documented, columns_of_our_own):
            for query in family(self.events):
                self.check_query(query)

    def check_everything_read(self):
        """Every value of every row, the inferred ones too, with the oracle of tests/readers."""
        for name, oracle in (
            ("SELECT *: every documented value", every_value),
            ("SELECT *: every inferred value", every_member),
        ):
            self.check(name, lambda oracle=oracle: (oracle(self), len(self.rows), None)[1:])

    def check_catalog(self):
        """What Trino says of the tables: columns in order, partitions, the statement."""
        sizes = {name: size for t, size in self.sizes.items() for name in (t, twin(t))}
        for table, number in sizes.items():
            names = [name for name, _, _ in columns_of(table, self.keys)] + self.keys

            def describe(table=table, names=names):
                found = [row[0] for row in self.ask(f"DESCRIBE {table}")]
                return len(found), None if found == names else f"columns {found}"

            def create(table=table):
                statement = self.ask(f"SHOW CREATE TABLE {table}")[0][0]
                wanted = (f"external_location = '{self.path}/{table}/'", "format = 'PARQUET'")
                missing = [part for part in wanted if part not in statement]
                return 1, f"without {missing}" if missing else None

            def partitions(table=table):
                listed = {tuple(row) for row in self.ask(f'SELECT * FROM "{table}$partitions"')}
                wanted = {tuple(p.values()) for name, p, _ in self.rows if table in (name, twin(name))}
                return len(listed), None if listed == wanted else f"{listed ^ wanted}"

            self.check(f"DESCRIBE {table}", describe)
            self.check(f"SHOW CREATE TABLE {table}", create)
            self.check(f"SHOW PARTITIONS {table}", partitions)
            self.check_query(Query(f"rows of {table}", f"SELECT count(*) FROM {table}", [(number,)]))

    def check_families(self):
        network = [r.plain for r in self.records if r.table == "cloudtrail_network_activity"]
        denied = [e for e in network if e.get("errorCode") == "VpceAccessDenied"]
        self.check_query(
            Query(
                "30 network activity that was denied",
                "SELECT vpcendpointaccountid, vpcendpointid, count(*)"
                " FROM trailmill.cloudtrail_network_activity WHERE eventcategory = 'NetworkActivity'"
                " AND errorcode = 'VpceAccessDenied' GROUP BY 1, 2",
                count(denied, "vpcEndpointAccountId", "vpcEndpointId"),
            )
        )
        insights = [r.plain for r in self.records if r.table == "cloudtrail_insight"]
        average = "insightContext.statistics.baseline.average"
        self.check_query(
            Query(
                "insights: type, state and baseline",
                f"SELECT insight.insighttype, insight.state, insight.{average.lower()}"
                ", insight.eventname FROM trailmill.cloudtrail_insight_typed",
                [
                    (d.get("insightType"), d.get("state"), baseline(d), d.get("eventName"))
                    for d in (e["insightDetails"] for e in insights)
                ],
            )
        )
        windows = [r.plain for r in self.records if r.table == "cloudtrail_aggregated"]
        self.check_query(
            Query(
                "aggregated: windows",
                "SELECT timewindow.windowstart, timewindow.windowsize, count(*)"
                " FROM trailmill.cloudtrail_aggregated GROUP BY timewindow.windowstart, 2",
                count(windows, "timeWindow.windowStart", "timeWindow.windowSize"),
            )
        )

    def check_ddl(self):
        """The SQL of `catalog ddl`: views as they are printed, tables in Trino's words only."""
        statements = trailmill("catalog", "ddl", self.path, "--dialect", "athena").split(";\n")
        views = [s for s in statements if s.strip().startswith("CREATE OR REPLACE VIEW")]
        for statement in views:
            name = statement.split('"')[3]

            def view(statement=statement, name=name):
                self.ask(statement)
                rows = self.ask(f'SELECT * FROM "{name}"')
                table = max((t for t in self.sizes if name.startswith(f"{t}_")), key=len)
                holds = VIEWS.get(f"cloudtrail{name.removeprefix(table)}", lambda event: True)
                events = [r.plain for r in self.records if r.table == table]
                if "_daily_" in name:
                    counted = "errors" if name.endswith("_errors") else "events"
                    ((total,),) = self.ask(f'SELECT sum({counted}) FROM "{name}"')
                    counts = COUNTED.get(name.removeprefix(f"{table}_"))
                    wanted = sum(map(counts, events)) if counts else self.s3_calls(table)
                    return len(rows), None if total == wanted else f"{total} events instead of {wanted}"
                found = sorted(r[0] for r in self.ask(f'SELECT eventid FROM "{name}"'))
                wanted = sorted(event["eventID"] for event in events if holds(event))
                return len(rows), None if found == wanted else "holds other events than its name says"

            self.check(f"view {name}", view)
        self.check("catalog diff, with the views in the database", self.in_line)

    def s3_calls(self, table):
        """Events that name a bucket; test_values compares that column with the records."""
        where = "eventsource = 's3.amazonaws.com' AND s3_bucket IS NOT NULL"
        return self.ask(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]

    def check_registered_views(self):
        """The views that `catalog sync --views` registers: columns, types and rows, and that days prune."""
        ddl = trailmill("catalog", "ddl", self.path, "--dialect", "athena", "--views-only")
        bodies = {s.split('"')[3]: s.split(" AS\n", 1)[1] for s in ddl.split(";\n") if s.strip()}
        for name in bodies:
            self.bench.glue.delete_table(DatabaseName=self.name, Name=name)
        trailmill("catalog", "sync", self.path, "--views", "-q")
        for name, body in bodies.items():

            def view(name=name, body=body):
                types, rows = self.ask_typed(f'SELECT * FROM "{name}"')
                wanted_types, wanted = self.ask_typed(body)
                differing = [it for it in zip(types, wanted_types) if without_lengths(it[0]) != without_lengths(it[1])]
                if differing or len(types) != len(wanted_types):
                    return len(rows), f"types {differing}"
                alike = sorted(map(repr, rows)) == sorted(map(repr, wanted))
                return len(rows), None if alike else "other rows than its statement"

            def described(name=name):
                rows = self.ask(f'SHOW COLUMNS FROM "{name}"')
                bare = [row[0] for row in rows if not row[3]]
                return len(rows), f"without a comment: {bare}" if bare else None

            self.check(f"registered view {name}", view)
            self.check(f"comments of {name}", described)
        self.check("catalog diff, with registered views", self.views_in_line)
        self.check("a day of a daily view reads that day's partitions", self.day_prunes)
        trailmill("catalog", "sync", self.path, "--views=none", "-q")

    def views_in_line(self):
        found = json.loads(trailmill("catalog", "diff", self.path, "--report", "json"))["tables"]
        return len(found), None if all(entry["in_sync"] for entry in found) else f"{found}"

    def day_prunes(self):
        day = max(e["eventTime"][:10] for e in self.events)
        plan = self.ask(
            "EXPLAIN (TYPE IO, FORMAT JSON) SELECT sum(events) FROM cloudtrail_daily_activity"
            f" WHERE event_day BETWEEN date '{day}' AND date '{day}'"
        )[0][0]
        return "-", None if day in plan else f"no partition is left out: {plan[:600]}"

    def check_ocsf(self, version):
        """Each event in the view of all classes, and in that of its own, with its activity."""
        arguments = ("catalog", "ddl", self.path, "--dialect", "athena", "--ocsf", version)
        statements = [s.strip() for s in trailmill(*arguments).split(";\n")]
        views = [s for s in statements if "_ocsf" in s.split("\n")[0]]
        events = {event["eventID"]: wanted_class(event, version) for event in self.events}
        for statement in views:
            name = statement.split('"')[3]

            def view(statement=statement, name=name):
                self.ask(statement)
                every = self.ask(f'SELECT * FROM "{name}"')
                asked = f'SELECT metadata.uid, class_uid, activity_id, time FROM "{name}"'
                found = {uid: (class_uid, activity) for uid, class_uid, activity, _ in self.ask(asked)}
                of_class = {uid: of for uid, of in events.items() if uid in found}
                sizes = {"cloudtrail_ocsf": len(events)}
                for uid, suffix in ((6003, "api_activity"), (3002, "authentication"), (3001, "account_change")):
                    sizes[f"cloudtrail_ocsf_{suffix}"] = sum(of == uid for of, _ in events.values())
                is_right = found == of_class and len(found) == len(every) == sizes[name]
                return len(every), None if is_right else f"{sizes[name]} rows expected, or other classes"

            self.check(f"view {name}, {version}", view)

    def check_copy(self):
        """A copy of one partition's rows in another format, as people make them in Athena."""
        day, number = collections.Counter(e["eventTime"][:10] for e in self.events).most_common(1)[0]

        def copy():
            self.ask(
                f"CREATE TABLE copied WITH (format = 'ORC', external_location = '{self.path}-copied/')"
                f" AS SELECT * FROM cloudtrail WHERE event_date = '{day}'"
            )
            ((found,),) = self.ask("SELECT count(*) FROM copied WHERE useridentity.type IS NOT NULL")
            return found, None if found == number else f"{number} expected"

        self.check("32 CREATE TABLE AS, to ORC", copy)

    def check_dialect(self):
        """What Athena accepts and Trino does not; a line that differs here is a change of Trino."""
        ddl = trailmill("catalog", "ddl", self.path, "--dialect", "athena", "--no-views")
        table = next(s for s in ddl.split(";\n") if s.strip().startswith("CREATE EXTERNAL TABLE"))
        entries = "SELECT r.arn FROM cloudtrail t CROSS JOIN UNNEST(t.resources) u (r)"
        self.check_refusal("CREATE EXTERNAL TABLE of catalog ddl", table, "SYNTAX_ERROR")
        self.check_refusal(
            "UNNEST(t.resources) u (r), as in AWS's examples", entries, "MISMATCHED_COLUMN_ALIASES"
        )

    def check_refusal(self, name, statement, wanted):
        def refused():
            try:
                self.ask(statement)
            except servers.TrinoError as error:
                return "-", None if error.name == wanted else error
            return "-", "Trino accepts it now"

        self.check(f"Trino refuses: {name}", refused)

    def in_line(self):
        found = json.loads(trailmill("catalog", "diff", self.path, "--report", "json"))["tables"]
        return len(found), None

    def tables(self):
        return self.bench.glue.get_tables(DatabaseName=self.name)["TableList"]

    def partitions(self, table):
        pages = self.bench.glue.get_paginator("get_partitions")
        found = pages.paginate(DatabaseName=self.name, TableName=table)
        return [partition for page in found for partition in page["Partitions"]]

    def partition_columns(self):
        """The columns of every registered partition."""
        return {
            (table["Name"], *partition["Values"]): partition["StorageDescriptor"].get("Columns")
            for table in self.tables()
            for partition in self.partitions(table["Name"])
        }

    def set_partition_columns(self, columns):
        """Gives partitions other columns; returns how many now differ from their table's."""
        ours = {t["Name"]: bare(t["StorageDescriptor"].get("Columns")) for t in self.tables()}
        for table in ours:
            for partition in self.partitions(table):
                wanted = columns.get((table, *partition["Values"]))
                if wanted is None:
                    continue
                storage = {**partition["StorageDescriptor"], "Columns": wanted}
                self.bench.glue.update_partition(
                    DatabaseName=self.name,
                    TableName=table,
                    PartitionValueList=partition["Values"],
                    PartitionInput={
                        "Values": partition["Values"],
                        "StorageDescriptor": storage,
                        "Parameters": partition.get("Parameters", {}),
                    },
                )
        found = self.partition_columns()
        return sum(bare(mine) != ours[table] for (table, *_), mine in found.items())


def without_lengths(signature):
    """A type without the length of its texts: a view's are of any length, a statement's of its longest literal."""
    if isinstance(signature, list | tuple):
        return [without_lengths(part) for part in signature]
    if not isinstance(signature, dict):
        return signature
    if signature.get("rawType") == "varchar":
        return "varchar"
    return {name: without_lengths(part) for name, part in signature.items()}


def bare(columns):
    return [(column["Name"], column["Type"]) for column in columns or []]


def baseline(details):
    context = details.get("insightContext") or {}
    return (context.get("statistics") or {}).get("baseline", {}).get("average")


def decoded(value, kind):
    """A value of Trino's JSON as tests/readers has it: members by name, maps as pairs, instants."""
    if value is None:
        return None
    parts = [argument["value"] for argument in kind.get("arguments", [])]
    if kind["rawType"] == "row":
        named = [(part["fieldName"]["name"], part["typeSignature"]) for part in parts]
        return {name: decoded(member, type_) for (name, type_), member in zip(named, value)}
    if kind["rawType"] == "array":
        return [decoded(element, parts[0]) for element in value]
    if kind["rawType"] == "map":
        return list(value.items())
    if kind["rawType"] == "timestamp":
        return datetime.datetime.fromisoformat(value).replace(tzinfo=datetime.timezone.utc)
    return value


def logs_of(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def one_account(files):
    """The files of one account: neither of the largest nor of the smallest."""
    by_account = collections.defaultdict(list)
    for file in files:
        by_account[file.parts[file.parts.index("AWSLogs") + 1]].append(file)
    return sorted(by_account.values(), key=len)[len(by_account) // 2]


def fresh(bench, logs):
    lake = Lake(bench, "fresh", logs)
    lake.convert()
    lake.check_everything_read()
    lake.check_catalog()
    lake.check_queries()
    lake.check_families()
    lake.check_ddl()
    lake.check_registered_views()
    lake.check_copy()
    lake.check_dialect()


def evolved(bench, logs):
    """A lake whose first partitions were registered when the structs had fewer members."""
    lake = Lake(bench, "evolved", logs)
    files = logs_of(logs)
    first = one_account(files)
    lake.convert(files=first)
    early = lake.partition_columns()
    lake.convert(files=[file for file in files if file not in first])
    behind = lake.set_partition_columns({})
    print(f"evolved: {behind} of {len(lake.partition_columns())} partitions are behind their table")
    lake.check_everything_read()
    behind = lake.set_partition_columns(early)
    if not behind:
        raise SystemExit("the first part of the sample has all the members: nothing was tested")
    lake.forget_rows()
    print(f"evolved: {behind} partitions put back to the columns they were registered with")
    lake.check_everything_read()
    lake.check_queries()
    behind = lake.set_partition_columns({key: [] for key in lake.partition_columns()})
    print(f"evolved: {behind} partitions without columns")
    lake.forget_rows()
    lake.check_everything_read()


def part_of(logs):
    """A folder with the logs of one account."""
    folder = logs.with_name("one-account")
    for file in one_account(logs_of(logs)):
        to = folder / file.relative_to(logs)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(file.read_bytes())
    return folder


def projected(bench, logs):
    """Partitions that the engine computes from the table's parameters. One account: Trino looks
    into every folder that there could be."""
    lake = Lake(bench, "projected", logs)
    lake.convert("--partition-projection=on")
    lake.check_everything_read()
    lake.check_queries(acceptance, columns_of_our_own)


def dated(bench, logs):
    """The partition columns of AWS's examples."""
    lake = Lake(bench, "dated", logs, "region,year,month,day")
    lake.convert()
    lake.check_everything_read()
    lake.check_catalog()
    lake.check_queries(by_day)


def codecs(bench, logs):
    for codec in ("snappy", "gzip", "zstd:9", "none"):
        lake = Lake(bench, codec.replace(":", "_"), logs)
        lake.convert("--compression", codec)
        lake.check_everything_read()


def wide(bench, folder):
    """Files of several pages: what statistics and page indexes let Trino pass over must be none
    of the rows that were asked for. The cases are those of tests/readers/test_filters.py."""
    logs = folder / "wide-logs"
    trailmill("sample", logs, "--size", "40MB", "--seed", "7", "-q")
    lake = Lake(bench, "wide", logs, "year")
    lake.convert()
    for query in filters(conftest.Lake(logs, folder / "wide", "--partition-by", "year")):
        lake.check_query(query)


def ocsf(bench, folder):
    """The OCSF views as `catalog ddl` prints them, and the queries that AWS publishes for Security Lake."""
    logs = folder / "ocsf-logs"
    logs.mkdir()
    (logs / "a.json").write_text(json.dumps({"Records": made()}))
    lake = Lake(bench, "ocsf", logs)
    lake.convert()
    lake.ask(f"CREATE SCHEMA IF NOT EXISTS {security_lake.DATABASE}")
    for version in ("1.8", "1.1"):
        lake.check_ocsf(version)
    lake.ask(f"CREATE VIEW {security_lake.TABLE} AS SELECT * FROM ocsf.cloudtrail_ocsf")
    for query in security_lake.queries(lake.events):
        lake.check_query(query)


def real(bench, logs):
    lake = Lake(bench, "real", logs)
    lake.convert()
    lake.check_everything_read()
    lake.check_catalog()


# What can be asked for by name, and which logs it reads.
PARTS = {
    "fresh": (fresh, lambda folder: folder / "logs"),
    "evolved": (evolved, lambda folder: folder / "logs"),
    "projected": (projected, lambda folder: part_of(folder / "logs")),
    "dated": (dated, lambda folder: part_of(folder / "logs")),
    "codecs": (codecs, lambda folder: part_of(folder / "logs")),
    "wide": (wide, lambda folder: folder),
    "ocsf": (ocsf, lambda folder: folder),
    "real": (real, lambda _: conftest.REAL),
}


def run(distribution, version, folder, names):
    trailmill("sample", folder / "logs", "--size", "8MB", "--seed", "7", "-q")
    with contextlib.ExitStack() as stack:
        started = time.monotonic()
        bench = Bench(distribution, version, folder, stack)
        print(f"Trino {version} and moto are up after {time.monotonic() - started:.0f} s", flush=True)
        for name in names:
            part, logs = PARTS[name]
            part(bench, logs(folder))
        seconds = time.monotonic() - started
        print(f"\n{bench.asked} questions, {bench.failed} answered otherwise, {seconds:.0f} s")
        return bench.failed


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main(distribution, version, *names):
    if unknown := set(names) - set(PARTS):
        return f"there is no {unknown.pop()}: {', '.join(PARTS)}"
    with_real = "TRAILMILL_REAL_LOGS" in os.environ
    everything = [name for name in PARTS if name != "real" or with_real]
    signal.signal(signal.SIGTERM, interrupted)
    with tempfile.TemporaryDirectory(prefix="trailmill-trino-") as scratch:
        return 1 if run(distribution, version, Path(scratch), names or everything) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
