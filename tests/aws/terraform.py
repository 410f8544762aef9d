"""Looks at the Terraform module: its text always, its values and its validity where there is a terraform program."""

import functools
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import hcl2

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "scripts/aws/terraform"
# The module, those in it, and its examples.
FOLDERS = sorted(str(file.parent.relative_to(MODULE)) for file in MODULE.rglob("versions.tf"))
# The provider's, whose arguments provider_arguments.json has.
VERSION = "6.66.0"
PROGRAM = shutil.which("terraform") or shutil.which("tofu")


def run(*args, folder, input=None):
    """Runs terraform, without anything of the user's or of another module."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    environ |= {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    if "TF_PLUGIN_CACHE_DIR" in os.environ:
        environ["TF_PLUGIN_CACHE_DIR"] = os.environ["TF_PLUGIN_CACHE_DIR"]
    stand_in = Path(folder, "stand-in.tfrc")
    if stand_in.exists():
        environ |= {"TF_CLI_CONFIG_FILE": str(stand_in), "TF_DISABLE_PLUGIN_TLS": "1"}
    return subprocess.run(
        [PROGRAM, *args], cwd=folder, input=input, env=environ, text=True, capture_output=True, timeout=300
    )


def init(folder):
    """Initializes a folder with the aws provider, or with what stands in for it (provider.py); says which."""
    done = run("init", "-backend=false", "-no-color", folder=folder)
    if done.returncode == 0:
        return "the provider"
    assert "Failed to query available provider packages" in done.stderr, done.stderr
    kind = f"{platform.system()}_{platform.machine()}".lower().replace("x86_64", "amd64").replace("aarch64", "arm64")
    place = Path(folder, "mirror/registry.terraform.io/hashicorp/aws", VERSION, kind)
    place.mkdir(parents=True)
    program = place / f"terraform-provider-aws_v{VERSION}"
    here = Path(__file__).parent
    words = shlex.join([sys.executable, str(here / "provider.py"), str(here / "provider_arguments.json")])
    program.write_text(f"#!/bin/sh\nexec {words}\n")
    program.chmod(0o755)
    Path(folder, "stand-in.tfrc").write_text(
        f'provider_installation {{ filesystem_mirror {{\n path = "{folder}/mirror"\n include = ["hashicorp/aws"]\n}} }}\n'
    )
    done = run("init", "-backend=false", "-no-color", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return "a stand-in"


def copy(folder):
    """Copies the module, its examples and its tests, without what terraform left in it."""
    shutil.copytree(MODULE, folder, ignore=shutil.ignore_patterns(".terraform*"), dirs_exist_ok=True)


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
def blocks(kind, folder="."):
    """The blocks of a kind of one of FOLDERS, by their labels; quotes are taken off labels."""
    found = {}
    for file in sorted((MODULE / folder).glob("*.tf")):
        with file.open() as opened:
            for block in hcl2.load(opened).get(kind, []):
                labels = []
                while len(inner := {k: v for k, v in block.items() if not k.startswith("__")}) == 1:
                    (label, content), = inner.items()
                    if not label.startswith('"'):
                        break
                    labels.append(label.strip('"'))
                    block = content
                found[tuple(labels)] = block
    return found
