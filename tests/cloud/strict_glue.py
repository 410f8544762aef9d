"""A Glue Data Catalog to test against that is as strict as the real one, and can be made to fail.

Standard library only. It holds databases, tables, partitions and partition indexes in memory, and
speaks JSON 1.1 over HTTP. What other emulators let pass is refused here: batches over Glue's sizes,
unknown or missing members, texts that are too long, wrong numbers of partition values, calls without a
signature. `UpdateTable` honours `VersionId` and `SkipArchive`, `GetPartitions` pages and segments and
leaves columns out, `BatchGetPartition` may leave keys unprocessed, names are folded to lower case.

`SHAPES` is a copy of the part of Glue's API model that is used; `test_glue.py` compares it with
botocore's.

    with StrictGlue() as glue:
        glue.fail("BatchCreatePartition", "throttle", times=3)
        ...                                    # calls to glue.url
        glue.count("BatchCreatePartition")     # how often it was called
"""

import base64
import copy
import json
import sys
import threading
import time
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNT = "123456789012"


def text(low=0, high=None):
    return ("text", low, high)


def items(of, low=0, high=None):
    return ("list", of, low, high)


NAME = text(1, 255)
NUMBER, FLAG, TIME, ANY = ("number",), ("flag",), ("number",), ("any",)
MAP = ("map",)
PLACE = {"CatalogId": text(1, 255), "DatabaseName": NAME, "TableName": NAME}

