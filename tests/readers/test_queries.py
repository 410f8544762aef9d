"""The queries people run on CloudTrail, each with the answer worked out from the source records.

They follow AWS's documentation, its incident response playbooks and its security analytics samples;
DuckDB's spelling (`json_extract_string` for `json_extract_scalar`, `list` for `array_agg`), over the
views of `catalog ddl --dialect duckdb`. A query is (name, SQL, answer), and an answer is a function
of the events.
"""

import collections
import datetime
import json
import re

import pytest
from conftest import spark_tables

T = "trailmill.cloudtrail"
NETWORK = "trailmill.cloudtrail_network_activity"
ESCALATION = ["CreatePolicyVersion", "SetDefaultPolicyVersion", "UpdateAssumeRolePolicy", "PassRole"]
PERSISTENCE = ["CreateUser", "CreateRole", "CreateAccessKey", "StopLogging", "DeleteTrail"]
PERSISTENCE += ["CreateFunction20150331", "CreateLoginProfile", "RunInstances", "AssumeRole"]
TAMPERING = ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "DeleteDetector"]
TAMPERING += ["UpdateDetector", "StopConfigurationRecorder", "DeleteConfigurationRecorder"]
POLICY = ["PutBucketPolicy", "PutBucketAcl", "DeleteBucketPolicy", "PutBucketVersioning"]
SNAPSHOTS = ["ModifySnapshotAttribute", "CopySnapshot", "DeleteSnapshot", "CreateSnapshot"]


def at(event, path):
    """The value at a path, whatever is on the way; a number or flag as its text."""
    for name in path.split("."):
        event = event.get(name) if isinstance(event, dict) else None
    if isinstance(event, bool):
        return str(event).lower()
    return event


def rows(events, *paths):
    return [tuple(at(event, path) for path in paths) for event in events]


def count(events, *paths):
    tally = collections.Counter(rows(events, *paths))
    return [(*names, number) for names, number in tally.items()]


def where(events, **wanted):
    """Events whose members are one of the wanted values."""
    tests = {path.replace("__", "."): value for path, value in wanted.items()}
    return [
        event
        for event in events
        if all(at(event, p) in v if isinstance(v, list) else at(event, p) == v for p, v in tests.items())
    ]


def text(value):
    return None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def resources(events):
    for event in events:
        for entry in event.get("resources") or []:
            yield event, {name.lower(): value for name, value in entry.items()}


def quoted(names):
    return ", ".join(f"'{name}'" for name in names)


def most_common(events, path):
    tally = collections.Counter(v for (v,) in rows(events, path) if v is not None)
    return min(tally, key=lambda value: (-tally[value], value))


def day(event):
    return event["eventTime"][:10]


