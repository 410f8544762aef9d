#!/usr/bin/env python3
"""Cuts the power of a machine that converts, as far as one machine can do that to itself.

    python tests/power/power_loss.py --losses 200 [--seed N] [--keep]

A lake lies in an ext4 file system of its own, in an image behind a loop device. While or just after a
run writes to it the image is copied: the copy has what the file system had given to its disk at that
moment, and nothing of what was still in memory. The copy is mounted (ext4 replays its journal, as after
a loss of power) and the run is started again there. It must end as if nothing had happened, and
`verify` must prove that the lake holds exactly the records of the source.

To make losses worse than they are: some images commit their journal every second; some have a neighbour
that syncs small files of its own all the time, which commits everybody's names and nobody else's bytes;
some write data behind the journal's back; some lose power again while the next run repairs.

With mkfs.xfs at hand images are cloned in one instant (FICLONE); else they are copied as fast as can be,
which is a few milliseconds of blur and is said. Needs root and loop devices.
"""

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TRAILMILL_BIN", ROOT / "target/debug/trailmill")).resolve()
SMALL_UNITS = ["--unit-size", "60kB", "--partition-by", "region"]
IMAGE_BYTES = 64 << 20
HOST_BYTES = 700 << 20
KINDS = ["new", "grown", "sync", "array"]


def why_not():
    """Says why power cannot be cut here, or nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("mkfs.ext4") or not shutil.which("losetup"):
        return "needs mkfs.ext4 and losetup"
    free = subprocess.run(["losetup", "-f"], capture_output=True, text=True)
    if free.returncode or not Path(free.stdout.strip()).exists():
        return "needs loop devices"
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image")
        make_image(image)
        tried = mount(image, Path(folder, "mnt"))
        if tried:
            return f"needs to mount loop devices: {tried}"
        unmount(Path(folder, "mnt"))
    return None


def run(*args):
    subprocess.run([str(a) for a in args], check=True, capture_output=True)


def make_image(path):
    with open(path, "wb") as image:
        image.truncate(IMAGE_BYTES)
    run("mkfs.ext4", "-q", "-F", path)


def mount(image, folder, options=""):
    folder.mkdir(exist_ok=True)
    options = ",".join(filter(None, ["loop", options]))
    done = subprocess.run(["mount", "-o", options, image, folder], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def unmount(folder):
    for _ in range(50):
        if subprocess.run(["umount", folder], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    run("umount", "-l", folder)


def trailmill(*args):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=300)


class Neighbour:
    """Syncs small files beside the lake, so that names are committed while the lake's bytes wait."""

    def __init__(self, folder, seed):
        self.folder, self.dice, self.ends = folder, random.Random(seed), threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        number = 0
        while not self.ends.wait(self.dice.expovariate(1 / 0.02)):
            number += 1
            try:
                with open(self.folder / f"neighbour{number % 7}", "w") as file:
                    file.write(str(number))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                pass

    def end(self):
        self.ends.set()
        self.thread.join()


