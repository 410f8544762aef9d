"""Every record of the source against every row of the lake, value by value."""

import collections
import re

import pytest
from contract import MAIN, TABLES, twin
from source import agrees, exact, lake_row, row, same


def test_every_record_is_there_with_every_documented_value(lake):
    wanted = collections.defaultdict(list)
    for record in lake.records:
        wanted[record.table, record.event_id].append(row(record))

    unexpected = []
    for table, _, values in lake.rows:
        found = lake_row(table, values)
        candidates = wanted[table, values["eventid"]]
        kinds = [(name, kind) for name, kind, _ in TABLES[table] if kind != "nested"]
        for i, mine in enumerate(candidates):
            if all(same(mine[name], found[name], kind) for name, kind in kinds):
                del candidates[i]
                break
        else:
            differing = [
                (name, candidates[0][name], found[name])
                for name, kind in kinds
                if candidates and not same(candidates[0][name], found[name], kind)
            ]
            unexpected.append((table, values["eventid"], differing))

    missing = [(key, rows) for key, rows in wanted.items() if rows]
    assert not unexpected, f"{len(unexpected)} rows without a record: {unexpected[:3]}"
    assert not missing, f"{len(missing)} records without a row: {missing[:3]}"


def test_the_report_counts_what_the_source_holds(lake):
    records, _ = lake.read
    dated = [record for record in records if record.instant is not None]
    report = lake.report

    assert report["records_read"] == len(records)
    assert report["records_written"] == len(lake.records) == len(lake.rows)
    assert report["records_duplicate"] == len(dated) - len(lake.records)
    assert report["records_quarantined"] == len(records) - len(dated)
    counted = collections.Counter(table for table, _, _ in lake.rows)
    counted.update({twin(table): count for table, count in counted.items()})
    assert report["rows_by_table"] == dict(counted)


def test_partition_paths_are_the_rows_own_values(lake):
    by_text = collections.defaultdict(list)
    for record in lake.records:
        by_text[record.event_id].append(record)

    for table, partition, values in lake.rows:
        day = values["event_timestamp"].strftime("%Y-%m-%d")
        assert partition["event_date"] == day
        assert set(partition) == {"account", "region", "event_date"}
        region = (values["awsregion"] or partition["region"]).strip()
        is_region = re.fullmatch("[A-Za-z0-9][A-Za-z0-9-]*", region)
        assert partition["region"] == (region if is_region else "unknown")
        account = values.get("recipientaccountid") or values.get("accountid")
        if not account:
            paths = "".join(record.path for record in by_text[values["eventid"]])
            identity = values["useridentity"] or {}
            assert partition["account"] in paths or partition["account"] in (
                identity.get("accountid"),
                "unknown",
            )
        else:
            is_account = re.fullmatch("[0-9]{12}", account.strip())
            assert partition["account"] == (account.strip() if is_account else "unknown")


def test_typed_rows_are_the_main_rows_again(lake):
    assert len(lake.typed_rows) == len(lake.rows)
    for (table, _, main), typed in zip(lake.rows, lake.typed_rows):
        for name, kind, _ in TABLES[twin(table)]:
            if kind != "nested":
                assert typed[name] == main[name], (name, main["eventid"])


def test_inferred_columns_say_what_the_text_says(lake):
    checked = 0
    for (table, _, main), typed in zip(lake.rows, lake.typed_rows):
        for name, kind, key in TABLES[twin(table)]:
            if kind != "nested" or typed.get(name) is None:
                continue
            text = next(n for n, k, source in MAIN[table] if k == "json" and source == key)
            assert agrees(typed[name], exact(main[text])), (name, main["eventid"])
            checked += 1

    assert checked > len(lake.rows) / 2


def test_account_region_and_day_are_columns_where_they_are_no_partition_keys(default, sample):
    def places(lake):
        rows = [(table, {**row, **part}) for table, part, row in lake.rows]
        return collections.Counter(
            (table, row["eventid"], row["account"], row["region"], row["event_date"]) for table, row in rows
        )

    assert default.keys == ["event_date"] and default.report["partitions_chosen"]["candidates"]
    assert places(default) == places(sample)
    assert len(default.files) < len(sample.files) / 2
    for typed, (_, _, main) in zip(default.typed_rows, default.rows):
        assert (typed["account"], typed["region"]) == (main["account"], main["region"])


@pytest.mark.parametrize(
    ("column", "text", "member"),
    [
        ("request", "requestparameters", "bucketName"),
        ("request", "requestparameters", "key"),
        ("request", "requestparameters", "roleArn"),
        ("request", "requestparameters", "instanceId"),
        ("additional", "additionaleventdata", "SignatureVersion"),
    ],
)
def test_no_text_value_is_missing_from_its_inferred_column(sample, column, text, member):
    compared = 0
    for (table, _, main), typed in zip(sample.rows, sample.typed_rows):
        if table != "cloudtrail" or main[text] is None or main[text][0] != "{":
            continue
        source = exact(main[text]).last(member)
        if type(source) is str:
            assert typed[column][member.lower()] == source
            compared += 1

    assert compared > 10


def test_inferred_numbers_are_numbers(sample):
    for (table, _, _), typed in zip(sample.rows, sample.typed_rows):
        if table == "cloudtrail" and typed.get("additional"):
            count = typed["additional"].get("bytestransferredout")
            assert count is None or type(count) is int


def test_random_tokens_and_secrets_are_in_the_texts_alone(sample):
    tokens = ("x-amz-id-2", "sessionToken")
    found = {token: 0 for token in tokens}
    for (table, _, main), typed in zip(sample.rows, sample.typed_rows):
        if table != "cloudtrail":
            continue
        texts = (main["responseelements"] or "") + (main["additionaleventdata"] or "")
        for token in tokens:
            found[token] += token in texts
        assert "x_amz_id_2" not in (typed.get("additional") or {})
        credentials = (typed.get("response") or {}).get("credentials") or {}
        assert "sessiontoken" not in credentials

    assert all(found.values()), found
