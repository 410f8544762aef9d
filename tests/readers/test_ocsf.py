"""The OCSF views of `catalog ddl --ocsf`: classes, attributes, types, and Security Lake's queries.

What an attribute must be is worked out here from the source records, and every row is held to the schema
that OCSF publishes.
"""

import datetime
import functools
import json
import re

import pytest
import security_lake
import sqlglot
from conftest import ROOT, Lake, trailmill
from ocsf_events import AUTHENTICATION, CHANGES, is_address, made, wanted_class

VERSIONS = {"1.1": "1.1.0", "1.8": "1.8.0"}
CLASSES = {
    6003: "cloudtrail_ocsf_api_activity",
    3002: "cloudtrail_ocsf_authentication",
    3001: "cloudtrail_ocsf_account_change",
}
UNION = "cloudtrail_ocsf"
# After the attributes: Security Lake's names of the partition, then the lake's own.
PARTITION = ["accountid", "eventday", "account", "region", "event_date"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Events of each kind, of the last days."""
    root = tmp_path_factory.mktemp("ocsf")
    (root / "logs").mkdir()
    (root / "logs" / "a.json").write_text(json.dumps({"Records": made()}))
    return Lake(root / "logs", root / "lake")


@pytest.fixture(scope="module", params=["small", "sample", "real"])
def any_lake(request):
    return request.getfixturevalue(request.param)


@functools.cache
def connected(lake, version):
    return lake.duckdb("--ocsf", version)


def ask(connection, sql):
    """The rows of an answer, in which two columns may have one name."""
    table = connection.sql(sql).to_arrow_table()
    columns = [column.to_pylist(maps_as_pydicts="strict") for column in table.columns]
    return table.column_names, list(zip(*columns))


def objects(connection, view):
    """The rows of a view as OCSF's JSON: attributes that are null are not there."""
    names, rows = ask(connection, f"SELECT * FROM trailmill.{view}")
    for row in rows:
        yield {name: v for name, value in zip(names, row) if (v := plain(value)) is not None}


def plain(value):
    """A value as JSON has it; null for an object without members."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")
    if isinstance(value, dict):
        members = {name: v for name, member in value.items() if (v := plain(member)) is not None}
        return members or None
    if isinstance(value, list):
        return [v for element in value if (v := plain(element)) is not None]
    return value


@pytest.mark.parametrize("version", VERSIONS)
def test_every_row_is_in_exactly_one_class(any_lake, version):
    connection = connected(any_lake, version)
    ids = lambda view, key: connection.execute(  # noqa: E731
        f"SELECT {key}, count(*) FROM trailmill.{view} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    every = sorted(ids("cloudtrail", "eventid"), key=repr)
    parts = [pair for view in CLASSES.values() for pair in ids(view, "metadata.uid")]

    assert sum(number for _, number in every) == any_lake.report["rows_by_table"]["cloudtrail"]
    assert sorted(ids(UNION, "metadata.uid"), key=repr) == every
    # Nothing has an id twice, but what has none at all may be in several classes.
    assert sorted(p for p in parts if p[0] is not None) == [p for p in every if p[0] is not None]
    assert sum(number for _, number in parts) == sum(number for _, number in every)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_view_of_all_classes_has_the_rows_of_each(any_lake, version):
    connection = connected(any_lake, version)
    for uid, view in CLASSES.items():
        columns = [c for c, *_ in connection.execute(f"DESCRIBE trailmill.{view}").fetchall()]
        names = ", ".join(f'"{column}"' for column in columns)
        one = f"SELECT {names} FROM trailmill.{view}"
        all_ = f"SELECT {names} FROM trailmill.{UNION} WHERE class_uid = {uid}"
        for left, right in ((one, all_), (all_, one)):
            assert ask(connection, f"{left} EXCEPT ALL {right}")[1] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_class_and_activity_are_those_of_the_event(any_lake, version):
    """By a second implementation, from the source records."""
    connection = connected(any_lake, version)
    _, found = ask(
        connection,
        f"SELECT metadata.uid, class_uid, activity_id, category_uid, type_uid, activity_name,"
        f" class_name, type_name FROM trailmill.{UNION}",
    )
    by_id = {event["eventID"]: event for event in any_lake.events if event.get("eventID")}
    seen = set()
    for uid, class_uid, activity, category, type_uid, name, class_name, type_name in found:
        assert category == class_uid // 1000 and type_uid == class_uid * 100 + activity
        assert type_name.startswith(f"{class_name}: ")
        event = by_id.get(uid)
        if event is None:
            continue
        seen.add(uid)
        assert (class_uid, activity) == wanted_class(event, version), event["eventName"]
        assert (name == event["eventName"]) == (activity == 99) or name == event["eventName"]
    assert seen == set(by_id)


@pytest.fixture(scope="module", params=VERSIONS)
def ocsf(request):
    """A version, and a check of one event against OCSF's own schema of it."""
    from jsonschema import Draft202012Validator
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSIONS[request.param]))
    validators = {
        uid: Draft202012Validator(
            schema.get_class_schema(schema.lookup_class_name_from_uid(uid), ["cloud", "datetime"])
        )
        for uid in CLASSES
    }
    return request.param, lambda event: validators[event["class_uid"]].iter_errors(event)