# name: ({member: shape or name of a shape}, required members)
SHAPES = {
    "Column": (
        {"Name": NAME, "Type": text(0, 131072), "Comment": text(0, 255), "Parameters": MAP},
        ["Name"],
    ),
    "Order": ({"Column": NAME, "SortOrder": NUMBER}, ["Column", "SortOrder"]),
    "SerDeInfo": (
        {"Name": NAME, "SerializationLibrary": NAME, "Parameters": MAP},
        [],
    ),
    "SkewedInfo": (
        {
            "SkewedColumnNames": items(NAME),
            "SkewedColumnValues": items(text()),
            "SkewedColumnValueLocationMaps": MAP,
        },
        [],
    ),
    "StorageDescriptor": (
        {
            "Columns": items("Column"),
            "Location": text(0, 2056),
            "AdditionalLocations": items(text(0, 2056)),
            "InputFormat": text(0, 128),
            "OutputFormat": text(0, 128),
            "Compressed": FLAG,
            "NumberOfBuckets": NUMBER,
            "SerdeInfo": "SerDeInfo",
            "BucketColumns": items(NAME),
            "SortColumns": items("Order"),
            "Parameters": MAP,
            "SkewedInfo": "SkewedInfo",
            "StoredAsSubDirectories": FLAG,
            "SchemaReference": ANY,
        },
        [],
    ),
    "TableInput": (
        {
            "Name": NAME,
            "Description": text(0, 2048),
            "Owner": NAME,
            "LastAccessTime": TIME,
            "LastAnalyzedTime": TIME,
            "Retention": NUMBER,
            "StorageDescriptor": "StorageDescriptor",
            "PartitionKeys": items("Column"),
            "ViewOriginalText": text(0, 409600),
            "ViewExpandedText": text(0, 409600),
            "TableType": text(0, 255),
            "Parameters": MAP,
            "TargetTable": ANY,
            "FederatedTable": ANY,
            "ViewDefinition": ANY,
        },
        ["Name"],
    ),
    "PartitionInput": (
        {
            "Values": items(text(0, 1024)),
            "LastAccessTime": TIME,
            "StorageDescriptor": "StorageDescriptor",
            "Parameters": MAP,
            "LastAnalyzedTime": TIME,
        },
        [],
    ),
    "DatabaseInput": (
        {
            "Name": NAME,
            "Description": text(0, 2048),
            "LocationUri": text(1, 1024),
            "Parameters": MAP,
            "CreateTableDefaultPermissions": ANY,
            "TargetDatabase": ANY,
            "FederatedDatabase": ANY,
        },
        ["Name"],
    ),
    "PartitionIndex": ({"Keys": items(NAME, 1), "IndexName": NAME}, ["Keys", "IndexName"]),
    "Segment": (
        {"SegmentNumber": NUMBER, "TotalSegments": NUMBER},
        ["SegmentNumber", "TotalSegments"],
    ),
    "PartitionValueList": ({"Values": items(text(0, 1024))}, ["Values"]),
    "BatchUpdatePartitionRequestEntry": (
        {"PartitionValueList": items(text(0, 1024), 0, 100), "PartitionInput": "PartitionInput"},
        ["PartitionValueList", "PartitionInput"],
    ),
    "GetDatabaseRequest": ({"CatalogId": text(1, 255), "Name": NAME}, ["Name"]),
    "CreateDatabaseRequest": (
        {"CatalogId": text(1, 255), "DatabaseInput": "DatabaseInput", "Tags": MAP},
        ["DatabaseInput"],
    ),
    "GetTableRequest": (
        {
            "CatalogId": text(1, 255),
            "DatabaseName": NAME,
            "Name": NAME,
            "TransactionId": NAME,
            "QueryAsOfTime": TIME,
            "AuditContext": ANY,
            "IncludeStatusDetails": FLAG,
            "AttributesToGet": ANY,
        },
        ["DatabaseName", "Name"],
    ),
    "CreateTableRequest": (
        {
            "CatalogId": text(1, 255),
            "DatabaseName": NAME,
            "Name": NAME,
            "TableInput": "TableInput",
            "PartitionIndexes": items("PartitionIndex"),
            "TransactionId": NAME,
            "OpenTableFormatInput": ANY,
        },
        ["DatabaseName"],
    ),
    "DeleteTableRequest": (
        {"CatalogId": text(1, 255), "DatabaseName": NAME, "Name": NAME, "TransactionId": NAME},
        ["DatabaseName", "Name"],
    ),
    "UpdateTableRequest": (
        {
            "CatalogId": text(1, 255),
            "DatabaseName": NAME,
            "Name": NAME,
            "TableInput": "TableInput",
            "SkipArchive": FLAG,
            "TransactionId": NAME,
            "VersionId": text(1, 255),
            "ViewUpdateAction": ANY,
            "Force": FLAG,
            "UpdateOpenTableFormatInput": ANY,
        },
        ["DatabaseName"],
    ),
    "GetPartitionsRequest": (
        {
            **PLACE,
            "Expression": text(0, 2048),
            "NextToken": text(),
            "Segment": "Segment",
            "MaxResults": NUMBER,
            "ExcludeColumnSchema": FLAG,
            "TransactionId": NAME,
            "QueryAsOfTime": TIME,
            "AuditContext": ANY,
        },
        ["DatabaseName", "TableName"],
    ),
    "BatchCreatePartitionRequest": (
        {**PLACE, "PartitionInputList": items("PartitionInput", 0, 100)},
        ["DatabaseName", "TableName", "PartitionInputList"],
    ),
    "BatchUpdatePartitionRequest": (
        {**PLACE, "Entries": items("BatchUpdatePartitionRequestEntry", 1, 100)},
        ["DatabaseName", "TableName", "Entries"],
    ),
    "BatchDeletePartitionRequest": (
        {**PLACE, "PartitionsToDelete": items("PartitionValueList", 0, 25)},
        ["DatabaseName", "TableName", "PartitionsToDelete"],
    ),
    "BatchGetPartitionRequest": (
        {
            **PLACE,
            "PartitionsToGet": items("PartitionValueList", 0, 1000),
            "AuditContext": ANY,
            "QuerySessionContext": ANY,
        },
        ["DatabaseName", "TableName", "PartitionsToGet"],
    ),
    "CreatePartitionIndexRequest": (
        {**PLACE, "PartitionIndex": "PartitionIndex"},
        ["DatabaseName", "TableName", "PartitionIndex"],
    ),
    "GetPartitionIndexesRequest": (
        {**PLACE, "NextToken": text()},
        ["DatabaseName", "TableName"],
    ),
}
# Lowest and highest values of numbers.
RANGES = {
    "MaxResults": (1, 1000),
    "SegmentNumber": (0, None),
    "TotalSegments": (1, 10),
    "SortOrder": (0, 1),
    "Retention": (0, None),
}


