"""The Glue Data Catalog: what is registered, in how many calls, and what happens when calls fail.

The program runs against `strict_glue.py`; boto3 looks at the same catalog with code of its own, and the
simple cases run against moto's server, too.
"""

import copy
import gzip
import json
import re
import shutil

import pytest
from glue_fixtures import (  # noqa: F401
    World,
    client,
    converted,
    glue,
    moto_url,
    record,
    some_records,
    typed,
    world,
)
from strict_glue import ACCOUNT, RANGES, SHAPES

PLACE = {"DatabaseName": "trailmill", "TableName": "cloudtrail"}
DROPS = ["drop", "drop_after"]


def partitions(world, name="cloudtrail"):
    """The registered partitions by values, as boto3 reads them."""
    pages = world.client.get_paginator("get_partitions").paginate(DatabaseName="trailmill", TableName=name)
    return {tuple(p["Values"]): p for page in pages for p in page["Partitions"]}


def table(world, name="cloudtrail"):
    return world.client.get_table(DatabaseName="trailmill", Name=name)["Table"]


def assert_in_line(world, count=4, name="cloudtrail"):
    """Everything is registered as the lake has it, and a second look changes nothing."""
    world.glue.faults.clear()
    found = partitions(world, name)
    columns = [(c["Name"], c["Type"]) for c in table(world, name)["StorageDescriptor"]["Columns"]]
    assert len(found) == count
    for values, partition in found.items():
        account, region, day = values
        folder = f"/lake/{name}/account={account}/region={region}/event_date={day}/"
        storage = partition["StorageDescriptor"]
        assert storage["Location"].endswith(folder)
        assert [(c["Name"], c["Type"]) for c in storage["Columns"]] == columns
        assert int(partition["Parameters"]["recordCount"]) > 0
    world.glue.forget()
    assert all(plan["in_sync"] for plan in world.diff())
    world.convert()
    assert world.glue.writes == []


def test_the_shapes_are_those_of_the_api_model():
    session = pytest.importorskip("botocore.session")
    model = session.get_session().get_service_model("glue")
    for name, (members, required) in SHAPES.items():
        theirs = model.shape_for(name)
        assert set(members) == set(theirs.members), name
        assert set(required) == set(theirs.required_members), name
        for member, ours in members.items():
            shape, limits = theirs.members[member], theirs.members[member].metadata
            if isinstance(ours, str):
                assert shape.name == ours, (name, member)
            elif ours[0] == "text" and member != "TransactionId":
                assert (ours[1], ours[2]) == (limits.get("min", 0), limits.get("max")), (name, member)
            elif ours[0] == "list":
                assert (ours[2], ours[3]) == (limits.get("min", 0), limits.get("max")), (name, member)
            elif ours[0] == "number" and member in RANGES:
                assert RANGES[member] == (limits.get("min"), limits.get("max")), (name, member)


