"""The 17 questions, as people ask them of CloudTrail, for both kinds of table and three dialects of SQL.

`trailmill` tables have AWS's documented types; DuckDB's own COPY has text, JSON where CloudTrail has objects. A
value that a question is about (`{arn}`, `{eventid}`, …) is taken from the corpus, the same for all: see `values`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    name: str
    columns: str
    where: str
    more: str = ""


# Conditions on typed columns; `@name(…)` is written in each dialect.
QUESTIONS = (
    Question("one event name", "eventtime, sourceipaddress, @identity(arn) AS arn", "eventname = '{eventname}'"),
    Question("one event name on one day", "eventtime, sourceipaddress",
             "eventname = '{common}' AND event_date = '{day}'"),
    Question("one access key", "eventtime, eventsource, eventname, sourceipaddress",
             "@identity(accesskeyid) = '{accesskey}'"),
    Question("console logins without MFA", "eventtime, sourceipaddress, @identity(arn) AS arn",
             "eventname = 'ConsoleLogin' AND @text(additionaleventdata, MFAUsed) = 'No'"),
    Question("one event id", "eventtime, eventname, requestparameters", "eventid = '{eventid}'"),
    Question("one request id", "eventtime, eventname, requestparameters", "requestid = '{requestid}'"),
    Question("one resource ARN", "eventtime, eventname", "@resource({resource})"),
    Question("everything about one event name", "*", "eventname = '{eventname}'"),
    Question("one principal", "eventtime, eventsource, eventname", "@identity(arn) = '{arn}'"),
    Question("one role", "eventname, count(*) AS events", "@issuer(arn) = '{role}'", "GROUP BY 1"),
    Question("one source IP", "eventtime, eventsource, eventname", "sourceipaddress = '{ip}'"),
    Question("one object in S3", "eventtime, eventname, sourceipaddress",
             "@bucket() = '{bucket}' AND @key() = '{key}'"),
    Question("denied calls", "eventsource, eventname, count(*) AS events",
             "errorcode IN ('AccessDenied', 'Client.UnauthorizedOperation')", "GROUP BY 1, 2"),
    Question("one account on one day", "eventsource, count(*) AS events",
             "account = '{account}' AND event_date = '{day}'", "GROUP BY 1"),
    Question("one hour", "eventsource, eventname, count(*) AS events",
             "eventtime >= '{from}' AND eventtime <= '{to}' AND event_date = '{day}'", "GROUP BY 1, 2"),
    Question("changes of IAM", "eventtime, eventname, requestparameters",
             "eventsource = 'iam.amazonaws.com' AND readonly = 'false'"),
    Question("what root did", "eventtime, eventname, sourceipaddress", "@identity(type) = 'Root'"),
)  # fmt: skip

JSON_NAMES = {"arn": "arn", "accesskeyid": "accessKeyId", "type": "type"}


def sql(question, dialect, table, is_text, values):
    """The statement for a table; `is_text` where identities and resources are JSON text."""
    parts = [f"SELECT {question.columns} FROM {table} WHERE {question.where}", question.more]
    written = " ".join(part for part in parts if part)
    for mark, write in MARKS.items():
        while (at := written.find(f"@{mark}(")) >= 0:
            end = written.index(")", at)
            given = [part.strip() for part in written[at + len(mark) + 2 : end].split(",")]
            written = written[:at] + write(dialect, is_text, *given) + written[end + 1 :]
    for name, value in values.items():
        written = written.replace("{" + name + "}", value.replace("'", "''"))
    return written


def of_json(dialect, column, path, is_text=False):
    function = "json_extract_string" if dialect == "duckdb" else "json_extract_scalar"
    # DuckDB's COPY has the content of a string in place of its JSON, which is none.
    column = f"CASE WHEN {column} LIKE '{{%' THEN {column} END" if is_text else column
    return f"{function}({column}, '$.{path}')"


def identity(dialect, is_text, member):
    if is_text:
        return of_json(dialect, "useridentity", JSON_NAMES[member], is_text)
    return f"useridentity.{member}"


def issuer(dialect, is_text, member):
    if is_text:
        return of_json(dialect, "useridentity", f"sessionContext.sessionIssuer.{member}", is_text)
    return f"useridentity.sessioncontext.sessionissuer.{member}"


def text(dialect, is_text, column, key):
    return of_json(dialect, column, key, is_text)


def resource(dialect, is_text, arn):
    if is_text:
        return f"resources LIKE '%\"{arn}\"%'"
    if dialect == "duckdb":
        return f"list_contains(list_transform(resources, lambda r: r.arn), '{arn}')"
    if dialect == "trino":
        return f"any_match(resources, r -> r.arn = '{arn}')"
    # Records name three resources at most, but for a few of other calls than these.
    return "(" + " OR ".join(f"resources[{at}].arn = '{arn}'" for at in (1, 2, 3)) + ")"


def bucket(dialect, is_text, _=""):
    return of_json(dialect, "requestparameters", "bucketName", is_text) if is_text else "s3_bucket"


def key(dialect, is_text, _=""):
    return of_json(dialect, "requestparameters", "key", is_text) if is_text else "s3_key"


MARKS = {
    "identity": identity, "issuer": issuer, "text": text, "resource": resource, "bucket": bucket, "key": key,
}  # fmt: skip


def values(con, table):
    """The values that the questions are about: of a call that is neither the commonest nor the rarest."""
    one = lambda query: con.execute(query).fetchone()  # noqa: E731
    names = con.execute(
        f"SELECT eventname FROM {table} GROUP BY 1 ORDER BY count(*) DESC, 1"
    ).fetchall()
    name, common = names[len(names) // 2][0], names[0][0]
    middle = "ORDER BY md5(eventid) LIMIT 1"
    account, day = one(f"SELECT account, event_date FROM {table} GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT 1")
    eventid, requestid = one(
        f"SELECT eventid, requestid FROM {table} WHERE requestid IS NOT NULL {middle}"
    )
    accesskey, arn, role = one(f"""
        SELECT useridentity.accesskeyid, useridentity.arn, useridentity.sessioncontext.sessionissuer.arn FROM {table}
        WHERE useridentity.type = 'AssumedRole' AND useridentity.accesskeyid IS NOT NULL {middle}""")
    bucket, key, resource = one(f"""
        SELECT s3_bucket, s3_key, resources[1].arn FROM {table}
        WHERE s3_key NOT LIKE '% %' AND len(resources) > 0 {middle}""")
    (ip,) = one(f"SELECT sourceipaddress FROM {table} WHERE regexp_matches(sourceipaddress, '^[0-9]') {middle}")
    (hour,) = one(f"SELECT eventtime[:13] FROM {table} WHERE event_date = '{day}' AND account = '{account}' {middle}")
    return {
        "eventname": name, "common": common, "account": account, "day": str(day), "eventid": eventid,
        "requestid": requestid, "accesskey": accesskey, "arn": arn, "role": role, "bucket": bucket, "key": key,
        "resource": resource, "ip": ip, "from": f"{hour}:00:00Z", "to": f"{hour}:59:59Z",
    }  # fmt: skip
