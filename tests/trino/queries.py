"""The queries in Athena's own spelling, and the ones that only it can be asked.

The answers come from tests/readers: `test_queries.queries` works them out of the source records.
"""

import collections
import dataclasses
import datetime
import hashlib

import test_filters
from test_queries import T, at, count, ordered, queries, resources, rows, where

SPELLING = {
    "json_extract_string": "json_extract_scalar",
    "regexp_matches": "regexp_like",
    "list(DISTINCT": "array_agg(DISTINCT",
}
# As AWS writes them, where more than the names of functions differs.
OWN = {
    "22 reads of objects by the hour": "SELECT"
    " date_format(date_trunc('hour', from_iso8601_timestamp(eventtime)), '%Y-%m-%dT%H'), count(*)"
    f" FROM {T} WHERE eventname = 'GetObject' GROUP BY 1 HAVING count(*) > 3",
    "26 resources, one row each": "SELECT r.arn, r.type, r.accountid, count(*)"
    f" FROM {T} t CROSS JOIN UNNEST(ENTRIES) AS u (r)"
    " WHERE r.arn LIKE 'arn:aws:s3%' GROUP BY 1, 2, 3",
    "28 callers from outside": f"SELECT sourceipaddress, count(*) FROM {T}"
    r" WHERE regexp_like(sourceipaddress, '^\d')"
    " AND NOT (CAST(sourceipaddress AS IPADDRESS)"
    " BETWEEN IPADDRESS '10.0.0.0' AND IPADDRESS '10.255.255.255')"
    " AND NOT (CAST(sourceipaddress AS IPADDRESS)"
    " BETWEEN IPADDRESS '172.16.0.0' AND IPADDRESS '172.31.255.255')"
    " AND NOT (CAST(sourceipaddress AS IPADDRESS)"
    " BETWEEN IPADDRESS '192.168.0.0' AND IPADDRESS '192.168.255.255') GROUP BY 1",
}
# Athena unnests an array of rows to one column, as AWS's examples do: UNNEST(t.resources) u (r).
# Trino unnests it to one column per member, unless it is told to keep them together.
ENTRIES = "transform(t.resources, entry -> ROW(entry))"


@dataclasses.dataclass
class Query:
    """A statement and what it must answer; with a limit, any so many of the rows."""

    name: str
    sql: str
    wanted: list
    limit: int = 0

    def is_answered_by(self, found):
        wanted, found = ordered(self.wanted), ordered(found)
        if not self.limit:
            return found == wanted
        left = collections.Counter(map(repr, found)) - collections.Counter(map(repr, wanted))
        return not left and len(found) == min(self.limit, len(wanted))


def acceptance(events):
    """Part G: what people run on CloudTrail."""
    for name, sql, wanted in queries(events):
        sql = OWN.get(name, sql)
        for theirs, ours in SPELLING.items():
            sql = sql.replace(theirs, ours)
        yield Query(name, sql.replace("ENTRIES", ENTRIES), list(wanted))


