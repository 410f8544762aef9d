"""Views in the Glue Data Catalog: what Athena and Trino would read, and what happens to them over time."""

import base64
import json
import re

import duckdb
import pytest
from glue_fixtures import World, converted, glue, moto_url, record, typed, world  # noqa: F401

OF_EVENTS = (
    "flat errors s3_access lambda_invocations console_logins root_activity changes daily_activity daily_errors"
    " daily_clients daily_s3 daily_lambda bootstrap by_day"
).split()
PLACE = "trailmill"


def views(world):
    """The views of the database by name, as boto3 reads them."""
    pages = world.client.get_paginator("get_tables").paginate(DatabaseName=PLACE)
    found = [table for page in pages for table in page["TableList"]]
    return {table["Name"]: table for table in found if table.get("TableType") == "VIRTUAL_VIEW"}


def stored_views(world):
    """The same out of the strict catalog, which lists nothing."""
    tables = world.glue.tables.items()
    return {name: t.input for (_, _, name), t in tables if t.input["TableType"] == "VIRTUAL_VIEW"}


def definition(view):
    """What Trino's Hive connector makes of a view's text."""
    text = view["ViewOriginalText"]
    assert text.startswith("/* Presto View: ") and text.endswith(" */")
    return json.loads(base64.b64decode(text[len("/* Presto View: ") : -len(" */")], validate=True))


def duckdb_type(trino):
    """A type of a view's text in DuckDB's words."""
    words = {"varchar": "VARCHAR", "timestamp(3)": "TIMESTAMP WITH TIME ZONE"}
    if inner := re.fullmatch(r"array\((.*)\)", trino):
        return f"{duckdb_type(inner[1])}[]"
    if inner := re.fullmatch(r"map\((.*?),(.*)\)", trino):
        return f"MAP({duckdb_type(inner[1])}, {duckdb_type(inner[2])})"
    if inner := re.fullmatch(r"row\((.*)\)", trino):
        fields, depth, start = [], 0, 0
        for at, char in enumerate(inner[1] + ","):
            depth += (char == "(") - (char == ")")
            if char == "," and depth == 0:
                name, _, kind = inner[1][start:at].partition(" ")
                fields.append(f"{name} {duckdb_type(kind)}")
                start = at + 1
        return f"STRUCT({', '.join(fields)})"
    return words.get(trino, trino.upper())


def plain(kind):
    """DuckDB quotes the members that it must."""
    return str(kind).replace('"', "")


@pytest.fixture
def lake(world):
    more = {"additionalEventData": {"bytesTransferredOut": 12.0}}
    world.put("a", [record(1, **more), record(2, day="2026-01-03", errorCode="AccessDenied", **more)])
    login = {
        "eventSource": "signin.amazonaws.com",
        "eventName": "ConsoleLogin",
        "responseElements": {"ConsoleLogin": "Success"},
        "additionalEventData": {"MFAUsed": "Yes"},
    }
    world.put("b", [record(3, **login)])
    world.convert()
    return world


def test_every_view_is_registered_as_athena_keeps_it(lake):
    said = lake.sync("--views")

    found = stored_views(lake)
    assert sorted(found) == sorted(f"cloudtrail_{name}" for name in OF_EVENTS)
    assert "+ view cloudtrail_daily_activity: 13 columns" in said
    for name, view in found.items():
        parameters = view["Parameters"]
        assert (parameters["presto_view"], parameters["comment"]) == ("true", "Presto View")
        assert parameters["trailmill.view"] == "cloudtrail"
        assert view["ViewExpandedText"] == "/* Presto View */"
        assert view["PartitionKeys"] == []
        # Trino takes a description for the parameter `comment`, and the view for a table then.
        assert "Description" not in view
        defined = definition(view)
        assert (defined["catalog"], defined["schema"]) == ("awsdatacatalog", PLACE)
        assert f'FROM "{PLACE}"."cloudtrail"' in defined["originalSql"]
        columns = view["StorageDescriptor"]["Columns"]
        assert [column["name"] for column in defined["columns"]] == [c["Name"] for c in columns]
        assert all(column.get("Comment") for column in columns), name
        assert all(column["comment"] for column in defined["columns"])
        assert defined["runAsInvoker"] is True
        assert defined["comment"] == parameters["trailmill.shows"] != ""


