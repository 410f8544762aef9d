"""Describes archives of CloudTrail logs by the figures that decide how well they compress and prune.

    python benches/describe.py FOLDER...            one column a folder, as a Markdown table
    python benches/describe.py --json FOLDER...     the same as JSON

`trailmill sample` is fitted to such figures; docs/benchmarks.md has the table. Only counts leave this program: no value
of a record is printed, apart from names of calls. Reads objects of `Records`, lists and lines of records, plain or
gzipped, and ignores everything else. Figures that depend on how much there is (how often a value comes again) are taken
over windows of 1,000 records of one account, in the order of their keys, and the median is shown.
"""

import argparse
import gzip
import json
import math
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path

WINDOW = 1_000
# A smaller account says little about how often values come again.
LEAST = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = {}
    for folder in options.folders:
        archive = Archive()
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file():
                archive.add(path)
        if not archive.records:
            sys.exit(f"no records of CloudTrail below {folder}")
        found[str(folder)] = archive.figures()
    print(json.dumps(found, indent=1) if options.json else table(found), end="\n")


def records_of(path):
    """The records of an object and its bytes of JSON; nothing if it holds none."""
    data = path.read_bytes()
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError):
        return [], 0
    try:
        top = json.loads(text)
    except ValueError:
        try:
            top = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            return [], 0
    found = top.get("Records") if isinstance(top, dict) else top
    found = found if isinstance(found, list) else [top]
    kept = [record for record in found if is_call(record)]
    return kept, len(text) if kept else 0


def is_call(record):
    """Whether this is a management or data event."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("userIdentity"), dict)
        and isinstance(record.get("eventTime"), str)
        and record.get("eventCategory") != "NetworkActivity"
    )


def text_of(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


VALUES = {
    "userIdentity": lambda record: text_of(record["userIdentity"]),
    "ARN": lambda record: record["userIdentity"].get("arn"),
    "access key": lambda record: record["userIdentity"].get("accessKeyId"),
    "source IP": lambda record: record.get("sourceIPAddress"),
    "user agent": lambda record: text_of(record.get("userAgent")),
    "event name": lambda record: record.get("eventName"),
    "requestParameters": lambda record: text_of(record.get("requestParameters")),
}


class Archive:
    def __init__(self):
        self.records = 0
        self.sizes, self.bytes, self.lengths = [], 0, []
        self.columns, self.flags, self.days = Counter(), Counter(), Counter()
        self.accounts = defaultdict(list)
        self.names, self.ids, self.transferred = Counter(), set(), []

    def add(self, path):
        found, size = records_of(path)
        if not found:
            return
        self.sizes.append(len(found))
        self.bytes += size
        for record in found:
            self.records += 1
            self.lengths.append(len(text_of(record).encode("utf-8", "surrogatepass")))
            self.count(record)

    def count(self, record):
        for key, value in record.items():
            self.columns[key] += len(text_of(value)) if value is not None else 0
        identity = record["userIdentity"]
        account = record.get("recipientAccountId") or identity.get("accountId") or ""
        self.accounts[account].append({name: find(record) for name, find in VALUES.items()})
        self.days[(account, record["eventTime"][:10])] += 1
        self.names[record.get("eventName")] += 1
        additional = record.get("additionalEventData")
        additional = additional if isinstance(additional, dict) else {}
        self.flags["again"] += record.get("eventID") in self.ids
        self.ids.add(record.get("eventID"))
        self.flags["error"] += record.get("errorCode") is not None
        self.flags["response"] += record.get("responseElements") is not None
        self.flags["request"] += record.get("requestParameters") is not None
        self.flags["resources"] += bool(record.get("resources"))
        self.flags["read"] += str(record.get("readOnly")).lower() == "true"
        self.flags["token"] += "x-amz-id-2" in additional
        self.flags["service"] += identity.get("type") == "AWSService"
        self.flags["role"] += identity.get("type") == "AssumedRole"
        self.flags["user"] += identity.get("type") == "IAMUser"
        self.flags["browser"] += "Mozilla" in text_of(record.get("userAgent"))
        for key in ("bytesTransferredIn", "bytesTransferredOut"):
            if isinstance(additional.get(key), (int, float)) and additional[key] > 0:
                self.transferred.append(additional[key])

    def figures(self):
        count = self.records
        out = {
            "records": count,
            "objects": len(self.sizes),
            "records in an object, median": statistics.median(self.sizes),
            "records in an object, 90th percentile": rank(self.sizes, 0.9),
            "bytes in a record, median": statistics.median(self.lengths),
            "bytes in a record, 99th percentile": rank(self.lengths, 0.99),
        }
        for name in VALUES:
            out |= self.repeats(name)
        share = {
            "error": "with an error", "request": "with requestParameters", "response": "with responseElements",
            "resources": "with resources", "read": "read only", "token": "with `x-amz-id-2`", "role": "by an assumed role",
            "user": "by an IAM user", "service": "by a service", "browser": "with a browser as the agent",
            "again": "with an eventID seen before",
        }  # fmt: skip
        out |= {f"{words}, %": 100 * self.flags[name] / count for name, words in share.items()}
        total = sum(self.columns.values())
        for key in ("userIdentity", "requestParameters", "responseElements", "additionalEventData", "userAgent"):
            out[f"{key}, % of the bytes of values"] = 100 * self.columns[key] / total
        ranked = [number for _, number in self.names.most_common(10)]
        out["10 commonest event names, % of records"] = 100 * sum(ranked) / count
        if self.transferred:
            out["bytes of a transfer, median"] = statistics.median(self.transferred)
            out["bytes of a transfer, 99th percentile"] = rank(self.transferred, 0.99)
        busy = [number for number in self.days.values() if number >= 10]
        out["spread of days (90th percentile / median of records of an account and day)"] = (
            rank(busy, 0.9) / statistics.median(busy) if len(busy) > 5 else None
        )
        return out

    def repeats(self, name):
        """How often a value of a window stands in it before, how many there are, and the commonest's share."""
        again, distinct, first = [], [], []
        for values in self.windows():
            counts = Counter(value[name] for value in values if value[name] not in (None, "null"))
            total = sum(counts.values())
            if total < LEAST / 2:
                continue
            again.append(100 * (1 - len(counts) / total))
            distinct.append(len(counts) * WINDOW / total)
            first.append(100 * counts.most_common(1)[0][1] / total)
        if not again:
            return {}
        return {
            f"{name}, seen before, %": statistics.median(again),
            f"{name}, the commonest, %": statistics.median(first),
        }

    def windows(self):
        for values in self.accounts.values():
            for start in range(0, len(values), WINDOW):
                part = values[start : start + WINDOW]
                if len(part) >= LEAST and (len(part) > WINDOW / 2 or start == 0):
                    yield part


def rank(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.floor(share * len(ordered)))]


def table(found):
    rows = list(dict.fromkeys(name for figures in found.values() for name in figures))
    lines = ["| | " + " | ".join(found) + " |", "|---|" + "--:|" * len(found)]
    for row in rows:
        cells = [cell(figures.get(row)) for figures in found.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


if __name__ == "__main__":
    main()
