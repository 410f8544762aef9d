"""The container image: its recipe, the files in it, and the program run among them as a container would.

The root is assembled by `scripts/image --root` with the program of TRAILMILL_BIN, from no other files
than Docker would get. Docker itself is asked where it answers. No test here needs AWS or a network.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/cloud"))

import faulty_proxy as faults  # noqa: E402
from conftest import (  # noqa: E402, F401
    ACCESS_KEY,
    BINARY,
    REGION,
    SECRET_KEY,
    client,
    endpoint,
    new_bucket,
    proxy,
    s3,
    upload,
)
from lakes import BucketLake, FolderLake, assert_same_rows, is_typed, without_nested  # noqa: E402
from sandbox import PROGRAM, USER, Contained, dropped, run, works  # noqa: E402

DOCUMENTS = "usr/share/doc/trailmill"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
CONVERT = ["convert", "--catalog", "none", "--report", "json"]
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": REGION,
}


@pytest.fixture(scope="session")
def folder():
    """A folder that every user may look into; those of pytest are for their owner."""
    made = Path(tempfile.mkdtemp(prefix="trailmill-image-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def context(folder):
    """What Docker is sent: only what .dockerignore lets through."""
    made = folder / "context"
    for pattern in patterns():
        for found in ROOT.glob(pattern):
            copy = shutil.copytree if found.is_dir() else shutil.copy2
            to = made / found.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            copy(found, to)
    return made


@pytest.fixture(scope="session")
def root(folder, context):
    made = folder / "root"
    environ = {**os.environ, "TRAILMILL_BIN": str(BINARY)}
    command = [context / "scripts/image", "--root", made]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="session")
def logs(folder):
    made = folder / "logs"
    subprocess.run([BINARY, "sample", made, "--size", "3MB", "-q"], check=True)
    return made


@pytest.fixture
def lake(folder, request):
    """An empty folder that the image's user may write to."""
    made = folder / f"lake-{request.node.name}"
    made.mkdir()
    if os.geteuid() == 0:
        os.chown(made, USER, USER)
    return made


@pytest.fixture
def mounts(logs, lake):
    return {"/logs": (logs, False), "/lake": (lake, True)}


def patterns():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    words = [line for line in lines if not line.startswith("#")]
    assert words[0] == "*", "nothing is let through that is not named"
    return [word.removeprefix("!") for word in words[1:]]


