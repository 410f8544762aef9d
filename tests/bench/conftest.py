"""Says at once when there is no program to measure."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TRAILMILL_BIN", ROOT / "target/debug/trailmill")).resolve()


def pytest_sessionstart(session):
    if not BINARY.is_file():
        pytest.exit(f"no program at {BINARY}: run `cargo build`, or set TRAILMILL_BIN", 2)
