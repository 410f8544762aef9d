"""AWS Batch, played on this machine: an array job's children as processes, lost and retried as there.

It stands here beside the other servers and services that tests put in AWS's place; `scripts/batch` is
its command line, for people:

    scripts/batch --children 30 --kill 0.3 --twice 0.2 --spot 0.1 LOGS... LAKE -- --unit-size 1MB

Makes a plan, runs the children in random order, K at once, and finishes it. Folders and buckets both
work, the latter also at AWS_ENDPOINT_URL. What happens to a share of the attempts at children:

    kill    SIGKILL at a random instant, as when a host fails
    spot    SIGTERM at a random instant and SIGKILL 30 seconds later, as when a Spot instance ends
    twice   a second process for the same child, at once, or late: when all else is done, beside `finish`

The retry strategy is the one of the job definition: what is lost with its host runs again, and so does
exit code 75; any other code but 0 ends the child. A child's last attempt is left alone: what is tried
here is the program and not the luck of those who run it.

    TRAILMILL_BIN=path       the program, if it is not on the PATH
    CHILD_OPTIONS="…"        options of `convert --plan`: --threads 1
    FINISH_OPTIONS="…"       options of `finish`: --catalog none

Exit code: that of `finish`, or of what failed before it. Standard library only.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TRY_AGAIN = 75
# What ECS leaves a container between the two signals.
GRACE_SECONDS = 30


class Attempt:
    """One process for a child."""

    def __init__(self, command, environ, index, number, is_twin=False):
        self.index, self.number, self.is_twin = index, number, is_twin
        self.loss, self.at, self.began = None, None, time.monotonic()
        self.was_signalled, self.code = False, None
        self._out, self._err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, env=environ, stdout=self._out, stderr=self._err)

    def lose(self, how, after):
        """Has it lost so many seconds after its begin, if it still runs then."""
        self.loss, self.at = how, self.began + after

    def poll(self):
        """Signals what is due; returns whether the process has ended."""
        if self.process.poll() is None and self.at is not None and time.monotonic() >= self.at:
            is_first = not self.was_signalled
            self.was_signalled = True
            if self.loss == "spot" and is_first:
                self.process.send_signal(signal.SIGTERM)
                self.at = time.monotonic() + GRACE_SECONDS
            else:
                self.process.kill()
                self.at = None
        if self.process.poll() is None:
            return False
        self.seconds, self.code = time.monotonic() - self.began, self.process.returncode
        self.stdout, self.stderr = self._text(self._out), self._text(self._err)
        return True

    @staticmethod
    def _text(file):
        with file:
            file.seek(0)
            return file.read()

    @property
    def is_lost(self):
        """Whether it went with its host; Batch then says "Host EC2 (instance i-…) terminated."."""
        return self.was_signalled and self.code != 0

    @property
    def is_retried(self):
        return self.is_lost or self.code == TRY_AGAIN

    @property
    def told(self):
        """How it ended, for the summary."""
        code = f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"
        twin = ", second process" if self.is_twin else ""
        return f"{code}{f', {self.loss}' if self.was_signalled else ''}{twin}"


class Batch:
    """An array job over one plan, and what became of its attempts."""

    def __init__(
        self, program, environ, children, *, kill=0.0, twice=0.0, spot=0.0, attempts=5, seed=1,
        at_once=None, options=(),
    ):  # fmt: skip
        self.program, self.environ, self.children = str(program), dict(environ), children
        self.kill, self.twice, self.spot, self.most = kill, twice, spot, attempts
        self.at_once = at_once or min(4, os.cpu_count() or 1)
        self.options, self.luck = [str(option) for option in options], random.Random(seed)
        self.attempts, self.running = [], []
        # Children that Batch gave up.
        self.failed, self._late = [], []

    def run(self, plan):
        """Runs all children to their ends; late twins are under way when it returns."""
        waiting = [(index, 1) for index in range(self.children)]
        self.luck.shuffle(waiting)
        while waiting or self.running:
            while waiting and len(self.running) < self.at_once:
                self._start(plan, *waiting.pop())
            for attempt in self._ended():
                if attempt.is_twin or attempt.code == 0:
                    continue
                if attempt.is_retried and attempt.number < self.most:
                    waiting.insert(self.luck.randint(0, len(waiting)), (attempt.index, attempt.number + 1))
                else:
                    self.failed.append(attempt.index)
        for index in self._late:
            self._process(plan, index, 1, is_twin=True)
        self._late = []
        return not self.failed

    def wait(self):
        """Waits for what is still under way."""
        while self.running:
            self._ended()

    def stop(self):
        """Kills what is still under way."""
        for attempt in self.running:
            attempt.process.kill()
        self.wait()

    def _start(self, plan, index, number):
        attempt = self._process(plan, index, number)
        lot = self.luck.random()
        if number < self.most and lot < self.kill + self.spot:
            attempt.lose("kill" if lot < self.kill else "spot", self._instant())
        if number == 1 and self.luck.random() < self.twice:
            if self.luck.random() < 0.5:
                self._process(plan, index, number, is_twin=True)
            else:
                self._late.append(index)

    def _instant(self):
        """Some time within what an attempt takes that is left alone."""
        whole = [a.seconds for a in self.attempts if a.code == 0]
        return self.luck.uniform(0, statistics.median(whole) if whole else 1.0)

    def _process(self, plan, index, number, is_twin=False):
        environ = {
            **self.environ,
            "AWS_BATCH_JOB_ID": f"00000000-0000-4000-8000-000000000000:{index}",
            "AWS_BATCH_JOB_ATTEMPT": str(number),
            "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
            "AWS_BATCH_JOB_ARRAY_SIZE": str(self.children),
        }
        command = [self.program, "convert", "--plan", str(plan), "--report", "json", "-q", *self.options]
        attempt = Attempt(command, environ, index, number, is_twin)
        self.running.append(attempt)
        return attempt

    def _ended(self):
        """Waits a moment; returns the attempts that have ended by then."""
        time.sleep(0.01)
        ended = [attempt for attempt in self.running if attempt.poll()]
        self.running = [attempt for attempt in self.running if attempt.code is None]
        self.attempts += ended
        return ended

    @property
    def wrong(self):
        """Attempts that ended as none should: neither done, nor lost, nor asking for another try."""
        return [a for a in self.attempts if a.code not in (0, TRY_AGAIN) and not (a.was_signalled and a.code < 0)]

    def summary(self):
        """What became of the attempts, in lines for people."""
        ends = collections.Counter(attempt.told for attempt in self.attempts)
        lost = sum(attempt.is_lost for attempt in self.attempts)
        seconds = [attempt.seconds for attempt in self.attempts if attempt.code == 0] or [0.0]
        yield f"{self.children} children, {len(self.attempts)} attempts, {lost} lost, {len(self.failed)} failed"
        yield from (f"{count:6} {end}" for end, count in sorted(ends.items()))
        yield f"a child took {statistics.median(seconds):.1f} s in the middle, {max(seconds):.1f} s at most"


def arguments():
    """What the command line says; options after `--` are the plan's."""
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    given, of_plan = given[:at], given[at + 1 :]
    about, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        usage="scripts/batch [option...] SOURCE... LAKE [-- option of plan...]", description=about,
        epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--children", type=int, help="children of the array [default: as the plan says]")
    for name, what in [("kill", "killed"), ("twice", "run by two processes"), ("spot", "ended like Spot")]:
        parser.add_argument(f"--{name}", type=float, default=0, metavar="SHARE", help=f"attempts {what}, 0 to 1")
    parser.add_argument("--attempts", type=int, default=5, help="attempts at a child, at most 10 [default: 5]")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random [default: 1]")
    parser.add_argument("--at-once", type=int, help="processes at once [default: one per processor, 4 at most]")
    parser.add_argument("places", nargs="+", metavar="SOURCE... LAKE")
    found = parser.parse_args(given)
    if len(found.places) < 2:
        parser.error("SOURCE and LAKE are needed")
    if not 1 <= found.attempts <= 10:
        parser.error("--attempts: 1 to 10")
    found.of_plan = of_plan
    return found


