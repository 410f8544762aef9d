"""The SQL of `catalog ddl`, run where it can be run."""

import json
import re

import duckdb
import pytest
import sqlglot
from conftest import spark_tables, trailmill
from contract import TABLES


@pytest.fixture(scope="module")
def connection(sample):
    connection = duckdb.connect()
    for statement in sample.ddl("duckdb"):
        connection.execute(statement)
    return connection


def counts(lake):
    return lake.report["rows_by_table"]


def test_the_duckdb_views_run_twice_and_count_as_the_report(sample, connection):
    for statement in sample.ddl("duckdb"):
        connection.execute(statement)
    views = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = 'trailmill'"
    ).fetchall()
    names = {name for (name,) in views}

    assert set(counts(sample)) <= names
    for name in names:
        ((number,),) = connection.execute(f'SELECT count(*) FROM trailmill."{name}"').fetchall()
        rows = connection.sql(f'SELECT * FROM trailmill."{name}"').to_arrow_table()
        assert rows.num_rows == number
        if name in counts(sample):
            assert number == counts(sample)[name], name
        elif name.endswith("_flat"):
            assert number == counts(sample)[name.removesuffix("_flat")], name


WANTED = {
    "cloudtrail_s3_access": lambda e: e.get("eventSource") == "s3.amazonaws.com",
    "cloudtrail_lambda_invocations": lambda e: e.get("eventSource") == "lambda.amazonaws.com"
    and e["eventName"].startswith("Invoke"),
    "cloudtrail_console_logins": lambda e: e.get("eventSource") == "signin.amazonaws.com"
    and e["eventName"] == "ConsoleLogin",
    "cloudtrail_errors": lambda e: e.get("errorCode") is not None
    or e.get("errorMessage") is not None,
    "cloudtrail_root_activity": lambda e: e["userIdentity"].get("type") == "Root",
}


@pytest.mark.parametrize("view", WANTED)
def test_a_view_holds_the_events_it_is_named_after(sample, connection, view):
    wanted = sorted(e["eventID"] for e in sample.events if WANTED[view](e))
    found = connection.execute(f"SELECT eventid FROM trailmill.{view}").fetchall()

    assert wanted
    assert sorted(name for (name,) in found) == wanted


def test_inferred_columns_read_across_files(sample, connection):
    """Files differ in which inferred members they have; the view has them all."""
    wanted = sum(
        1
        for table, _, row in sample.rows
        if table == "cloudtrail" and (row.get("request") or {}).get("bucketname") is not None
    )
    found = connection.execute(
        "SELECT count(*) FROM trailmill.cloudtrail WHERE request.bucketname IS NOT NULL"
    ).fetchall()

    assert wanted > 100
    assert found == [(wanted,)]


def test_spark_reads_the_tables_and_views_of_its_ddl(spark, sample):
    tables = spark_tables(spark, sample, "ddl")
    for name, number in counts(sample).items():
        assert tables.sql(f"SELECT count(*) FROM ddl.{name}").collect()[0][0] == number
        # Every column of every row, the inferred ones too.
        assert len(tables.sql(f"SELECT * FROM ddl.{name}").collect()) == number
        columns = [field.name for field in tables.sql(f"SELECT * FROM ddl.{name}").schema]
        assert columns[: len(TABLES[name])] == [column for column, _, _ in TABLES[name]]
        assert columns[-3:] == ["account", "region", "event_date"]
    for row in tables.sql("SHOW VIEWS IN ddl").collect():
        tables.sql(f"SELECT * FROM ddl.{row.viewName}").collect()
    for view, holds in WANTED.items():
        found = tables.sql(f"SELECT eventid FROM ddl.{view}").collect()
        assert sorted(r[0] for r in found) == sorted(e["eventID"] for e in sample.events if holds(e))


def test_spark_reads_maps_and_instants(spark, sample):
    tables = spark_tables(spark, sample, "ddl")
    attributes = "useridentity.sessioncontext.webidfederationdata.attributes"
    found = tables.sql(
        f"SELECT eventid, {attributes} FROM ddl.cloudtrail WHERE cardinality({attributes}) > 0"
    ).collect()
    wanted = {}
    for event in sample.events:
        web = (event["userIdentity"].get("sessionContext") or {}).get("webIdFederationData") or {}
        if web.get("attributes"):
            wanted[event["eventID"]] = web["attributes"]
    assert wanted
    assert {row[0]: row[1] for row in found} == wanted

    found = tables.sql(
        "SELECT count(*) FROM ddl.cloudtrail WHERE"
        " date_format(event_timestamp, \"yyyy-MM-dd'T'HH:mm:ss'Z'\") = eventtime"
    ).collect()[0][0]
    assert found == sum(len(e["eventTime"]) == 20 for e in sample.events)


def test_athena_statements_parse_and_name_every_column_and_partition(sample):
    statements = sample.ddl("athena")
    for statement in statements:
        assert len(statement.encode()) < 262_144
        assert ";" not in statement
    created = {
        match[1]: statement
        for statement in statements
        if (match := re.match(r"CREATE EXTERNAL TABLE IF NOT EXISTS `\w+`\.`(\w+)`", statement))
    }
    assert set(created) == set(counts(sample))
    for table, statement in created.items():
        columns = re.findall(r"^  `(\w+)` ", statement, re.MULTILINE)
        wanted = [name for name, _, _ in TABLES[table]]
        assert columns == [*wanted, "account", "region", "event_date"]
        assert "parquet.serde.ParquetHiveSerDe" in statement
        assert f"/{table}/'" in statement
    added = "\n".join(s for s in statements if s.startswith("ALTER TABLE"))
    for file, table in sample.files:
        partition = "/".join(file.relative_to(sample.path).parts[:-1])
        assert f"/{partition}/'" in added, partition


def test_athena_views_parse(sample):
    views = [s for s in sample.ddl("athena") if "VIEW" in s.split("\n")[0]]

    assert len(views) >= 6
    for view in views:
        assert sqlglot.parse_one(view, dialect="athena").find(sqlglot.exp.Select)


def test_the_catalog_agrees_with_the_lake(sample):
    found = trailmill("catalog", "diff", sample.path, "--report", "json")
    differences = json.loads(found)["tables"]

    assert {entry["table"] for entry in differences} == set(counts(sample))
    assert all(entry["in_sync"] for entry in differences)


def test_a_second_run_changes_nothing(sample):
    before = {file: file.stat().st_mtime_ns for file in sample.path.rglob("*.parquet")}
    report = json.loads(trailmill("convert", sample.logs, sample.path, "--report", "json", "-q"))

    assert report["records_written"] == report["files"] == report["catalog_changes"] == 0
    assert before == {file: file.stat().st_mtime_ns for file in sample.path.rglob("*.parquet")}
    assert trailmill("verify", sample.logs, sample.path).startswith("Equal")