def documented(events):
    """The examples of Athena's user guide, word for word but for the table, a bucket and a key."""
    issuer = "userIdentity.sessionContext.sessionIssuer.arn"
    created = "userIdentity.sessionContext.attributes.creationDate"
    gets = where(events, eventSource="s3.amazonaws.com", eventName="GetObject")
    anonymous = where(gets, userIdentity__accountId="anonymous", userIdentity__arn=None)
    bucket = at((anonymous or gets)[0], "requestParameters.bucketName")
    arns = [r.get("arn") for _, r in resources(events) if r.get("arn")]
    name = next(arn for arn in arns if arn.startswith("arn:aws:s3:::")).rsplit(":", 1)[1]
    yield Query(
        "AWS: who called what from where",
        f"SELECT\n useridentity.arn,\n eventname,\n sourceipaddress,\n eventtime\nFROM {T}\nLIMIT 100",
        rows(events, "userIdentity.arn", "eventName", "sourceIPAddress", "eventTime"),
        limit=100,
    )
    yield Query(
        "AWS: anonymous requests",
        f"SELECT eventid FROM (SELECT *\nFROM {T}\nWHERE\n    eventsource = 's3.amazonaws.com' AND\n"
        "    eventname in ('GetObject') AND\n    useridentity.accountid = 'anonymous' AND\n"
        f"    useridentity.arn IS NULL AND\n    requestparameters LIKE '%{bucket}%')",
        rows([e for e in anonymous if bucket in repr(e["requestParameters"])], "eventID"),
    )
    sessions = rows(events, "eventSource", "eventName", created, issuer)
    yield Query(
        "AWS: nested fields",
        "SELECT\n    eventsource,\n    eventname,\n"
        "    useridentity.sessioncontext.attributes.creationdate,\n"
        f"    useridentity.sessioncontext.sessionissuer.arn\nFROM {T}\n"
        "WHERE useridentity.sessioncontext.sessionissuer.arn IS NOT NULL\n"
        "ORDER BY eventsource, eventname\nLIMIT 10",
        [row for row in sessions if row[3] is not None],
        limit=10,
    )
    yield Query(
        "AWS: a resource by the end of its name",
        "SELECT\n    awsregion,\n"
        "    replace(unnested.resources_entry.ARN,'arn:aws:s3:::') as s3_resource,\n"
        "    eventname,\n    eventtime,\n    useragent\n"
        f"FROM {T} t\nCROSS JOIN UNNEST({ENTRIES}) unnested (resources_entry)\n"
        f"WHERE unnested.resources_entry.ARN LIKE '%{name}'\nORDER BY eventtime",
        [
            (e["awsRegion"], r["arn"].replace("arn:aws:s3:::", ""), e["eventName"], e["eventTime"], e.get("userAgent"))
            for e, r in resources(events)
            if (r.get("arn") or "").endswith(name)
        ],
    )
    yield Query(
        "AWS: buckets that were deleted",
        "SELECT\n    awsregion,\n"
        "    replace(unnested.resources_entry.ARN,'arn:aws:s3:::') as deleted_bucket,\n"
        "    eventtime AS time_deleted,\n    useridentity.username,\n"
        "    unnested.resources_entry.accountid as bucket_acct_id\n"
        f"FROM {T} t\nCROSS JOIN UNNEST({ENTRIES}) unnested (resources_entry)\n"
        "WHERE eventname = 'DeleteBucket'\nORDER BY eventtime",
        [
            (e["awsRegion"], (r.get("arn") or "").replace("arn:aws:s3:::", ""), e["eventTime"],
             at(e, "userIdentity.userName"), r.get("accountid"))
            for e, r in resources(events)
            if e["eventName"] == "DeleteBucket"
        ],
    )  # fmt: skip


def month_ago():
    day = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=30)
    return day.isoformat()


