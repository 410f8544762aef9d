"""A filter that an engine pushes into the files gives the rows that a plain scan gives.

This is the test of our statistics and page indexes: a bound that does not hold loses rows, and only
in engines that trust it. The expected rows are picked in Python from unfiltered reads.
"""

import datetime

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from conftest import spark_tables

# Short and long texts, members of structs, a number, a flag, an instant.
COLUMNS = [
    "eventname",
    "eventsource",
    "eventtime",
    "eventid",
    "errorcode",
    "errormessage",
    "useragent",
    "requestparameters",
    "responseelements",
    "additionaleventdata",
    "s3_key",
    "extra_fields",
    "event_timestamp",
    "managementevent",
    "useridentity.arn",
    "useridentity.accesskeyid",
    "useridentity.sessioncontext.sessionissuer.arn",
    "tlsdetails.clientprovidedhostheader",
]
# Members that are inferred, of the typed table.
NESTED = ["additional.bytestransferredout", "request.bucketname", "eventname"]


def at(row, path):
    for name in path.split("."):
        row = row.get(name) if row is not None else None
    return row


def key(value):
    """Parquet orders texts by their UTF-8 bytes."""
    return value.encode() if isinstance(value, str) else value


TESTS = {
    "=": lambda value, wanted: key(value) == key(wanted),
    "<": lambda value, wanted: key(value) < key(wanted),
    "<=": lambda value, wanted: key(value) <= key(wanted),
    ">": lambda value, wanted: key(value) > key(wanted),
    ">=": lambda value, wanted: key(value) >= key(wanted),
}


def scan(lake, table, paths):
    """The rows of a table with the columns under test, read without a filter."""
    wanted = sorted({path.split(".")[0] for path in [*paths, "eventid"]})
    rows = []
    for file in lake.files_of(table):
        data = pq.ParquetFile(file)
        present = [name for name in wanted if name in data.schema_arrow.names]
        rows += data.read(columns=present).to_pylist()
    return rows


