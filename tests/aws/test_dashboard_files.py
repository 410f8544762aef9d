"""The dashboards of scripts/aws: what CloudFormation and Grafana would say to them, and that both show the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cloudformation import Template  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
QUICKSIGHT = ROOT / "scripts/aws/quicksight.yaml"
GRAFANA = json.loads((ROOT / "scripts/aws/dashboards/grafana.json").read_text())
USER = "arn:aws:quicksight:eu-west-1:111122223333:user/default/admin"


@pytest.fixture(scope="module")
def template():
    pseudo = {"AWS::AccountId": "111122223333", "AWS::Region": "eu-west-1"}
    addresses = Addresses()
    return Template(QUICKSIGHT.read_text(), {"PrincipalArn": USER}, pseudo, addresses)


class Addresses(dict):
    """An address for whatever is asked for."""

    def __missing__(self, name):
        return f"address of {name}"

    def get(self, name, default=None):
        return self[name]

    def __contains__(self, name):
        return True


def columns_of(sets):
    """Names of columns by the data set's identifier in the dashboard."""
    found = {}
    for name, properties in sets.items():
        (table,) = properties["PhysicalTableMap"].values()
        found[name.removesuffix("DataSet").lower()] = {c["Name"]: c["Type"] for c in table["CustomSql"]["Columns"]}
    return found


def within(node, name):
    """Every value of a key, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name:
                yield value
            yield from within(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from within(value, name)


def titles_of_quicksight(definition):
    visuals = [visual for sheet in definition["Sheets"] for visual in sheet["Visuals"]]
    return [one["Title"]["FormatText"]["PlainText"] for visual in visuals for one in visual.values()]


def test_cfn_lint_has_nothing_to_say():
    lint = str(Path(sys.executable).with_name("cfn-lint"))
    command = [lint, "--include-checks", "I", "--template", str(QUICKSIGHT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert QUICKSIGHT.stat().st_size <= 51_200, "CloudFormation takes more from a bucket only"


def test_the_dashboard_uses_columns_that_its_data_sets_have(template):
    sets = columns_of(template.resources("AWS::QuickSight::DataSet"))
    (dashboard,) = template.resources("AWS::QuickSight::Dashboard").values()
    definition = dashboard["Definition"]

    declared = [one["Identifier"] for one in definition["DataSetIdentifierDeclarations"]]
    assert sorted(declared) == sorted(sets)
    used = [column for column in within(definition, "Column") if isinstance(column, dict)]
    assert len(used) > 60
    for column in used:
        assert column["ColumnName"] in sets[column["DataSetIdentifier"]], column
    # A filter over all data sets finds its column by name.
    assert all("event_day" in columns for columns in sets.values())


def test_measures_add_numbers_and_days_are_dates(template):
    sets = columns_of(template.resources("AWS::QuickSight::DataSet"))
    (dashboard,) = template.resources("AWS::QuickSight::Dashboard").values()
    wanted = {"NumericalMeasureField": "INTEGER", "DateDimensionField": "DATETIME",
              "DateMeasureField": "DATETIME", "CategoricalDimensionField": "STRING",
              "CategoricalMeasureField": "STRING"}  # fmt: skip

    for kind, of_type in wanted.items():
        fields = list(within(dashboard["Definition"], kind))
        assert fields, kind
        for field in fields:
            column = field["Column"]
            assert sets[column["DataSetIdentifier"]][column["ColumnName"]] == of_type, field


def test_ids_are_unique_and_what_refers_to_one_finds_it(template):
    (dashboard,) = template.resources("AWS::QuickSight::Dashboard").values()
    definition = dashboard["Definition"]

    ids = list(within(definition, "VisualId"))
    assert len(ids) == len(set(ids)) > 15
    filters = {one["FilterId"] for one in within(definition, "RelativeDatesFilter")}
    assert set(within(definition, "SourceFilterId")) == filters
    assert {one["SheetId"] for one in definition["Sheets"]} == set(
        scope["SheetId"] for scopes in within(definition, "SheetVisualScopingConfigurations") for scope in scopes
    )
    for sheet in definition["Sheets"]:
        for visual in sheet["Visuals"]:
            fields = [
                field["FieldId"]
                for kind in ("CategoricalDimensionField", "DateDimensionField", "NumericalMeasureField",
                             "CategoricalMeasureField", "DateMeasureField")
                for field in within(visual, kind)
            ]  # fmt: skip
            assert len(fields) == len(set(fields)), visual
            for sort in within(visual, "FieldSort"):
                assert sort["FieldId"] in fields, sort


def test_every_data_set_that_is_imported_is_refreshed(template):
    sets = template.resources("AWS::QuickSight::DataSet").values()
    refreshed = [one["DataSetId"] for one in template.resources("AWS::QuickSight::RefreshSchedule").values()]

    assert sorted(refreshed) == sorted(one["DataSetId"] for one in sets)


def test_grafanas_panels_are_complete_and_do_not_overlap():
    assert GRAFANA["id"] is None and GRAFANA["timezone"] == "utc"
    ids = [panel["id"] for panel in GRAFANA["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in GRAFANA["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        (target,) = panel["targets"]
        assert target["datasource"] == panel["datasource"]
        assert panel["datasource"] == {"type": "grafana-athena-datasource", "uid": "${datasource}"}
        # 0 is a time series, 1 a table.
        assert target["format"] == (0 if panel["type"] == "timeseries" else 1)
        assert ("AS time" in target["rawSQL"]) == (target["format"] == 0)


def test_grafana_uses_the_variables_that_it_declares():
    declared = {variable["name"] for variable in GRAFANA["templating"]["list"]}
    used = set(re.findall(r"\$\{(\w+)", json.dumps(GRAFANA)))

    assert used == declared


def test_both_dashboards_show_the_same(template):
    (dashboard,) = template.resources("AWS::QuickSight::Dashboard").values()
    quicksight = set(titles_of_quicksight(dashboard["Definition"]))
    grafana = {panel["title"] for panel in GRAFANA["panels"] if panel["type"] != "row"}

    # QuickSight has a tile for each total.
    assert quicksight - {"Events", "Errors", "Denials"} == grafana - {"Totals", "Events", "Errors"}
    assert {"Events", "Errors", "Denials"} <= quicksight
