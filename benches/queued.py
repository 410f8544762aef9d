"""How fast a full queue is converted, beside a plain conversion of the same objects; and how late rows are.

S3 is moto's, on this machine; the queue is moto's, or ElasticMQ's with `--elasticmq` (Java; fetched by Maven once),
which takes work off moto. Both conversions read the same bucket in turn, each into an empty lake.

    scripts/bench queue --size 500MB --runs 3 --windows 4 --window-age 15

The share counts the whole command, the two seconds included for which the end of the queue is waited for.
Exit code 1 if the rows differ.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/cloud"), str(ROOT / "benches")]

from conftest import NO_CATALOG, client, run_trailmill, start_trailmill, upload  # noqa: E402
from elasticmq import ElasticMq  # noqa: E402
from integrity import start_moto  # noqa: E402
from queues import Queue  # noqa: E402

LAYOUT = ["--partition-by", "account,region,event_date"]


class Bench:
    def __init__(self, endpoint, sqs_url, options):
        self.endpoint, self.options, self.numbers = endpoint, options, iter(range(10_000))
        self.env = {"AWS_ENDPOINT_URL_SQS": sqs_url}
        self.s3, self.sqs = client("s3", endpoint), client("sqs", sqs_url)
        self.bucket, self.facts = "logs", {}
        self.s3.create_bucket(Bucket=self.bucket)

    def fill(self):
        """Makes logs and puts them into the bucket."""
        with tempfile.TemporaryDirectory() as folder:
            run_trailmill("sample", folder, "--size", self.options.size, "--seed", "1", "-q", seconds=3600)
            upload(self.s3, folder, self.bucket)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        self.facts = {o["Key"]: (o["Size"], o["ETag"].strip('"')) for page in pages for o in page.get("Contents", [])}

    def message(self, key, put=None):
        size, etag = self.facts[key]
        moment = time.gmtime(put or time.time())
        millis = int((put or time.time()) % 1 * 1000)
        record = {
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S", moment) + f".{millis:03}Z",
            "s3": {"bucket": {"name": self.bucket}, "object": {"key": key, "size": size, "eTag": etag}},
        }  # fmt: skip
        return {"Records": [record]}

    def lake(self):
        bucket = f"lake-{next(self.numbers):04}"
        self.s3.create_bucket(Bucket=bucket)
        return f"s3://{bucket}/lake"

    def run(self, *args):
        began = time.monotonic()
        args = (*args, *LAYOUT, *NO_CATALOG, "--report", "json", "-q")
        done = run_trailmill(*args, endpoint=self.endpoint, env=self.env, codes=(0, 1), seconds=3600)
        return time.monotonic() - began, done.report

    def plain(self):
        return self.run("convert", f"s3://{self.bucket}/", self.lake())

    def queued(self):
        queue = Queue(self.sqs, visibility=300)
        keys = list(self.facts)
        random.Random(1).shuffle(keys)
        queue.send(map(self.message, keys))
        seconds, report = self.run("convert", "--queue", queue.url, self.lake())
        assert queue.left == 0, "messages were left"
        return seconds, report

    def delays(self):
        """Names objects one by one to a watch, for some windows; they count as put when they are named."""
        queue, options = Queue(self.sqs, visibility=300), self.options
        args = ("watch", queue.url, self.lake(), "--window-age", f"{options.window_age}s", *LAYOUT, *NO_CATALOG)
        watch = start_trailmill(*args, "--report", "json", "-q", endpoint=self.endpoint, env=self.env)
        keys, end = list(self.facts), time.monotonic() + options.windows * options.window_age
        named = 0
        while time.monotonic() < end and named < len(keys):
            queue.send([self.message(keys[named], time.time())])
            named += 1
            time.sleep(1 / options.rate)
        while queue.left:
            time.sleep(0.2)
        watch.signal("TERM")
        return named, watch.wait(60).exits(0).report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="500MB", help="JSON of all objects")
    parser.add_argument("--small-objects", type=int, help="so many objects of under 1 kB instead")
    parser.add_argument("--runs", type=int, default=3, help="conversions of each kind")
    parser.add_argument("--windows", type=int, default=4, help="windows of the watch")
    parser.add_argument("--window-age", type=int, default=15, help="seconds of each")
    parser.add_argument("--rate", type=float, default=5, help="objects put each second")
    parser.add_argument("--elasticmq", action="store_true", help="the queue is ElasticMQ's")
    options = parser.parse_args()
    server, endpoint = start_moto()
    try:
        with ElasticMq() if options.elasticmq else nullcontext() as other:
            return measure(Bench(endpoint, other.url if other else endpoint, options), options)
    finally:
        server.terminate()


def measure(bench, options):
    bench.fill()
    # In turn, so that what the machine does meanwhile meets both.
    runs = [(bench.plain(), bench.queued()) for _ in range(options.runs)]
    plain, queued = ([run[kind][0] for run in runs] for kind in (0, 1))
    reports = runs[0][0][1], runs[0][1][1]
    rows = [report["records_written"] for report in reports]
    share = statistics.median(plain) / statistics.median(queued)
    objects, megabytes = len(bench.facts), reports[0]["bytes_json"] / 1e6
    print(f"{objects} objects, {megabytes:.0f} MB of JSON, {rows[0]} rows")
    for name, seconds in (("plain convert", plain), ("convert --queue", queued)):
        middle = statistics.median(seconds)
        print(f"{name:<16} {middle:6.1f} s ({min(seconds):.1f} to {max(seconds):.1f}), {megabytes / middle:.1f} MB/s")
    print(f"share            {share:6.0%} of the plain conversion's speed")
    named, report = bench.delays()
    counts = report["queue"]
    figures = [counts[f"delay_from_put_p{share}_seconds"] for share in (50, 99)]
    print(
        f"delay from put   {figures[0]:.1f} s for half, {figures[1]:.1f} s for 99 % of {named} objects, "
        f"{counts['conversions']} windows of {options.window_age} s"
    )
    found = {
        "objects": objects, "megabytes": megabytes, "plain_seconds": plain, "queue_seconds": queued, "share": share,
        "delay_p50": figures[0], "delay_p99": figures[1], "window_age": options.window_age,
        "windows": counts["conversions"],
    }  # fmt: skip
    print(json.dumps(found))
    return 0 if rows[0] == rows[1] else 1


if __name__ == "__main__":
    raise SystemExit(main())
