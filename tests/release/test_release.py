"""The release: what its workflow says, and what is in an archive of it. Nothing here needs GitHub."""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

try:
    import tomllib
except ModuleNotFoundError:
    # Before Python 3.11, where pytest brings it.
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROGRAM = os.environ.get("TRAILMILL_BIN")
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())


def workflow(name):
    # YAML takes `on` for a Boolean.
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text().replace("\non:", '\n"on":'))


@pytest.fixture(scope="session")
def actionlint(tmp_path_factory):
    if found := shutil.which("actionlint"):
        return found
    if not shutil.which("go"):
        pytest.skip("neither actionlint nor Go, which builds it, is here")
    folder = tmp_path_factory.mktemp("actionlint")
    environ = os.environ | {"GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
    done = subprocess.run(["go", "install", ACTIONLINT], env=environ, text=True, capture_output=True)
    if done.returncode:
        pytest.skip(f"actionlint could not be built: {done.stderr.splitlines()[-1:]}")
    return str(folder / "actionlint")


def test_workflows_are_valid(actionlint):
    command = [actionlint, "-no-color", "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)]

    done = subprocess.run(command, text=True, capture_output=True)

    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_a_mistake_in_a_workflow_would_be_found(actionlint, tmp_path):
    text = (ROOT / ".github/workflows/release.yml").read_text()
    broken = tmp_path / "release.yml"
    broken.write_text(text.replace("needs.check.outputs.version }}-$", "needs.chek.outputs.version }}-$"))

    done = subprocess.run([actionlint, "-no-color", "-shellcheck=", str(broken)], text=True, capture_output=True)

    assert done.returncode == 1 and "chek" in done.stdout


def steps():
    for file in WORKFLOWS:
        for job, body in workflow(file.stem)["jobs"].items():
            for step in body["steps"]:
                yield f"{file.name}: {job}", step


def test_scripts_of_workflows_are_shell():
    for place, step in steps():
        if "run" in step:
            text = re.sub(r"\$\{\{.*?\}\}", "x", step["run"])
            done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
            assert done.returncode == 0, f"{place}: {done.stderr}"
            # What comes from outside gets into a script by the environment alone.
            given = re.findall(r"\$\{\{\s*(.*?)\s*\}\}", step["run"])
            assert all(each.startswith("matrix.") for each in given), f"{place}: {given}"


def test_workflows_may_do_no_more_than_they_need():
    for file in WORKFLOWS:
        assert workflow(file.stem)["permissions"] == {"contents": "read"}, file.name
    jobs = workflow("release")["jobs"]
    assert [job for job, body in jobs.items() if body.get("permissions", {}).get("contents") == "write"] == ["publish"]
    for place, step in steps():
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]), place
            if step["uses"].startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False, place


def test_both_architectures_are_released():
    jobs = workflow("release")["jobs"]
    targets = {each["target"] for each in jobs["archive"]["strategy"]["matrix"]["include"]}
    images = {each["arch"] for each in jobs["image"]["strategy"]["matrix"]["include"]}

    assert targets == {"x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"}
    assert images == {"amd64", "arm64"}
    assert set(jobs["publish"]["needs"]) == {"check", "archive", "image"}


def test_nothing_is_published_without_a_tag():
    jobs = workflow("release")["jobs"]
    pushes = [step for step in jobs["image"]["steps"] if "--push" in step.get("run", "")]

    assert jobs["publish"]["if"] == "github.ref_type == 'tag'"
    assert pushes and all(step["if"] == "github.ref_type == 'tag'" for step in pushes)
    assert "--draft" in jobs["publish"]["steps"][-1]["run"]


def check_script():
    return next(step["run"] for step in workflow("release")["jobs"]["check"]["steps"] if step.get("id") == "version")


@pytest.mark.parametrize("tag, has_repository, passes", [
    ("v" + CARGO["package"]["version"], True, True),
    ("v" + CARGO["package"]["version"], False, False),
    ("v9.9.9", True, False),
])  # fmt: skip
def test_a_tag_must_be_of_the_version_in_the_repository(tmp_path, tag, has_repository, passes):
    repository = "https://host.example/owner/trailmill"
    cargo = re.sub(r"^repository = .*\n", "", (ROOT / "Cargo.toml").read_text(), flags=re.M)
    if has_repository:
        cargo = cargo.replace("[package]\n", f'[package]\nrepository = "{repository}"\n')
    (tmp_path / "Cargo.toml").write_text(cargo)
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    environ = os.environ | {
        "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": str(tmp_path / "out"), "REPOSITORY": repository,
    }

    done = subprocess.run(["bash", "-e", "-c", check_script()], cwd=tmp_path, env=environ, text=True, capture_output=True)

    assert (done.returncode == 0) is passes, done.stdout
    if passes:
        assert (tmp_path / "out").read_text() == f"version={CARGO['package']['version']}\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    if not PROGRAM:
        pytest.skip("TRAILMILL_BIN is not set")
    folder = tmp_path_factory.mktemp("dist")
    program = folder.parent / "trailmill"
    # Without what a debugger needs, which is most of a development build.
    if not shutil.which("strip") or subprocess.run(["strip", "-o", program, PROGRAM]).returncode:
        shutil.copy(PROGRAM, program)
    environ = os.environ | {"TRAILMILL_BIN": str(program)}
    subprocess.run([ROOT / "scripts/release", folder], check=True, capture_output=True, env=environ)
    (found,) = folder.glob("*.tar.gz")
    return found


def test_the_archive_is_what_cargo_binstall_looks_for(archive):
    said = subprocess.run([PROGRAM, "--version"], text=True, capture_output=True, check=True).stdout
    values = {
        "name": "trailmill", "bin": "trailmill", "binary-ext": "", "repo": "REPO", "version": CARGO["package"]["version"],
        "target": re.search(r"([\w-]+)\)$", said.strip()).group(1),
    }  # fmt: skip

    def filled(text):
        return re.sub(r"\{ ([a-z-]+) \}", lambda found: values[found.group(1)], text)

    binstall = CARGO["package"]["metadata"]["binstall"]
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    assert filled(binstall["pkg-url"]).rsplit("/", 1)[1] == archive.name and binstall["pkg-fmt"] == "tgz"
    assert filled(binstall["bin-dir"]) in names


def test_the_archive_has_what_people_need_and_nothing_of_the_machine(archive, tmp_path):
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        opened.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (root,) = tmp_path.iterdir()
    names = {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}

    assert {"trailmill", "LICENSE", "README.md", "THIRD-PARTY.txt", "sbom.cdx.json", "man/trailmill.1"} <= names
    assert {"completions/trailmill.bash", "completions/trailmill.zsh", "man/trailmill-convert.1"} <= names
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
    assert len({member.mtime for member in members}) == 1
    assert [member.name for member in members] == sorted(member.name for member in members)
    done = subprocess.run([root / "trailmill", "--version"], text=True, capture_output=True, check=True)
    assert done.stdout.startswith("trailmill ")


def test_the_checksum_is_that_of_the_archive(archive):
    line = Path(f"{archive}.sha256").read_text()

    assert line == f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n"
