"""What machine this is."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path


def cores():
    return len(os.sched_getaffinity(0))


def model():
    found = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def memory():
    found = re.search(r"^MemTotal:\s*(\d+) kB$", read("/proc/meminfo"), re.MULTILINE)
    return f"{int(found.group(1)) / 2**20:.0f} GiB" if found else "?"


def run_name():
    """The name of a run's folder: date, processor, cores."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{model()} {cores()}c".lower()).strip("-")
    return f"{time.strftime('%Y-%m-%d')}-{slug}"


def commit():
    """The commit of the sources, marked if they were changed since."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"


def load():
    """How many threads ran in the last minute: should be 0."""
    return os.getloadavg()[0]


def facts(load):
    """(what, value) of what matters for a benchmark."""
    return [
        ("processor", f"{model()}, {cores()} cores"),
        ("memory", memory()),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("system", system()),
        ("Python", platform.python_version()),
        ("Java", java()),
        ("load before the run", f"{load:.1f}"),
    ]


def system():
    found = re.search(r'^PRETTY_NAME="(.+)"$', read("/etc/os-release"), re.MULTILINE)
    return found.group(1) if found else "?"


def java():
    """The Java that Spark takes."""
    program = Path(os.environ["JAVA_HOME"], "bin/java") if "JAVA_HOME" in os.environ else "java"
    try:
        asked = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return "none"
    return asked.stderr.splitlines()[0]


def read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""
