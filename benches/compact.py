"""Times `trailmill compact` of a lake of many small files, codec by codec.

`scripts/bench compact` runs this. Logs are written or given, converted once with small units, and the lake is copied for each run,
so that every run compacts the same files. Codecs take turns; of each the fastest run counts, since other programs only ever make
a run slower. MB are of Parquet, of both tables, before the compaction; processor time is of the whole process.

The files are in memory with `--folder /dev/shm`: then seconds are those of the program and not of the disk.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main():
    options = arguments()
    program = os.environ.get("TRAILMILL_BIN", "trailmill")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = Path(folder)
        logs, lake = options.logs or folder / "logs", folder / "lake"
        if options.logs is None:
            run([program, "sample", str(logs), "--size", options.size, "-q"])
        # Inputs that could not be converted are no matter of a compaction.
        run([program, "convert", str(logs), str(lake), "--unit-size", options.unit_size, "-q", *options.convert], (0, 1))
        best = {}
        for _ in range(options.rounds):
            for codec in options.codecs:
                measured = compact(program, lake, folder / "copy", codec, options)
                if codec not in best or measured["cpu"] < best[codec]["cpu"]:
                    best[codec] = measured
    show(best, options)


def compact(program, lake, copy, codec, options):
    """Compacts a copy of the lake; returns what it took."""
    shutil.copytree(lake, copy)
    command = [program, "compact", str(copy), "--older-than", "0m", "--compression", codec, "-q", "--report", "json"]
    report, seconds, usage = run([*command, "--threads", str(options.threads), *options.compact])
    shutil.rmtree(copy)
    report = json.loads(report)
    return {
        "before": report["bytes_before"] / 1e6,
        "after": report["bytes_after"] / 1e6,
        "files": (report["files_before"], report["files_after"]),
        "partitions": len(report["partitions"]),
        "rows": sum(partition["rows"] for partition in report["partitions"]),
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss / 1024,
    }


def show(best, options):
    some = next(iter(best.values()))
    before, after = some["files"]
    print(
        f"{some['before']:,.1f} MB of Parquet in {before:,} files of {some['partitions']} partitions, {some['rows']:,} rows, to "
        f"{after:,} files; the best of {options.rounds}; {options.threads} threads\n"
    )
    print("| codec | MB after | seconds | MB/s | CPU s | MB/s and vCPU | peak MiB |\n|---|--:|--:|--:|--:|--:|--:|")
    for codec, it in best.items():
        print(
            f"| {codec} | {it['after']:,.1f} | {it['seconds']:.2f} | {it['before'] / it['seconds']:.1f} | {it['cpu']:.2f} | "
            f"{it['before'] / it['cpu']:.1f} | {it['peak']:,.0f} |"
        )


def run(command, accepted=(0,)):
    """Runs a command; returns what it printed, its seconds, and what it used."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if os.waitstatus_to_exitcode(status) not in accepted:
            sys.exit(f"{' '.join(command)} ends with {os.waitstatus_to_exitcode(status)}")
        out.seek(0)
        return out.read().decode(), seconds, usage


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench compact", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1GB", help="JSON of the sample")
    parser.add_argument("--logs", type=Path, help="a folder of logs, instead of a sample")
    parser.add_argument("--unit-size", default="16MB", help="JSON that is converted together: smaller units make more files")
    parser.add_argument("--codecs", nargs="+", default=["zstd:1", "zstd:3", "zstd:6", "zstd:9"], metavar="CODEC")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each codec")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", help="where logs and lakes are written [default: the temporary folder]")
    parser.add_argument("--convert", type=str.split, default=[], help="more options of `convert`, in quotes")
    parser.add_argument("--compact", type=str.split, default=[], help="more options of `compact`, in quotes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