def columns_of_our_own(events):
    """What AWS's table does not have: partitions, instants, maps, inferred members."""
    web = "userIdentity.sessionContext.webIdFederationData.attributes"
    attributes = [(e["eventID"], at(e, web)) for e in events if at(e, web)]
    buckets = [r for r in count(events, "requestParameters.bucketName") if type(r[0]) is str]
    accounts = {account for (account,) in rows(events, "recipientAccountId") if account}
    account = min(accounts)
    yield Query(
        "partitions: the last 30 days",
        f"SELECT eventid FROM {T} WHERE event_date >="
        " date_format(current_date - interval '30' day, '%Y-%m-%d')",
        rows([e for e in events if e["eventTime"][:10] >= month_ago()], "eventID"),
    )
    yield Query(
        "partitions: account, region and day",
        f"SELECT region, event_date, count(*) FROM {T} WHERE account = '{account}'"
        " AND region LIKE 'us-%' AND recipientaccountid IS NOT NULL GROUP BY region, event_date",
        [
            (*key, number)
            for key, number in collections.Counter(
                (e["awsRegion"], e["eventTime"][:10])
                for e in where(events, recipientAccountId=account)
                if e["awsRegion"].startswith("us-")
            ).items()
        ],
    )
    yield Query(
        "instants: event_timestamp is eventtime",
        f"SELECT count(*) FROM {T} WHERE event_timestamp <>"
        " CAST(from_iso8601_timestamp(eventtime) AT TIME ZONE 'UTC' AS timestamp(3))"
        " OR event_timestamp IS NULL",
        [(0,)],
    )
    middle = sorted(e["eventTime"] for e in events)[len(events) // 2]
    yield Query(
        "instants: a literal, and text between texts",
        f"SELECT count(*) FROM {T} WHERE event_timestamp >= TIMESTAMP '{middle[:19].replace('T', ' ')}'"
        f" AND eventtime BETWEEN '{middle}' AND '9999'",
        [(sum(e["eventTime"] >= middle for e in events),)],
    )
    yield Query(
        "map: attributes of web identities",
        f"SELECT eventid, array_sort(map_entries({web})) FROM {T} WHERE cardinality({web}) > 0",
        [(name, sorted([k, v] for k, v in found.items())) for name, found in attributes],
    )
    some_key = next(iter(attributes[0][1])) if attributes else "none"
    yield Query(
        "map: one attribute by its name",
        f"SELECT element_at({web}, '{some_key}'), count(*) FROM {T}"
        f" WHERE element_at({web}, '{some_key}') IS NOT NULL GROUP BY 1",
        list(collections.Counter(found[some_key] for _, found in attributes if some_key in found).items()),
    )
    yield Query(
        "arrays: the first resource",
        f"SELECT eventid, element_at(resources, 1).arn FROM {T}"
        " WHERE cardinality(resources) > 1 AND element_at(resources, 1).arn IS NOT NULL",
        [
            (e.get("eventID"), first[0])
            for e in events
            if len(e.get("resources") or []) > 1
            for first in [[v for k, v in e["resources"][0].items() if k.lower() == "arn"]]
            if first
        ],
    )
    yield Query(
        "inferred: request.bucketname",
        f"SELECT request.bucketname, count(*) FROM {T}_typed"
        " WHERE request.bucketname IS NOT NULL GROUP BY request.bucketname",
        buckets,
    )
    key = "responseElements.credentials.accessKeyId"
    yield Query(
        "inferred: response.credentials.accesskeyid",
        "SELECT eventid, response.credentials.accesskeyid"
        f" FROM {T}_typed WHERE response.credentials.accesskeyid IS NOT NULL",
        [r for r in rows(events, "eventID", key) if type(r[1]) is str],
    )
    out = "additionalEventData.bytesTransferredOut"
    moved = [number for (number,) in rows(events, out) if isinstance(number, (int, float))]
    yield Query(
        "inferred: additional.bytestransferredout is a number",
        "SELECT sum(additional.bytestransferredout), max(additional.bytestransferredout)"
        f" FROM {T}_typed",
        [(int(sum(moved)), int(max(moved)))],
    )
    yield Query(
        "flags: managementevent",
        f"SELECT managementevent, count(*) FROM {T} GROUP BY 1",
        list(
            collections.Counter(
                {"true": True, "false": False}.get(at(e, "managementEvent")) for e in events
            ).items()
        ),
    )


def by_day(events):
    """The partition predicates of AWS's examples: region, year, month and day."""
    days = collections.Counter((e["awsRegion"], e["eventTime"][:10]) for e in events)
    (region, day), number = days.most_common(1)[0]
    year, month, day = day.split("-")
    yield Query(
        "partitions: region, year, month and day",
        f"SELECT count(*) FROM {T} WHERE region IN ('{region}', 'none') AND year = '{year}'"
        f" AND month = '{month}' AND day = '{day}'",
        [(number,)],
    )


def filters(lake):
    """Every filter of test_filters, many to a statement, each with a scan of its own."""
    batch, size, made = [], 0, 0
    for case in test_filters.cases(lake, "cloudtrail", test_filters.COLUMNS):
        made += 1
        batch.append(case)
        size += len(condition(case))
        if len(batch) == 25 or size > 400_000:
            yield filtered(f"filters {made - len(batch) + 1} to {made}", batch)
            batch, size = [], 0
    yield filtered(f"filters {made - len(batch) + 1} to {made}", batch)


def filtered(name, batch):
    scans = [
        f"SELECT {number}, count(*), CAST(sum(CAST({EVENT_HASH} AS decimal(38, 0))) AS varchar)"
        f" FROM {T} WHERE {condition(case)}"
        for number, case in enumerate(batch)
    ]
    wanted = []
    for number, (_, _, _, names) in enumerate(batch):
        hashes = [event_hash(name) for name in names if name]
        wanted.append((number, len(names), str(sum(hashes)) if hashes else None))
    return Query(name, " UNION ALL ".join(scans), wanted)


# Not of an array of all ids: Trino 435 loses 1,024 of them where their number is a multiple of that.
EVENT_HASH = "from_big_endian_64(substr(md5(to_utf8(eventid)), 1, 8))"


def event_hash(eventid):
    return int.from_bytes(hashlib.md5(eventid.encode()).digest()[:8], "big", signed=True)


def condition(case):
    path, test, value, _ = case
    if test == "is null":
        return f"{path} IS NULL"
    if isinstance(value, datetime.datetime):
        return f"{path} {test} TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}'"
    return f"{path} {test} {test_filters.literal(value)}"