class House:
    """Where images lie: on a file system that clones files in an instant, if there is one."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.is_instant = bool(shutil.which("mkfs.xfs"))
        self.place = self.folder / "host"
        self.place.mkdir()
        if self.is_instant:
            image = self.folder / "host.img"
            with open(image, "wb") as file:
                file.truncate(HOST_BYTES)
            try:
                run("mkfs.xfs", "-q", "-m", "reflink=1", image)
                self.is_instant = mount(image, self.place) is None
            except subprocess.CalledProcessError:
                self.is_instant = False
        self.sources = self.folder / "logs"
        self.first = self.folder / "first"
        trailmill("sample", self.sources, "--size", "1500kB", "--accounts", "2", "--days", "3", "--quiet")
        objects = sorted(path for path in self.sources.rglob("*") if path.is_file())
        for path in objects[::2]:
            copy = self.first / path.relative_to(self.sources)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)

    def end(self):
        if self.is_instant:
            unmount(self.place)

    def copy(self, image, to):
        how = "--reflink=always" if self.is_instant else "--sparse=always"
        run("cp", how, image, to)


class Loss:
    """One loss of power, or two, and what came of it."""

    def __init__(self, house, seed, kind):
        self.house, self.seed, self.kind, self.dice = house, seed, kind, random.Random(seed)
        self.refusals, self.wrong, self.notices = [], [], []

    def commands(self, lake):
        source, quiet = self.house.sources, ["--quiet"]
        convert = ["convert", source, lake, *SMALL_UNITS, *quiet]
        array = [
            ["plan", source, lake, "--children", "2", *SMALL_UNITS, *quiet],
            ["convert", "--plan", lake, "--array-index", "0", "--array-size", "2", *quiet],
            ["convert", "--plan", lake, "--array-index", "1", "--array-size", "2", *quiet],
            ["finish", "--plan", lake, *quiet],
        ]
        if self.kind == "array":
            return array
        return [convert, ["catalog", "sync", lake, *quiet]] if self.kind == "sync" else [convert]

    def options(self):
        more = ["", "commit=1", "data=writeback", "noauto_da_alloc"]
        return self.dice.choice(more)

    def cut(self, image, folder, seconds, to):
        """Runs the commands on an image, and copies it at some moment."""
        cannot = mount(image, folder, self.options())
        if cannot:
            self.wrong.append(f"the file system cannot be mounted: {cannot}")
            return
        neighbour = Neighbour(folder, self.seed) if self.dice.random() < 0.6 else None
        delay = seconds * self.dice.uniform(0, 1.15)
        ends = time.monotonic() + delay
        try:
            for command in self.commands(folder / "lake"):
                args = [BINARY, *map(str, command)]
                child = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    child.wait(max(0.0, ends - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.house.copy(image, to)
                    child.kill()
                    child.wait()
                    return
            # Just after the run.
            self.house.copy(image, to)
        finally:
            if neighbour:
                neighbour.end()
            unmount(folder)

    def settle(self, image, folder):
        """Starts again where the power went, and looks at the lake."""
        cannot = mount(image, folder)
        if cannot:
            self.wrong.append(f"the file system cannot be mounted: {cannot}")
            return
        lake = folder / "lake"
        try:
            for command in self.commands(lake):
                done = trailmill(*command)
                lines = done.stderr.strip()
                # A plan finds nothing new where the power went after the end.
                is_over = "--plan" in command and "no open plan" in lines
                if done.returncode not in (0, 1) and not is_over:
                    self.refusals.append(f"{command[0]} ended with {done.returncode}: {lines}")
                    return
                self.notices += [line for line in lines.splitlines() if "damaged" in line]
            checked = trailmill("verify", self.house.sources, lake, "--quiet", "--report", "json")
            if checked.returncode:
                self.wrong.append(checked.stdout + checked.stderr)
            again = trailmill("convert", self.house.sources, lake, *SMALL_UNITS, "--report", "json", "--quiet")
            if again.returncode or json.loads(again.stdout)["units"]:
                self.wrong.append(f"the next run: {again.returncode} {again.stdout} {again.stderr}")
            left = [p for name in ("staged", "intents") for p in (lake / "_trailmill" / name).rglob("*.*")]
            if left:
                self.wrong.append(f"left behind: {left}")
        finally:
            unmount(folder)

    def go(self, images, seconds):
        place = self.house.place
        image, copy, again = place / "image", place / "copy", place / "again"
        shutil.copy(images[self.kind], image)
        folder = self.house.folder / "mnt"
        self.cut(image, folder, seconds[self.kind], copy)
        if copy.exists() and self.dice.random() < 0.3:
            self.cut(copy, folder, seconds[self.kind], again)
            if again.exists():
                again.replace(copy)
        if copy.exists():
            self.settle(copy, folder)
        for path in (image, copy, again):
            path.unlink(missing_ok=True)


def prepare(house):
    """Images to begin with, and how long a run on each takes."""
    empty, grown = house.place / "empty", house.place / "grown"
    make_image(empty)
    shutil.copy(empty, grown)
    folder = house.folder / "mnt"
    mount(grown, folder)
    begun = trailmill("convert", house.first, folder / "lake", *SMALL_UNITS, "--quiet")
    assert begun.returncode in (0, 1), begun.stderr
    unmount(folder)
    images = {"new": empty, "grown": grown, "sync": grown, "array": empty}
    seconds = {}
    for kind in KINDS:
        image = house.place / "image"
        shutil.copy(images[kind], image)
        mount(image, folder)
        started = time.monotonic()
        for command in Loss(house, 0, kind).commands(folder / "lake"):
            done = trailmill(*command)
            assert done.returncode in (0, 1), (kind, command, done.stderr)
        seconds[kind] = time.monotonic() - started
        unmount(folder)
    return images, seconds


def lose_power(losses, seed, folder, say=print, kinds=KINDS):
    """Loses power so many times; returns the losses that ended badly, and what was told."""
    house = House(folder)
    try:
        images, seconds = prepare(house)
        how = "cloned in an instant" if house.is_instant else "copied, with some blur"
        taken = ", ".join(f"{kind} {took:.1f} s" for kind, took in seconds.items())
        say(f"images are {how}; undisturbed runs take {taken}")
        bad, notices = [], collections.Counter()
        for number in range(losses):
            loss = Loss(house, seed + number, kinds[number % len(kinds)])
            loss.go(images, seconds)
            notices.update(line.split(" is damaged")[0].rsplit("/", 1)[0][-60:] for line in loss.notices)
            if loss.refusals or loss.wrong:
                bad.append(loss)
                say(f"{loss.kind}, seed {loss.seed}: {loss.refusals or loss.wrong}")
        return bad, notices
    finally:
        subprocess.run(["umount", house.folder / "mnt"], capture_output=True)
        house.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--losses", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    args = parser.parse_args()
    cannot = why_not()
    if cannot:
        sys.exit(f"skipped: {cannot}")
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        bad, notices = lose_power(args.losses, args.seed, folder, kinds=args.kinds)
        refused = sum(bool(loss.refusals) for loss in bad)
        print(
            f"{args.losses} losses of power in {time.monotonic() - started:.0f} s: {refused} refusals, "
            f"{len(bad) - refused} lakes with something wrong"
        )
        for what, count in notices.items():
            print(f"  {count} times told: {what}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
