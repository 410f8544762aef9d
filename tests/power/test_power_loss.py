"""Losses of power, as `power_loss.py` makes them: a few here, any number there."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from power_loss import lose_power, why_not  # noqa: E402

LOSSES = int(os.environ.get("TRAILMILL_POWER_LOSSES", "20"))


def test_a_lake_that_lost_its_power_goes_on_with_every_row_once(tmp_path):
    cannot = why_not()
    if cannot:
        pytest.skip(f"{cannot} (root and loop devices)")

    bad, _ = lose_power(LOSSES, 1000, tmp_path)

    assert not bad, [(loss.kind, loss.seed, loss.refusals, loss.wrong) for loss in bad]
