"""A bucket of any number of log objects that nobody stores, to plan against, and what that takes.

Keys, sizes and ETags of an organization's trail are computed from their places in the order: accounts x
regions x days, in CloudTrail's layout. Listings come as S3's do: in order, 1000 keys a page, delimited or
not, after a key or a token. There are no bodies. Any other bucket is a lake in memory, with conditional
puts, that tests can look into.

    python tests/cloud/simulated_bucket.py --objects 1000000          plans them and prints what it took
    python tests/cloud/simulated_bucket.py --objects 100000000 --workers 2 --program path/to/trailmill

Several processes share the port, and pass on what is for the lake. Standard library only.
"""

import argparse
import base64
import bisect
import datetime
import gzip
import hashlib
import http.client
import itertools
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BUCKET = "sim"
PAGE = 1000
ORGANIZATION = "o-5imulated0"
REGIONS = sorted(
    "ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 "
    "eu-central-1 eu-north-1 eu-south-1 eu-west-1 eu-west-2 eu-west-3 me-south-1 sa-east-1 us-east-1 "
    "us-east-2 us-west-1 us-west-2 af-south-1".split()
)
FIRST_DAY = datetime.date(2025, 1, 1)
MINUTES = [f"{minute // 60:02}{minute % 60:02}" for minute in range(1440)]
# Bytes of hash that one object takes: of its name, its ETag and its size.
NOISE = 10 + 16 + 2


