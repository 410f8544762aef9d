"""Validates one trail's logs with `aws cloudtrail validate-logs` and with `trailmill integrity`, from the same bucket.

The bucket is moto's, on this machine, and so is a server that lists the public key: what is compared is what each program
does with the bytes, and how many requests it has in flight. Both must find everything valid.

    TRAILMILL_BIN=target/release/trailmill target/python/bin/python benches/integrity.py --logs 480 --bytes 1000000
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/cloud"))

import test_integrity as played  # noqa: E402
from conftest import client, environment, record  # noqa: E402

HOURS = 6


def start_moto():
    """moto's server as a process of its own; returns it and its address."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    args = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    raise SystemExit("moto does not start")


def timed(args, env):
    began = time.monotonic()
    done = subprocess.run(args, env=env, capture_output=True, text=True)
    return time.monotonic() - began, done


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=int, default=480, help="logs in all")
    parser.add_argument("--bytes", type=int, default=1_000_000, help="bytes of JSON of each")
    options = parser.parse_args()
    binary = os.environ.get("TRAILMILL_BIN", str(ROOT / "target/release/trailmill"))
    server, s3_endpoint = start_moto()
    keys = ThreadingHTTPServer(("127.0.0.1", 0), played.ListPublicKeys)
    threading.Thread(target=keys.serve_forever, daemon=True).start()
    cloudtrail = f"http://127.0.0.1:{keys.server_port}"
    try:
        s3 = client("s3", s3_endpoint)
        s3.create_bucket(Bucket="trail")
        each = options.bytes // len(str(record(1)))

        def records(hour, number, start):
            first = (hour * 1000 + number) * each
            return [record(first + n, eventTime=start.strftime(played.STAMP)) for n in range(each)]

        chain = played.Chain(s3, "trail", logs_per_hour=options.logs // HOURS, records=records)
        size = chain.bytes
        env = environment(AWS_ENDPOINT_URL_S3=s3_endpoint, AWS_ENDPOINT_URL_CLOUDTRAIL=cloudtrail)
        end = (played.FIRST + timedelta(hours=HOURS)).strftime(played.STAMP)
        theirs = [sys.executable, "-m", "awscli", "cloudtrail", "validate-logs", "--trail-arn", played.ARN]
        theirs += ["--start-time", played.FIRST.strftime(played.STAMP), "--end-time", end]
        theirs += ["--region", played.REGION, "--s3-bucket", "trail"]
        for name, args in [("aws-cli", theirs), ("trailmill", [binary, "integrity", "s3://trail/", "-q"])]:
            seconds, done = timed(args, env)
            assert done.returncode == 0, done.stdout + done.stderr
            print(f"{name}: {len(chain.logs)} logs, {size / 1e6:.0f} MB of JSON in {seconds:.1f} s, {size / 1e6 / seconds:.1f} MB/s")
    finally:
        keys.shutdown()
        server.terminate()


if __name__ == "__main__":
    main()