@pytest.mark.parametrize("form", ["--no-typed", "--typed"])
def test_columns_and_types_are_those_of_the_statement(world, form):
    """Each statement is run as it stands in the view's text, with DuckDB's name of one function."""
    world.tables = ["--no-typed"] if form == "--no-typed" else []
    attributes = {"creationDate": "2026-01-02T00:00:00Z", "mfaAuthenticated": "true"}
    identity = {"type": "AssumedRole", "principalId": "A:s", "sessionContext": {"attributes": attributes}}
    # A member for every nested column: DuckDB knows a column by the files that have it.
    texts = ("responseElements", "additionalEventData", "serviceEventDetails")
    nested = {name: {"bucketName": "b"} for name in texts}
    world.put("a", [record(1, userIdentity=identity, **nested)])
    network = {"eventType": "AwsVpceEvent", "eventCategory": "NetworkActivity", "vpcEndpointId": "vpce-1"}
    world.put("b", [record(2, **network, **nested)])
    world.convert()
    world.sync("--views")
    script, _ = world.run("catalog", "ddl", world.lake, *world.options(), "--dialect", "duckdb", "--no-views")
    connection = duckdb.connect()
    for statement in script.split(";\n"):
        connection.execute(statement)

    found = stored_views(world)
    assert "cloudtrail_network_activity_flat" in found
    assert "cloudtrail_network_activity_console_logins" not in found
    assert ("cloudtrail_typed_structs" in found) == (form == "--typed")
    for name, view in found.items():
        defined = definition(view)
        sql = defined["originalSql"].replace("json_extract_scalar", "json_extract_string")
        answer = connection.sql(sql)
        assert answer.columns == [column["name"] for column in defined["columns"]], name
        kinds = [plain(duckdb_type(column["type"])) for column in defined["columns"]]
        got = [plain(kind) for kind in answer.types]
        differing = [it for it in zip(answer.columns, kinds, got) if it[1] != it[2]]
        # Members that no file has are in the catalog's type, and nowhere in the files.
        assert [it for it in differing if "STRUCT" not in it[1]] == [], name
        assert answer.to_arrow_table() is not None


def test_a_second_run_changes_nothing_and_convert_keeps_the_views(lake):
    lake.sync("--views")
    before = {name: table.version for (_, _, name), table in lake.glue.tables.items()}
    lake.glue.forget()

    lake.sync("--views")
    assert all(entry["in_sync"] for entry in lake.diff())
    assert lake.glue.writes == []
    lake.glue.tables.pop(("123456789012", PLACE, "cloudtrail_flat"))
    lake.put("c", [record(9, day="2026-02-01")])
    lake.convert()

    assert "cloudtrail_flat" in stored_views(lake)
    versions = {name: table.version for (_, _, name), table in lake.glue.tables.items()}
    del before["cloudtrail"], versions["cloudtrail"]
    assert versions == before


def test_a_table_that_comes_later_gets_its_views(lake):
    lake.sync("--views")
    lake.put("n", [record(5, eventType="AwsVpceEvent", eventCategory="NetworkActivity")])

    lake.convert()

    assert "cloudtrail_network_activity_daily_activity" in stored_views(lake)


def test_without_the_option_there_are_no_views_and_no_calls_for_them(lake):
    lake.glue.forget()

    lake.sync()

    assert stored_views(lake) == {}
    assert lake.glue.count("GetTable") == 1


def test_views_are_removed_again_and_tables_stay(lake):
    lake.sync("--views")
    said = lake.sync("--views=none")

    assert "- view cloudtrail_flat" in said
    assert stored_views(lake) == {}
    assert "trailmill.views" not in lake.glue.table().input["Parameters"]
    assert all(entry["in_sync"] for entry in lake.diff())
    lake.glue.forget()
    lake.sync("--views=none")
    assert lake.glue.writes == []


def test_a_run_that_broke_off_while_it_removed_views_goes_on(lake):
    lake.sync("--views")
    lake.glue.deny("DeleteTable", "not allowed")
    said = lake.sync("--views=none", code=3)
    assert "glue:DeleteTable" in said
    assert lake.glue.table().input["Parameters"]["trailmill.views"] == "standard"
    lake.glue.denied.clear()

    lake.glue.fail("DeleteTable", "drop_after")
    lake.sync("--views=none")

    assert stored_views(lake) == {}


