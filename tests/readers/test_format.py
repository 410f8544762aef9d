"""The lake's documents, read as docs/lake-format.md says and by nothing else.

What takes XXH3 or HighwayHash is left out: Python has neither of its own.
"""

import gzip
import hashlib
import json
import os
import struct
from pathlib import Path

import pyarrow.parquet as pq
import pytest

FORMAT = 6


@pytest.fixture(scope="module")
def lake(sample):
    return sample.path


def document(path):
    text = path.read_bytes()
    found = json.loads(gzip.decompress(text) if path.suffix == ".gz" else text)
    assert list(found)[0] == "format" and found["format"] == FORMAT, path
    return found


@pytest.fixture(scope="module")
def manifests(lake):
    paths = sorted((lake / "_trailmill/manifests").iterdir())
    found = [document(path) for path in paths]
    assert [path.name for path in paths] == [f"{number:08}.json.gz" for number in range(len(paths))]
    assert [one["unit"]["number"] for one in found] == list(range(len(paths)))
    return found


def name(manifest):
    return "{number:08}-{identity}".format(**manifest["unit"])


def sums_of(manifests):
    """Rows, bytes and files by table and partition."""
    sums = {}
    for file in (file for manifest in manifests for file in manifest["files"]):
        there = sums.setdefault(file["table"], {}).setdefault(file["partition"], [0, 0, 0])
        there[0] += file["rows"]
        there[1] += file["bytes"]
        there[2] += 1
    return sums


def test_an_identity_is_a_hash_of_settings_keys_and_etags(manifests):
    for manifest in manifests:
        basis = json.dumps({"settings": manifest["settings"]}, separators=(",", ":"))
        hashed = hashlib.sha256(basis.encode())
        for one in manifest["objects"]:
            hashed.update(b"\0" + one["key"].encode() + b"\0" + one.get("etag", "").encode())

        assert hashed.digest()[:8].hex() == manifest["unit"]["identity"]


def test_an_etag_of_a_local_file_is_its_size_and_time(manifests):
    for one in (one for manifest in manifests for one in manifest["objects"]):
        status = os.stat(one["key"])

        assert one["etag"] == f"{status.st_size:x}-{status.st_mtime_ns:x}"
        assert one["bytes"] == status.st_size


def test_tallies_balance_and_add_up(manifests):
    for manifest in manifests:
        for tally in [manifest["tally"], *(one["tally"] for one in manifest["objects"])]:
            parts = [tally[part] for part in ("written", "duplicate", "filtered", "quarantined")]
            assert tally["read"] == sum(parts)
        for part, count in manifest["tally"].items():
            assert count == sum(one["tally"][part] for one in manifest["objects"])
        for is_typed in (False, True):
            files = [f for f in manifest["files"] if f["table"].endswith("_typed") == is_typed]
            assert manifest["tally"]["written"] == sum(file["rows"] for file in files)


def test_manifests_name_every_data_file_and_no_other(lake, manifests):
    tables = [folder for folder in lake.iterdir() if not folder.name.startswith(("_", "."))]
    there = {str(path.relative_to(lake)) for table in tables for path in table.rglob("*.parquet")}

    assert there == {file["key"] for manifest in manifests for file in manifest["files"]}
    for manifest in manifests:
        for file in manifest["files"]:
            footer = pq.read_metadata(lake / file["key"])
            facts = {key.decode(): value.decode() for key, value in footer.metadata.items()}
            begin = f"{file['table']}/{file['partition']}/part-{name(manifest)}-"
            assert file["key"].startswith(begin)
            assert (lake / file["key"]).stat().st_size == file["bytes"]
            assert footer.num_rows == file["rows"]
            assert facts["trailmill.unit"] == name(manifest)
            assert int(facts["trailmill.schema_version"]) <= manifest["schema"]["version"]
            assert facts["trailmill.sorted_by"] == "eventsource,eventname,event_timestamp"


def test_schema_locks_are_where_manifests_say(lake, manifests):
    for version, hashed in {tuple(manifest["schema"].values()) for manifest in manifests}:
        lock = document(lake / f"_trailmill/schema/v{version:08}-{hashed}.json")

        assert lock["version"] == version
        assert set(lock["tables"]) == {
            "events",
            "network_activity",
            "insight",
            "aggregated",
            "digest",
        }


def test_fingerprints_are_sorted_under_the_key_of_the_lake(lake, manifests):
    key = document(lake / "_trailmill/copies/key.json")["key"]
    for manifest in manifests:
        stored = (lake / f"_trailmill/copies/{name(manifest)}.bin").read_bytes()
        assert stored[:8] == b"tmcopy\0\1" and stored[8:40].hex() == key
        days, at = {}, 40
        while at < len(stored):
            day, place, count = struct.unpack_from("<iQI", stored, at)
            begins = range(at + 16, at + 16 + 16 * count, 16)
            values = [int.from_bytes(stored[begin : begin + 16], "little") for begin in begins]
            at += 16 + 16 * count
            assert values == sorted(values)
            there = days.setdefault(str(day), {"records": 0, "scopes": 0})
            there["records"] += count
            there["scopes"] |= 1 << (place >> 58)

        assert days == manifest["days"]


def test_a_checkpoint_sums_up_the_manifests(lake, manifests):
    checkpoint = document(max((lake / "_trailmill/checkpoints").iterdir()))
    read = [json.loads(gzip.decompress((lake / key).read_bytes())) for key in checkpoint["totals"]]
    totals = {}
    for one in read:
        for table, partitions in one.items():
            totals.setdefault(table, {}).update(partitions)

    assert checkpoint["next_number"] == len(manifests)
    assert checkpoint["last"]["unit"] == manifests[-1]["unit"]
    assert totals == sums_of(manifests)
    count = 0
    for part in checkpoint["parts"]:
        year, month = part["month"] // 12, part["month"] % 12 + 1
        path = f"_trailmill/ledger/{year:04}-{month:02}-{part['group']:02x}-{part['hash']}.bin"
        stored = (lake / path).read_bytes()
        entries = [stored[begin : begin + 12] for begin in range(0, len(stored), 12)]
        assert entries == sorted(set(entries)) and len(entries) == part["objects"]
        count += len(entries)
    assert count == sum(len(manifest["objects"]) for manifest in manifests)


def test_nothing_is_left_of_units_that_are_committed(lake):
    own = lake / "_trailmill"
    known = {"abandoned", "catalog", "checkpoints", "copies", "gone", "intents", "lease.json"}
    known |= {"ledger", "listings", "manifests", "planned", "plans", "quarantine", "runs"}
    known |= {"schema", "detached", "staged", "unavailable"}

    assert {path.name for path in own.iterdir()} <= known
    for folder in ("intents", "abandoned", "staged"):
        assert not [path for path in Path(own / folder).rglob("*") if path.is_file()]
