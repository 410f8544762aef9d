"""Who acts: profiles, the account that is said and expected, and endpoints without encryption."""

import json
import threading

import faulty_proxy as faults
import pytest
from conftest import NO_CATALOG, log_key, log_object, record, run_trailmill, start_trailmill
from faulty_proxy import EVERY
from lakes import BucketLake

ACCOUNT, OTHER = "123456789012", "999988887777"
ARN = "arn:aws:sts::123456789012:user/moto"


@pytest.fixture
def logs(s3, new_bucket):
    """A bucket with one log object."""
    bucket = BucketLake(s3, new_bucket("logs-of-identity"))
    bucket.put(log_key("a.json.gz"), log_object([record(1)]))
    return bucket


@pytest.fixture
def profiles(tmp_path):
    """The variables of shared configuration files with a profile that has keys, and one that has none."""
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text(
        "[profile prod]\nregion = eu-west-3\n[profile bare]\nregion = eu-west-2\n"
        "[profile chained]\nregion = eu-west-3\nsource_profile = prod\nrole_arn = arn:aws:iam::123456789012:role/r\n"
    )
    credentials.write_text(
        "[prod]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = sEcretOfTheProfile\n"
    )
    return {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}


def first_line(done):
    return done.stderr.splitlines()[0]


def signed_with(proxy):
    """The access keys that requests were signed with."""
    headers = [request.headers.get("authorization", "") for request in proxy.log]
    return {header.split("Credential=")[1].split("/")[0] for header in headers if "Credential=" in header}


def convert(logs, lake, *options):
    return ["convert", logs.url, lake.url, *NO_CATALOG, "--report", "json", *options]


def test_an_explicit_profile_excludes_the_keys_of_the_environment(logs, lake, proxy, profiles):
    # The environment of every test has keys.
    run_trailmill(*convert(logs, lake, "--profile", "prod"), endpoint=proxy.url, env=profiles)
    assert signed_with(proxy) == {"AKIAOFTHEPROFILE"}

    proxy.clear_log()
    run_trailmill(*convert(logs, lake), endpoint=proxy.url, env={**profiles, "AWS_PROFILE": "prod"})
    assert signed_with(proxy) == {"testing"}, "as aws-cli and boto3 take AWS_PROFILE"


def test_a_profile_without_keys_does_not_take_those_of_the_environment(logs, lake, proxy, profiles):
    done = run_trailmill(
        *convert(logs, lake, "--profile", "bare"), endpoint=proxy.url, env=profiles, codes=(2,)
    )

    assert "cannot get AWS credentials" in done.stderr
    assert signed_with(proxy) == set()


def test_a_profile_may_assume_a_role(logs, lake, proxy, profiles):
    done = run_trailmill(
        *convert(logs, lake, "--profile", "chained"), endpoint=proxy.url, env=profiles
    )

    assert "testing" not in signed_with(proxy) and "AKIAOFTHEPROFILE" in signed_with(proxy)
    assert first_line(done).startswith("acting as arn:aws:sts::123456789012:assumed-role/r/")


def test_boto3_takes_the_same_keys(profiles, monkeypatch):
    boto3 = pytest.importorskip("boto3")
    import botocore.exceptions

    for name, value in {**profiles, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)

    assert boto3.Session(profile_name="prod").get_credentials().access_key == "AKIAOFTHEPROFILE"
    assert boto3.Session().get_credentials().access_key == "testing"
    with pytest.raises(botocore.exceptions.ProfileNotFound):
        boto3.Session(profile_name="nosuch").get_credentials()
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    with pytest.raises(botocore.exceptions.ProfileNotFound):
        boto3.Session().get_credentials()


@pytest.mark.parametrize("where", ["option", "environment"])
def test_an_unknown_profile_asks_nothing(logs, lake, proxy, profiles, where):
    options = ["--profile", "nosuch"] if where == "option" else []
    env = profiles if options else {**profiles, "AWS_PROFILE": "nosuch"}

    done = run_trailmill(*convert(logs, lake, *options), endpoint=proxy.url, env=env, codes=(2,))

    assert "nosuch" in done.stderr and proxy.log == []


