"""Runs the program in the image's root as a container would: read-only, alone, not as root, as process 1."""

import functools
import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import Run

PROGRAM = "/usr/local/bin/trailmill"
# The user that the Dockerfile names.
USER = 65532


def works(*command, **more):
    try:
        return subprocess.run(command, capture_output=True, **more).returncode == 0
    except OSError:
        return False


@functools.cache
def way():
    """How a root can be entered here: with bubblewrap, or as root with what util-linux has."""
    if works("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true", **dropped(USER)):
        return bubblewrap
    if os.geteuid() == 0 and works("unshare", "--mount", "--pid", "--net", "--fork", "true"):
        return chroot
    return pytest.skip("no root can be entered: bwrap makes no namespaces here, nor does unshare")


def dropped(user):
    """For Popen: root becomes the user; nobody else can, and need not, see --uid."""
    return {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}


def bubblewrap(root, mounts, network, user):
    command = ["bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent"]
    command += ["--share-net"] if network else []
    command += ["--uid", user, "--gid", user]
    # A container's root is its image with mount points added; they cannot be added to a read-only bind.
    for entry in sorted(root.iterdir()):
        command += ["--ro-bind", entry, f"/{entry.name}"]
    for place, (folder, is_writable) in mounts.items():
        command += ["--bind" if is_writable else "--ro-bind", folder, place]
    return [*command, "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/"], dropped(user)


def chroot(root, mounts, network, user):
    new = tempfile.mkdtemp(prefix="mounted-", dir=root.parent)
    lines = [f"mount -t tmpfs none {new}", f"mkdir {new}/proc {new}/dev"]
    binds = {f"/{entry.name}": (entry, False) for entry in sorted(root.iterdir())}
    for place, (source, is_writable) in {**binds, **mounts}.items():
        at, bind = shlex.quote(new + place), shlex.quote(str(source))
        lines.append(f"[ -e {at} ] || mkdir {at}; mount --bind {bind} {at}")
        lines.append("" if is_writable else f"mount -o remount,ro,bind {at}")
    lines += [f"mount -t proc none {new}/proc", f"mount --bind /dev {new}/dev"]
    lines += [f"mount -o remount,ro {new}", f'exec chroot --userspec={user}:{user} {new} "$@"']
    unshare = ["unshare", "--mount", "--pid", *([] if network else ["--net"]), "--fork", "--kill-child"]
    return [*unshare, "sh", "-ec", "\n".join(lines), "sh"], {}


class Contained:
    """A run of the program in the root."""

    def __init__(self, root, args, mounts=None, network=False, env=None, user=USER):
        self.args, self.began = [str(arg) for arg in args], time.monotonic()
        command, more = way()(root, mounts or {}, network, user)
        self._out, self._err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        # The path is for finding bwrap; the program gets what an image's base sets.
        self.process = subprocess.Popen(
            [str(word) for word in [*command, PROGRAM, *self.args]],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})},
            cwd="/",
            stdout=self._out,
            stderr=self._err,
            **more,
        )

    @property
    def pid(self):
        """The program's own number out here; bwrap or unshare is its parent."""
        for _ in range(500):
            below = [str(self.process.pid)]
            for pid in below:
                task = Path("/proc", pid, "task", pid)
                below += (task / "children").read_text().split()
                if (task / "comm").read_text().strip() == "trailmill":
                    return int(pid)
            time.sleep(0.01)
        raise AssertionError(f"the program did not start:\n{self._said()}")

    def _said(self):
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read())
        return texts

    def wait(self, seconds=120):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "none: it did not end"
        return Run(self.args, code, *self._said(), time.monotonic() - self.began)


def run(root, *args, codes=(0,), **more):
    """Runs the program in the root to its end, and insists on its exit code."""
    return Contained(root, args, **more).wait().exits(*codes)
