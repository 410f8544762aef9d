"""The SQL of the dashboards in scripts/aws, run over a lake's views by DuckDB and by `trailmill query`."""

import csv
import functools
import io
import json
import re

import pytest
import sqlglot
import yaml
from conftest import ROOT, trailmill

GRAFANA = json.loads((ROOT / "scripts/aws/dashboards/grafana.json").read_text())
PANELS = {p["title"]: p["targets"][0]["rawSQL"] for p in GRAFANA["panels"] if p["type"] != "row"}
DAYS = ("2000-01-01", "2100-01-01")


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, of which the text is what counts here."""


Loader.add_multi_constructor("!", lambda loader, _, node: getattr(node, "value", None))
QUICKSIGHT = {
    resource["Properties"]["PhysicalTableMap"]["view"]["CustomSql"]["Name"]: resource["Properties"][
        "PhysicalTableMap"
    ]["view"]["CustomSql"]
    for resource in yaml.load((ROOT / "scripts/aws/quicksight.yaml").read_text(), Loader)["Resources"].values()
    if resource["Type"] == "AWS::QuickSight::DataSet"
}
KINDS = {"VARCHAR": "STRING", "BIGINT": "INTEGER", "DATE": "DATETIME", "TIMESTAMP WITH TIME ZONE": "DATETIME"}


@functools.cache
def every(sample, key):
    """All values of a partition column, as Grafana writes those of a variable."""
    return ",".join(f"'{value}'" for value in sorted({values[key] for table, values, _ in sample.rows if table == "cloudtrail"}))


def substituted(sql, sample):
    """What Grafana and the plugin for Athena make of a statement."""
    known = {
        "database": "trailmill",
        "table": "cloudtrail",
        "account:sqlstring": every(sample, "account"),
        "region:sqlstring": every(sample, "region"),
    }
    sql = re.sub(r"\$\{([\w:]+)\}", lambda found: known[found[1]], sql)
    between = rf"\1 BETWEEN date '{DAYS[0]}' AND date '{DAYS[1]}'"
    sql = re.sub(r"\$__dateFilter\((\w+)\)", between, sql)
    assert "$" not in sql
    return sql


def test_no_panel_is_forgotten():
    assert len(PANELS) >= 18
    assert len(QUICKSIGHT) == 8


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_of_grafana_is_answered_alike_by_duckdb_and_query(sample, connection, title):
    sql = substituted(PANELS[title], sample)

    assert sqlglot.parse_one(sql, dialect="athena").find(sqlglot.exp.Select)
    answer = connection.sql(sql)
    names, rows = answer.columns, [list(row.values()) for row in answer.to_arrow_table().to_pylist()]
    text = trailmill("query", sample.path, sql, "--output", "csv")
    ours = list(csv.reader(io.StringIO(text)))
    assert ours[0] == names
    assert len(ours) - 1 == len(rows) > 0, title
    numbers = [at for at, kind in enumerate(answer.types) if str(kind) in ("BIGINT", "HUGEINT")]
    assert [[row[at] for at in numbers] for row in ours[1:]] == [
        ["" if row[at] is None else str(row[at]) for at in numbers] for row in rows
    ]


@pytest.mark.parametrize("name", ["account", "region"])
def test_a_variable_of_grafana_lists_what_there_is(sample, connection, name):
    (variable,) = (v for v in GRAFANA["templating"]["list"] if v["name"] == name)
    found = connection.execute(substituted(variable["query"]["rawSQL"], sample)).fetchall()

    assert ",".join(f"'{value}'" for (value,) in found) == every(sample, name)


def test_the_totals_are_those_of_the_records(sample, connection):
    (row,) = connection.execute(substituted(PANELS["Totals"], sample)).fetchall()

    failed = [e for e in sample.events if e.get("errorCode") or e.get("errorMessage")]
    assert row[0] == len(sample.events)
    assert row[1] == sum(e.get("readOnly") in (False, "false") for e in sample.events)
    assert row[2] == len(failed)


@pytest.mark.parametrize("view", QUICKSIGHT)
def test_a_data_set_of_quicksight_has_the_columns_that_it_declares(sample, connection, view):
    custom = QUICKSIGHT[view]
    known = {"Database": "trailmill", "Table": "cloudtrail", "Days": "36500"}
    sql = re.sub(r"\$\{(\w+)\}", lambda found: known[found[1]], custom["SqlQuery"])

    assert sqlglot.parse_one(sql, dialect="athena").find(sqlglot.exp.Select)
    answer = connection.sql(sql)
    assert answer.columns == [column["Name"] for column in custom["Columns"]]
    assert [KINDS[str(kind)] for kind in answer.types] == [column["Type"] for column in custom["Columns"]]
    assert answer.to_arrow_table().num_rows > 0, view