def test_every_row_is_what_the_schema_of_ocsf_says(any_lake, ocsf):
    version, errors = ocsf
    connection = connected(any_lake, version)
    by_id = {event.get("eventID"): event for event in any_lake.events}
    number, wrong = 0, {}
    for view in CLASSES.values():
        for row in objects(connection, view):
            number += 1
            event = by_id.get(row["metadata"].get("uid"), {})
            row = {name: value for name, value in row.items() if name not in PARTITION}
            for error in errors(row):
                path = ".".join(map(str, error.path))
                if not is_lacking(event, path, error.message):
                    wrong.setdefault((path, error.message[:100]), (event.get("eventName"), row))
    assert not wrong, "\n".join(f"{key}: {str(found)[:600]}" for key, found in wrong.items())
    assert number == any_lake.report["rows_by_table"]["cloudtrail"]


def is_lacking(event, path, message):
    """Whether an attribute is missing because the record does not have its field."""
    user = event.get("userIdentity") or {}
    if path == "api" and "'operation' is a required property" in message:
        return event.get("eventName") is None
    if path == "api.request" and "'uid' is a required property" in message:
        return event.get("requestID") is None
    if message.startswith("'src_endpoint' is a required property"):
        return event.get("sourceIPAddress") is None and event.get("vpcEndpointId") is None
    if message.startswith("'actor' is a required") or path in ("actor", "actor.user"):
        return not any(user.get(name) for name in ("arn", "accountId", "userName", "invokedBy"))
    if path.startswith("resources."):
        resource = event["resources"][int(path.split(".")[1])]
        return not any(key.lower() in ("arn", "arnprefix") for key in resource)
    return False


@pytest.mark.parametrize("version", VERSIONS)
def test_columns_have_the_types_of_ocsf(small, version):
    types = {
        name: kind
        for name, kind, *_ in connected(small, version)
        .execute(f"DESCRIBE trailmill.{UNION}")
        .fetchall()
    }
    assert list(types)[-len(PARTITION) :] == PARTITION
    for name in ("activity_id", "category_uid", "class_uid", "severity_id", "status_id"):
        assert types[name] == "INTEGER", name
    assert types["time"] == types["type_uid"] == "BIGINT"
    assert types["time_dt"] == "TIMESTAMP WITH TIME ZONE"
    assert types["is_mfa"] == "BOOLEAN"
    assert types["unmapped"] == "MAP(VARCHAR, VARCHAR)"
    assert types["cloud"] == "STRUCT(provider VARCHAR, region VARCHAR, account STRUCT(uid VARCHAR))"
    assert types["resources"] == (
        'STRUCT(uid VARCHAR, "type" VARCHAR, "owner" STRUCT(account STRUCT(uid VARCHAR)))[]'
    )
    user = types["actor"].split("session")[0]
    assert "credential_uid VARCHAR" in user
    assert ("programmatic_credentials STRUCT(uid VARCHAR)[]" in user) == (version == "1.8")