class TestRegistration:
    def test_everything_is_registered_in_the_fewest_calls(self, world):
        report = world.convert()

        assert dict(world.glue.count()) == {
            # The names of all families are looked at before the work.
            "GetTable": 6,
            "GetDatabase": 1,
            "CreateDatabase": 1,
            "CreateTable": 1,
            "BatchCreatePartition": 1,
        }
        assert report["catalog_calls"] == 10
        assert report["catalog_throttled"] == 0
        assert report["catalog_changes"] == 5
        assert_in_line(world)

    def test_the_table_has_what_engines_need(self, converted):
        found = table(converted)
        storage = found["StorageDescriptor"]

        assert found["TableType"] == "EXTERNAL_TABLE"
        assert [key["Name"] for key in found["PartitionKeys"]] == ["account", "region", "event_date"]
        assert {key["Type"] for key in found["PartitionKeys"]} == {"string"}
        assert found["Parameters"]["classification"] == "parquet"
        assert found["Parameters"]["EXTERNAL"] == "TRUE"
        assert found["Parameters"]["recordCount"] == "4"
        assert int(found["Parameters"]["sizeKey"]) > 0
        assert "UPDATED_BY_CRAWLER" not in found["Parameters"]
        assert storage["InputFormat"].endswith("MapredParquetInputFormat")
        assert storage["SerdeInfo"]["Parameters"] == {"serialization.format": "1"}
        assert storage["BucketColumns"] == [] and storage["SortColumns"] == []
        assert storage["Parameters"]["classification"] == "parquet"
        assert storage["NumberOfBuckets"] == -1
        assert all(c["Name"] == c["Name"].lower() for c in storage["Columns"])

    def test_a_second_run_makes_no_write_call(self, converted):
        report = converted.convert()

        assert converted.glue.writes == []
        assert dict(converted.glue.count()) == {"GetTable": 6, "GetPartitions": 1}
        assert converted.glue.bodies("GetPartitions")[0]["ExcludeColumnSchema"] is True
        assert report["catalog_changes"] == 0
        converted.sync()
        assert converted.glue.writes == []
        assert converted.glue.table().version == 0

    def test_every_family_gets_its_table(self, tmp_path, glue):  # noqa: F811
        world = World(tmp_path, glue.url, glue)
        world.logs.rmdir()
        world.run("sample", world.logs, "--size", "2MB", "--seed", "7", "-q")
        world.convert()

        names = {name for _, _, name in glue.tables}

        assert {"cloudtrail", "cloudtrail_insight", "cloudtrail_network_activity"} <= names
        assert glue.count("CreateDatabase") == 1
        shown = world.run("catalog", "show", world.lake, *world.options(), "--report", "json")[0]
        assert {row["table"] for row in json.loads(shown)} == names
        rows = {row["table"]: row["partitions"] for row in json.loads(shown)}
        assert rows == {name: len(t.partitions) for (_, _, name), t in glue.tables.items()}
        glue.forget()
        world.convert()
        assert glue.writes == []

    def test_new_partitions_are_added_and_counts_updated(self, converted):
        converted.put("b", [record(10, "2026-02-01"), record(11, "2026-01-02")])

        converted.convert()

        counts = converted.glue.count()
        assert counts["UpdateTable"] == 1
        assert counts["BatchCreatePartition"] == 1 and counts["BatchUpdatePartition"] == 1
        assert converted.glue.sizes("BatchCreatePartition") == [1]
        assert converted.glue.sizes("BatchUpdatePartition") == [1]
        update = converted.glue.bodies("UpdateTable")[0]
        assert update["SkipArchive"] is True and update["VersionId"] == "0"
        assert converted.glue.table().archived == 0
        changed = partitions(converted)["111122223333", "eu-west-1", "2026-01-02"]
        assert changed["Parameters"]["recordCount"] == "2"
        assert table(converted)["Parameters"]["recordCount"] == "6"
        assert_in_line(converted, 5)

    def test_ddl_and_show_read_glue(self, converted):
        options = converted.options()
        ddl = converted.run("catalog", "ddl", converted.lake, "--dialect", "athena", *options)[0]
        shown = converted.run("catalog", "show", converted.lake, "cloudtrail", *options)[0]

        assert "CREATE EXTERNAL TABLE" in ddl and ddl.count("PARTITION (") == 4
        assert "requestparameters" in shown
        assert converted.glue.writes == []

    def test_without_a_catalog_nothing_is_asked(self, world):
        out, _ = world.run(
            "convert", world.logs, world.lake, "-q", "--catalog", "none", "--report", "json",
            "--glue-endpoint-url", world.url,
        )  # fmt: skip

        assert json.loads(out)["records_written"] == 4
        assert not world.glue.calls
        assert not (world.lake / "_trailmill/catalog").exists()
        world.run("catalog", "show", world.lake, "--catalog", "none", code=2)

    def test_another_account_s_catalog_is_named_in_every_call(self, world):
        world.convert("--catalog-id", "999988887777")
        world.put("b", [record(10, "2026-02-01"), record(11, "2026-01-02")])
        world.convert("--catalog-id", "999988887777")

        ids = {body.get("CatalogId") for _, _, body in world.glue.calls}

        assert ids == {"999988887777"}
        assert ("999988887777", "trailmill", "cloudtrail") in world.glue.tables
        assert (ACCOUNT, "trailmill") not in world.glue.databases

    def test_a_database_that_may_not_be_made_is_named(self, world):
        err = world.convert("--no-create-database", "--database", "soc", code=2)

        assert "--no-create-database" in err and "soc" in err
        assert not list(world.lake.rglob("*.parquet"))
        assert world.glue.writes == []
        world.client.create_database(DatabaseInput={"Name": "soc"})
        report = world.convert("--no-create-database", "--database", "soc")
        assert report["catalog_changes"] == 5

    def test_a_dry_run_writes_nothing(self, world):
        world.run("convert", world.logs, world.lake, "-q", "--catalog", "none", *world.tables)

        plan = world.sync("--dry-run")

        assert "+ database trailmill" in plan and plan.count("+ partition") == 4
        assert world.glue.writes == []
        world.sync()
        assert_in_line(world)


    @pytest.mark.parametrize(
        "without, says", [("AWS_REGION AWS_DEFAULT", "--aws-region"), ("AWS_ACCESS AWS_SECRET", "credentials")]
    )
    def test_what_is_missing_is_said_before_anything_is_converted(self, world, without, says):
        given = ("convert", world.logs, world.lake, "-q", *world.options())

        _, err = world.run(*given, code=2, without=without.split())

        assert says in err
        assert not list(world.lake.rglob("*.parquet"))
        assert not world.glue.calls


class TestGrowth:
    def test_an_additive_change_is_cascaded_without_reading_columns(self, typed):
        before = table(typed, "cloudtrail_typed")["StorageDescriptor"]["Columns"]
        main = table(typed)["StorageDescriptor"]["Columns"]
        more = {"requestParameters": {"brandNewMember": "x", "bucketName": "b"}}
        typed.glue.forget()
        typed.put("b", [record(10, **more)])

        typed.convert()

        assert table(typed)["StorageDescriptor"]["Columns"] == main
        after = table(typed, "cloudtrail_typed")["StorageDescriptor"]["Columns"]
        request = {c["Name"]: c["Type"] for c in after}["request"]
        assert "brandnewmember" in request
        assert "brandnewmember" not in {c["Name"]: c["Type"] for c in before}.get("request", "")
        # The counts of one partition, and the columns of all.
        assert sorted(typed.glue.sizes("BatchUpdatePartition")) == [1, 4]
        assert typed.glue.count("BatchGetPartition") == 0
        read = [body for body in typed.glue.bodies("GetPartitions") if "MaxResults" in body]
        assert all(body["ExcludeColumnSchema"] is True for body in read)
        assert_in_line(typed)
        assert_in_line(typed, name="cloudtrail_typed")

    def test_a_cascade_that_was_cut_off_is_finished_by_the_next_run(self, typed):
        more = {"requestParameters": {"brandNewMember": "x"}}
        typed.put("b", [record(10, **more)])
        typed.glue.deny("BatchUpdatePartition", "not now")
        typed.convert(code=3)
        typed.glue.denied.clear()

        report = typed.convert()

        assert report["catalog_changes"] >= 5
        assert_in_line(typed)
        assert_in_line(typed, name="cloudtrail_typed")