class GlueError(Exception):
    """An answer that says no."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def invalid(message):
    return GlueError("InvalidInputException", message)


def outside(message):
    return GlueError("ValidationException", f"1 validation error detected: {message}")


def check(shape, value, path):
    """Refuses a value that the API model does not allow."""
    if isinstance(shape, str):
        members, required = SHAPES[shape]
        if not isinstance(value, dict):
            raise GlueError("SerializationException", f"{path} is no structure")
        for name in required:
            if value.get(name) is None:
                raise outside(f"{path}.{name} must not be null")
        for name, inner in value.items():
            if name not in members:
                raise GlueError("SerializationException", f"{path} has no member {name}")
            if inner is not None:
                check(members[name], inner, f"{path}.{name}")
        return
    kind, *limits = shape
    if kind == "text":
        check_text(value, path, *limits)
    elif kind == "list":
        of, low, high = limits
        if not isinstance(value, list):
            raise GlueError("SerializationException", f"{path} is no list")
        if len(value) < low or (high is not None and len(value) > high):
            raise outside(f"{path} has {len(value)} items, allowed are {low} to {high}")
        for i, inner in enumerate(value):
            check(of, inner, f"{path}[{i}]")
    elif kind == "map":
        if not isinstance(value, dict):
            raise GlueError("SerializationException", f"{path} is no map")
        for name, inner in value.items():
            check_text(name, f"{path} key", 1, 255)
            check_text(inner, f"{path}.{name}", 0, 512000)
    elif kind == "number":
        low, high = RANGES.get(path.rpartition(".")[2], (None, None))
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or (low is not None and value < low) or (high is not None and value > high):
            raise outside(f"{path} is {value}")
    elif kind == "flag" and not isinstance(value, bool):
        raise GlueError("SerializationException", f"{path} is no boolean")


def check_text(value, path, low, high):
    if not isinstance(value, str):
        raise GlueError("SerializationException", f"{path} is no text")
    if len(value) < low or (high is not None and len(value) > high):
        raise outside(f"{path} has {len(value)} characters, allowed are {low} to {high}")
    if any(ord(c) < 32 for c in value) and "Text" not in path:
        raise outside(f"{path} holds a control character")


def fold(columns):
    """Glue stores names of columns in lower case."""
    for column in columns or []:
        column["Name"] = column["Name"].lower()
    names = [column["Name"] for column in columns or []]
    if len(names) != len(set(names)):
        raise invalid("a column occurs twice")


class Fault:
    """What happens to the next calls of an action."""

    def __init__(self, action, kind, times, after, options):
        self.action, self.kind, self.times, self.after, self.options = (
            action, kind, times, after, options,
        )  # fmt: skip


class StrictGlue:
    """The catalog, its server, its faults and the log of its calls."""

    def __init__(self, page_size=1000, port=0):
        self.lock = threading.RLock()
        self.databases = {}  # (catalog, name): input
        self.tables = {}  # (catalog, database, name): Table
        self.calls = []  # (action, number of items, body)
        self.faults = []
        self.denied = {}
        self.page_size = page_size
        self.empty_pages = False
        self.unprocessed = 0  # share of keys that BatchGetPartition leaves: every n-th
        handler = type("Handler", (Handler,), {"glue": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    # What a test asks for.

    def fail(self, action, kind, times=1, after=0, **options):
        """Makes calls of an action fail: `throttle`, `error` (code, message, status), `drop` (the
        connection, before the work), `drop_after` (after the work), `error_after`, `items` (every
        n-th item has an error of a code; `done=True` does its work all the same), `before` (runs
        `call()` first), `nonsense` (an answer of something that is not Glue: status, content_type,
        data; with `length`, says that it is longer, and ends there). The first `after` calls are spared."""
        self.faults.append(Fault(action, kind, times, after, options))

    def deny(self, action, message):
        """Refuses every call of an action with an AccessDeniedException."""
        self.denied[action] = message

    def forget(self):
        """Empties the log of calls."""
        self.calls.clear()

    def count(self, action=None):
        counts = Counter(call[0] for call in self.calls)
        return counts if action is None else counts[action]

    def sizes(self, action):
        return [size for name, size, _ in self.calls if name == action]

    def bodies(self, action):
        return [body for name, _, body in self.calls if name == action]

    @property
    def writes(self):
        """The calls that may change something."""
        return [name for name, *_ in self.calls if not name.startswith(("Get", "BatchGet"))]

    def table(self, name="cloudtrail", database="trailmill", catalog=ACCOUNT):
        return self.tables[catalog, database, name]

    # What the server does.

    def fault_of(self, action):
        for fault in self.faults:
            if fault.action != action:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def call(self, action, body):
        """Returns (status, answer); an answer of None drops the connection."""
        with self.lock:
            listed = ("PartitionInputList", "Entries", "PartitionsToDelete", "PartitionsToGet")
            size = next((len(body[name]) for name in listed if name in body), 0)
            self.calls.append((action, size, body))
            fault = self.fault_of(action)
        if fault and fault.kind == "before":
            fault.options["call"]()
            fault = None
        with self.lock:
            if fault and fault.kind == "drop":
                return 0, None
            if fault and fault.kind == "nonsense":
                return fault.options["status"], fault
            try:
                if fault and fault.kind == "throttle":
                    raise GlueError("ThrottlingException", "Rate exceeded")
                if fault and fault.kind == "error":
                    raise GlueError(**fault.options)
                if action in self.denied:
                    raise GlueError("AccessDeniedException", self.denied[action])
                status, answer = 200, self.answer(action, body, fault)
                if fault and fault.kind == "error_after":
                    raise GlueError(**fault.options)
            except GlueError as err:
                status, answer = err.status, {"__type": err.code, "Message": err.message}
            return (0, None) if fault and fault.kind == "drop_after" else (status, answer)

    def answer(self, action, body, fault):
        shape = f"{action}Request"
        handler = getattr(self, f"do_{action}", None)
        if shape not in SHAPES or handler is None:
            raise GlueError("UnknownOperationException", action)
        check(shape, body, action)
        self.item_fault = fault if fault and fault.kind == "items" else None
        return handler(copy.deepcopy(body))

    def do_GetDatabase(self, body):
        key = (catalog(body), body["Name"].lower())
        if key not in self.databases:
            raise missing(f"Database {body['Name']} not found.")
        return {"Database": {**self.databases[key], "CatalogId": key[0], "CreateTime": now()}}

    def do_CreateDatabase(self, body):
        given = body["DatabaseInput"]
        given["Name"] = given["Name"].lower()
        key = (catalog(body), given["Name"])
        if key in self.databases:
            raise GlueError("AlreadyExistsException", "Database already exists.")
        self.databases[key] = given
        return {}

    def found(self, body, name=None):
        place = (catalog(body), body["DatabaseName"].lower())
        if place not in self.databases:
            raise missing(f"Database {body['DatabaseName']} not found.")
        name = (name or body["TableName"]).lower()
        if (*place, name) not in self.tables:
            raise missing(f"Entity Not Found: table {name}")
        return self.tables[*place, name]

    def do_GetTable(self, body):
        return {"Table": self.found(body, body["Name"]).shown(body)}

    def do_CreateTable(self, body):
        place = (catalog(body), body["DatabaseName"].lower())
        if place not in self.databases:
            raise missing(f"Database {body['DatabaseName']} not found.")
        given = checked_table(body)
        if (*place, given["Name"]) in self.tables:
            raise GlueError("AlreadyExistsException", "Table already exists.")
        table = Table(given)
        for index in body.get("PartitionIndexes", []):
            table.add_index(index)
        self.tables[*place, given["Name"]] = table
        return {}

    def do_UpdateTable(self, body):
        given = checked_table(body)
        table = self.found(body, given["Name"])
        if body.get("VersionId", str(table.version)) != str(table.version):
            raise GlueError(
                "ConcurrentModificationException",
                "Update table failed due to concurrent modifications.",
            )
        names = [key["Name"] for key in table.input["PartitionKeys"]]
        if names != [key["Name"] for key in given["PartitionKeys"]] and table.partitions:
            raise invalid("partition keys cannot change while there are partitions")
        table.update(given, bool(body.get("SkipArchive")))
        return {}

    def do_DeleteTable(self, body):
        self.found(body, body["Name"])
        del self.tables[catalog(body), body["DatabaseName"].lower(), body["Name"].lower()]
        return {}

    def do_GetPartitions(self, body):
        table = self.found(body)
        segment = body.get("Segment") or {"SegmentNumber": 0, "TotalSegments": 1}
        number, total = segment["SegmentNumber"], segment["TotalSegments"]
        if number >= total:
            raise invalid("SegmentNumber must be less than TotalSegments")
        keys = sorted(key for key in table.partitions if segment_of(key, total) == number)
        start, was_empty = 0, True
        if body.get("NextToken"):
            try:
                token = json.loads(base64.b64decode(body["NextToken"]))
            except ValueError:
                raise invalid("NextToken is none of ours") from None
            if token["of"] != [number, total]:
                raise invalid("NextToken is one of another segment")
            start, was_empty = token["start"], token["was_empty"]
        elif self.empty_pages:
            was_empty = False
        if not was_empty:
            return {"Partitions": [], "NextToken": token_of(number, total, start, True)}
        end = start + min(body.get("MaxResults", 1000), self.page_size)
        answer = {"Partitions": [shown(table.partitions[k], body) for k in keys[start:end]]}
        if end < len(keys):
            answer["NextToken"] = token_of(number, total, end, not self.empty_pages)
        return answer

    def each(self, count):
        """Which of `count` items fail, with what, and whether they are done all the same."""
        fault = self.item_fault
        if fault is None:
            return {}
        every = fault.options.get("every", 1)
        return {i: fault.options for i in range(count) if i % every == 0}

    def do_BatchCreatePartition(self, body):
        table, errors = self.found(body), []
        failing = self.each(len(body["PartitionInputList"]))
        for i, given in enumerate(body["PartitionInputList"]):
            values = table.checked(given)
            if i in failing and not failing[i].get("done"):
                errors.append(error("PartitionValues", values, failing[i]["code"]))
            elif tuple(values) in table.partitions:
                errors.append(error("PartitionValues", values, "AlreadyExistsException"))
            else:
                table.partitions[tuple(values)] = given
                if i in failing:
                    errors.append(error("PartitionValues", values, failing[i]["code"]))
        return {"Errors": errors} if errors else {}

    def do_BatchUpdatePartition(self, body):
        table, errors = self.found(body), []
        failing = self.each(len(body["Entries"]))
        for i, entry in enumerate(body["Entries"]):
            values = table.checked(entry["PartitionInput"])
            if values != entry["PartitionValueList"]:
                raise invalid("the values of a partition cannot change")
            if i in failing:
                errors.append(error("PartitionValueList", values, failing[i]["code"]))
            elif tuple(values) not in table.partitions:
                errors.append(error("PartitionValueList", values, "EntityNotFoundException"))
            else:
                table.partitions[tuple(values)] = entry["PartitionInput"]
        return {"Errors": errors} if errors else {}

    def do_BatchDeletePartition(self, body):
        table, errors = self.found(body), []
        failing = self.each(len(body["PartitionsToDelete"]))
        for i, entry in enumerate(body["PartitionsToDelete"]):
            values = entry["Values"]
            if i in failing:
                errors.append(error("PartitionValues", values, failing[i]["code"]))
            elif table.partitions.pop(tuple(values), None) is None:
                errors.append(error("PartitionValues", values, "EntityNotFoundException"))
        return {"Errors": errors} if errors else {}

    def do_BatchGetPartition(self, body):
        table, found, left = self.found(body), [], []
        for i, entry in enumerate(body["PartitionsToGet"]):
            if self.unprocessed and i % self.unprocessed == 0 and len(body["PartitionsToGet"]) > 1:
                left.append(entry)
            elif tuple(entry["Values"]) in table.partitions:
                found.append(shown(table.partitions[tuple(entry["Values"])], {}))
        return {"Partitions": found, **({"UnprocessedKeys": left} if left else {})}

    def do_CreatePartitionIndex(self, body):
        self.found(body).add_index(body["PartitionIndex"])
        return {}

    def do_GetPartitionIndexes(self, body):
        table = self.found(body)
        described = [
            {
                "IndexName": index["IndexName"],
                "Keys": [{"Name": key, "Type": "string"} for key in index["Keys"]],
                "IndexStatus": "ACTIVE",
            }
            for index in table.indexes
        ]
        return {"PartitionIndexDescriptorList": described}


class Table:
    """A table, its partitions, and how often it was changed."""

    def __init__(self, given):
        self.input, self.version, self.archived = given, 0, 0
        self.partitions, self.indexes = {}, []

    def update(self, given, skip_archive=True):
        self.input = given
        self.version += 1
        self.archived += not skip_archive

    def shown(self, body):
        return {
            **copy.deepcopy(self.input),
            "DatabaseName": body["DatabaseName"],
            "CreateTime": now(),
            "UpdateTime": now(),
            "CreatedBy": f"arn:aws:iam::{ACCOUNT}:user/test",
            "IsRegisteredWithLakeFormation": False,
            "CatalogId": catalog(body),
            "VersionId": str(self.version),
            "IsMultiDialectView": False,
        }

    def checked(self, given):
        """Refuses a partition that does not fit the table; returns its values."""
        values = given.get("Values")
        if not values or len(values) != len(self.input["PartitionKeys"]):
            raise invalid("The number of partition keys do not match the number of partition values")
        if any(not value for value in values):
            raise invalid("a partition value is empty")
        fold((given.get("StorageDescriptor") or {}).get("Columns"))
        return values

    def add_index(self, index):
        keys = [key["Name"] for key in self.input["PartitionKeys"]]
        if not set(index["Keys"]) <= set(keys):
            raise invalid("an index is over partition keys")
        if any(i["IndexName"] == index["IndexName"] for i in self.indexes):
            raise GlueError("AlreadyExistsException", "Index with the given indexName exists")
        if len(self.indexes) == 3:
            raise GlueError("ResourceNumberLimitExceededException", "3 indexes per table")
        self.indexes.append(index)


def checked_table(body):
    given = body.get("TableInput")
    if given is None:
        raise invalid("TableInput is needed")
    given["Name"] = given["Name"].lower()
    if "PartitionKeys" not in given:
        raise invalid("PartitionKeys must be present: Athena fails without")
    if given.get("StorageDescriptor") is None or "Columns" not in given["StorageDescriptor"]:
        raise invalid("a table needs columns")
    fold(given["StorageDescriptor"]["Columns"] + given["PartitionKeys"])
    return given


def catalog(body):
    return body.get("CatalogId") or ACCOUNT


def missing(message):
    return GlueError("EntityNotFoundException", message)


def error(member, values, code):
    return {member: values, "ErrorDetail": {"ErrorCode": code, "ErrorMessage": f"it is {code}"}}


def now():
    return round(time.time(), 3)


def segment_of(key, total):
    return zlib.crc32("/".join(key).encode()) % total


def token_of(number, total, start, was_empty):
    token = {"of": [number, total], "start": start, "was_empty": was_empty}
    return base64.b64encode(json.dumps(token).encode()).decode()


def shown(partition, body):
    partition = copy.deepcopy(partition)
    if body.get("ExcludeColumnSchema"):
        (partition.get("StorageDescriptor") or {}).pop("Columns", None)
    return {**partition, "CreationTime": now(), "CatalogId": catalog(body)}


class Handler(BaseHTTPRequestHandler):
    """HTTP around `StrictGlue.call`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    glue = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        prefix, _, action = self.headers.get("X-Amz-Target", "").partition(".")
        signature = self.headers.get("Authorization", "")
        if prefix != "AWSGlue":
            status, answer = 400, {"__type": "UnknownOperationException"}
        elif "/glue/aws4_request" not in signature:
            status, answer = 403, {"__type": "MissingAuthenticationTokenException"}
        elif self.headers.get("Content-Type") != "application/x-amz-json-1.1":
            status, answer = 415, {"__type": "UnsupportedMediaTypeException"}
        else:
            status, answer = self.glue.call(action, json.loads(body))
        if answer is None:
            self.close_connection = True
            return
        if isinstance(answer, Fault):
            data, kind = answer.options["data"], answer.options["content_type"]
            length = answer.options.get("length", len(data))
            self.close_connection = length > len(data)
        else:
            data, kind = json.dumps(answer).encode(), "application/x-amz-json-1.1"
            length = len(data)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("x-amzn-RequestId", "00000000-0000-0000-0000-000000000000")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Says nothing: the calls are in the log."""


if __name__ == "__main__":
    with StrictGlue(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        print(server.url, flush=True)
        threading.Event().wait()
