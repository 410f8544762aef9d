"""How much memory a conversion takes: folders, and buckets that answer fast, slowly or with 503.

    TRAILMILL_BIN=target/release/trailmill python tests/cloud/memory.py --size 500MB

Makes a sample, uploads it to moto's server, converts it each way with the same `--memory`, and prints the peak
(VmHWM of the program), seconds and records. Exits with 1 where a bucket takes more than the folder does, by more
than `--margin` MiB: what is fetched ahead and not yet parsed is an eighth of `--memory`, and the clients of S3
take some 40 MiB. With a slow bucket, a large sample takes long: moto is Python.
"""

import argparse
import concurrent.futures
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import BINARY, NO_CATALOG, _address, client, environment  # noqa: E402
from faulty_proxy import EVERY, FaultyProxy, passes, status  # noqa: E402


def peak_of(args, endpoint=None):
    """Runs the program; returns its peak in MiB, its seconds and its report."""
    began, peak = time.monotonic(), 0
    with tempfile.TemporaryFile() as out:
        run = subprocess.Popen([str(BINARY), *args], env=environment(endpoint), stdout=out)

        # A zombie has no such line.
        while run.poll() is None:
            for line in Path(f"/proc/{run.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    peak = max(peak, int(line.split()[1]) // 1024)
            time.sleep(0.005)
        assert run.returncode == 0, f"{args}: exit code {run.returncode}"
        out.seek(0)
        return peak, time.monotonic() - began, json.loads(out.read())


def throttled(exchange):
    """A third of the requests is told to come back later; the others take their time."""
    if random.random() < 1 / 3:
        return status(503, "SlowDown")(exchange)
    time.sleep(random.uniform(0.02, 0.2))
    return passes(exchange)


def upload(s3, folder, bucket):
    s3.create_bucket(Bucket=bucket)
    files = [path for path in Path(folder).rglob("*") if path.is_file()]

    def put(path):
        s3.put_object(Bucket=bucket, Key=path.relative_to(folder).as_posix(), Body=path.read_bytes())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put, files))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="200MB", help="JSON to convert")
    parser.add_argument("--memory", default="256MB", help="what the program is given")
    parser.add_argument("--margin", type=int, default=100, help="MiB that a bucket may take more")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryFile("w+") as log:
        logs = f"{work}/logs"
        subprocess.run([BINARY, "sample", logs, "--size", args.size, "-q"], check=True)
        server = subprocess.Popen(
            [sys.executable, "-B", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            endpoint = _address(server, log)
            s3 = client("s3", endpoint)
            upload(s3, logs, "source")
            s3.create_bucket(Bucket="lakes")
            proxy = FaultyProxy(endpoint)
            proxy.on("GetObject", "source/", throttled, count=EVERY)
            proxy.on("PutObject", r"\.parquet$", throttled, count=EVERY)
            options = [*NO_CATALOG, "--report", "json", "-q", "--memory", args.memory]
            peaks = {}
            for name, source, lake, at in [
                ("folder to folder", logs, f"{work}/lake", None),
                ("bucket to bucket", "s3://source", "s3://lakes/fast", endpoint),
                ("the same, throttled", "s3://source", "s3://lakes/slow", proxy.url),
            ]:
                peak, seconds, report = peak_of(["convert", source, lake, *options], at)
                peaks[name] = peak
                print(f"{name:20} {peak:5} MiB {seconds:7.1f} s {report['records_written']:9} records")
                sys.stdout.flush()
        finally:
            server.terminate()
            server.wait(10)
    least = peaks["folder to folder"]
    return int(any(peak > least + args.margin for peak in peaks.values()))


if __name__ == "__main__":
    sys.exit(main())