def commands(logs, lake):
    """Every command that touches AWS, on a lake with an open plan that is converted."""
    return {
        "convert": convert(logs, lake),
        "a child": ["convert", "--plan", lake.url],
        "plan": ["plan", logs.url, lake.url, *NO_CATALOG],
        "plan --children": ["plan", logs.url, lake.url, "--children", "1", *NO_CATALOG],
        "plan show": ["plan", "show", lake.url],
        "plan discard": ["plan", "discard", lake.url],
        "finish": ["finish", "--plan", lake.url, *NO_CATALOG],
        "catalog show": ["catalog", "show", lake.url],
        "catalog ddl": ["catalog", "ddl", lake.url],
        "catalog diff": ["catalog", "diff", lake.url],
        "catalog sync": ["catalog", "sync", lake.url],
        "verify": ["verify", logs.url, lake.url],
        "quarantine": ["quarantine", lake.url],
        "schema show": ["schema", "show", lake.url],
        "schema infer": ["schema", "infer", logs.url],
        "schema diff": ["schema", "diff", "seed", lake.url],
        "doctor": ["doctor", logs.url, lake.url],
    }


def test_another_account_than_is_expected_is_refused_before_anything_is_asked(logs, lake, endpoint, proxy):
    run_trailmill("plan", logs.url, lake.url, "--children", "1", *NO_CATALOG, "-q", endpoint=endpoint)
    before = lake.listing()

    for name, args in commands(logs, lake).items():
        proxy.clear_log()
        done = run_trailmill(*args, "--expect-account", OTHER, endpoint=proxy.url, codes=(2,))

        assert ACCOUNT in done.stderr and OTHER in done.stderr and done.stdout == "", name
        assert [request.operation for request in proxy.log] == ["GetCallerIdentity"], name
    assert lake.listing() == before


def test_the_account_that_is_expected_may_do_everything(logs, lake, endpoint):
    expected = ["--expect-account", ACCOUNT]

    for args in [
        convert(logs, lake),
        ["catalog", "sync", lake.url, "--database", "expected_account"],
        ["verify", logs.url, lake.url],
        ["doctor", logs.url, lake.url, *NO_CATALOG],
    ]:
        run_trailmill(*args, *expected, endpoint=endpoint, codes=(0,))
    # A run that stays on this machine is asked all the same.
    run_trailmill("schema", "infer", "/nowhere", "--expect-account", OTHER, endpoint=endpoint, codes=(2,))


def test_an_account_is_twelve_digits(logs, lake, proxy):
    for wrong in ["12345", "prod", "12345678901x", ""]:
        run_trailmill(*convert(logs, lake, "--expect-account", wrong), endpoint=proxy.url, codes=(2,))
    assert proxy.log == []


def test_the_first_line_says_who_acts(logs, lake, endpoint):
    sync = ["catalog", "sync", lake.url, "--database", "identity_lines"]
    for args in [convert(logs, lake), ["verify", logs.url, lake.url], sync]:
        first = first_line(run_trailmill(*args, endpoint=endpoint))
        event = first_line(run_trailmill(*args, "--log-format", "json", endpoint=endpoint))

        assert first == f"acting as {ARN}, account {ACCOUNT}"
        assert json.loads(event) == {"event": "identity", "account": ACCOUNT, "arn": ARN}
    quiet = run_trailmill(*convert(logs, lake, "-q"), endpoint=endpoint)
    assert quiet.stderr == ""
    checks = run_trailmill("doctor", logs.url, lake.url, *NO_CATALOG, endpoint=endpoint).stdout
    assert f"identity {ARN}: " in checks and f"account {ACCOUNT}" in checks