def named(lake, version, name, view=UNION):
    (row,) = [row for row in objects(connected(lake, version), view) if row["api"]["operation"] == name]
    return row


def test_times_are_milliseconds_since_1970(small):
    source = {e["eventID"]: e["eventTime"] for e in small.events}
    for row in objects(connected(small, "1.1"), UNION):
        instant = datetime.datetime.fromisoformat(source[row["metadata"]["uid"]].replace("Z", "+00:00"))
        assert row["time"] == round(instant.timestamp() * 1000)
        assert datetime.datetime.fromisoformat(row["time_dt"]) == instant


@pytest.mark.parametrize("version", VERSIONS)
def test_a_login_says_whether_it_succeeded_and_with_mfa(small, version):
    logins = {
        row["actor"]["user"].get("name", "root"): row
        for row in objects(connected(small, version), CLASSES[3002])
        if row["api"]["operation"] == "ConsoleLogin"
    }
    told = {
        name: (row["status"], row["status_id"], row["is_mfa"], row["activity_name"], row["user"]["type"])
        for name, row in logins.items()
    }
    assert told == {
        "alice": ("Success", 1, True, "Logon", "IAMUser"),
        "bob": ("Failure", 2, False, "Logon", "IAMUser"),
        "root": ("Success", 1, True, "Logon", "Root"),
    }
    assert logins["bob"]["status_detail"] == "Failed authentication"
    assert logins["alice"]["dst_endpoint"] == {"svc_name": "https://console.aws.amazon.com/console/home"}
    assert logins["alice"]["service"] == {"name": "signin.amazonaws.com"}
    assert logins["root"]["user"]["account"] == {"uid": "111122223333"}


@pytest.mark.parametrize("version", VERSIONS)
def test_who_assumes_a_role_is_the_actor_and_the_role_is_the_user(small, version):
    row = named(small, version, "AssumeRole", CLASSES[3002])

    assert row["user"] == {
        "type": "Role",
        "name": "nightly",
        "uid": "arn:aws:iam::444455556666:role/Backup",
        "uid_alt": "AROAEXAMPLE:nightly",
        "account": {"uid": "444455556666"},
    }
    assert row["session"] == {
        "uid": "arn:aws:sts::444455556666:assumed-role/Backup/nightly",
        "uid_alt": "AROAEXAMPLE:nightly",
        "credential_uid": "ASIAEXAMPLENEW",
    }
    actor = row["actor"]["user"]
    assert (actor["uid"], actor["uid_alt"]) == ("arn:aws:iam::111122223333:user/alice", "AIDAALICE")
    assert actor["credential_uid"] == "AKIAALICE"


def test_a_switch_of_roles_is_an_activity_only_in_the_version_that_has_it(small):
    assert named(small, "1.1", "SwitchRole")["activity_name"] == "SwitchRole"
    assert named(small, "1.1", "SwitchRole")["type_uid"] == 300299
    assert named(small, "1.8", "SwitchRole")["activity_name"] == "Account Switch"
    assert named(small, "1.8", "SwitchRole")["type_uid"] == 300207