class Archive:
    """The keys of a bucket with so many objects, computed when they are asked for."""

    def __init__(self, objects, accounts=None, days=None):
        self.objects = objects
        # A year of an organization, and less where there would be no objects on most days.
        self.days = days or min(365, max(1, objects // 2000))
        accounts = accounts or min(500, max(1, objects // 20_000))
        self.spans = [
            f"AWSLogs/{ORGANIZATION}/{111_100_000_000 + 7919 * n}/CloudTrail/{region}/"
            for n in range(accounts)
            for region in REGIONS
        ]
        # Digests lie beside the logs, and nobody should list them.
        self.folders = sorted(
            self.spans + [span.replace("/CloudTrail/", "/CloudTrail-Digest/") for span in self.spans]
        )
        dates = (FIRST_DAY + datetime.timedelta(day) for day in range(self.days))
        self.day_folders = [f"{date:%Y/%m/%d}/" for date in dates]
        # Days that are computed together: some hundred objects.
        self.together = max(1, 300 * self.days * len(self.spans) // objects)

    def stretch(self, span, stretch):
        """The entries (key, ETag, size) of some days of a region, in order."""
        whole = self.objects * (span + 1) // len(self.spans) - self.objects * span // len(self.spans)
        days = range(stretch * self.together, min(self.days, (stretch + 1) * self.together))
        ends = [whole * day // self.days for day in range(days.start, days.stop + 1)]
        total = ends[-1] - ends[0]
        if total == 0:
            return []
        noise = hashlib.shake_128(b"%d/%d" % (span, stretch)).digest(NOISE * total)
        names = base64.b32encode(noise[: 10 * total]).decode()
        tags, sizes = noise[10 * total : 26 * total].hex(), noise[26 * total :]
        base = self.spans[span]
        _, _, account, _, region, _ = base.split("/")
        out, at = [], 0
        for day, start, end in zip(days, ends, ends[1:]):
            folder = self.day_folders[day]
            head = f"{base}{folder}{account}_CloudTrail_{region}_{folder.replace('/', '')}T"
            for number in range(end - start):
                time_of_day = MINUTES[number * 1440 // (end - start)]
                out.append((
                    f"{head}{time_of_day}Z_{number % 10000:04}{names[16 * at : 16 * at + 12]}.json.gz",
                    tags[32 * at : 32 * at + 32],
                    600 + 64 * sizes[2 * at] + sizes[2 * at + 1],
                ))  # fmt: skip
                at += 1
        return out

    def keys(self, prefix="", after=""):
        """Lists of entries (key, ETag, size) below a prefix and after a key."""
        place = max(prefix, after)
        # The span before may hold the place itself.
        for span in range(max(0, bisect.bisect_right(self.spans, place) - 1), len(self.spans)):
            base = self.spans[span]
            if not (base.startswith(prefix) or prefix.startswith(base)):
                if base > prefix:
                    return
                continue
            is_whole = base.startswith(prefix) and base > after
            for stretch in range(self._first(base, place), -(-self.days // self.together)):
                entries = self.stretch(span, stretch)
                if not is_whole and entries:
                    if entries[0][0] > prefix and not entries[0][0].startswith(prefix):
                        return
                    entries = [e for e in entries if e[0] > after and e[0].startswith(prefix)]
                yield entries

    def _first(self, base, place):
        """The first stretch that may hold what comes at or after a place."""
        if not place.startswith(base):
            return self.days if place > base else 0
        return max(0, bisect.bisect_right(self.day_folders, place[len(base) :]) - 1) // self.together

    def below(self, prefix, after=""):
        """What lies right below a prefix: folders, and keys where the folders end."""
        if prefix.count("/") < 5:
            inside = (folder for folder in self.folders if folder.startswith(prefix))
            names = (folder[: folder.index("/", len(prefix)) + 1] for folder in inside)
            return [name for name, _ in itertools.groupby(names) if name > after], []
        folders, keys = {}, []
        for entry in itertools.chain.from_iterable(self.keys(prefix)):
            end = entry[0].find("/", len(prefix))
            if end < 0:
                keys.append(entry)
            else:
                folders[entry[0][: end + 1]] = None
        return [name for name in folders if name > after], [entry for entry in keys if entry[0] > after]

    def page(self, query):
        """The answer to a ListObjectsV2."""
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        most = min(PAGE, int(query.get("max-keys", PAGE)))
        if query.get("delimiter"):
            folders, keys = self.below(prefix, after)
            found = sorted([(name, None, None) for name in folders] + keys)[: most + 1]
        else:
            found = []
            for keys in self.keys(prefix, after):
                found += keys
                if len(found) > most:
                    break
        more, found = len(found) > most, found[:most]
        objects = [
            f"<Contents><Key>{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{tag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key, tag, size in found
            if tag
        ]
        folders = [
            f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>" for key, tag, _ in found if not tag
        ]
        return listing(BUCKET, prefix, objects, folders, found[-1][0] if more else None)


def listing(bucket, prefix, objects, folders, token):
    """A page as S3 words it."""
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket}</Name>'
        f"<Prefix>{prefix}</Prefix><KeyCount>{len(objects) + len(folders)}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
        f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{more}{''.join(objects)}{''.join(folders)}"
        "</ListBucketResult>"
    ).encode()


class Lake:
    """Objects in memory; `keeps` says which bodies, of the others only the sizes."""

    def __init__(self, keeps=lambda key: True):
        self.objects, self.sizes, self.keeps = {}, {}, keeps
        self.lock = threading.Lock()

    def answer(self, handler, key, query, body):
        """What S3 would say: status, headers, body."""
        with self.lock:
            if key:
                return getattr(self, handler.command.lower())(handler.headers, key, body)
            if handler.command == "POST" and "delete" in query:
                for name in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                    self.delete(handler.headers, name, b"")
                return 200, {}, b"<DeleteResult></DeleteResult>"
            return 200, {}, self._listed(query)

    def put(self, headers, key, body):
        found = self.objects.get(key)
        if headers.get("If-None-Match") == "*" and found:
            return error(412, "PreconditionFailed")
        if "If-Match" in headers and (not found or found[1] != headers["If-Match"]):
            return error(412 if found else 404, "PreconditionFailed" if found else "NoSuchKey")
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        self.objects[key], self.sizes[key] = (body if self.keeps(key) else b"", tag), len(body)
        return 200, {"ETag": tag}, b""

    def get(self, headers, key, _body):
        if key not in self.objects:
            return error(404, "NoSuchKey")
        body, tag = self.objects[key]
        return 200, {"ETag": tag, "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}, body

    head = get

    def delete(self, _headers, key, _body):
        self.objects.pop(key, None)
        self.sizes.pop(key, None)
        return 204, {}, b""

    def _listed(self, query):
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        most = min(PAGE, int(query.get("max-keys", PAGE)))
        folders = {}
        if query.get("delimiter"):
            inner = [key for key in keys if "/" in key[len(prefix) :]]
            folders = dict.fromkeys(key[: key.index("/", len(prefix)) + 1] for key in inner)
            keys = [key for key in keys if "/" not in key[len(prefix) :]]
        objects = [
            f"<Contents><Key>{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{self.objects[key][1].replace(chr(34), '&quot;')}</ETag><Size>{self.sizes[key]}</Size></Contents>"
            for key in keys[:most]
        ]
        names = [f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in folders]
        return listing("lake", prefix, objects, names, keys[most - 1] if len(keys) > most else None)


def error(status, code):
    return status, {}, f"<Error><Code>{code}</Code><Message>as S3 says</Message></Error>".encode()


class Handler(BaseHTTPRequestHandler):
    """HTTP for the archive, and for the lake or on to where it is."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    archive = lake = lake_at = upstream = None

    def do_any(self):
        path, _, query = self.path.partition("?")
        bucket, _, key = path[1:].partition("/")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if bucket == BUCKET and self.command == "GET" and "list-type" in query:
            answer = 200, {"Content-Type": "application/xml"}, self.archive.page(query)
        elif not key and self.command == "HEAD":
            answer = 200, {"x-amz-bucket-region": "us-east-1"}, b""
        elif not key and self.command == "GET" and "list-type" not in query:
            answer = error(403, "AccessDenied")
        elif bucket == BUCKET:
            answer = error(404, "NoSuchKey")
        elif self.lake is not None:
            answer = self.lake.answer(self, urllib.parse.unquote(key), query, body)
        else:
            answer = self.passed_on(body)
        self.tell(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any

    def passed_on(self, body):
        if self.upstream is None:
            self.upstream = http.client.HTTPConnection(self.lake_at, timeout=120)
        kept = {name: value for name, value in self.headers.items() if name.lower().startswith(("if-", "x-amz"))}
        self.upstream.request(self.command, self.path, body, kept)
        found = self.upstream.getresponse()
        headers = {name: value for name, value in found.getheaders() if name in ("ETag", "Last-Modified")}
        return found.status, headers, found.read()

    def tell(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class SimulatedBucket:
    """The bucket `sim` and lakes beside it, at `url`, until the `with` ends."""

    def __init__(self, objects, workers=2, keeps=lambda key: True):
        self.lake, self.archive = Lake(keeps), Archive(objects)
        handler = type("LakeHandler", (Handler,), {"lake": self.lake})
        self._server = Server(("127.0.0.1", 0), handler)
        self._workers, self._count = [], workers

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        # Keeps the port; only those who listen are given connections.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._port.bind(("127.0.0.1", 0))
        port = self._port.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        lake_at = f"127.0.0.1:{self._server.server_address[1]}"
        command = [sys.executable, "-B", __file__, "--serve", str(port), "--lake-at", lake_at]
        command += ["--objects", str(self.archive.objects)]
        for _ in range(self._count):
            self._workers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        for worker in self._workers:
            assert worker.stdout.readline(), "a worker did not start"
        return self

    def __exit__(self, *_):
        for worker in self._workers:
            worker.terminate()
            worker.wait(10)
            worker.stdout.close()
        self._port.close()
        self._server.shutdown()
        self._server.server_close()

    def parts(self):
        """The units of the plans in the lake, a document at a time."""
        for key in sorted(key for key in self.lake.objects if "/parts/" in key):
            yield json.loads(gzip.decompress(self.lake.objects[key][0]))["entries"]


class Measured(typing.NamedTuple):
    """A plan that was made of a whole bucket, and what that took."""

    code: int
    plan: dict | None
    said: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measured_plan(program, bucket, environ, *options):
    """Plans the whole bucket."""
    command = [str(program), "plan", f"s3://{BUCKET}/", "s3://lake/x", "--catalog", "none", "--no-digests"]
    command += ["--children", "auto"]
    command += ["--sample-objects", "0", "--report", "json", "-q", *options]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        # Workers are not waited for until the bucket ends: what is added is the program's.
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        before, began, peak = used.ru_utime + used.ru_stime, time.monotonic(), 0
        process = subprocess.Popen(command, env={**environ, "AWS_ENDPOINT_URL": bucket.url}, stdout=out, stderr=err)
        # What wait4 says includes this process, from before the other began to be its own.
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            time.sleep(0.02)
        seconds = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime - before
        out.seek(0)
        err.seek(0)
        said = out.read()
        plan = json.loads(said) if said else None
        return Measured(process.returncode, plan, err.read(), seconds, cpu, peak)


def peak_of(pid):
    """The most memory that a process has had so far, in bytes; 0 when it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        found = None
    return int(found.group(1)) * 1024 if found else 0


def serve(port, objects, lake_at):
    """A worker: answers at a port that others have as well."""
    handler = type("Worker", (Handler,), {"archive": Archive(objects), "lake_at": lake_at})
    server = Server(("127.0.0.1", port), handler)
    print("ready", flush=True)
    server.serve_forever()


def main():
    about, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2, help="processes that list [default: 2]")
    parser.add_argument("--program", default=os.environ.get("TRAILMILL_BIN") or shutil.which("trailmill"))
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lake-at", help=argparse.SUPPRESS)
    args, options = parser.parse_known_args()
    if args.serve:
        return serve(args.serve, args.objects, args.lake_at)
    environ = {
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
    }  # fmt: skip
    with SimulatedBucket(args.objects, args.workers, keeps=lambda key: "/parts/" not in key) as bucket:
        done = measured_plan(Path(args.program), bucket, environ, *options)
        if done.code:
            sys.exit(f"exit code {done.code}\n{done.said}")
        sizes = [size for key, size in bucket.lake.sizes.items() if "/parts/" in key]
        totals = done.plan["totals"]
        print(
            f"{totals['objects']:,} objects in {len(bucket.archive.spans):,} regions, "
            f"{done.plan['listing']['requests']:,} requests, {totals['units']:,} units, "
            f"{done.plan['children']:,} children\n"
            f"{done.seconds:.1f} s, {done.seconds / args.objects * 1e5:.3f} s per 100,000 objects; "
            f"{done.cpu_seconds:.1f} s of the program's CPU time\n"
            f"peak RSS {done.peak_bytes / 1e6:.0f} MB\n"
            f"plan {sum(sizes) / 1e6:.1f} MB in {len(sizes):,} parts, "
            f"{sum(sizes) / max(1, totals['objects']):.1f} bytes per object"
        )
        if totals["objects"] != args.objects:
            sys.exit(f"{args.objects:,} objects are in the bucket")


if __name__ == "__main__":
    sys.exit(main())