@pytest.mark.parametrize("fault", ["denied", "down", "silent"])
def test_a_service_that_does_not_say_who_acts_stops_only_who_expects_an_account(logs, lake, proxy, fault):
    gate = threading.Event()
    what = {
        "denied": faults.status(403, "AccessDenied"),
        "down": faults.drop,
        "silent": faults.silence(gate),
    }[fault]
    proxy.on("GetCallerIdentity", "", what, count=EVERY)

    done = run_trailmill(*convert(logs, lake), endpoint=proxy.url)
    assert first_line(done).startswith("identity: unknown")
    assert done.report["records_written"] == 1
    expected = run_trailmill(
        *convert(logs, lake, "--expect-account", ACCOUNT), endpoint=proxy.url, codes=(2, 75)
    )
    assert expected.code == (2 if fault == "denied" else 75), expected.stderr
    gate.set()


def test_endpoints_of_other_machines_without_encryption_are_warned_about(logs, lake, endpoint):
    # Every address of this machine, but none that is known to be its own.
    elsewhere = endpoint.replace("127.0.0.1", "0.0.0.0")

    for env in [{}, {"AWS_ENDPOINT_URL_S3": elsewhere}]:
        at = elsewhere if not env else endpoint
        done = run_trailmill(*convert(logs, lake, "-q"), endpoint=at, env=env)
        assert "is not encrypted" in done.stderr and elsewhere in done.stderr
        checked = run_trailmill("doctor", logs.url, lake.url, *NO_CATALOG, "--report", "json", endpoint=at, env=env)
        found = [c for c in checked.report["checks"] if c["subject"] == "endpoint"]
        assert [c["outcome"] for c in found] == ["warning"] and found[0]["fix"]
    option = run_trailmill(*convert(logs, lake, "-q", "--endpoint-url", elsewhere))
    assert "is not encrypted" in option.stderr
    here = run_trailmill(*convert(logs, lake, "-q"), endpoint=endpoint)
    assert "is not encrypted" not in here.stderr


def test_keys_of_another_make_of_store_are_not_shown_to_aws(logs, lake, proxy):
    env = {"AWS_ENDPOINT_URL_S3": proxy.url}

    done = run_trailmill(*convert(logs, lake), env=env)

    assert "not checked" in first_line(done)
    assert "GetCallerIdentity" not in {request.operation for request in proxy.log}


# Signals


@pytest.mark.parametrize(
    "name",
    ["plan", "plan --children", "plan discard", "finish", "catalog sync", "catalog diff", "verify", "quarantine",
     "schema infer", "doctor"],
)  # fmt: skip
def test_sigterm_ends_every_command_with_75_within_20_seconds(logs, lake, endpoint, proxy, name):
    run_trailmill("plan", logs.url, lake.url, "--children", "1", *NO_CATALOG, "-q", endpoint=endpoint)
    run_trailmill("convert", "--plan", lake.url, "-q", endpoint=endpoint)
    gate = threading.Event()
    operation = "GetObject" if name == "verify" else "ListObjectsV2"
    held = proxy.on(operation, "", faults.silence(gate), count=EVERY)
    started = start_trailmill(*commands(logs, lake)[name], endpoint=proxy.url)
    held.wait()

    started.signal("TERM")
    done = started.wait(40)

    gate.set()
    assert done.code == 75, f"{name}: {done.code}\n{done.stderr}"
    assert done.seconds < 20


def test_what_sigterm_broke_off_is_finished_by_the_same_command(logs, lake, endpoint, proxy):
    run_trailmill("plan", logs.url, lake.url, "--children", "1", *NO_CATALOG, "-q", endpoint=endpoint)
    run_trailmill("convert", "--plan", lake.url, "-q", endpoint=endpoint)
    finish = ["finish", "--plan", lake.url, *NO_CATALOG, "-q"]
    gate = threading.Event()
    held = proxy.on("PutObject", "/manifests/|/checkpoints/", faults.silence(gate), count=EVERY)
    started = start_trailmill(*finish, endpoint=proxy.url)
    held.wait()
    started.signal("TERM")
    assert started.wait(40).code == 75
    gate.set()

    # The lease of a process of this machine that is gone need not be waited for.
    run_trailmill(*finish, endpoint=endpoint)
    assert run_trailmill("verify", logs.url, lake.url, endpoint=endpoint).stdout.startswith("Equal: 1 ")
