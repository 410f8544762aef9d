"""Looks at the Terraform module: its text always, its values and its validity where there is a terraform program."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import hcl2

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "scripts/aws/terraform"
PROGRAM = shutil.which("terraform") or shutil.which("tofu")


def run(*args, folder, input=None):
    """Runs terraform, without anything of the user's or of another module."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environ |= {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    if "TF_PLUGIN_CACHE_DIR" in os.environ:
        environ["TF_PLUGIN_CACHE_DIR"] = os.environ["TF_PLUGIN_CACHE_DIR"]
    return subprocess.run(
        [PROGRAM, *args], cwd=folder, input=input, env=environ, text=True, capture_output=True, timeout=300
    )


def evaluate(names, variables, known):
    """The values of locals of documents.tf, with `known` in the place of what only AWS knows.

    That file needs no provider, so nothing is fetched.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in ("variables.tf", "documents.tf", "nightly.asl.json"):
            shutil.copy(MODULE / name, folder)
        Path(folder, "known.tf.json").write_text(json.dumps({"locals": known}))
        Path(folder, "given.auto.tfvars.json").write_text(json.dumps(variables))
        asked = "jsonencode({%s})" % ",".join(f"{name}=local.{name}" for name in names)
        for args, given in ((["init", "-no-color"], None), (["console", "-no-color"], asked)):
            done = run(*args, folder=folder, input=given)
            assert done.returncode == 0, done.stderr or done.stdout
        return json.loads(json.loads(done.stdout))


@functools.cache
def blocks(kind):
    """The module's blocks of a kind, by their labels; quotes are taken off labels."""
    found = {}
    for file in sorted(MODULE.glob("*.tf")):
        with file.open() as opened:
            for block in hcl2.load(opened).get(kind, []):
                labels = []
                while len(inner := {k: v for k, v in block.items() if not k.startswith("__")}) == 1:
                    (label, block), = inner.items()
                    if not label.startswith('"'):
                        break
                    labels.append(label.strip('"'))
                found[tuple(labels)] = block
    return found