def queries(events):  # noqa: C901
    busiest = collections.Counter(day(e) for e in events).most_common(1)[0][0]
    account = most_common(events, "recipientAccountId")
    days = sorted({day(event) for event in events})
    early, late = days[len(days) // 3], days[2 * len(days) // 3]
    # Keys of sessions are there for a few days.
    key = most_common([e for e in events if early <= day(e) <= late], "userIdentity.accessKeyId")
    of_key = where(events, userIdentity__accessKeyId=key)
    denied = [e for e in events if "AccessDenied" in (at(e, "errorCode") or "")]
    writes = [e for e in events if at(e, "readOnly") == "false"]
    additional = "json_extract_string(additionaleventdata, '$.{}')".format
    request = "json_extract_string(requestparameters, '$.{}')".format

    def summary(found):
        grouped = collections.defaultdict(list)
        for event in found:
            grouped[at(event, "userIdentity.arn")].append(event)
        return [
            (
                arn,
                sorted({e["eventName"] for e in mine}),
                sorted({e["sourceIPAddress"] for e in mine}),
            )
            for arn, mine in grouped.items()
        ]

    yield (
        # Records of the oldest versions do not say whose they are: their folder does.
        "01 a preview by account",
        f"SELECT count(*) FROM (SELECT * FROM {T} WHERE account = '{account}'"
        " AND recipientaccountid IS NOT NULL)",
        [(len(where(events, recipientAccountId=account)),)],
    )
    yield (
        "01 by region and date range",
        f"SELECT eventid FROM {T} WHERE region IN ('us-east-1', 'eu-central-1')"
        f" AND event_date BETWEEN '{early}' AND '{late}'",
        [
            (e.get("eventID"),)
            for e in where(events, awsRegion=["us-east-1", "eu-central-1"])
            if early <= day(e) <= late
        ],
    )
    yield (
        "02 events by region",
        f"SELECT awsregion, count(*) FROM {T} GROUP BY awsregion",
        count(events, "awsRegion"),
    )
    yield (
        "03 events by region and name",
        f"SELECT awsregion, eventname, count(*) FROM {T} GROUP BY awsregion, eventname",
        count(events, "awsRegion", "eventName"),
    )
    yield (
        "04 the API calls of a day",
        f"SELECT eventsource, eventname, count(*) FROM {T} WHERE event_date = '{busiest}'"
        " GROUP BY 1, 2",
        count([e for e in events if day(e) == busiest], "eventSource", "eventName"),
    )
    yield (
        "05 error codes",
        f"SELECT errorcode, count(*) FROM {T} WHERE errorcode IS NOT NULL GROUP BY errorcode",
        count([e for e in events if at(e, "errorCode") is not None], "errorCode"),
    )
    yield (
        "05 error codes and messages",
        f"SELECT errorcode, errormessage, count(*) FROM {T} WHERE errorcode IS NOT NULL"
        " GROUP BY 1, 2",
        count([e for e in events if at(e, "errorCode") is not None], "errorCode", "errorMessage"),
    )
    yield (
        "06 principals that were denied",
        f"SELECT useridentity.principalid, count(*) FROM {T}"
        " WHERE errorcode LIKE '%AccessDenied%' GROUP BY useridentity.principalid",
        count(denied, "userIdentity.principalId"),
    )
    yield (
        "07 all events of an access key in a time window",
        f"SELECT eventid FROM {T} WHERE useridentity.accesskeyid = '{key}'"
        f" AND eventtime BETWEEN '{early}T00:00:00Z' AND '{late}T23:59:59Z'",
        [(e["eventID"],) for e in of_key if early <= day(e) <= late],
    )
    yield (
        "08 who an access key belongs to",
        "SELECT DISTINCT useridentity.principalid, useridentity.arn, useridentity.accountid"
        f" FROM {T} WHERE useridentity.accesskeyid = '{key}'",
        set(rows(of_key, "userIdentity.principalId", "userIdentity.arn", "userIdentity.accountId")),
    )
    yield (
        "09 addresses and agents of a key",
        "SELECT sourceipaddress, useragent, count(*), min(eventtime), max(eventtime)"
        f" FROM {T} WHERE useridentity.accesskeyid = '{key}' GROUP BY 1, 2",
        [
            (
                address,
                agent,
                number,
                min(e["eventTime"] for e in where(of_key, sourceIPAddress=address, userAgent=agent)),
                max(e["eventTime"] for e in where(of_key, sourceIPAddress=address, userAgent=agent)),
            )
            for address, agent, number in count(of_key, "sourceIPAddress", "userAgent")
        ],
    )
    for spelled in ("useridentity.arn", '"useridentity"."arn"'):
        yield (
            f"10 what users did, grouped by {spelled}",
            f"SELECT {spelled}, list(DISTINCT eventname ORDER BY eventname),"
            f" list(DISTINCT sourceipaddress ORDER BY sourceipaddress) FROM {T}"
            " WHERE NOT regexp_matches(eventname, '^(Get|List|Describe)')"
            f" GROUP BY {spelled}",
            summary([e for e in events if not re.match("Get|List|Describe", e["eventName"])]),
        )
    yield (
        "11 logins",
        f"SELECT useridentity.arn, list(DISTINCT sourceipaddress ORDER BY sourceipaddress) FROM {T}"
        " WHERE eventname IN ('AssumeRole', 'ConsoleLogin') GROUP BY 1",
        [(a, i) for a, _, i in summary(where(events, eventName=["AssumeRole", "ConsoleLogin"]))],
    )
    yield (
        "12 console logins without MFA",
        f"SELECT eventid FROM {T} WHERE eventsource = 'signin.amazonaws.com'"
        f" AND eventname = 'ConsoleLogin' AND {additional('MFAUsed')} = 'No'",
        [
            (e["eventID"],)
            for e in where(events, eventName="ConsoleLogin", eventSource="signin.amazonaws.com")
            if at(e, "additionalEventData.MFAUsed") == "No"
        ],
    )
    yield (
        "13 what root did",
        f"SELECT eventname, sourceipaddress, count(*) FROM {T}"
        " WHERE useridentity.type = 'Root' GROUP BY 1, 2",
        count(where(events, userIdentity__type="Root"), "eventName", "sourceIPAddress"),
    )
    yield (
        "14 MFA devices taken away",
        f"SELECT eventid FROM {T} WHERE eventname IN ('DeactivateMFADevice', 'DeleteVirtualMFADevice')",
        rows(where(events, eventName=["DeactivateMFADevice", "DeleteVirtualMFADevice"]), "eventID"),
    )
    yield (
        "15 IAM changes that went through",
        f"SELECT eventname, count(*) FROM {T} WHERE eventsource = 'iam.amazonaws.com'"
        " AND readonly = 'false' AND errorcode IS NULL GROUP BY 1",
        count([e for e in where(writes, eventSource="iam.amazonaws.com") if not e.get("errorCode")], "eventName"),
    )
    yield (
        "16 access keys that were made",
        "SELECT json_extract_string(json_extract(responseelements, '$.accessKey'), '$.accessKeyId'),"
        f" useridentity.arn FROM {T} WHERE eventname = 'CreateAccessKey'",
        rows(
            where(events, eventName="CreateAccessKey"),
            "responseElements.accessKey.accessKeyId",
            "userIdentity.arn",
        ),
    )
    yield (
        "17 passwords that were changed",
        f"SELECT eventname, {request('userName')} FROM {T}"
        " WHERE eventname IN ('UpdateLoginProfile', 'CreateLoginProfile')",
        rows(
            where(events, eventName=["UpdateLoginProfile", "CreateLoginProfile"]),
            "eventName",
            "requestParameters.userName",
        ),
    )
    yield (
        "18 ways to more rights",
        f"SELECT eventname, useridentity.arn, count(*) FROM {T}"
        f" WHERE eventname IN ({quoted(ESCALATION)}) OR eventname LIKE 'Attach%Policy'"
        " OR eventname LIKE 'Put%Policy' GROUP BY 1, 2",
        count(
            [
                e
                for e in events
                if e["eventName"] in ESCALATION or re.match(r"(Attach|Put).*Policy$", e["eventName"])
            ],
            "eventName",
            "userIdentity.arn",
        ),
    )
    yield (
        "19 ways to stay, by principal",
        f"SELECT useridentity.principalid, eventname, count(*) FROM {T}"
        f" WHERE eventname IN ({quoted(PERSISTENCE)}) GROUP BY 1, 2",
        count(where(events, eventName=PERSISTENCE), "userIdentity.principalId", "eventName"),
    )
    yield (
        "20 trails, detectors and recorders tampered with",
        f"SELECT eventname, {request('name')}, useridentity.arn FROM {T}"
        f" WHERE eventname IN ({quoted(TAMPERING)})",
        rows(
            where(events, eventName=TAMPERING),
            "eventName",
            "requestParameters.name",
            "userIdentity.arn",
        ),
    )
    yield (
        "21 access to buckets, by text",
        f"SELECT count(*) FROM {T} WHERE eventsource = 's3.amazonaws.com'"
        " AND requestparameters LIKE '%\"bucketName\":%'",
        [
            (
                sum(
                    '"bucketName":' in (text(e.get("requestParameters")) or "")
                    for e in where(events, eventSource="s3.amazonaws.com")
                ),
            )
        ],
    )
    yield (
        "21 anonymous access",
        f"SELECT eventid FROM {T} WHERE useridentity.accountid = 'anonymous'"
        " AND useridentity.arn IS NULL",
        rows(where(events, userIdentity__accountId="anonymous", userIdentity__arn=None), "eventID"),
    )
    yield (
        "21 who touched a prefix",
        f"SELECT useridentity.arn, count(*) FROM {T} WHERE s3_key LIKE 'AWSLogs/%' GROUP BY 1",
        count(
            [
                e
                for e in where(events, eventSource="s3.amazonaws.com")
                if str(at(e, "requestParameters.key") or "").startswith("AWSLogs/")
            ],
            "userIdentity.arn",
        ),
    )
    hours = collections.Counter(
        e["eventTime"][:13] for e in where(events, eventName="GetObject")
    )
    yield (
        "22 reads of objects by the hour",
        "SELECT strftime(date_trunc('hour', event_timestamp), '%Y-%m-%dT%H'), count(*)"
        f" FROM {T} WHERE eventname = 'GetObject' GROUP BY 1 HAVING count(*) > 3",
        [(hour, number) for hour, number in hours.items() if number > 3],
    )
    gets = where(events, eventSource="s3.amazonaws.com", eventName="GetObject")
    yield (
        "23 objects that were read",
        f"SELECT {request('bucketName')}, {request('key')} FROM {T}"
        " WHERE eventsource = 's3.amazonaws.com' AND eventname = 'GetObject'",
        rows(gets, "requestParameters.bucketName", "requestParameters.key"),
    )
    yield (
        "23 bytes that left",
        f"SELECT CAST(sum(CAST({additional('bytesTransferredOut')} AS double)) AS bigint)"
        f" FROM {T} WHERE eventsource = 's3.amazonaws.com' AND eventname = 'GetObject'",
        [(int(sum(float(at(e, "additionalEventData.bytesTransferredOut") or 0) for e in gets)),)],
    )
    yield (
        "23 buckets by promoted column",
        f"SELECT s3_bucket, count(DISTINCT s3_key) FROM {T} WHERE eventname = 'GetObject'"
        " AND s3_bucket IS NOT NULL GROUP BY 1",
        [
            (bucket, len({k for b, k in set(rows(gets, *S3)) if b == bucket and k is not None}))
            for bucket in {b for b, _ in rows(gets, *S3)} - {None}
        ],
    )
    yield (
        "24 bucket policies, ACLs, versioning, snapshots",
        f"SELECT eventname, count(*) FROM {T} WHERE eventname IN ({quoted(POLICY + SNAPSHOTS)})"
        " GROUP BY 1",
        count(where(events, eventName=POLICY + SNAPSHOTS), "eventName"),
    )
    deletes = count([e for e in events if e["eventName"].startswith("Delete")], "userIdentity.arn")
    yield (
        "24 many deletes",
        f"SELECT useridentity.arn, count(*) FROM {T} WHERE eventname LIKE 'Delete%'"
        " GROUP BY 1 HAVING count(*) > 1",
        [entry for entry in deletes if entry[1] > 1],
    )
    yield (
        "25 keys by principal",
        f"SELECT useridentity.arn, eventname, count(*) FROM {T}"
        " WHERE eventsource = 'kms.amazonaws.com' GROUP BY 1, 2",
        count(where(events, eventSource="kms.amazonaws.com"), "userIdentity.arn", "eventName"),
    )
    yield (
        "25 secrets and parameters",
        f"SELECT eventname, {request('secretId')}, {request('name')} FROM {T}"
        " WHERE eventname = 'GetSecretValue' OR eventname LIKE 'GetParameter%'",
        rows(
            [
                e
                for e in events
                if e["eventName"] == "GetSecretValue" or e["eventName"].startswith("GetParameter")
            ],
            "eventName",
            "requestParameters.secretId",
            "requestParameters.name",
        ),
    )
    yield (
        "26 resources, one row each",
        f"SELECT r.arn, r.type, r.accountid, count(*) FROM (SELECT unnest(resources) AS r FROM {T})"
        " WHERE r.arn LIKE 'arn:aws:s3%' GROUP BY 1, 2, 3",
        [
            (*names, number)
            for names, number in collections.Counter(
                (r.get("arn"), r.get("type"), r.get("accountid"))
                for _, r in resources(events)
                if (r.get("arn") or "").startswith("arn:aws:s3")
            ).items()
        ],
    )
    issuer = "userIdentity.sessionContext.sessionIssuer.arn"
    yield (
        "27 what roles did",
        "SELECT useridentity.sessioncontext.sessionissuer.arn, eventname, count(*)"
        f" FROM {T} WHERE useridentity.sessioncontext.sessionissuer.arn IS NOT NULL GROUP BY 1, 2",
        [entry for entry in count(events, issuer, "eventName") if entry[0] is not None],
    )
    yield (
        "27 sessions by when they began",
        "SELECT useridentity.sessioncontext.attributes.creationdate, count(*)"
        f" FROM {T} WHERE useridentity.sessioncontext.attributes.creationdate IS NOT NULL GROUP BY 1",
        [
            entry
            for entry in count(events, "userIdentity.sessionContext.attributes.creationDate")
            if entry[0] is not None
        ],
    )
    private = re.compile(r"^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)")
    yield (
        "28 callers from outside",
        f"SELECT sourceipaddress, count(*) FROM {T} WHERE regexp_matches(sourceipaddress, '^\\d')"
        " AND NOT regexp_matches(sourceipaddress,"
        " '^(10\\.|192\\.168\\.|172\\.(1[6-9]|2\\d|3[01])\\.)') GROUP BY 1",
        count(
            [
                e
                for e in events
                if re.match(r"\d", e["sourceIPAddress"]) and not private.match(e["sourceIPAddress"])
            ],
            "sourceIPAddress",
        ),
    )
    yield (
        "29 callers of other accounts",
        f"SELECT useridentity.accountid, recipientaccountid, count(*) FROM {T}"
        " WHERE useridentity.accountid <> recipientaccountid GROUP BY 1, 2",
        [
            entry
            for entry in count(events, "userIdentity.accountId", "recipientAccountId")
            if None not in entry and entry[0] != entry[1]
        ],
    )
    yield (
        "29 instances by their role session",
        f"SELECT useridentity.principalid, count(*) FROM {T}"
        " WHERE useridentity.principalid LIKE '%:i-%' GROUP BY 1",
        [e for e in count(events, "userIdentity.principalId") if ":i-" in (e[0] or "")],
    )
    yield (
        "30 older TLS",
        f"SELECT tlsdetails.tlsversion, eventsource, count(*) FROM {T}"
        " WHERE tlsdetails.tlsversion <> 'TLSv1.3' GROUP BY 1, 2",
        [
            entry
            for entry in count(events, "tlsDetails.tlsVersion", "eventSource")
            if entry[0] not in (None, "TLSv1.3")
        ],
    )
    yield (
        "31 changes made in the console",
        f"SELECT eventid FROM {T}"
        " WHERE sessioncredentialfromconsole = 'true' AND readonly = 'false'",
        rows(where(writes, sessionCredentialFromConsole="true"), "eventID"),
    )
    yield (
        "32 who invoked which function",
        f"SELECT lambda_function, useridentity.arn, count(*) FROM {T}"
        " WHERE lambda_function IS NOT NULL AND eventname LIKE 'Invoke%' GROUP BY 1, 2",
        [
            (*names, number)
            for names, number in collections.Counter(
                (function(at(e, "requestParameters.functionName")), at(e, "userIdentity.arn"))
                for e in where(events, eventSource="lambda.amazonaws.com")
                if e["eventName"].startswith("Invoke") and at(e, "requestParameters.functionName")
            ).items()
        ],
    )


S3 = ("requestParameters.bucketName", "requestParameters.key")
# The made-up archive is small: nothing happens in it that these would find.
MAY_BE_EMPTY = ("14", "17", "20", "22", "24", "25 secrets", "16")


def function(name):
    return name.split("function:", 1)[-1].split(":")[0]


def ordered(found):
    return sorted((tuple(row) for row in found), key=repr)


def test_queries_answer_as_the_source_does(sample, connection):
    wrong, empty, asked = [], [], 0
    for name, sql, wanted in queries(sample.events):
        wanted = ordered(wanted)
        found = ordered(connection.execute(sql).fetchall())
        asked += 1
        if found != wanted:
            wrong.append((name, [r for r in found if r not in wanted][:2], wanted[:2]))
        if not wanted and not name.startswith(MAY_BE_EMPTY):
            empty.append(name)

    assert not wrong
    assert not empty, "the sample holds nothing to find"
    assert asked >= 40


def test_network_activity(sample, connection):
    denied = [
        record.plain
        for record in sample.records
        if record.table == "cloudtrail_network_activity"
        and record.plain.get("errorCode") == "VpceAccessDenied"
    ]
    found = connection.execute(
        f"SELECT vpcendpointaccountid, vpcendpointid, count(*) FROM {NETWORK}"
        " WHERE eventcategory = 'NetworkActivity' AND errorcode = 'VpceAccessDenied' GROUP BY 1, 2"
    ).fetchall()

    assert denied
    assert ordered(found) == ordered(count(denied, "vpcEndpointAccountId", "vpcEndpointId"))


def test_a_partition_copies_to_another_table(sample, connection):
    busiest = collections.Counter(day(e) for e in sample.events).most_common(1)[0]
    connection.execute(
        f"CREATE TABLE copied AS SELECT * FROM {T} WHERE event_date = '{busiest[0]}'"
    )

    assert connection.execute("SELECT count(*) FROM copied").fetchall() == [(busiest[1],)]


def test_event_timestamp_is_the_instant_in_utc(sample, connection):
    found = connection.execute(f"SELECT eventtime, epoch_ms(event_timestamp) FROM {T}").fetchall()

    assert len(found) == len(sample.events)
    for time, instant in found:
        moment = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
        assert instant == round(moment.timestamp() * 1000)


SPARK = {
    "02 events by region": None,
    "06 principals that were denied": None,
    "09 addresses and agents of a key": None,
    "12 console logins without MFA": None,
    "15 IAM changes that went through": None,
    "23 objects that were read": None,
    "26 resources, one row each": "SELECT r.arn, r.type, r.accountid, count(*) FROM"
    f" (SELECT explode(resources) AS r FROM {T}) WHERE r.arn LIKE 'arn:aws:s3%' GROUP BY 1, 2, 3",
    "27 what roles did": None,
    "30 older TLS": None,
    "32 who invoked which function": None,
}


def test_queries_answer_the_same_in_spark(spark, sample):
    tables = spark_tables(spark, sample, "queries")
    asked = 0
    for name, sql, wanted in queries(sample.events):
        if name not in SPARK:
            continue
        sql = (SPARK[name] or sql).replace("json_extract_string", "get_json_object")
        found = tables.sql(sql.replace("trailmill.", "queries.")).collect()

        assert ordered(found) == ordered(wanted), name
        asked += 1
    assert asked == len(SPARK)