def damage(world, how):
    """Changes the catalog by hand, through boto3."""
    with_input = {k: v for k, v in table(world).items() if k in SHAPES["TableInput"][0]}
    found = next(iter(partitions(world).values()))
    given = {k: v for k, v in found.items() if k in SHAPES["PartitionInput"][0]}
    values = given["Values"]

    def update_partition():
        entry = {"PartitionValueList": values, "PartitionInput": given}
        answer = world.client.batch_update_partition(**PLACE, Entries=[entry])
        assert "Errors" not in answer

    if how == "a parameter is removed":
        del with_input["Parameters"]["classification"]
    elif how == "a parameter is changed":
        with_input["Parameters"]["recordCount"] = "1"
    elif how == "a column is dropped":
        del with_input["StorageDescriptor"]["Columns"][5]
    elif how == "a column has another type":
        with_input["StorageDescriptor"]["Columns"][5]["Type"] = "int"
    elif how == "the location is wrong":
        with_input["StorageDescriptor"]["Location"] = "file:///elsewhere/"
    elif how == "a partition is deleted":
        world.client.batch_delete_partition(**PLACE, PartitionsToDelete=[{"Values": values}])
        return
    elif how == "there is one partition more":
        extra = copy.deepcopy(given) | {"Values": ["000000000000", *values[1:]]}
        world.client.batch_create_partition(**PLACE, PartitionInputList=[extra])
        return
    elif how == "a partition's location is wrong":
        given["StorageDescriptor"]["Location"] = "file:///elsewhere/"
        return update_partition()
    elif how == "a partition's column is dropped":
        del given["StorageDescriptor"]["Columns"][5]
        return update_partition()
    elif how == "a partition's parameter is removed":
        del given["Parameters"]["trailmill.columns"]
        return update_partition()
    elif how == "the table is gone":
        del world.glue.tables[ACCOUNT, "trailmill", "cloudtrail"]
        return
    elif how == "everything is gone":
        world.glue.tables.clear()
        world.glue.databases.clear()
        return
    world.client.update_table(DatabaseName="trailmill", TableInput=with_input)


DAMAGES = [
    "a parameter is removed",
    "a parameter is changed",
    "a column is dropped",
    "a column has another type",
    "the location is wrong",
    "a partition is deleted",
    "there is one partition more",
    "a partition's location is wrong",
    "a partition's column is dropped",
    "a partition's parameter is removed",
    "the table is gone",
    "everything is gone",
]


class TestDrift:
    @pytest.mark.parametrize("how", DAMAGES)
    def test_is_found_and_repaired(self, converted, how):
        was = (table(converted)["StorageDescriptor"], table(converted)["Parameters"])
        all_were = {v: p["StorageDescriptor"] for v, p in partitions(converted).items()}
        damage(converted, how)

        assert not all(plan["in_sync"] for plan in converted.diff(code=1))
        converted.sync()

        assert (table(converted)["StorageDescriptor"], table(converted)["Parameters"]) == was
        assert {v: p["StorageDescriptor"] for v, p in partitions(converted).items()} == all_were
        assert_in_line(converted)

    @pytest.mark.parametrize("how", [h for h in DAMAGES if h != "a partition's column is dropped"])
    def test_is_repaired_by_a_run_with_nothing_new(self, converted, how):
        damage(converted, how)

        assert converted.convert()["catalog_changes"] > 0

        assert_in_line(converted)

    def test_what_is_not_ours_is_kept(self, converted):
        found = {k: v for k, v in table(converted).items() if k in SHAPES["TableInput"][0]}
        found["Parameters"] |= {"team": "soc", "transient_lastDdlTime": "1700000000"}
        found["Owner"] = "hadoop"
        found["Retention"] = 3
        found["Description"] = "ours since 2026"
        storage = found["StorageDescriptor"]
        storage["Columns"].append({"Name": "ticket", "Type": "string", "Comment": "by hand"})
        storage["Columns"][3]["Comment"] = "the service"
        storage["Columns"][3]["Parameters"] = {"pii": "no"}
        storage["SkewedInfo"] = {"SkewedColumnNames": [], "SkewedColumnValueLocationMaps": {}}
        storage["SerdeInfo"]["Parameters"]["mode"] = "theirs"
        found["PartitionKeys"][0]["Comment"] = "who pays"
        converted.client.update_table(DatabaseName="trailmill", TableInput=found)
        converted.sync()
        converted.put("b", [record(10)])
        converted.convert()

        after = {k: v for k, v in table(converted).items() if k in SHAPES["TableInput"][0]}

        ours = ("recordCount", "sizeKey", "objectCount", "averageRecordSize", "numRows", "totalSize",
                "numFiles")  # fmt: skip
        for parameters in (found["Parameters"], after["Parameters"]):
            for name in ours:
                parameters.pop(name)
        assert after == found
        assert_in_line(converted)

    def test_a_table_of_others_is_refused(self, world):
        world.client.create_database(DatabaseInput={"Name": "trailmill"})
        world.client.create_table(
            DatabaseName="trailmill",
            TableInput={
                "Name": "cloudtrail",
                "TableType": "EXTERNAL_TABLE",
                "PartitionKeys": [],
                "Parameters": {"table_type": "ICEBERG"},
                "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "string"}]},
            },
        )
        world.glue.forget()

        err = world.convert(code=2)

        assert "not an external Parquet table" in err
        assert world.glue.writes == []