@pytest.mark.parametrize("version", VERSIONS)
def test_a_change_of_an_account_names_the_account(small, version):
    created = named(small, version, "CreateUser", CLASSES[3001])
    assert created["user"] == {
        "type": "IAMUser",
        "name": "carol",
        "uid": "arn:aws:iam::111122223333:user/carol",
        "uid_alt": "AIDACAROL",
        "account": {"uid": "111122223333"},
    }
    attached = named(small, version, "AttachRolePolicy", CLASSES[3001])
    policy = {"uid": "arn:aws:iam::aws:policy/AdministratorAccess"}
    assert (attached["user"]["name"], attached["user"]["type"]) == ("Backup", "Role")
    assert attached["type_name"] == "Account Change: Attach Policy"
    assert attached.get("policy") == (policy if version == "1.1" else None)
    assert attached.get("policies") == ([policy] if version == "1.8" else None)
    assert "policy" not in created and not created.get("policies")
    own = named(small, version, "ChangePassword", CLASSES[3001])
    assert own["user"]["name"] == "alice" and own["user"]["uid_alt"] == "AIDAALICE"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_published_sample_is_converted_as_published(small, version):
    """ocsf/examples, mappings/markdown/AWS/v1.5.0/CloudTrail/Account Change/samples: what both versions have
    of it, but for texts that are empty there."""
    row = named(small, version, "DescribeTargetHealth")

    invoked_by = {"invoked_by" if version == "1.1" else "app_name": "ecs.amazonaws.com"}
    assert row["actor"]["session"] == {
        "created_time": 1752850595000,
        "created_time_dt": "2025-07-18T14:56:35.000+00:00",
        "is_mfa": False,
        "issuer": "arn:aws:iam::112233445566:role/aws-service-role/Admin",
    }
    assert invoked_by.items() <= row["actor"].items()
    user = {
        "account": {"uid": "112233445566"},
        "credential_uid": "ASIA2W7SOKHEXAMPLE",
        "type": "AssumedRole",
        "uid": "arn:aws:sts::112233445566:assumed-role/AWSServiceRole/scheduler",
        "uid_alt": "AROA2W7SOKHEXAMPLE:scheduler",
    }
    assert user.items() <= row["actor"]["user"].items()
    wanted = {
        "activity_id": 2,
        "activity_name": "Read",
        "category_name": "Application Activity",
        "category_uid": 6,
        "class_name": "API Activity",
        "class_uid": 6003,
        "cloud": {"account": {"uid": "112233445566"}, "provider": "AWS", "region": "us-east-2"},
        "http_request": {"user_agent": "ecs.amazonaws.com"},
        "severity": "Informational",
        "severity_id": 1,
        "status": "Success",
        "type_name": "API Activity: Read",
        "type_uid": 600302,
    }
    assert wanted.items() <= row.items()
    assert row["api"]["request"] == {
        "data": '{"targetGroupArn":"arn:aws:elasticloadbalancing:us-east-2:112233445566:targetgroup/alpha-EXAMPLE"}',
        "uid": "d4af67c0-6f6c-4669-bcbb-96b7b039bed1",
    }
    assert row["api"]["service"] == {"name": "elasticloadbalancing.amazonaws.com"}
    product = {"feature": {"name": "Management"}, "name": "CloudTrail", "vendor_name": "AWS", "version": "1.11"}
    assert row["metadata"]["product"] == product
    assert row["metadata"]["version"] == VERSIONS[version]
    assert row["metadata"]["profiles"] == ["cloud", "datetime"]
    assert row["observables"] == [
        {"name": "src_endpoint.domain", "value": "ecs.amazonaws.com", "type": "Hostname", "type_id": 1}
    ]
    kept = {
        "managementEvent": "true",
        "readOnly": "true",
        "userIdentity.sessionContext.sessionIssuer.principalId": "AROA2W7SOKHEXAMPLE",
        "userIdentity.sessionContext.sessionIssuer.userName": "Admin",
    }
    assert kept.items() <= row["unmapped"].items()


def test_an_endpoint_is_an_address_or_a_service(small):
    ends = {
        row["metadata"]["uid"]: row.get("src_endpoint") for row in objects(connected(small, "1.1"), UNION)
    }
    seen = set()
    for event in small.events:
        source = event.get("sourceIPAddress")
        end = {n: v for n, v in (ends[event["eventID"]] or {}).items() if n != "uid"}
        if source is None:
            assert end == {}
        elif is_address(source):
            seen.add(source)
            assert end == {"ip": source}
        else:
            assert end == {"domain": source, "svc_name": source}
    assert {"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.7"} <= seen