def main():
    args = arguments()
    program = os.environ.get("TRAILMILL_BIN") or shutil.which("trailmill")
    if not program:
        sys.exit("trailmill is not on the PATH: set TRAILMILL_BIN")
    words = {name: os.environ.get(f"{name}_OPTIONS", "").split() for name in ("CHILD", "FINISH")}
    began = time.monotonic()
    command = [program, "plan", "--children", str(args.children or "auto"), *args.of_plan]
    made = subprocess.run([*command, "--report", "json", *args.places], stdout=subprocess.PIPE, text=True)
    if made.returncode:
        return made.returncode
    plan = json.loads(made.stdout)
    if plan["plan"] is None:
        print("Nothing new: no plan was made.")
        return 0
    planned = time.monotonic()
    batch = Batch(
        program, os.environ, args.children or plan["children"], kill=args.kill, twice=args.twice,
        spot=args.spot, attempts=args.attempts, seed=args.seed, at_once=args.at_once, options=words["CHILD"],
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(batch.stop)
        is_done = batch.run(plan["plan"])
        converted = time.monotonic()
        # Also when children failed: it names the units that are missing.
        code = subprocess.run([program, "finish", "--plan", plan["plan"], *words["FINISH"]]).returncode
        finished = time.monotonic()
        batch.wait()
    print(*batch.summary(), sep="\n")
    print(
        f"plan {planned - began:.1f} s, children {converted - planned:.1f} s, "
        f"finish {finished - converted:.1f} s"
    )
    for attempt in batch.wrong:
        print(f"child {attempt.index}, attempt {attempt.number}: {attempt.told}\n{attempt.stderr}", file=sys.stderr)
    return code if is_done else code or 1


if __name__ == "__main__":
    sys.exit(main())