class TestFaults:
    ACTIONS = ["GetTable", "GetDatabase", "CreateDatabase", "CreateTable", "BatchCreatePartition"]

    @pytest.mark.parametrize("action", ACTIONS)
    def test_throttled_calls_are_repeated_and_reported(self, world, action):
        world.glue.fail(action, "throttle", times=3)

        report = world.convert()

        # The tables of all four families are asked for before the work, too.
        answered = 6 if action == "GetTable" else 1
        assert world.glue.count(action) == 3 + answered
        assert report["catalog_throttled"] == 3
        assert_in_line(world)

    @pytest.mark.parametrize("kind", [*DROPS, "error_after", "error"])
    @pytest.mark.parametrize("action", ACTIONS)
    def test_calls_without_an_answer_end_well(self, world, action, kind):
        options = {}
        if kind.startswith("error"):
            options = {"code": "InternalServiceException", "message": "oops", "status": 500}
        world.glue.fail(action, kind, times=2, **options)

        world.convert()

        assert_in_line(world)
        assert world.glue.table().version == 0

    @pytest.mark.parametrize("action", ["CreateDatabase", "CreateTable", "BatchCreatePartition"])
    def test_what_was_done_without_an_answer_is_not_done_again(self, world, action):
        world.glue.fail(action, "drop_after")

        world.convert()

        assert world.glue.count(action) == 1
        assert world.glue.count("UpdateTable") == 0
        assert world.glue.count("BatchUpdatePartition") == 0

    @pytest.mark.parametrize("kind", [*DROPS, "throttle"])
    @pytest.mark.parametrize("action", ["UpdateTable", "BatchUpdatePartition", "GetPartitions"])
    def test_updates_end_well(self, converted, action, kind):
        converted.put("b", [record(10, "2026-01-02", requestParameters={"brandNewMember": 1})])
        converted.glue.fail(action, kind, times=2)

        converted.convert()

        assert converted.glue.table().version == 1
        assert_in_line(converted)

    @pytest.mark.parametrize("kind", [*DROPS, "throttle"])
    def test_deletes_end_well(self, converted, kind):
        damage(converted, "there is one partition more")
        converted.glue.fail("BatchDeletePartition", kind, times=2)

        converted.sync()

        assert_in_line(converted)

    @pytest.mark.parametrize("code", ["InternalServiceException", "ThrottlingException",
                                      "ConcurrentModificationException"])  # fmt: skip
    @pytest.mark.parametrize("action", ["BatchCreatePartition", "BatchUpdatePartition",
                                        "BatchDeletePartition"])  # fmt: skip
    def test_errors_of_single_partitions_are_acted_on(self, converted, action, code):
        damage(converted, "there is one partition more")
        converted.put("b", [
            record(n, f"2026-0{1 + n % 2}-0{n % 7 + 1}", requestParameters={"brandNewMember": 1})
            for n in range(10, 30)
        ])  # fmt: skip
        converted.glue.fail(action, "items", times=2, code=code, every=2)

        report = converted.convert()

        assert converted.glue.count(action) >= 2
        assert (report["catalog_throttled"] > 0) == (code == "ThrottlingException")
        assert_in_line(converted, len(converted.glue.table().partitions))

    def test_an_error_of_a_partition_that_was_created_all_the_same(self, world):
        world.glue.fail(
            "BatchCreatePartition", "items", code="InternalServiceException", every=2, done=True
        )

        world.convert()

        assert world.glue.count("BatchCreatePartition") == 1
        assert_in_line(world)

    def test_a_partition_that_cannot_be_created_stops_with_its_values(self, world):
        world.glue.fail("BatchCreatePartition", "items", code="InvalidInputException", every=3)

        err = world.convert(code=3)

        assert "BatchCreatePartition was refused with InvalidInputException" in err
        assert "111122223333/eu-west-1/2026-01-02" in err
        world.convert()
        assert_in_line(world)

    @pytest.mark.parametrize("action", ["BatchCreatePartition", "BatchUpdatePartition"])
    def test_a_request_that_is_too_large_is_halved(self, world, action):
        world.put("b", [record(n, f"2026-03-{n:02}") for n in range(10, 20)])
        if action == "BatchUpdatePartition":
            world.convert()
            world.put("c", [record(n, f"2026-03-{n - 20:02}") for n in range(30, 40)])
        too_large = {"code": "RequestEntityTooLargeException", "message": "no", "status": 413}
        world.glue.fail(action, "error", times=2, **too_large)

        world.convert()

        sizes = world.glue.sizes(action)
        assert sizes[1] == sizes[0] // 2 and sizes[2] == sizes[1] // 2
        assert max(sizes[2:]) == sizes[2] and sum(sizes[2:]) == sizes[0]
        assert_in_line(world, 14)

    def test_partitions_that_others_created_are_compared(self, converted):
        """They appear between the reading and the creating, one of them wrong."""
        found = copy.deepcopy(converted.glue.table().partitions)
        converted.glue.table().partitions.clear()
        wrong = next(iter(found.values()))
        wrong["StorageDescriptor"]["Location"] = "file:///elsewhere/"
        wrong["Parameters"]["team"] = "soc"
        appear = lambda: converted.glue.table().partitions.update(found)  # noqa: E731
        converted.glue.fail("BatchCreatePartition", "before", call=appear)

        converted.sync()

        assert converted.glue.count("BatchCreatePartition") == 1
        assert converted.glue.sizes("BatchGetPartition") == [4]
        assert converted.glue.sizes("BatchUpdatePartition") == [1]
        assert any("team" in p["Parameters"] for p in partitions(converted).values())
        assert_in_line(converted)

    def test_partitions_that_others_deleted_are_created(self, converted):
        converted.put("b", [record(10, "2026-01-02"), record(11, "2026-01-03")])
        gone = lambda: converted.glue.table().partitions.clear()  # noqa: E731
        converted.glue.fail("BatchUpdatePartition", "before", call=gone)

        converted.convert()

        assert converted.glue.sizes("BatchCreatePartition") == [2]
        converted.sync()
        assert_in_line(converted)

    def test_keys_that_were_not_processed_are_asked_for_again(self, converted):
        found = copy.deepcopy(converted.glue.table().partitions)
        converted.glue.table().partitions.clear()
        converted.glue.unprocessed = 2
        appear = lambda: converted.glue.table().partitions.update(found)  # noqa: E731
        converted.glue.fail("BatchCreatePartition", "before", call=appear)

        converted.sync()

        assert converted.glue.sizes("BatchGetPartition") == [4, 2, 1]
        assert_in_line(converted)

    def test_a_table_changed_meanwhile_is_read_and_merged_again(self, converted):
        def meddle():
            changed = copy.deepcopy(converted.glue.table().input)
            changed["Parameters"]["team"] = "soc"
            columns = changed["StorageDescriptor"]["Columns"]
            if columns[-1]["Name"] != "ticket":
                columns.append({"Name": "ticket", "Type": "string"})
            converted.glue.table().update(changed)

        converted.put("b", [record(10)])
        converted.glue.fail("UpdateTable", "before", times=2, call=meddle)

        converted.convert()

        sent = [body["VersionId"] for body in converted.glue.bodies("UpdateTable")]
        assert sent == ["0", "1", "2"]
        assert table(converted)["Parameters"]["team"] == "soc"
        assert table(converted)["Parameters"]["recordCount"] == "5"
        assert table(converted)["StorageDescriptor"]["Columns"][-1]["Name"] == "ticket"

    def test_a_table_created_meanwhile_is_compared(self, world):
        def be_faster():
            given = copy.deepcopy(world.glue.bodies("CreateTable")[-1])
            given["TableInput"]["Parameters"] |= {"recordCount": "0", "team": "soc"}
            world.glue.do_CreateTable(given)

        world.glue.fail("CreateTable", "before", call=be_faster)

        world.convert()

        assert world.glue.count("CreateTable") == 1 and world.glue.count("UpdateTable") == 1
        assert table(world)["Parameters"]["team"] == "soc"
        assert table(world)["Parameters"]["recordCount"] == "4"
        assert_in_line(world)

    def test_endless_throttling_is_to_be_tried_later(self, world):
        world.glue.fail("BatchCreatePartition", "throttle", times=10_000)

        err = world.convert(code=75, retry=2)

        assert "ThrottlingException" in err and "attempts" in err
        world.glue.faults.clear()
        assert world.convert()["records_written"] == 0
        assert_in_line(world)

    def test_a_service_that_is_down_is_to_be_tried_later(self, world):
        world.glue.fail("GetTable", "drop", times=10_000)

        err = world.convert(code=75, retry=1)

        assert "glue:GetTable was not answered" in err

    def test_small_and_empty_pages_are_followed(self, world):
        world.put("b", [record(n, f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}") for n in range(10, 60)])
        world.convert()
        world.glue.page_size, world.glue.empty_pages = 7, True

        assert_in_line(world, len(world.glue.table().partitions))
        assert world.glue.count("GetPartitions") > 10


class TestDenials:
    IAM = (
        "User: arn:aws:sts::123456789012:assumed-role/etl/i-0 is not authorized to perform: "
        "glue:{0} on resource: arn:aws:glue:eu-west-1:123456789012:table/trailmill/cloudtrail "
        "because no identity-based policy allows the glue:{0} action"
    )

    @pytest.mark.parametrize(
        "action",
        ["GetTable", "GetDatabase", "CreateDatabase", "CreateTable", "BatchCreatePartition"],
    )
    def test_a_missing_iam_permission_is_named(self, world, action):
        world.glue.deny(action, self.IAM.format(action))

        err = world.convert(code=3)

        [line] = err.splitlines()
        assert line.startswith(
            f"error: permission missing: glue:{action} on arn:aws:glue:eu-west-1:123456789012:table/"
        )
        assert world.glue.count(action) == 1

    @pytest.mark.parametrize("action", ["UpdateTable", "BatchUpdatePartition", "GetPartitions"])
    def test_a_permission_that_an_update_needs_is_named(self, converted, action):
        converted.put("b", [record(10, requestParameters={"brandNewMember": 1})])
        converted.glue.deny(action, self.IAM.format(action))

        err = converted.convert(code=3)

        assert f"permission missing: glue:{action} on arn:aws:glue" in err

    def test_a_missing_lake_formation_grant_is_named(self, world):
        said = "Insufficient Lake Formation permission(s): Required Create Table on trailmill"
        world.glue.deny("CreateTable", said)

        err = world.convert(code=3)

        assert err == (
            "error: permission missing: the Lake Formation grant `Create Table` on `trailmill`, "
            "for glue:CreateTable\n"
        )

    def test_secrets_are_in_no_message(self, world):
        world.glue.deny("GetTable", self.IAM.format("GetTable"))

        err = world.convert(code=3)

        assert "made-up" not in err and "Signature" not in err


class TestProjection:
    def test_parameters_take_the_place_of_partitions(self, world):
        world.convert("--partition-projection")

        parameters = table(world)["Parameters"]

        assert parameters["projection.enabled"] == "true"
        assert parameters["projection.account.type"] == "enum"
        assert parameters["projection.region.values"] == "eu-west-1,us-east-1"
        assert parameters["projection.event_date.type"] == "date"
        assert parameters["projection.event_date.format"] == "yyyy-MM-dd"
        assert parameters["projection.event_date.range"] == "2026-01-02,NOW+1DAYS"
        assert parameters["storage.location.template"].endswith(
            "/lake/cloudtrail/account=${account}/region=${region}/event_date=${event_date}/"
        )
        assert partitions(world) == {}
        assert world.glue.count("BatchCreatePartition") == 0

    def test_it_stays_until_it_is_switched_off(self, world):
        world.convert("--partition-projection")
        world.glue.forget()

        world.convert()
        world.sync()

        assert world.glue.writes == []
        world.put("b", [record(10, "2025-12-24", "ap-south-1")])
        world.convert()
        parameters = table(world)["Parameters"]
        assert parameters["projection.event_date.range"] == "2025-12-24,NOW+1DAYS"
        assert parameters["projection.region.values"] == "ap-south-1,eu-west-1,us-east-1"
        assert partitions(world) == {}
        world.sync("--partition-projection=off")
        parameters = table(world)["Parameters"]
        assert not [n for n in parameters if n.startswith(("projection", "storage.location"))]
        assert_in_line(world, 5)

    def test_switching_deletes_what_is_registered_and_says_so(self, converted):
        plan = converted.sync("--partition-projection", "--dry-run")

        assert plan.count("- partition") == 4
        assert "! partition projection replaces the registered partitions" in plan
        assert len(partitions(converted)) == 4
        converted.sync("--partition-projection")
        assert partitions(converted) == {}
        assert table(converted)["Parameters"]["projection.enabled"] == "true"

    def test_it_excludes_an_index(self, world):
        err = world.convert("--partition-projection", "--partition-index", code=2)

        assert "cannot be used with" in err


NONSENSE = {
    "a page": {"status": 200, "content_type": "text/html", "data": b"<html>Please log in</html>"},
    "nothing": {"status": 200, "content_type": "text/plain", "data": b"ok"},
    "not found": {"status": 404, "content_type": "text/html", "data": b"<h1>Not Found</h1>"},
    "not implemented": {"status": 501, "content_type": "text/html", "data": b"<h1>Not Implemented</h1>"},
    "of another type": {
        "status": 200, "content_type": "application/x-amz-json-1.1",
        "data": b'{"PartitionIndexDescriptorList": {"IndexName": 7}}',
    },
}


class TestNonsense:
    """What answers is not Glue. A run must say so, and not ask for three minutes (20 seconds here)."""

    @pytest.mark.parametrize("name", NONSENSE)
    def test_indexes_that_nobody_can_read_are_an_error_with_the_reason(self, converted, name):
        converted.glue.forget()
        converted.glue.fail("GetPartitionIndexes", "nonsense", times=1000, **NONSENSE[name])

        err = converted.sync("--partition-index", code=3)

        assert "glue:GetPartitionIndexes was answered with HTTP" in err and "is not an answer of Glue" in err
        assert NONSENSE[name]["content_type"] in err and "log in" not in err
        assert converted.glue.count("GetPartitionIndexes") <= 3

    @pytest.mark.parametrize("name", NONSENSE)
    def test_so_is_an_index_that_is_not_created(self, converted, name):
        converted.glue.forget()
        converted.glue.fail("CreatePartitionIndex", "nonsense", times=1000, **NONSENSE[name])

        err = converted.sync("--partition-index", code=3)

        # An object in JSON may be an answer: that the index is not there tells that it was none.
        is_object = name == "of another type"
        assert f"glue:CreatePartitionIndex was answered with {'success' if is_object else 'HTTP'}" in err
        assert "--glue-endpoint-url" in err and "log in" not in err
        assert 2 <= converted.glue.count("CreatePartitionIndex") <= 3
        assert not converted.glue.table().indexes

    @pytest.mark.parametrize("action", ["CreateDatabase", "CreateTable", "BatchCreatePartition"])
    @pytest.mark.parametrize("name", [name for name in NONSENSE if name != "of another type"])
    def test_nothing_is_believed_to_be_made(self, world, action, name):
        world.glue.fail(action, "nonsense", times=1000, **NONSENSE[name])

        err = world.convert(code=3)

        assert f"glue:{action} was answered with HTTP" in err and "is not an answer of Glue" in err
        assert 2 <= world.glue.count(action) <= 3

    def test_an_empty_object_is_neither_a_table_nor_a_database(self, world):
        empty = {"status": 200, "content_type": "application/x-amz-json-1.1", "data": b"{}"}
        for action in ("GetTable", "GetDatabase"):
            world.glue.fail(action, "nonsense", times=1000, **empty)

        err = world.convert(code=3)

        assert "glue:GetTable was answered with success, but without a table" in err, err

    def test_nothing_is_believed_to_be_changed(self, converted):
        converted.glue.fail("UpdateTable", "nonsense", times=1000, **NONSENSE["a page"])

        err = converted.sync("--partition-projection", code=3)

        assert "glue:UpdateTable was answered with HTTP 200" in err, err

    def test_one_such_answer_is_forgiven(self, converted):
        for action in ("GetPartitionIndexes", "CreatePartitionIndex", "UpdateTable"):
            converted.glue.fail(action, "nonsense", **NONSENSE["a page"])

        converted.sync("--partition-index")

        assert len(converted.glue.table().indexes) == 1

    def test_an_answer_that_breaks_off_is_asked_for_again(self, converted):
        cut = NONSENSE["of another type"] | {"length": 1000}
        converted.glue.fail("GetPartitionIndexes", "nonsense", times=4, **cut)

        converted.sync("--partition-index")

        assert len(converted.glue.table().indexes) == 1

    def test_everything_else_is_told_as_well(self, world):
        for action in ("GetTable", "GetDatabase"):
            world.glue.fail(action, "nonsense", times=1000, **NONSENSE["a page"])

        err = world.convert(code=3)

        assert "is not an answer of Glue" in err and "--glue-endpoint-url" in err


class TestIndex:
    def test_a_new_table_is_created_with_it(self, world):
        world.convert("--partition-index")

        assert world.glue.table().indexes == [
            {"IndexName": "trailmill", "Keys": ["account", "region", "event_date"]}
        ]
        assert table(world)["Parameters"]["partition_filtering.enabled"] == "true"
        assert world.glue.count("CreatePartitionIndex") == 0
        world.glue.forget()
        world.convert("--partition-index")
        world.convert()
        assert world.glue.writes == []

    @pytest.mark.parametrize("kind", [None, *DROPS])
    def test_a_table_that_is_there_gets_it(self, converted, kind):
        if kind:
            converted.glue.fail("CreatePartitionIndex", kind)

        converted.sync("--partition-index")

        assert len(converted.glue.table().indexes) == 1
        assert table(converted)["Parameters"]["partition_filtering.enabled"] == "true"
        converted.glue.forget()
        converted.sync()
        assert converted.glue.writes == []
        assert table(converted)["Parameters"]["partition_filtering.enabled"] == "true"


class TestManyPartitions:
    ACCOUNTS, DAYS = 200, 100

    def test_20000_are_registered_in_the_fewest_legal_calls(self, tmp_path, glue):  # noqa: F811
        world = World(tmp_path, glue.url, glue)
        options = convert_many(world, self.ACCOUNTS, self.DAYS)

        report = world.convert(*options, retry=120)

        assert report["catalog_calls"] == 209
        assert dict(glue.count()) == {
            "GetTable": 6,
            "GetDatabase": 1,
            "CreateDatabase": 1,
            "CreateTable": 1,
            "BatchCreatePartition": 200,
        }
        assert set(glue.sizes("BatchCreatePartition")) == {100}
        assert len(glue.table().partitions) == 20_000
        glue.forget()
        world.convert(*options)
        assert glue.writes == []
        pages = glue.bodies("GetPartitions")
        assert {body["Segment"]["SegmentNumber"] for body in pages} == set(range(10))
        assert len(pages) <= 30
        glue.forget()
        world.convert(*options, "--partition-projection", retry=120)
        assert glue.count("BatchDeletePartition") == 800
        assert glue.table().partitions == {}

    def test_they_are_registered_while_glue_throttles_and_fails(self, tmp_path, glue):  # noqa: F811
        world = World(tmp_path, glue.url, glue)
        options = convert_many(world, 20, 50)
        glue.fail("BatchCreatePartition", "throttle", times=7)
        glue.fail("BatchCreatePartition", "drop_after", times=2)
        glue.fail("BatchCreatePartition", "items", times=2, code="ThrottlingException", every=3)

        report = world.convert(*options, retry=120)

        assert report["catalog_throttled"] > 7
        assert len(glue.table().partitions) == 1000
        glue.forget()
        world.convert(*options)
        assert glue.writes == []


def convert_many(world, accounts, days):
    """A lake of many partitions that no catalog knows; their data files stand in its manifest only.
    Returns the options it was made with."""
    world.put("a", [record(1)])
    options = ("--partition-by", "account,event_date")
    given = (*world.tables, *options, "-q", "--catalog", "none")
    world.run("convert", world.logs, world.lake, *given)
    # The manifest alone is crafted: without a checkpoint it is read.
    for made_from_it in ("checkpoints", "ledger"):
        shutil.rmtree(world.lake / "_trailmill" / made_from_it)
    [path] = (world.lake / "_trailmill/manifests").glob("*.json.gz")
    manifest = json.loads(gzip.decompress(path.read_bytes()))
    [file] = manifest["files"]
    manifest["files"] = [
        copied(file, f"{account:012}", f"2026-{day // 28 + 1:02}-{day % 28 + 1:02}")
        for account in range(accounts)
        for day in range(days)
    ]
    path.write_bytes(gzip.compress(json.dumps(manifest).encode()))
    return options


def copied(file, account, day):
    partition = f"account={account}/event_date={day}"
    name = file["key"].rpartition("/")[2]
    return {**file, "partition": partition, "key": f"cloudtrail/{partition}/{name}"}


class TestMoto:
    """moto is lenient; it is an idea of Glue that is not ours."""

    def test_a_lake_is_registered_grows_and_is_repaired(self, tmp_path, moto_url):  # noqa: F811
        world = World(tmp_path, moto_url, typed=True)
        world.put("a", some_records())
        database = ["--database", "with_moto"]
        place = {"DatabaseName": "with_moto", "TableName": "cloudtrail_typed"}

        def registered():
            return world.client.get_partitions(**place)["Partitions"]

        assert world.convert(*database)["catalog_changes"] == 10
        assert world.convert(*database)["catalog_changes"] == 0
        assert len(registered()) == 4
        world.put("b", [record(10, "2026-02-01", requestParameters={"brandNewMember": 1})])
        world.convert(*database)
        columns = world.client.get_table(DatabaseName="with_moto", Name="cloudtrail_typed")["Table"][
            "StorageDescriptor"
        ]["Columns"]
        assert re.search("brandnewmember", json.dumps(columns))
        assert all(p["StorageDescriptor"]["Columns"] == bare(columns) for p in registered())
        assert len(registered()) == 5
        world.client.delete_partition(**place, PartitionValues=registered()[0]["Values"])
        world.diff(*database, code=1)
        world.sync(*database)
        assert len(registered()) == 5
        world.diff(*database)


def bare(columns):
    return [{"Name": c["Name"], "Type": c["Type"]} for c in columns]


class TestLakes:
    """Several lakes in one catalog."""

    def test_the_table_of_another_lake_is_not_taken(self, tmp_path, glue):  # noqa: F811
        first, second = (World(tmp_path / name, glue.url, glue) for name in ("first", "second"))
        for world in (first, second):
            world.put("a", some_records())
        first.convert()
        glue.forget()

        said = second.convert(code=2)

        assert "belongs to another lake" in said and "/first/lake" in said
        assert glue.writes == []
        assert not list(second.lake.rglob("*.parquet")), "it is said before the work"
        second.convert("--table", "others")
        first.convert()
        assert_in_line(first)

    @pytest.mark.parametrize("suffix", ["", "_insight", "_network_activity", "_aggregated"])
    def test_no_familys_table_is_found_taken_after_a_commit(self, tmp_path, glue, suffix):  # noqa: F811
        first, second = (World(tmp_path / name, glue.url, glue) for name in ("first", "second"))
        for world in (first, second):
            world.put("a", some_records())
        first.convert()
        # Only this family's name is taken.
        own = glue.tables.pop((ACCOUNT, "trailmill", "cloudtrail"))
        own.input["Name"] = f"cloudtrail{suffix}"
        glue.tables[ACCOUNT, "trailmill", f"cloudtrail{suffix}"] = own
        glue.forget()

        for args in [[], ["--partition-projection"]]:
            assert "belongs to another lake" in second.convert(*args, code=2)
        given = ["plan", second.logs, second.lake, "--children", "1", *second.options()]
        assert "belongs to another lake" in second.run(*given, code=2)[1]

        assert glue.writes == [] and not list(second.lake.rglob("*.gz")), "something was written"

    @pytest.mark.parametrize("how", ["moved", "taken", "a view", "other keys"])
    def test_a_lake_with_rows_is_told_before_it_gets_more(self, tmp_path, glue, how):  # noqa: F811
        world = World(tmp_path / "here", glue.url, glue)
        world.put("a", some_records())
        world.convert()
        found = glue.tables[ACCOUNT, "trailmill", "cloudtrail"].input
        if how == "moved":
            world.lake = world.lake.rename(tmp_path / "there")
        elif how == "taken":
            found["Parameters"]["trailmill.lake"] = "s3://another/lake/"
        elif how == "a view":
            found["TableType"] = "VIRTUAL_VIEW"
        else:
            found["PartitionKeys"] = found["PartitionKeys"][:1]
        world.put("b", [record(77)])
        before = sorted(world.lake.rglob("*"))
        glue.forget()

        world.convert(code=2)
        world.sync(code=2)
        world.run("plan", world.logs, world.lake, "--children", "1", *world.options(), *world.tables, code=2)

        assert glue.writes == []
        assert sorted(world.lake.rglob("*")) == before

    @pytest.mark.parametrize("how", ["moved", "taken"])
    def test_finish_is_told_before_it_commits(self, tmp_path, glue, how):  # noqa: F811
        world, other = World(tmp_path / "here", glue.url, glue), World(tmp_path / "other", glue.url, glue)
        for each in (world, other):
            each.put("a", some_records())
        if how == "moved":
            world.convert()
            world.put("b", [record(77)])
        world.run("plan", world.logs, world.lake, "--children", "1", *world.options(), *world.tables)
        world.run("convert", "--plan", world.lake)
        if how == "moved":
            world.lake = world.lake.rename(tmp_path / "there")
        else:
            other.convert()
        before = sorted(world.lake.rglob("*"))
        glue.forget()

        world.run("finish", "--plan", world.lake, *world.options(), code=2)

        assert glue.writes == [] and sorted(world.lake.rglob("*")) == before

    def test_a_table_that_is_taken_while_a_run_converts_does_not_say_that_nothing_was_done(self, world):
        def be_faster():
            given = copy.deepcopy(world.glue.bodies("CreateTable")[-1])
            given["TableInput"]["Parameters"]["trailmill.lake"] = "s3://another/lake/"
            world.glue.do_CreateTable(given)

        world.glue.fail("CreateTable", "before", call=be_faster)

        said = world.convert(code=3)

        assert "committed data stays" in said and "belongs to another lake" in said
        assert list(world.lake.rglob("*.parquet"))