def instructions():
    """The Dockerfile as (instruction, rest)."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [tuple(line.split(maxsplit=1)) for line in lines]


def files(folder):
    return {file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()}


def state(folder):
    """Every path below a folder, with what a write would change."""
    found = ((path, path.lstat()) for path in folder.rglob("*"))
    return {path: (status.st_mtime_ns, status.st_size, status.st_mode) for path, status in found}


def loaded(program):
    """What the dynamic linker loads for a program."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"/\S+(?= \()", said))


# The recipe


def test_hadolint_finds_no_fault_in_the_dockerfile():
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if not hadolint:
        pytest.skip("hadolint is not installed: tests/requirements.txt has it")

    command = [hadolint, "--no-color", "--failure-threshold", "style", ROOT / "Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_names_exact_versions_a_user_by_number_and_no_shell():
    found = dict(instructions())
    images = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    default = next(rest for name, rest in instructions() if name == "ARG").removeprefix("BASE=")
    rust = re.fullmatch(r"rust:(\d+)\.(\d+)\.(\d+)-slim-bookworm", images[0])
    oldest = re.search(r'rust-version = "(\d+)\.(\d+)\.(\d+)"', (ROOT / "Cargo.toml").read_text())

    assert tuple(map(int, rust.groups())) >= tuple(map(int, oldest.groups()))
    assert images[1:] == ["${BASE}"] and default == "gcr.io/distroless/cc-debian12:nonroot"
    assert found["USER"] == f"{USER}:{USER}"
    assert json.loads(found["ENTRYPOINT"]) == [PROGRAM]
    assert found.keys().isdisjoint({"ADD", "CMD", "SHELL", "EXPOSE", "VOLUME"})


def test_docker_gets_every_file_that_is_compiled(context):
    notes = BINARY.with_suffix(".d")
    sources = notes.read_text().split(": ", 1)[1].split() if notes.is_file() else []
    ours = [Path(source) for source in sources if Path(source).is_relative_to(ROOT)]
    # Where the commit is read from; Docker is told it. Clippy's settings are read by the test build only.
    apart = [ROOT / ".git", ROOT / "clippy.toml"]
    ours = [source for source in ours if not any(source.is_relative_to(place) for place in apart)]
    if not ours:
        pytest.skip(f"beside {BINARY} is no list of these sources: it was built elsewhere")

    assert [file for file in ours if not (context / file.relative_to(ROOT)).is_file()] == []


DIGEST = "sha256:" + "0123456789abcdef" * 4

# Notes what it is told, and says what buildx would say of the image that it pushed.
FAKE_DOCKER = f"""#!/bin/sh
case "$1 $2" in
"buildx build")
  printf "%s\\n" "$SOURCE_DATE_EPOCH" "$@" >told
  while [ $# -gt 0 ]; do
    [ "$1" != --metadata-file ] || printf '{{"containerimage.digest": "{DIGEST}", "image.name": "x"}}' >"$2"
    shift
  done
  ;;
login*) printf "%s\\n" "$@" "$(cat)" >login ;;
esac
"""


def push(folder, image):
    """Pushes with a docker and an aws that only note it."""
    for name, text in {"docker": FAKE_DOCKER, "aws": '#!/bin/sh\necho "password $*"\n'}.items():
        text = text.replace(">told", f">{folder}/told").replace(">login", f">{folder}/login")
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environ = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run([ROOT / "scripts/image", "--push", image], env=environ, text=True, capture_output=True)


def test_a_push_logs_in_to_ecr_and_prints_the_address_with_the_digest(tmp_path):
    registry = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"

    done = push(tmp_path, f"{registry}/trailmill:1.2")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{registry}/trailmill@{DIGEST}"
    assert (tmp_path / "login").read_text().splitlines() == [
        "login", "--username", "AWS", "--password-stdin", registry,
        "password ecr get-login-password --region eu-west-1",
    ]


@pytest.mark.parametrize("image", ["registry/trailmill", "registry:5000/trailmill", f"registry/trailmill@{DIGEST}"])
def test_a_push_needs_a_tag(tmp_path, image):
    done = push(tmp_path, image)

    assert done.returncode != 0 and "expected REPO:TAG" in done.stderr
    assert not (tmp_path / "told").exists()


def test_docker_is_told_commit_version_and_platforms(tmp_path):
    done = push(tmp_path, "registry/trailmill:1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"registry/trailmill@{DIGEST}"
    assert not (tmp_path / "login").exists()
    told = tmp_path / "told"

    time_of_commit, *words = told.read_text().splitlines()
    options = dict(zip(words, words[1:]))
    assert time_of_commit.isdecimal()
    assert options["--platform"] == "linux/amd64,linux/arm64" and "--push" in words
    assert options["--tag"] == "registry/trailmill:1" and words[-1] == "."
    given = dict(word.split("=", 1) for word in words if re.match("[A-Z_]+=", word))
    declared = {rest.split("=")[0] for name, rest in instructions() if name == "ARG"}
    assert given.keys() == declared - {"BASE", "TARGETARCH"}
    assert re.fullmatch("[0-9a-f]{40}", given["TRAILMILL_COMMIT"])
    assert f'\nversion = "{given["VERSION"]}"\n' in (ROOT / "Cargo.toml").read_text()


def test_docker_builds_it_and_runs_it():
    if not works("docker", "info"):
        pytest.skip("no Docker engine answers")
    if not works("docker", "buildx", "version"):
        pytest.skip("Docker has no buildx")
    tag = "trailmill:tested"

    subprocess.run([ROOT / "scripts/image", tag], check=True)

    command = ["docker", "run", "--rm", "--read-only", "--network", "none", tag, "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    assert f"(commit {head.stdout.decode()[:7]}, " in said


# What is in it


def test_the_root_holds_one_program_and_exactly_the_libraries_that_it_loads(root):
    program = root / PROGRAM[1:]
    executable = {file for file in files(root) if os.access(file, os.X_OK)}

    libraries = {root / path[1:] for path in loaded(BINARY)}

    assert executable == {program, *libraries}
    names = {library.name for library in libraries}
    assert names <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", *(n for n in names if "ld-linux" in n)}


def test_nothing_in_the_root_is_writable_for_its_user_but_what_docker_makes_so(root):
    paths = [path for path in root.rglob("*") if path not in (root / "tmp", root / "home/nonroot")]

    assert [path for path in paths if path.lstat().st_mode & 0o6022] == []
    assert f"nonroot:x:{USER}:{USER}:" in (root / "etc/passwd").read_text()


def test_every_licence_comes_with_it(root):
    text = (root / DOCUMENTS / "THIRD-PARTY.txt").read_text()
    bill = json.loads((root / DOCUMENTS / "sbom.cdx.json").read_text())

    assert (root / DOCUMENTS / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for component in bill["components"]:
        assert f"\n{component['name']} {component['version']}: " in text
    # The rest is of packages that come without a text, and say where they come from.
    assert len(re.findall(r", without a text; see https://", text)) < 10
    assert "Permission is hereby granted, free of charge" in text
    assert "https://www.apache.org/licenses/" in text.replace("http:", "https:")


def test_the_bill_is_valid_and_names_what_is_linked_and_nothing_else(root):
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    text = (root / DOCUMENTS / "sbom.cdx.json").read_text()
    bill = json.loads(text)

    fault = validation.JsonStrictValidator(schema.SchemaVersion.V1_5).validate_str(text)

    assert fault is None, fault
    names = {component["name"] for component in bill["components"]}
    assert {"polars-parquet", "tokio", "aws-sdk-glue", "zstd-sys", "rust-std"} <= names
    # Of tests, of build scripts, of the compiler's macros, of other systems.
    assert names.isdisjoint({"proptest", "criterion", "cc", "cmake", "syn", "serde_derive", "windows-sys"})
    references = {component["bom-ref"] for component in bill["components"]}
    needed = {ref for entry in bill["dependencies"] for ref in entry["dependsOn"]}
    assert needed == references, "each is needed by another one, and known"


# The program in it


def test_the_program_starts_and_says_what_it_is(root):
    done = run(root, "--version")

    features = r"features: [\w-]+(, [\w-]+)*"
    assert re.fullmatch(rf"trailmill \S+ \(commit (\w{{7}}|unknown), {features}, \w+-\S+\)\n", done.stdout)


def test_a_folder_is_converted_and_proved_with_nothing_else_to_write_to(root, mounts, lake, logs, folder):
    before = state(root)

    done = run(root, *CONVERT, "/logs", "/lake", mounts=mounts)
    proved = run(root, "verify", "/logs", "/lake", mounts={**mounts, "/lake": (lake, False)})

    written, copies = done.report["records_written"], done.report["records_duplicate"]
    assert done.report["records_read"] == written + copies and written > 1000
    assert "\x1b" not in done.stderr and not done.stderr.startswith("{"), "no terminal, and not in Batch"
    assert proved.code == 0
    assert state(root) == before
    outside = folder / "lake-outside"
    subprocess.run([BINARY, *CONVERT, "-q", logs, outside], check=True, stdout=subprocess.DEVNULL)
    assert_same_rows(FolderLake(outside).rows(), FolderLake(lake).rows())
    main = [str(lake / key) for key in FolderLake(lake).data_files() if not is_typed(key.split("/")[0])]
    rows = duckdb.sql(f"SELECT count(*) FROM read_parquet({main}, union_by_name = true)").fetchall()
    assert rows == [(done.report["records_written"],)]


def test_its_own_root_cannot_be_written_to(root, mounts):
    done = run(root, *CONVERT, "/logs", "/tmp/lake", mounts=mounts, codes=(2, 3))

    assert "ead-only file system" in done.stderr


def test_a_user_without_a_name_or_a_home_can_run_it(root, mounts, lake):
    stranger = 1234567
    if os.geteuid() == 0:
        os.chown(lake, stranger, stranger)

    done = run(root, *CONVERT, "/logs", "/lake", mounts=mounts, user=stranger)

    assert done.report["records_written"] > 1000


# S3, with nothing but variables


@pytest.fixture
def buckets(s3, new_bucket, logs):  # noqa: F811
    source, target = new_bucket("logs"), new_bucket("lake")
    upload(s3, logs, source)
    return f"s3://{source}/", BucketLake(s3, target, "lake")


def test_a_bucket_becomes_a_bucket_with_no_folder_to_write_to(root, buckets, endpoint):  # noqa: F811
    source, target = buckets
    env = {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}

    done = run(root, *CONVERT, source, target.url, network=True, env=env)
    run(root, "verify", source, target.url, network=True, env=env)

    assert done.report["records_written"] == sum(map(len, without_nested(target.rows()).values())) > 1000


def test_sigterm_ends_process_1_with_75_and_the_next_run_completes_the_lake(root, buckets, proxy):  # noqa: F811
    source, target = buckets
    # Small units, little memory and slow puts: it is busy for long, and not all is in flight.
    slow = proxy.on("PutObject", r"\.parquet$", faults.late(0.5), count=faults.EVERY)
    options = ["--unit-size", "100kB", "--threads", "1", "--memory", "260kB"]
    env = {**CREDENTIALS, "AWS_ENDPOINT_URL": proxy.url}
    started = Contained(root, [*CONVERT, *options, source, target.url], network=True, env=env)
    slow.wait()
    status = Path(f"/proc/{started.pid}/status").read_text()
    mapped = Path(f"/proc/{started.pid}/maps").read_text()

    os.kill(started.pid, signal.SIGTERM)
    asked = time.monotonic()
    stopped = started.wait(60).exits(75)
    seconds = time.monotonic() - asked
    proxy.clear()
    run(root, *CONVERT, *options, source, target.url, network=True, env=env)

    assert re.search(r"NSpid:.*\s1$", status, re.M), "it was process 1"
    assert not dropped(USER) or re.search(rf"Uid:\s+{USER}\s", status)
    assert {path for path in loaded(BINARY) if path in mapped} == loaded(BINARY), "each library is used"
    assert seconds < 20
    assert stopped.report["interrupted"]
    run(root, "verify", source, target.url, network=True, env=env)


@pytest.fixture
def tls(folder):
    pytest.importorskip("cryptography", reason="it is not installed; moto brings it along")
    import tls_server

    yield from tls_server.started(folder)


def test_who_is_trusted_is_in_the_images_file_of_certificates(root, tls, logs, mounts):
    url, authority = tls
    env = {**CREDENTIALS, "AWS_ENDPOINT_URL": url}
    lines = [*CONVERT, "--retry-timeout", "2", "/logs", "s3://lake/lake"]
    s3 = client("s3", url, verify=str(authority))  # noqa: F811
    s3.create_bucket(Bucket="lake")

    strangers = run(root, *lines, mounts=mounts, network=True, env=env, codes=(2, 3, 75))
    trusted = {**mounts, f"/{CERTIFICATES}": (authority, False)}
    done = run(root, *lines, mounts=trusted, network=True, env=env)

    assert "ertificate" in strangers.stderr or "UnknownIssuer" in strangers.stderr
    assert done.report["records_written"] == sum(
        map(len, without_nested(BucketLake(s3, "lake", "lake").rows()).values())
    )