def picks(values):
    """Ends, middle, the longest, and what is not there."""
    ordered = sorted(set(values), key=key)
    if not ordered:
        return []
    chosen = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    if isinstance(ordered[0], str):
        longest = max(ordered, key=len)
        chosen += [longest, longest[:-1], ordered[len(ordered) // 2] + "\x01", ""]
    elif not isinstance(ordered[0], bool) and isinstance(ordered[0], int):
        chosen += [ordered[-1] + 1, ordered[0] - 1]
    return sorted(set(chosen), key=key)


def cases(lake, table, paths):
    """(column, test, value, event ids) for every column."""
    rows = scan(lake, table, paths)
    for path in paths:
        pairs = [(at(row, path), row["eventid"]) for row in rows]
        present = [(value, name) for value, name in pairs if value is not None]
        assert len({type(value) for value, _ in present}) <= 1, path
        for wanted in picks(value for value, _ in present):
            for test, holds in TESTS.items():
                yield path, test, wanted, ids(name for value, name in present if holds(value, wanted))
        yield path, "is null", None, ids(name for value, name in pairs if value is None)


def ids(names):
    return sorted(names, key=lambda name: name or "")


@pytest.fixture(scope="module")
def wide_cases(wide):
    found = list(cases(wide, "cloudtrail", COLUMNS))
    assert len(found) > 300
    assert len(scan(wide, "cloudtrail", COLUMNS)) > 20_000
    return found


@pytest.fixture(scope="module")
def nested_cases(wide):
    found = list(cases(wide, "cloudtrail_typed", NESTED))
    assert len(found) > 50
    return found


def literal(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMPTZ '{value.isoformat()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


@pytest.mark.parametrize("table", ["cloudtrail", "cloudtrail_typed"])
def test_duckdb(wide, wide_cases, nested_cases, table):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    files = wide.files_of(table)

    for path, test, value, wanted in wide_cases if table == "cloudtrail" else nested_cases:
        where = f"{path} IS NULL" if test == "is null" else f"{path} {test} {literal(value)}"
        query = f"SELECT eventid FROM read_parquet({files}) WHERE {where}"
        found = ids(name for (name,) in connection.execute(query).fetchall())
        assert found == wanted, where[:300]


def expression(path, test, value):
    field = pc.field(*path.split("."))
    if test == "is null":
        return field.is_null()
    return {
        "=": field == value,
        "<": field < value,
        "<=": field <= value,
        ">": field > value,
        ">=": field >= value,
    }[test]


@pytest.mark.parametrize("table", ["cloudtrail", "cloudtrail_typed"])
def test_pyarrow(wide, wide_cases, nested_cases, table):
    files = ds.dataset(wide.files_of(table))

    for path, test, value, wanted in wide_cases if table == "cloudtrail" else nested_cases:
        found = files.to_table(columns=["eventid"], filter=expression(path, test, value))
        assert ids(found["eventid"].to_pylist()) == wanted, (path, test, str(value)[:300])


@pytest.mark.parametrize("table", ["cloudtrail", "cloudtrail_typed"])
def test_polars(wide, wide_cases, nested_cases, table):
    # A file of the typed table has only the inferred members that it holds values for.
    files = pl.scan_parquet(
        wide.files_of(table),
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=pl.ScanCastOptions(
            missing_struct_fields="insert", extra_struct_fields="ignore"
        ),
    )

    for path, test, value, wanted in wide_cases if table == "cloudtrail" else nested_cases:
        first, *members = path.split(".")
        column = pl.col(first)
        for member in members:
            column = column.struct.field(member)
        mine = pl.lit(value)
        where = {
            "=": column == mine,
            "<": column < mine,
            "<=": column <= mine,
            ">": column > mine,
            ">=": column >= mine,
            "is null": column.is_null(),
        }[test]
        found = files.filter(where).select("eventid").collect()
        assert ids(found["eventid"].to_list()) == wanted, (path, test, str(value)[:300])


def test_spark(spark, wide, wide_cases):
    from pyspark.sql import functions as F

    table = spark.table(f"{spark_tables(spark, wide, 'wide').name}.cloudtrail")
    assert spark.conf.get("spark.sql.parquet.filterPushdown") == "true"

    # A case is a job of its own: every sixth goes round all columns and tests.
    for path, test, value, wanted in wide_cases[::6]:
        column = F.col(path)
        where = {
            "=": column == F.lit(value),
            "<": column < F.lit(value),
            "<=": column <= F.lit(value),
            ">": column > F.lit(value),
            ">=": column >= F.lit(value),
            "is null": column.isNull(),
        }[test]
        found = ids(name for (name,) in table.where(where).select("eventid").collect())
        assert found == wanted, (path, test, str(value)[:300])


PARTITIONS = pa.schema([(name, pa.string()) for name in ("account", "region", "event_date")])


def test_filters_on_partitions_prune_and_lose_nothing(sample):
    rows = [(part, row) for table, part, row in sample.rows if table == "cloudtrail"]
    files = ds.dataset(
        str(sample.path / "cloudtrail"), partitioning=ds.partitioning(PARTITIONS, flavor="hive")
    )
    connection = sample.duckdb()
    days = sorted({part["event_date"] for part, _ in rows})
    first, last = days[len(days) // 3], days[2 * len(days) // 3]
    account = rows[0][0]["account"]

    wanted = ids(
        row["eventid"]
        for part, row in rows
        if first <= part["event_date"] <= last and part["account"] == account
    )
    by_arrow = files.to_table(
        columns=["eventid"],
        filter=(pc.field("event_date") >= first)
        & (pc.field("event_date") <= last)
        & (pc.field("account") == account),
    )
    by_duckdb = connection.execute(
        "SELECT eventid FROM trailmill.cloudtrail WHERE event_date BETWEEN ? AND ? AND account = ?",
        [first, last, account],
    ).fetchall()

    assert wanted
    assert ids(by_arrow["eventid"].to_pylist()) == wanted
    assert ids(name for (name,) in by_duckdb) == wanted
