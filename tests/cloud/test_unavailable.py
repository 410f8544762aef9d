"""Objects that cannot be read: the others are converted, and these are tried again in the next run."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile

import faulty_proxy as faults
import pytest
from conftest import BINARY, convert_args, environment, log_key, log_object, record, run_trailmill
from faulty_proxy import EVERY
from lakes import BucketLake, FolderLake
from test_array import Job

RECORDS = 20
ODD = log_key("3.json.gz")
DENIED = faults.status(403, "AccessDenied", "Access Denied")
DISABLED = faults.status(400, "KMS.DisabledException", "arn:aws:kms:x is disabled.")
INVALID_STATE = faults.status(403, "InvalidObjectState", "Not valid for the storage class")


def body(n):
    return log_object(record(n * RECORDS + at) for at in range(RECORDS))


class World:
    """A bucket of ten log objects, one of them odd, and a lake."""

    def __init__(self, s3, new_bucket, proxy):
        self.s3, self.proxy, self.bucket = s3, proxy, new_bucket("logs")
        self.lake = BucketLake(s3, new_bucket("lake"), "lake")
        for n in range(10):
            self.put(n)

    def put(self, n, **more):
        self.s3.put_object(Bucket=self.bucket, Key=log_key(f"{n}.json.gz"), Body=body(n), **more)

    @property
    def url(self):
        return f"s3://{self.bucket}/"

    def convert(self, *options, codes=(0,)):
        args = convert_args(self.url, self.lake.url, *options)
        return run_trailmill(*args, endpoint=self.proxy.url, codes=codes)

    def written(self):
        return sum(manifest["tally"]["written"] for manifest in self.lake.manifests())

    def quarantined(self):
        args = ("quarantine", self.lake.url, "--report", "json")
        return run_trailmill(*args, endpoint=self.proxy.url).report

    def verify(self, codes):
        args = ("verify", self.url, self.lake.url, "-q", "--report", "json")
        return run_trailmill(*args, endpoint=self.proxy.url, codes=codes).report

    def refuse(self, fault, key=ODD, count=EVERY):
        return self.proxy.on("GetObject", re.escape(key), fault, count=count)


@pytest.fixture
def world(s3, new_bucket, proxy):
    return World(s3, new_bucket, proxy)


def short(exchange):
    """Sends the beginning of a body as if it were all of it."""
    answer = exchange.forward()
    answer.body = answer.body[: len(answer.body) // 2]
    exchange.send(answer)


def xml_with_200(exchange):
    """Sends an error as a body, with 200."""
    exchange.answer(200, "InternalError")


def other_bytes(exchange):
    """Sends a body of the right length with one other byte in a name."""
    answer = exchange.forward()
    at = len(answer.body) // 2
    answer.body = answer.body[:at] + bytes([answer.body[at] ^ 1]) + answer.body[at + 1 :]
    exchange.send(answer)


FAULTS = {
    "denied": DENIED,
    "key disabled": DISABLED,
    "archived by tiering": INVALID_STATE,
    "cut short": short,
    "an error with 200": xml_with_200,
    "another's key": faults.status(400, "InvalidRequest", "stored using server side encryption"),
}


@pytest.mark.parametrize("units", [[], ["--unit-size", "100"]])
@pytest.mark.parametrize("name", FAULTS)
def test_an_object_that_cannot_be_read_is_left_out_and_tried_again(world, name, units):
    world.refuse(FAULTS[name])

    first = world.convert(*units, codes=(1,)).report

    assert (first["objects_unavailable"], world.written()) == (1, 9 * RECORDS)
    assert world.lake.intents() == []
    listed = world.quarantined()
    assert [entry["object"] for entry in listed] == [f"s3://{world.bucket}/{ODD}"]
    assert listed[0]["reason"].startswith("not read") and listed[0]["length"] == 0
    again = world.convert(*units, codes=(1,)).report
    assert (again["objects_unavailable"], again["units"]) == (1, 0)
    world.proxy.clear()
    assert world.convert(*units).report["records_written"] == RECORDS
    assert world.written() == 10 * RECORDS and world.quarantined() == []
    assert world.convert(*units).report["objects_known"] == 10
    world.verify((0,))


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_not_asked_for(world, storage_class):
    world.put(3, StorageClass=storage_class)
    planned = run_trailmill(
        "plan", world.url, world.lake.url, "--report", "json", endpoint=world.proxy.url
    ).report
    assert planned["objects_unavailable"] == 1

    first = world.convert(codes=(1,)).report

    assert (first["objects_unavailable"], world.written()) == (1, 9 * RECORDS)
    assert not world.proxy.requests("GetObject", re.escape(ODD))
    assert storage_class in world.quarantined()[0]["reason"]
    doctor = run_trailmill(
        "doctor", world.url, world.lake.url, *["--catalog", "none"], "--report", "json",
        endpoint=world.proxy.url, codes=None,
    )
    assert "archive class" in doctor.stdout
    world.put(3, StorageClass="STANDARD")
    world.convert()
    assert world.written() == 10 * RECORDS


def test_what_is_in_the_lake_may_be_archived(world):
    world.convert()
    world.put(3, StorageClass="GLACIER")
    assert world.convert().report["objects_unavailable"] == 0


@pytest.mark.parametrize("name", ["denied", "key disabled"])
def test_a_run_to_which_everything_is_refused_ends_with_3_and_commits_nothing(world, name):
    world.proxy.on("GetObject", f"^{world.bucket}/", FAULTS[name], count=EVERY)

    done = world.convert("--unit-size", "100", codes=(3,))

    assert done.seconds < 20 and "s3:GetObject" in done.stderr and "10 objects" in done.stderr
    assert world.lake.manifests() == []
    world.proxy.clear()
    world.convert()
    assert world.written() == 10 * RECORDS


def test_a_wrong_role_is_noticed_before_everything_was_asked_for(world):
    for n in range(10, 400):
        world.put(n)
    world.proxy.on("GetObject", f"^{world.bucket}/", DENIED, count=EVERY)
    assert "256 objects" in world.convert(codes=(3,)).stderr
    assert len(world.proxy.requests("GetObject", f"^{world.bucket}/")) < 380


def test_the_first_objects_may_be_refused(world):
    for n in range(3):
        world.refuse(DENIED, log_key(f"{n}.json.gz"))
    world.convert("--unit-size", "100", codes=(1,))
    assert world.written() == 7 * RECORDS
    world.proxy.clear()
    world.convert("--unit-size", "100")
    assert world.written() == 10 * RECORDS


def test_strict_refuses_what_cannot_be_read(world):
    world.refuse(DENIED)
    assert "3.json.gz" in world.convert("--strict", codes=(3,)).stderr
    assert world.lake.manifests() == []


def test_a_refused_prefix_does_not_stop_the_others(world):
    other = log_key("x.json.gz").replace("111122223333", "444455556666")
    world.s3.put_object(Bucket=world.bucket, Key=other, Body=body(20))
    rule = ("ListObjectsV2", f"^{world.bucket}/AWSLogs/444455556666/")
    world.proxy.on(*rule, DENIED, count=EVERY)

    world.convert(codes=(1,))

    assert world.written() == 10 * RECORDS
    assert "444455556666" in world.quarantined()[0]["object"]
    world.proxy.clear()
    world.convert()
    assert world.written() == 11 * RECORDS and world.quarantined() == []


@pytest.mark.parametrize("options", [[], ["--from", "2030-01-01"]])
@pytest.mark.parametrize("how", ["denied", "archived"])
def test_an_intent_forces_no_object_upon_a_later_run(world, how, options):
    killed = []
    place = r"_trailmill/manifests/00000002"
    world.proxy.on("PutObject", place, faults.before(lambda: killed[0].kill()))
    from conftest import start_trailmill

    args = convert_args(world.url, world.lake.url, "--unit-size", "100")
    killed.append(start_trailmill(*args, endpoint=world.proxy.url))
    killed[0].wait()
    world.proxy.clear()
    world.proxy.drain()
    assert world.lake.intents()
    if how == "denied":
        world.refuse(DENIED)
    else:
        world.put(3, StorageClass="GLACIER")

    world.convert("--unit-size", "100", *options, codes=(0, 1))
    world.convert("--unit-size", "100", codes=(1,))

    assert world.written() == 9 * RECORDS and world.lake.intents() == []
    world.proxy.clear()
    world.put(3)
    world.convert("--unit-size", "100")
    assert world.written() == 10 * RECORDS
    world.verify((0,))


def test_a_body_that_is_cut_short_once_is_asked_for_again(world):
    rule = world.refuse(short, count=2)
    assert world.convert().report["objects_unavailable"] == 0
    assert rule.hits == 2 and world.written() == 10 * RECORDS


def text(n):
    """A log object that is not compressed, whose middle may be changed and stays JSON."""
    records = [record(n * RECORDS + at, userAgent="a" * 400) for at in range(RECORDS)]
    return json.dumps({"Records": records}).encode()


def old(exchange):
    """Answers as for an object that was put before S3 had a CRC of each."""
    answer = exchange.forward()
    is_crc = lambda header: header[0].lower().startswith("x-amz-checksum-")
    answer.headers = [header for header in answer.headers if not is_crc(header)]
    exchange.forward = lambda: answer
    return exchange


# How an object is made and put, and whether S3 has a CRC of it: boto3 gives one.
CHECKSUMS = {
    "MD5, text": (text, {}, False),
    "MD5, SSE-S3, text": (text, {"ServerSideEncryption": "AES256"}, False),
    "CRC32, text": (text, {}, True),
    "CRC32, SSE-KMS, text": (text, {"ServerSideEncryption": "aws:kms"}, True),
    "CRC32, gzip": (body, {}, True),
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_body_with_another_byte_is_never_taken(world, name):
    make, options, has_crc = CHECKSUMS[name]
    odd = log_key("odd.json")
    world.s3.put_object(Bucket=world.bucket, Key=odd, Body=make(20), **options)
    fault = other_bytes if has_crc else lambda exchange: other_bytes(old(exchange))
    rule = world.refuse(fault, odd)

    first = world.convert(codes=(1,)).report

    assert (first["objects_unavailable"], first["objects_quarantined"]) == (1, 0)
    assert world.written() == 10 * RECORDS and rule.hits == 4
    assert "checksum" in world.quarantined()[0]["reason"]
    world.proxy.clear()
    world.convert()
    assert world.written() == 11 * RECORDS and world.quarantined() == []
    world.verify((0,))


def test_a_body_with_another_byte_is_asked_for_again(world):
    odd = log_key("odd.json")
    world.s3.put_object(Bucket=world.bucket, Key=odd, Body=text(20))
    world.refuse(other_bytes, odd, count=2)
    assert world.convert().report["objects_unavailable"] == 0
    assert world.written() == 11 * RECORDS
    world.verify((0,))


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse"])
def test_an_etag_of_an_object_under_kms_is_no_checksum(world, encryption):
    odd = log_key("odd.json")
    world.s3.put_object(Bucket=world.bucket, Key=odd, Body=text(20), ServerSideEncryption="aws:kms")

    def of_kms(exchange):
        answer = old(exchange).forward()
        names = ("x-amz-server-side-encryption",)
        answer.headers = [header for header in answer.headers if header[0].lower() not in names]
        answer.headers.append((names[0], encryption))
        # The ETag is not what these bytes come to.
        answer.body = answer.body.replace(b"aaaaaaaa", b"aaaabaaa", 1)
        exchange.send(answer)

    world.refuse(of_kms, odd)
    world.convert()
    assert world.written() == 11 * RECORDS


def test_a_body_of_an_object_put_in_parts_is_taken(world):
    odd = log_key("odd.json")
    place = {"Bucket": world.bucket, "Key": odd}
    upload = world.s3.create_multipart_upload(**place)["UploadId"]
    part = world.s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=text(20))
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    world.s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    world.convert()
    assert world.written() == 11 * RECORDS


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_an_archive_in_a_store_that_ignores_ranges_is_read(world, kind):
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            # More than a block, so that parts are taken from the middle.
            archive.writestr("_padding", os.urandom(9 << 20))
            archive.writestr("a.json.gz", body(50))
    else:
        with tarfile.open(fileobj=packed, mode="w:gz" if kind == "tgz" else "w") as archive:
            member = tarfile.TarInfo("a.json.gz")
            member.size = len(body(50))
            archive.addfile(member, io.BytesIO(body(50)))
    world.s3.put_object(Bucket=world.bucket, Key=f"more.{kind}", Body=packed.getvalue())

    def whole(exchange):
        del exchange.handler.headers["Range"]
        exchange.send(exchange.forward())

    rule = world.refuse(whole, f"more.{kind}")
    done = world.convert()
    assert rule.hits > 1 and done.seconds < 60
    assert world.written() == 11 * RECORDS
    world.verify((0,))


def test_verify_says_what_it_could_not_read(world):
    world.refuse(DENIED)
    world.convert(codes=(1,))

    report = world.verify((1,))

    assert (report["objects_not_read"], report["records_missing"]) == (1, 0)
    done = run_trailmill("verify", world.url, world.lake.url, "-q", endpoint=world.proxy.url, codes=(1,))
    assert not done.stdout.startswith("Equal") and "of the source not read" in done.stdout


def test_an_archive_that_cannot_be_read_is_left_out(world, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json.gz", body(50))
    world.s3.put_object(Bucket=world.bucket, Key="more.zip", Body=packed.getvalue())
    world.refuse(DENIED, "more.zip")

    world.convert(codes=(1,))

    assert world.written() == 10 * RECORDS and world.lake.intents() == []
    world.proxy.clear()
    world.convert()
    assert world.written() == 11 * RECORDS


@pytest.mark.parametrize("name", ["denied", "cut short"])
def test_a_child_leaves_out_what_it_cannot_read_and_other_attempts_agree(world, name):
    job = Job([world.url], world.lake, world.proxy.url)
    job.plan("--unit-size", "20000", "--sample-objects", "1")
    world.refuse(FAULTS[name])
    killed = []
    world.proxy.on("PutObject", r"/done/", faults.before(lambda: killed[0].kill()))
    killed.append(job.start_child())
    killed[0].wait()
    world.proxy.clear()
    world.proxy.drain()

    # It can be read by now: what the first attempt said holds.
    job.child()
    report = job.finish(codes=(1,)).report

    assert (report["objects_unavailable"], world.written()) == (1, 9 * RECORDS)
    assert world.quarantined()[0]["object"].endswith("3.json.gz")
    world.convert()
    assert world.written() == 10 * RECORDS and world.quarantined() == []
    world.verify((0,))


def as_nobody(folder, *args):
    """Runs the program as a user who may not read everything, from a folder that this user may enter."""
    program = folder / "trailmill"
    if not program.exists():
        try:
            program.hardlink_to(BINARY)
        except OSError:
            shutil.copy2(BINARY, program)
    done = subprocess.run(
        [str(program), *map(str, args)], capture_output=True, text=True, env=environment(), timeout=120,
        user=65534 if os.getuid() == 0 else None, check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path):
    logs, lake = tmp_path / "logs", tmp_path / "lake"
    for n in range(10):
        file = logs / log_key(f"{n}.json.gz")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body(n))
    lake.mkdir()
    lake.chmod(0o777)
    for above in [tmp_path, *tmp_path.parents]:
        if above.stat().st_uid == os.getuid() and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    return logs, FolderLake(lake), lake


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_or_a_folder_without_permission_does_not_stop_the_others(folder, what):
    logs, lake, path = folder
    more = logs / log_key("more.json.gz").replace("111122223333", "444455556666")
    more.parent.mkdir(parents=True)
    more.write_bytes(body(20))
    barred = more if what == "file" else more.parent
    barred.chmod(0)
    args = convert_args(logs, path)

    code, said = as_nobody(path.parent, *args)

    assert code == 1, said
    written = lambda: sum(manifest["tally"]["written"] for manifest in lake.manifests())
    assert written() == 10 * RECORDS
    assert "444455556666" in as_nobody(path.parent, "quarantine", path)[1]
    code, said = as_nobody(path.parent, "verify", logs, path, "-q")
    assert code == 1 and "of the source not read" in said, said
    barred.chmod(0o755)
    assert as_nobody(path.parent, *args)[0] == 0
    assert written() == 11 * RECORDS
    assert "The quarantine is empty" in as_nobody(path.parent, "quarantine", path)[1]


def test_a_folder_without_any_readable_file_ends_with_3(folder):
    logs, lake, path = folder
    for file in logs.rglob("*.gz"):
        file.chmod(0)
    code, said = as_nobody(path.parent, *convert_args(logs, path))
    assert code == 3 and "Permission denied" in said, said
    assert lake.manifests() == []
