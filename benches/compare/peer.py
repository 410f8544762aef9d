"""Runs one conversion by a peer, in a process of its own: `peer.py NAME JOB`, JOB as JSON.

Prints the seconds of the conversion alone. Imports and the start of the engine do not count.
"""

import importlib
import json
import sys
import time
import types


def main():
    name, job = sys.argv[1], types.SimpleNamespace(**json.loads(sys.argv[2]))
    peer = importlib.import_module(f"peers.with_{name}")
    engine = peer.start(job)
    started = time.perf_counter()
    peer.convert(engine, job)
    seconds = time.perf_counter() - started
    peer.stop(engine)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