def test_lists_of_names_are_tested_by_events_of_each(small):
    names = {event.get("eventName") for event in small.events}

    assert set(CHANGES) | set(AUTHENTICATION) <= names


def test_queries_published_for_security_lake_run_unchanged(small):
    connection = connected(small, "1.1")
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{security_lake.DATABASE}"')
    connection.execute(f"CREATE OR REPLACE VIEW {security_lake.TABLE} AS SELECT * FROM trailmill.{UNION}")
    asked = 0
    for query in security_lake.queries(small.events):
        if query.is_trino_only:
            continue
        asked += 1
        _, found = ask(connection, query.sql)
        assert query.is_answered_by(found), (query.name, found, query.wanted)
        assert query.wanted or "status='failed'" in query.name
    assert asked == 8


def test_observables_are_unnested_as_security_lake_says(small):
    found = connected(small, "1.1").execute(
        f"SELECT metadata.uid FROM trailmill.{UNION}, UNNEST(observables) AS t(observable)"
        f" WHERE {security_lake.WINDOW} AND observable.value='192.0.2.1'"
        " AND observable.name='src_endpoint.ip'"
    ).fetchall()
    wanted = [
        e["eventID"]
        for e in small.events
        if e.get("sourceIPAddress") == "192.0.2.1" and e["eventTime"] > security_lake.days_ago(7)
    ]
    assert wanted and sorted(i for (i,) in found) == sorted(wanted)


def test_the_statements_of_the_page_run(sample):
    page = (ROOT / "docs/ocsf.md").read_text()
    connection = connected(sample, "1.1")
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{security_lake.DATABASE}"')
    connection.execute(f"DROP VIEW IF EXISTS {security_lake.TABLE}")
    for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL):
        for statement in block.split(";\n"):
            connection.execute(statement)


@pytest.mark.parametrize("version", VERSIONS)
def test_spark_answers_as_duckdb(spark, small, version):
    database = f"ocsf{version.replace('.', '')}"
    for statement in small.ddl("spark", "--ocsf", version):
        spark.sql(statement.replace("`trailmill`", f"`{database}`"))
    for view in (UNION, *CLASSES.values()):
        rows = spark.sql(f"SELECT * FROM {database}.{view}").collect()
        found = [{n: v for n, x in row.asDict(True).items() if (v := plain(x)) is not None} for row in rows]
        wanted = list(objects(connected(small, version), view))
        key = lambda row: row["metadata"]["uid"]  # noqa: E731
        assert sorted(found, key=key) == sorted(wanted, key=key), view
    types = dict(spark.sql(f"SELECT * FROM {database}.{UNION}").dtypes)
    assert (types["time"], types["time_dt"], types["type_uid"]) == ("bigint", "timestamp", "bigint")
    assert types["unmapped"] == "map<string,string>"
    assert types["cloud"] == "struct<provider:string,region:string,account:struct<uid:string>>"


@pytest.mark.parametrize("version", VERSIONS)
def test_athena_views_parse_and_have_the_attributes_of_the_others(small, version):
    views = [s for s in small.ddl("athena", "--ocsf", version) if "_ocsf" in s.split("\n")[0]]
    connection = connected(small, version)

    assert len(views) == 4
    for statement in views:
        assert len(statement.encode()) < 262_144
        parsed = sqlglot.parse_one(statement, dialect="athena")
        name = statement.split('"')[3]
        described = connection.execute(f"DESCRIBE trailmill.{name}").fetchall()
        assert parsed.find(sqlglot.exp.Select).named_selects == [column for column, *_ in described]


def test_versions_that_are_not_there_are_refused(small):
    trailmill("catalog", "ddl", small.path, "--ocsf", "1.0", codes=(2,))
    trailmill("catalog", "ddl", small.path, "--ocsf", "1.1", "--no-views", codes=(2,))
