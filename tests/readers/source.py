"""An independent reader of CloudTrail objects: Python's gzip and json, nothing of trailmill's.

Every value keeps what JSON allows to differ: keys in their order with repetitions, numbers as they
were written. `row` says what a record's row in the lake must be.
"""

import datetime
import decimal
import gzip
import io
import json
import re
import zipfile
from pathlib import Path

from contract import SHAPES, STRING, TABLES


class Obj(tuple):
    """A JSON object: pairs in order, repeated keys included."""

    def last(self, key):
        return next((value for name, value in reversed(self) if name == key), None)


class Num(str):
    """A number, as it was written."""


EXACT = json.JSONDecoder(
    object_pairs_hook=Obj, parse_int=Num, parse_float=Num, parse_constant=Num, strict=False
)
SPACE = re.compile(r"[ \t\r\n]*")
STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)
FIELDS = {
    "eventVersion", "eventTime", "eventName", "eventSource", "eventID", "eventId", "awsRegion",
    "userIdentity", "insightDetails", "timeWindow",
}  # fmt: skip
FAMILIES = {
    "Insight": "cloudtrail_insight",
    "AwsCloudTrailInsight": "cloudtrail_insight",
    "NetworkActivity": "cloudtrail_network_activity",
    "AwsVpceEvents": "cloudtrail_network_activity",
    "Aggregated": "cloudtrail_aggregated",
    "AwsAggregatedEvent": "cloudtrail_aggregated",
}


class Record:
    """One record: its exact text, its exact value, and a plain dict for queries."""

    def __init__(self, text, value, path):
        self.text, self.value, self.path = text, value, path
        self.plain = json.loads(text, strict=False)
        self.event_id = self.plain.get("eventID") or self.plain.get("eventId")
        kinds = (self.plain.get("eventCategory"), self.plain.get("eventType"))
        found = [FAMILIES[kind] for kind in kinds if isinstance(kind, str) and kind in FAMILIES]
        self.table = found[0] if found else "cloudtrail"

    @property
    def instant(self):
        """Milliseconds since 1970; None when the record has no event time."""
        time = self.plain.get("eventTime") or (self.plain.get("timeWindow") or {}).get("windowStart")
        if not isinstance(time, str):
            return None
        moment = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
        return int(moment.timestamp() * 1000 + 0.5)


def skip(text, at):
    return SPACE.match(text, at).end()


def elements(text, at):
    """The elements of the array whose `[` is at `at`, then the place after its `]`."""
    found = []
    at = skip(text, at + 1)
    while text[at] != "]":
        value, end = EXACT.raw_decode(text, at)
        found.append((text[at:end], value))
        at = skip(text, end)
        if text[at] == ",":
            at = skip(text, at + 1)
    return found, at + 1


def records_of(text):
    """(text, value) of every record of one object; foreign objects have none."""
    at = skip(text, 0)
    if text[at] == "[":
        found, _ = elements(text, at)
        return [pair for pair in found if is_record(pair[1])]
    found = []
    while at < len(text):
        value, end = EXACT.raw_decode(text, at)
        if isinstance(value, Obj) and isinstance(value.last("Records"), list):
            found += envelope(text, at)
        elif is_record(value):
            found.append((text[at:end], value))
        at = skip(text, end)
    return found


def envelope(text, at):
    """The records of `{"Records":[…]}`, wherever the key stands."""
    at = skip(text, at + 1)
    while text[at] != "}":
        key, end = EXACT.raw_decode(text, at)
        at = skip(text, skip(text, end) + 1)
        if key == "Records":
            found, _ = elements(text, at)
            return [pair for pair in found if is_record(pair[1])]
        _, end = EXACT.raw_decode(text, at)
        at = skip(text, end)
        if text[at] == ",":
            at = skip(text, at + 1)
    return []


def is_record(value):
    if not isinstance(value, Obj):
        return False
    keys = {key for key, _ in value}
    is_notice = "s3" in keys or "Sns" in keys or "body" in keys
    return len(keys & FIELDS) >= 2 and "detail" not in keys and not is_notice


def objects(path):
    """(name, bytes) of every file, archives opened."""
    for file in sorted(Path(path).rglob("*")):
        if not file.is_file() or any(part[0] in "._" for part in file.relative_to(path).parts):
            continue
        data = file.read_bytes()
        if data[:4] == b"PK\x03\x04":
            archive = zipfile.ZipFile(io.BytesIO(data))
            for name in archive.namelist():
                if not name.endswith("/"):
                    yield f"{file}!{name}", archive.read(name)
            continue
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        yield str(file), data


def read(path):
    """(records, names of the objects without any) below a folder."""
    records, others = [], []
    for name, data in objects(path):
        try:
            found = records_of(data.decode("utf-8-sig"))
        except (ValueError, IndexError):
            found = []
        if not found:
            others.append(name)
        records += [Record(text, value, name) for text, value in found]
    return records, others


def minified(text):
    """A JSON text without whitespace outside strings."""
    return STRING_OR_SPACE.sub(lambda found: found.group(1) or "", text)


def distinct(records):
    """Without copies: records that have an event id and the text of one before in the same table.

    Whitespace outside strings does not count. Records without an event id are different events: no
    object is here in two versions.
    """
    seen, kept = set(), []
    for record in records:
        if record.event_id:
            text = (record.table, minified(record.text))
            if text in seen:
                continue
            seen.add(text)
        kept.append(record)
    return kept


# What a record's row must be. Texts that hold JSON are compared as exact values.


