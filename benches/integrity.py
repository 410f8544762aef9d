"""What log file integrity costs: three measurements, of which any can be asked for.

`aws-cli`: one trail's logs with `aws cloudtrail validate-logs` and with `trailmill integrity`, from the same bucket, in
turns. The bucket is moto's, on this machine, and so is a server that lists the public key: what is compared is what each
program does with the bytes, and how many requests it has in flight. Both must find everything valid.

`convert`: a folder with digests, converted with `--integrity off` and `--integrity record` in turns, on two threads. It is one
account's day, so that a digest lists some dozens of logs, as those of a trail do: spread over weeks, the same bytes have more
digests than logs, and digests are what is measured. Seconds are those of the clock and of the processors; on a machine that does
other things only the latter say something.

`memory`: very many small logs of many regions, validated; the largest resident set of the process.

    TRAILMILL_BIN=target/release/trailmill target/python/bin/python benches/integrity.py aws-cli convert memory
"""

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/cloud"))

HOURS = 6
BINARY = os.environ.get("TRAILMILL_BIN", str(ROOT / "target/release/trailmill"))


def start_moto():
    """moto's server as a process of its own; returns it and its address."""
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


def timed(args, env=None):
    """Runs a command, which must succeed; returns its seconds and what it printed."""
    began = time.monotonic()
    done = subprocess.run(args, env=env, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(args)} exits with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds, done.stdout


def processor_seconds():
    """Seconds that the processors have spent on children so far."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def show(name, seconds, size):
    """A line of a measurement: every sample, and the median as a speed."""
    median = statistics.median(seconds)
    samples = " ".join(f"{one:.2f}" for one in seconds)
    print(f"  {name:10} {size / 1e6 / median:8.1f} MB/s of JSON, median {median:.2f} s of {samples}", flush=True)


def beside_aws_cli(options):
    """`aws cloudtrail validate-logs` and `integrity`, from one bucket."""
    import test_integrity as played
    from conftest import client, environment, record

    server, s3_endpoint = start_moto()
    keys = ThreadingHTTPServer(("127.0.0.1", 0), played.ListPublicKeys)
    threading.Thread(target=keys.serve_forever, daemon=True).start()
    cloudtrail = f"http://127.0.0.1:{keys.server_port}"
    try:
        s3 = client("s3", s3_endpoint)
        s3.create_bucket(Bucket="trail")
        each = max(1, options.bytes // len(json.dumps(record(1))))
        per_hour = max(1, options.logs // HOURS)

        def records(hour, number, start):
            first = (hour * per_hour + number) * each
            return [record(first + n, eventTime=start.strftime(played.STAMP)) for n in range(each)]

        chain = played.Chain(s3, "trail", logs_per_hour=per_hour, records=records)
        env = environment(AWS_ENDPOINT_URL_S3=s3_endpoint, AWS_ENDPOINT_URL_CLOUDTRAIL=cloudtrail)
        end = (played.FIRST + timedelta(hours=HOURS)).strftime(played.STAMP)
        theirs = [sys.executable, "-m", "awscli", "cloudtrail", "validate-logs", "--trail-arn", played.ARN]
        theirs += ["--start-time", played.FIRST.strftime(played.STAMP), "--end-time", end]
        theirs += ["--region", played.REGION, "--s3-bucket", "trail"]
        ours = [BINARY, "integrity", "s3://trail/", "-q"]
        print(f"aws-cli: {len(chain.logs)} logs, {chain.bytes / 1e6:.0f} MB of JSON, in moto on this machine", flush=True)
        seconds = {"aws-cli": [], "trailmill": []}
        for _ in range(options.rounds):
            for name, args in [("aws-cli", theirs), ("trailmill", ours)]:
                seconds[name].append(timed(args, env)[0])
        for name, samples in seconds.items():
            show(name, samples, chain.bytes)
    finally:
        keys.shutdown()
        server.terminate()


def sample(folder, *more):
    """Writes logs with digests; returns the options that name their keys and signatures."""
    timed([BINARY, "sample", str(folder), "--digests", "-q", *more])
    evidence = folder / "_evidence"
    return ["--keys", str(evidence / "keys.json"), "--signatures", str(evidence / "signatures.json")]


def conversion(options):
    """`convert --integrity off` and `record` in turns."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = Path(folder)
        evidence = sample(folder / "logs", "--size", options.size, "--accounts", "1", "--days", "1")
        modes = {"off": [], "record": evidence}
        seconds, size = {mode: [] for mode in modes}, 0
        spent = {mode: [] for mode in modes}
        # The first round warms the page cache up, and does not count.
        for number in range(options.rounds + 1):
            for mode, more in modes.items():
                lake = folder / "lake"
                args = [BINARY, "convert", str(folder / "logs"), str(lake), "--threads", "2", "--integrity", mode]
                before = processor_seconds()
                took, said = timed([*args, *more, "--report", "json", "-q"])
                processors = processor_seconds() - before
                report = json.loads(said)
                size = report["bytes_json"]
                if mode == "record" and report["integrity"]["digests_verified"] == 0:
                    raise SystemExit("no digest is verified")
                if number > 0:
                    seconds[mode].append(took)
                    spent[mode].append(processors)
                if mode == "record":
                    digests = report["integrity"]["digests"]
                    logs = sum(report["integrity"]["objects"].values())
                shutil.rmtree(lake)
        print(f"convert: {size / 1e6:.0f} MB of JSON, {logs} logs, {digests} digests, two threads", flush=True)
        for mode, samples in seconds.items():
            show(mode, samples, size)
        for kind, samples in [("", seconds), (" of processor time", spent)]:
            pairs = [record / off - 1 for off, record in zip(samples["off"], samples["record"])]
            print(f"  record takes {statistics.median(pairs):+.1%}{kind} (median of {len(pairs)} pairs)", flush=True)


def memory(options):
    """Very many logs, validated: seconds, and the largest resident set."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = Path(folder)
        evidence = sample(folder / "logs", "--small-objects", str(options.small_objects), "--days", "2")
        args = [BINARY, "integrity", str(folder / "logs"), "--report", "json", "-q", *evidence]
        out = folder / "report.json"
        began = time.monotonic()
        with out.open("wb") as to:
            process = subprocess.Popen(args, stdout=to)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{' '.join(args)} fails: {out.read_text()[:2000]}")
        report = json.loads(out.read_text())
        logs, digests = (sum(report[kind].values()) for kind in ("logs", "digests"))
        regions = len({chain["region"] for chain in report["chains"]})
        print(
            f"memory: {logs:,} logs and {digests:,} digests of {regions} regions in {seconds:.1f} s, "
            f"{usage.ru_maxrss / 1024:.0f} MiB resident at most"
        )


WHAT = {"aws-cli": beside_aws_cli, "convert": conversion, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{', '.join(WHAT)} [default: all]")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program or mode")
    parser.add_argument("--logs", type=int, default=480, help="logs in the bucket")
    parser.add_argument("--bytes", type=int, default=1_000_000, help="bytes of JSON of each")
    parser.add_argument("--size", default="1GB", help="JSON of the conversion")
    parser.add_argument("--small-objects", type=int, default=100_000, help="logs whose validation's memory is measured")
    parser.add_argument("--folder", help="where samples and lakes are written [default: the temporary folder]")
    options = parser.parse_args()
    unknown = [what for what in options.what if what not in WHAT]
    if unknown:
        parser.error(f"unknown measurement {', '.join(unknown)}: expected {', '.join(WHAT)}")
    for what in options.what or WHAT:
        WHAT[what](options)


if __name__ == "__main__":
    main()
