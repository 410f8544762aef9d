"""What was measured: runs, all runs of a tool, and the session they belong to."""

import statistics
from dataclasses import asdict, dataclass, field, fields

from tools import Job


@dataclass(frozen=True)
class Run:
    """One run of a tool. `conversion_seconds` leaves out how long a peer takes to start."""

    tool: str
    round: int
    wall_seconds: float
    conversion_seconds: float
    cpu_seconds: float
    peak_bytes: int
    bytes_written: int
    files: int
    rows: int

    def row(self):
        return {k: f"{v:.3f}" if isinstance(v, float) else v for k, v in asdict(self).items()}


FIELDS = [each.name for each in fields(Run)]


@dataclass
class Result:
    """A tool and its runs. `wrong` holds what its output lacks, `skipped` why it was not run."""

    tool: object
    runs: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    failure: str = ""
    skipped: str = ""

    @property
    def is_right(self):
        return not self.wrong and not self.failure

    @property
    def has_times(self):
        return bool(self.runs) and self.is_right

    def values(self, name):
        return [getattr(run, name) for run in self.runs]

    def median(self, name):
        return statistics.median(self.values(name))


@dataclass
class Session:
    how: str
    truth: dict
    job: Job
    rounds: int
    results: list
    load: float

    def size_in_words(self):
        truth = self.truth
        return (
            f"{truth['bytes_json'] / 1e6:,.0f} MB of JSON in {truth['objects']:,} objects, "
            f"{truth['facts']['partitions']:,} partitions, {self.job.threads} threads, "
            f"median of {self.rounds} rounds"
        )

    def runnable(self):
        return [result for result in self.results if not result.skipped and not result.failure]

    def speeds(self, result):
        """Megabytes of JSON a second: median, lowest, highest."""
        size = self.truth["bytes_json"] / 1e6
        seconds = result.values("conversion_seconds")
        return size / result.median("conversion_seconds"), size / max(seconds), size / min(seconds)
