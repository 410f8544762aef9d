"""The SQL of `catalog ddl`, run where it can be run."""

import json
import re

import pytest
import sqlglot
from conftest import Lake, spark_tables, trailmill
from contract import PLACES, TABLES, columns_of


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


KMS = """CancelKeyDeletion CreateAlias CreateGrant CreateKey DeleteAlias DeleteImportedKeyMaterial DisableKey
    DisableKeyRotation EnableKey EnableKeyRotation ImportKeyMaterial PutKeyPolicy ReplicateKey RetireGrant RevokeGrant
    ScheduleKeyDeletion UpdateAlias UpdatePrimaryRegion""".split()
PUBLIC = """DeleteAccountPublicAccessBlock DeleteBucketPolicy DeleteBucketPublicAccessBlock PutAccountPublicAccessBlock
    PutBucketAcl PutBucketPolicy PutBucketPublicAccessBlock""".split()


def is_change(event):
    source, name = event.get("eventSource"), event.get("eventName")
    if source in ("iam.amazonaws.com", "cloudtrail.amazonaws.com"):
        return event.get("readOnly") in (False, "false")
    if source == "kms.amazonaws.com":
        return name in KMS
    return source in ("s3.amazonaws.com", "s3-control.amazonaws.com") and name in PUBLIC


WANTED = {
    "cloudtrail_changes": is_change,
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
    rows = zip(sample.rows, sample.typed_rows)
    wanted = sum(
        1
        for (table, _, _), row in rows
        if table == "cloudtrail" and (row.get("request") or {}).get("bucketname") is not None
    )
    found = connection.execute(
        "SELECT count(*) FROM trailmill.cloudtrail_typed WHERE request.bucketname IS NOT NULL"
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
        assert sorted(columns[len(TABLES[name]) :]) == sorted(PLACES)
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
        wanted = [name for name, _, _ in columns_of(table, sample.keys)]
        assert columns == [*wanted, *sample.keys]
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
    report = json.loads(trailmill("convert", sample.logs, sample.path, "--no-digests", "--report", "json", "-q"))

    assert report["records_written"] == report["files"] == report["catalog_changes"] == 0
    assert before == {file: file.stat().st_mtime_ns for file in sample.path.rglob("*.parquet")}
    assert trailmill("verify", sample.logs, sample.path, "--no-digests").startswith("Equal")


# Folders with names that a pattern, a literal or a reader of partitions takes for more than a name.
ODD = ["logs[1]", "a*b", "c?d", "o'brien \"q\"", "k{1,2}", "[!a]", "region=eu", "env=prod/event_date=x", "sp ace%20#", "é"]


@pytest.fixture(scope="module")
def odd_lakes(tmp_path_factory):
    """By folder, a lake with one event; beside each, folders that its name would match as a pattern."""
    root = tmp_path_factory.mktemp("odd")
    made = {}
    for number, name in enumerate([*ODD, "logs1", "aXb", "cXd", "k1", "b"]):
        logs = root / f"logs-{number}"
        logs.mkdir()
        event = {"eventVersion": "1.08", "eventTime": "2026-01-02T03:04:05Z", "eventID": f"id-{number}",
                 "awsRegion": "us-east-1", "recipientAccountId": "111122223333", "eventSource": "a", "eventName": "B"}  # fmt: skip
        (logs / "a.json").write_text(json.dumps({"Records": [event]}))
        made[name] = (Lake(logs, root / "lakes" / name), f"id-{number}")
    return made


@pytest.mark.parametrize("name", ODD)
def test_duckdb_reads_a_lake_in_any_folder_and_nothing_beside_it(odd_lakes, name):
    lake, event_id = odd_lakes[name]
    connection = lake.duckdb()

    query = "SELECT eventid, account, region, event_date FROM trailmill.cloudtrail"
    wanted = [(event_id, "111122223333", "us-east-1", "2026-01-02")]
    assert connection.execute(query).fetchall() == wanted
    assert connection.execute(f"{query} WHERE region = 'us-east-1'").fetchall() == wanted
    assert connection.execute(f"{query} WHERE region = 'eu'").fetchall() == []
    assert connection.execute("SELECT count(*) FROM trailmill.cloudtrail_flat").fetchall() == [(1,)]
    columns = [column for column, *_ in connection.execute("DESCRIBE trailmill.cloudtrail").fetchall()]
    assert not [column for column in columns if column.startswith("_") or column == "env"]


@pytest.mark.parametrize("name", ["logs[1]", "a*b", "o'brien \"q\"", "region=eu", "sp ace%20#"])
def test_spark_reads_a_lake_in_any_folder_and_nothing_beside_it(spark, odd_lakes, name):
    lake, event_id = odd_lakes[name]
    tables = spark_tables(spark, lake, f"odd{ODD.index(name)}")

    found = tables.sql(f"SELECT eventid, region FROM {tables.name}.cloudtrail").collect()

    assert [tuple(row) for row in found] == [(event_id, "us-east-1")]


def test_texts_of_athenas_definitions_are_hives(odd_lakes):
    lake, _ = odd_lakes["o'brien \"q\""]
    statements = [s for s in lake.ddl("athena", "--no-views") if s.startswith("CREATE EXTERNAL")]

    locations = []
    for statement in statements:
        parsed = sqlglot.parse_one(statement, dialect="athena")
        locations.append(parsed.find(sqlglot.exp.LocationProperty).this.this)

    folder = f"file://{lake.path.resolve()}"
    assert locations == [f"{folder}/cloudtrail/", f"{folder}/cloudtrail_typed/"]


def test_a_folder_that_duckdb_cannot_read_is_named(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.json").write_text('{"Records":[{"eventTime":"2026-01-02T03:04:05Z","eventName":"B"}]}')
    Lake(logs, tmp_path / "back\\slash")

    trailmill("catalog", "ddl", tmp_path / "back\\slash", "--dialect", "duckdb", codes=(2,))
