"""Runs a command and says what it took: wall, CPU, peak memory of its whole process tree.

Linux only: it reads /proc.
"""

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PAUSE_SECONDS = 0.02
# Looking for new processes means reading a folder per thread; it need not be done at each look.
LOOKS_PER_SEARCH = 5
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    code: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(command, stdout, stderr, cores=None):
    """Runs a command with its output in two files, on so many cores (None: all)."""
    os.sync()
    with open(stdout, "wb") as out, open(stderr, "wb") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            preexec_fn=(lambda: keep_to(cores)) if cores else None,
        )
    ended = []

    def wait():
        ended.append((*os.wait4(process.pid, 0), time.perf_counter()))

    waiter = threading.Thread(target=wait)
    waiter.start()
    peak = watch(process.pid, waiter)
    _, status, usage, at = ended[0]
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(
        code=process.returncode,
        wall_seconds=at - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=max(peak, usage.ru_maxrss * 1024),
    )


def keep_to(cores):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def watch(pid, waiter):
    """The most memory the tree of a process held at any look, in bytes, until it ends."""
    peak, looks, pids = 0, 0, [pid]
    while waiter.is_alive():
        if looks % LOOKS_PER_SEARCH == 0:
            pids = tree(pid)
        looks += 1
        peak = max(peak, sum(resident(each) for each in pids))
        waiter.join(PAUSE_SECONDS)
    return peak


def tree(pid):
    """A process and all that descend from it."""
    pids = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                pids += tree(int(child))
    except OSError:
        pass  # It ended while we looked.
    return pids


def resident(pid):
    """Bytes of memory that a process holds; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
