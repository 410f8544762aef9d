"""Queries that AWS publishes for CloudTrail in Security Lake, word for word but for the values that they ask for.

Sources: Security Lake's user guide, "Example Security Lake queries for CloudTrail data" of source version 2; and
awslabs/aws-security-analytics-bootstrap, amazon_security_lake_queries/ocsf: those that have no name which OCSF 1.1
has not.
"""

import collections
import dataclasses
import datetime

DATABASE = "amazon_security_lake_glue_db_us_east_1"
NAME = "amazon_security_lake_table_us_east_1_cloud_trail_mgmt_2_0"
TABLE = f'"{DATABASE}"."{NAME}"'
WINDOW = "time_dt BETWEEN CURRENT_TIMESTAMP - INTERVAL '7' DAY AND CURRENT_TIMESTAMP"


@dataclasses.dataclass
class Query:
    name: str
    sql: str
    # What the columns `taken` must be, in any order.
    wanted: list
    taken: tuple
    # What DuckDB has no function for.
    is_trino_only: bool = False

    def taken_of(self, rows):
        return sorted(repr(tuple(row[at] for at in self.taken)) for row in rows)

    def is_answered_by(self, rows):
        return self.taken_of(rows) == sorted(map(repr, self.wanted))


def days_ago(number, form="%Y-%m-%dT%H:%M:%SZ"):
    instant = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=number)
    return instant.strftime(form)


def who(event):
    user = event.get("userIdentity") or {}
    return user.get("arn"), user.get("principalId"), user.get("accountId"), event.get("awsRegion")


def of_the_guide(events):
    """Those of Security Lake's user guide."""
    recent = [e for e in events if e["eventTime"] > days_ago(7)]
    denied = ("Client.UnauthorizedOperation", "AccessDenied")
    yield Query(
        "unauthorized attempts against AWS services in the last 7 days",
        f"""SELECT
    time_dt,
    api.service.name,
    api.operation,
    api.response.error,
    api.response.message,
    api.response.data,
    cloud.region,
    actor.user.uid,
    src_endpoint.ip,
    http_request.user_agent
FROM {TABLE}
WHERE {WINDOW}
AND api.response.error in (
    'Client.UnauthorizedOperation',
    'Client.InvalidPermission.NotFound',
    'Client.OperationNotPermitted',
    'AccessDenied')
ORDER BY time desc
LIMIT 25""",
        [
            (e["eventSource"], e["eventName"], e["errorCode"], e.get("errorMessage"), who(e)[0])
            for e in recent
            if e.get("errorCode") in denied
        ],
        (1, 2, 3, 4, 7),
    )
    yield Query(
        "all activity from an address in the last 7 days",
        f"""SELECT
    api.request.uid,
    time_dt,
    api.service.name,
    api.operation,
    cloud.region,
    actor.user.uid,
    src_endpoint.ip,
    http_request.user_agent
FROM {TABLE}
WHERE {WINDOW}
AND src_endpoint.ip = '2001:db8::1'
ORDER BY time desc
LIMIT 25""",
        [
            (e["requestID"], e["eventName"], who(e)[0])
            for e in recent
            if e.get("sourceIPAddress") == "2001:db8::1"
        ],
        (0, 3, 5),
    )
    yield Query(
        "all IAM activity in the last 7 days",
        f"""SELECT *
FROM {TABLE}
WHERE {WINDOW}
AND api.service.name = 'iam.amazonaws.com'
ORDER BY time desc
LIMIT 25""",
        [() for e in recent if e.get("eventSource") == "iam.amazonaws.com"][:25],
        (),
    )
    yield Query(
        "instances where a credential was used in the last 7 days",
        f"""SELECT
      actor.user.uid,
      actor.user.uid_alt,
      actor.user.account.uid,
      cloud.region
FROM {TABLE}
WHERE {WINDOW}
AND actor.user.credential_uid = 'AKIABOB'
LIMIT 25""",
        [who(e) for e in recent if (e.get("userIdentity") or {}).get("accessKeyId") == "AKIABOB"],
        (0, 1, 2, 3),
    )
    # As published, it asks for a word that OCSF does not have: its own is `Failure`.
    failed = [who(e) for e in recent if e.get("errorCode") or e.get("errorMessage")]
    for status, wanted in (("failed", []), ("Failure", failed)):
        yield Query(
            f"failed records in the last 7 days, status='{status}'",
            f"""SELECT
      actor.user.uid,
      actor.user.uid_alt,
      actor.user.account.uid,
      cloud.region
FROM {TABLE}
WHERE status='{status}' and {WINDOW}
ORDER BY time DESC
LIMIT 25""",
            wanted,
            (0, 1, 2, 3),
        )


def of_the_bootstrap(events):
    """Those of security-analytics-bootstrap."""
    day = days_ago(7, "%Y%m%d")
    filtered = (
        f"WHERE eventday >= '{day}'\nAND eventday <= '99991231'\nAND accountid = '111122223333'\n"
        "AND region in ('us-east-1','us-east-2','us-west-2', 'us-west-2')"
    )
    recent = [
        e
        for e in events
        if e["eventTime"][:10].replace("-", "") >= day
        and e.get("recipientAccountId") == "111122223333"
        and e.get("awsRegion") in ("us-east-1", "us-east-2", "us-west-2")
    ]
    count = lambda *names: [  # noqa: E731
        (*key, number)
        for key, number in collections.Counter(tuple(e.get(n) for n in names) for e in recent).items()
    ]
    yield Query(
        "summary of event counts by Region",
        f"SELECT region, count(*) as eventcount FROM {TABLE}\n{filtered}\nGROUP BY region\n"
        "ORDER BY eventcount DESC",
        count("awsRegion"),
        (0, 1),
    )
    yield Query(
        "summary of event counts by Region and operation",
        f"SELECT region, api.operation, count(*) as operation_count FROM {TABLE}\n{filtered}\n"
        "GROUP BY region, api.operation\nORDER BY region, operation_count DESC",
        count("awsRegion", "eventName"),
        (0, 1, 2),
    )
    yield Query(
        "events of a resource",
        f"SELECT metadata.uid FROM {TABLE}\n"
        "WHERE any_match(transform(resources, x -> x.uid), y -> y like '%arn:aws:s3:::logs%')\n"
        + filtered.replace("WHERE", "AND", 1),
        [(e["eventID"],) for e in recent if any("s3:::logs" in r["ARN"] for r in e.get("resources") or [])],
        (0,),
        is_trino_only=True,
    )
    yield Query(
        "events from a public address",
        f"SELECT metadata.uid FROM {TABLE}\nWHERE src_endpoint.ip <> ''\n"
        "AND NOT contains('10.0.0.0/8', CAST(src_endpoint.ip AS IPADDRESS))\n"
        "AND NOT contains('172.16.0.0/12', CAST(src_endpoint.ip AS IPADDRESS))\n"
        "AND NOT contains('192.168.0.0/16', CAST(src_endpoint.ip AS IPADDRESS))\n"
        + filtered.replace("WHERE", "AND", 1),
        [
            (e["eventID"],)
            for e in recent
            if e.get("sourceIPAddress") in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.7")
        ],
        (0,),
        is_trino_only=True,
    )


def queries(events):
    yield from of_the_guide(events)
    yield from of_the_bootstrap(events)