def test_what_somebody_else_made_is_left_alone_and_named(lake):
    foreign = {
        "Name": "cloudtrail_flat",
        "TableType": "VIRTUAL_VIEW",
        "StorageDescriptor": {"Columns": [{"Name": "x", "Type": "string"}]},
        "PartitionKeys": [],
        "Parameters": {"presto_view": "true"},
    }
    lake.client.create_table(DatabaseName=PLACE, TableInput=foreign)

    said, _ = lake.run("catalog", "sync", lake.lake, *lake.options(), "--views", code=1)

    assert "! view cloudtrail_flat: a table or view of this name was not made for this lake" in said
    assert stored_views(lake)["cloudtrail_flat"]["Parameters"] == {"presto_view": "true"}
    assert "cloudtrail_errors" in stored_views(lake)
    (entry,) = lake.diff(code=1)
    assert entry["refused_views"] == ["cloudtrail_flat"] and not entry["in_sync"]
    lake.put("c", [record(9, day="2026-02-01")])
    lake.convert()
    said, _ = lake.run("catalog", "sync", lake.lake, *lake.options(), "--views=none", code=0)
    assert "cloudtrail_flat" in stored_views(lake) and len(stored_views(lake)) == 1


def test_a_view_of_another_lake_is_not_taken_over(lake):
    lake.sync("--views")
    view = lake.glue.tables["123456789012", PLACE, "cloudtrail_flat"]
    view.input["Parameters"]["trailmill.lake"] = "s3://other/lake/"

    lake.run("catalog", "sync", lake.lake, *lake.options(), "--views", code=1)
    lake.run("catalog", "sync", lake.lake, *lake.options(), "--views=none")

    assert list(stored_views(lake)) == ["cloudtrail_flat"]


def test_an_edited_view_is_shown_and_put_back(lake):
    lake.sync("--views")
    view = lake.glue.tables["123456789012", PLACE, "cloudtrail_errors"]
    view.input["ViewOriginalText"] = "/* Presto View: e30= */"
    view.input["Description"] = "ours"

    (entry,) = lake.diff(code=1)
    described = {"change": "comment", "on": "cloudtrail_errors"}
    assert entry["update_views"] == {"cloudtrail_errors": [described, {"change": "definition"}]}
    lake.sync()

    assert definition(view.input)["schema"] == PLACE
    assert "Description" not in view.input


def test_the_catalog_shows_views(lake):
    lake.sync("--views")

    shown, _ = lake.run("catalog", "show", lake.lake, *lake.options()[:-2])
    one, _ = lake.run("catalog", "show", lake.lake, "cloudtrail_daily_s3", *lake.options()[:-2])

    assert re.search(r"^trailmill\.cloudtrail_daily_s3 +\d+  S3 calls per day", shown, re.MULTILINE)
    assert "number of calls that were denied" in one


@pytest.mark.parametrize("given", [["--catalog", "local"], ["--catalog", "none"], []])
def test_views_where_there_can_be_none_are_refused(lake, given):
    _, said = lake.run("catalog", "sync", lake.lake, *given, "--views", code=2)

    assert "--views" in said and stored_views(lake) == {}


def test_unknown_views_are_refused(lake):
    _, said = lake.run("catalog", "sync", lake.lake, *lake.options(), "--views=all", code=2)

    assert "unknown views `all`: expected `none` alone, or standard" in said


def test_moto_gives_the_views_back(moto_url, tmp_path):
    world = World(tmp_path, moto_url)
    world.put("a", [record(1)])
    world.convert()
    world.sync("--views")

    assert len(views(world)) == len(OF_EVENTS)
    assert all(definition(view)["columns"] for view in views(world).values())
    assert all(entry["in_sync"] for entry in world.diff())


def test_ddl_prints_the_views_alone(lake):
    said, _ = lake.run("catalog", "ddl", lake.lake, *lake.options()[:-2], "--views-only")

    heads = [statement.strip().split("\n")[0] for statement in said.strip().split(";\n")]
    assert len(heads) == len(OF_EVENTS)
    assert all(head.startswith('CREATE OR REPLACE VIEW "trailmill"."cloudtrail_') for head in heads)
    lake.run("catalog", "ddl", lake.lake, *lake.options()[:-2], "--views-only", "--no-views", code=2)
