"""How much memory a conversion takes: folders, and buckets that answer fast, slowly or with 503.

    TRAILMILL_BIN=target/release/trailmill python tests/cloud/memory.py --size 20GB

Makes a sample, serves it as a bucket, converts it each way with the same `--memory`, and prints the peak (VmHWM
of the program), seconds and records. Data files in the bucket are counted and dropped. Exits with 1 where a
bucket takes more than the folder does, by more than `--margin` MiB: what is fetched ahead and not yet parsed is
a sixteenth of `--memory`, and the clients of S3 take some 40 MiB.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import BINARY, NO_CATALOG, environment  # noqa: E402
from simulated_bucket import Handler, Lake, Server, error, peak_of  # noqa: E402


class Shelf(Lake):
    """A bucket of the files of a folder; its ETags are no MD5, as those of uploads in parts."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        self.sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
        # Listed as a lake's objects are; bodies are read when they are asked for.
        self.objects = {key: (b"", f'"{size:032x}-1"') for key, size in self.sizes.items()}

    def get(self, headers, key, _body):
        if key not in self.objects:
            return error(404, "NoSuchKey")
        _, tag = self.objects[key]
        body = (self.folder / key).read_bytes()
        return 200, {"ETag": tag, "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}, body


class Buckets(Handler):
    """The bucket `source`, and a lake in every other; with `is_slow`, as a store that is overloaded."""

    source = lake = None
    is_slow = False

    def do_any(self):
        path, _, query = self.path.partition("?")
        bucket, _, key = urllib.parse.unquote(path[1:]).partition("/")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_data = (bucket == "source" and bool(key)) or key.endswith(".parquet")
        if self.is_slow and is_data:
            if random.random() < 1 / 3:
                return self.tell(*error(503, "SlowDown"))
            time.sleep(random.uniform(0.02, 0.2))
        if not key and self.command == "HEAD":
            return self.tell(200, {"x-amz-bucket-region": "us-east-1"}, b"")
        if not key and self.command == "GET" and "list-type" not in query:
            return self.tell(*error(403, "AccessDenied"))
        store = self.source if bucket == "source" else self.lake
        return self.tell(*store.answer(self, key, query, body))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any


def measured(args, endpoint=None):
    """Runs the program; returns its peak in MiB, its seconds and its report."""
    began, peak = time.monotonic(), 0
    with tempfile.TemporaryFile() as out:
        run = subprocess.Popen([str(BINARY), *args], env=environment(endpoint), stdout=out)
        while run.poll() is None:
            peak = max(peak, peak_of(run.pid) >> 20)
            time.sleep(0.005)
        assert run.returncode == 0, f"{args}: exit code {run.returncode}"
        out.seek(0)
        return peak, time.monotonic() - began, json.loads(out.read())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="200MB", help="JSON to convert")
    parser.add_argument("--memory", default="256MB", help="what the program is given")
    parser.add_argument("--margin", type=int, default=100, help="MiB that a bucket may take more")
    args, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as work:
        logs = f"{work}/logs"
        subprocess.run([BINARY, "sample", logs, "--size", args.size, "-q", *more], check=True)
        options = [*NO_CATALOG, "--report", "json", "-q", "--memory", args.memory]
        peaks, source = {}, Shelf(logs)
        for name, is_slow in [("folder to folder", None), ("bucket to bucket", False), ("throttled", True)]:
            if is_slow is None:
                peak, seconds, report = measured(["convert", logs, f"{work}/lake", *options])
            else:
                lake = Lake(keeps=lambda key: not key.endswith(".parquet"))
                kind = type("Kind", (Buckets,), {"source": source, "lake": lake, "is_slow": is_slow})
                server = Server(("127.0.0.1", 0), kind)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                endpoint = f"http://127.0.0.1:{server.server_address[1]}"
                peak, seconds, report = measured(["convert", "s3://source", "s3://lake/x", *options], endpoint)
                server.shutdown()
                server.server_close()
            peaks[name] = peak
            print(f"{name:17} {peak:5} MiB {seconds:7.1f} s {report['records_written']:9} records", flush=True)
    least = peaks["folder to folder"]
    return int(any(peak > least + args.margin for peak in peaks.values()))


if __name__ == "__main__":
    sys.exit(main())
