"""The objects that all tools read, and the truth about them, found out with Python's own JSON reader."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
from collections import Counter
from datetime import datetime, timezone

from tools import program_path

# 750 MB make about 420 partitions, half of them small: days that late events land on.
SAMPLE_OPTIONS = ("--seed", "1", "--accounts", "2", "--days", "12")


def make(size, scratch):
    """Makes a corpus with `trailmill sample`, or takes the one made before.

    Returns the folder of its objects, and how it is made.
    """
    folder = scratch / "-".join(["sample", size, *SAMPLE_OPTIONS[1::2]])
    command = ["sample", "SAMPLE", "--size", size, *SAMPLE_OPTIONS]
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        sample = folder / "sample"
        subprocess.run(
            [program_path(), command[0], str(sample), *command[2:], "--quiet"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        link(sample, folder / "objects")
        (folder / "complete").touch()
    return folder / "objects", f"Made by `trailmill {' '.join(command)}`"


def link(source, folder):
    """Links the objects of management and data events: no digests, Insights, network activity."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted(source.rglob("*.json.gz")):
        key = path.relative_to(source)
        if any(part.startswith("CloudTrail-") for part in key.parts):
            continue
        to = folder / key
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(), to)
        except OSError:
            shutil.copy(path, to)


def truth(folder):
    """What is in a corpus: sizes, a digest, and the facts that every tool's output must show."""
    facts, partitions, digest = Counter(), set(), hashlib.sha256()
    sizes = Counter(largest=0)
    for path in sorted(folder.rglob("*.json.gz")):
        data = gzip.decompress(path.read_bytes())
        digest.update(data)
        sizes["objects"] += 1
        sizes["bytes_json"] += len(data)
        sizes["bytes_compressed"] += path.stat().st_size
        sizes["largest"] = max(sizes["largest"], len(data))
        try:
            records = json.loads(data)["Records"]
        except (ValueError, KeyError, TypeError) as err:
            raise ValueError(f"{path} is no object of CloudTrail records: {err}") from None
        for record in records:
            add(facts, record)
            account = record.get("recipientAccountId") or path.name[:12]
            partitions.add((account, record["awsRegion"], record["eventTime"][:10]))
    # A record in a folder that is not its own is misplaced: there must be none.
    facts = {**facts, "partitions": len(partitions), "misplaced": 0}
    return {**sizes, "sha256": digest.hexdigest(), "facts": facts}


def add(facts, record):
    facts["rows"] += 1
    for key in ("errorCode", "requestParameters", "responseElements", "userIdentity", "resources"):
        facts[f"with {key}"] += record.get(key) is not None
    for key in ("eventID", "eventName", "eventSource", "sourceIPAddress"):
        facts[f"letters of {key}"] += len(record.get(key) or "")
    # A list of agents occurs, and tools write it with and without spaces: nothing like a list counts.
    agent = record.get("userAgent")
    if isinstance(agent, str) and not agent.startswith("["):
        facts["letters of userAgent"] += len(agent)
    time = datetime.fromisoformat(record["eventTime"][:19]).replace(tzinfo=timezone.utc)
    facts["seconds of eventTime"] += int(time.timestamp())


def read_once(folder):
    """Reads all objects, so that every tool finds them in the page cache."""
    for path in folder.rglob("*.json.gz"):
        path.read_bytes()