def exact(text):
    """The exact value of a JSON text."""
    return None if text is None else EXACT.decode(text)


def content(value):
    """A string's content, a scalar's text; containers stay values."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, Num)) else value


def fold(pairs, keys):
    """Gives each of the keys its pair, spelled right before any other case, and the leftovers."""
    found, rest = {}, []
    folded = {key.lower(): key for key in keys}
    for name, value in pairs:
        key = name if name in keys else folded.get(name.lower())
        if key is None:
            rest.append((name, value))
        elif key not in found:
            found[key] = (name, value)
        elif found[key][0] == key and name != key:
            rest.append((name, value))
        else:
            rest.append(found[key])
            found[key] = (name, value)
    return found, rest


def shaped(value, shape):
    """(value in a documented shape, leftovers or None)."""
    if value is None:
        return None, None
    is_object, is_list = isinstance(value, Obj), isinstance(value, list)
    if shape == STRING and not is_object and not is_list:
        return content(value), None
    if shape == "map" and is_object:
        return [(key, map_value(member)) for key, member in value], None
    if isinstance(shape, dict) and is_object:
        members, left = dict.fromkeys(shape), {}
        for key, member in value:
            name = key.lower()
            if name not in shape:
                left[key] = member
                continue
            members[name], rest = shaped(member, shape[name])
            if rest is not None:
                left[key] = rest
        return members, left or None
    if isinstance(shape, list) and is_list:
        parts = [shaped(element, shape[0]) for element in value]
        left = [rest for _, rest in parts]
        while left and left[-1] is None:
            left.pop()
        return [part for part, _ in parts], [rest or {} for rest in left] or None
    return None, value


def map_value(value):
    """A map's value: containers become JSON text, compared as values."""
    return None if value is None else content(value)


def loose(value):
    """Without the order of keys."""
    if isinstance(value, Obj):
        return frozenset((key, loose(member)) for key, member in value)
    if isinstance(value, dict):
        return frozenset((key, loose(member)) for key, member in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(loose(member) for member in value)
    return ("n", str(value)) if isinstance(value, Num) else value


def promoted(record, source, key):
    request = record.value.last("requestParameters")
    if record.plain.get("eventSource") != source or not isinstance(request, Obj):
        return None
    value = request.last(key)
    return value if isinstance(value, str) and not isinstance(value, Num) else None


def function_name(name):
    return None if name is None else name.split("function:", 1)[-1].split(":")[0]


def row(record):
    """Column name to value: what the record's row must hold. Inferred columns are left out."""
    columns = TABLES[record.table]
    keys = {key for _, kind, key in columns if key and kind != "nested"}
    found, rest = fold(record.value, keys)
    left = list(rest)
    out = {}
    for name, kind, key in columns:
        value = found.get(key, (None, None))[1]
        if kind == "text":
            out[name] = content(value)
        elif kind == "json":
            out[name] = value
        elif kind == "typed":
            out[name], leftover = shaped(value, SHAPES[name])
            if leftover is not None:
                left.append((found[key][0], leftover))
        elif kind == "time":
            out[name] = record.instant
        elif kind == "flag":
            is_text = isinstance(value, (str, bool))
            out[name] = {"true": True, "false": False}.get(content(value)) if is_text else None
            if out[name] is None and value is not None:
                left.append((found[key][0], value))
        elif kind == "bucket":
            out[name] = promoted(record, "s3.amazonaws.com", "bucketName")
        elif kind == "key":
            out[name] = promoted(record, "s3.amazonaws.com", "key")
        elif kind == "function":
            out[name] = function_name(promoted(record, "lambda.amazonaws.com", "functionName"))
    out["extra_fields"] = loose(Obj(left)) if left else None
    return out


def lake_row(table, values):
    """The same for a row as a reader gave it: texts that hold JSON become exact values."""
    out = {}
    for name, kind, _ in TABLES[table]:
        if kind == "nested":
            continue
        value = values[name]
        if kind == "json":
            value = exact(value)
        elif kind == "extra":
            value = None if value is None else loose(exact(value))
        elif kind == "time":
            value = None if value is None else int(value.timestamp() * 1000 + 0.5)
        out[name] = value
    return out


def same(mine, theirs, kind):
    """Whether a value is the expected one; a container in a text column is there as JSON text."""
    if kind == "text" and isinstance(mine, (Obj, list)):
        return exact(theirs) == mine
    return mine == theirs


# Inferred columns are an index over the text beside them: what is there must be in the text.


def plain_name(key):
    name = re.sub(r"[^a-z0-9_]", "_", key.lower())
    return name if name and not name[0].isdigit() else f"_{name}"


def agrees(value, source):
    """Whether an inferred value says what the source says at its place."""
    if value is None:
        return True
    if isinstance(value, dict):
        if not isinstance(source, Obj):
            return False
        return all(
            member is None or any(plain_name(k) == name and agrees(member, v) for k, v in source)
            for name, member in value.items()
        )
    if isinstance(value, list):
        return (
            isinstance(source, list)
            and len(source) == len(value)
            and all(agrees(mine, theirs) for mine, theirs in zip(value, source))
        )
    if isinstance(value, bool):
        return source is value
    if isinstance(value, float):
        return isinstance(source, Num) and float(source) == value
    if isinstance(value, int):
        return isinstance(source, Num) and decimal.Decimal(source) == value
    # A member of one kind holds a string's content; one of several kinds holds JSON text.
    if not isinstance(source, (Obj, list)) and content(source) == value:
        return True
    try:
        return exact(value) == source
    except ValueError:
        return False
