"""The Terraform module as others use it: its README, its examples, its alarms, and what it has in common with the twins."""

import json
import os
import re

import pytest

import readme
import terraform
import test_templates as templates

WITH_TABLES = [folder for folder in terraform.FOLDERS if not folder.startswith("examples")]
EXAMPLES = [folder for folder in terraform.FOLDERS if folder.startswith("examples")]


@pytest.mark.parametrize("folder", WITH_TABLES)
def test_the_readme_lists_inputs_and_outputs_as_they_are(folder):
    """TRAILMILL_WRITE_DOCS=1 writes the tables."""
    file = terraform.MODULE / folder / "README.md"
    if os.environ.get("TRAILMILL_WRITE_DOCS"):
        file.write_text(readme.with_tables(file.read_text(), folder))

    assert readme.section(file.read_text()) == readme.tables(folder)


@pytest.mark.parametrize("folder", EXAMPLES)
def test_an_example_gives_the_modules_what_they_take(folder):
    """Needs no provider: names of inputs and outputs, and values of examples that are not references."""
    for (name,), call in terraform.blocks("module", folder).items():
        source = os.path.normpath(os.path.join(folder, call["source"].strip('"')))
        inputs = terraform.blocks("variable", source)
        given = {key for key in call if not key.startswith("__")} - {"source", "depends_on"}
        required = {each for (each,), body in inputs.items() if "default" not in body}

        assert given <= {each for (each,) in inputs}, f"{folder}: {name}"
        assert required <= given, f"{folder}: {name}"
        text = "".join(file.read_text() for file in (terraform.MODULE / folder).glob("*.tf"))
        for output in re.findall(rf"module\.{name}\.(\w+)", text):
            assert (output,) in terraform.blocks("output", source), f"{folder}: {output}"


@pytest.mark.parametrize("folder", EXAMPLES)
def test_an_example_uses_every_variable_that_it_declares(folder):
    text = "".join(file.read_text() for file in (terraform.MODULE / folder).glob("*.tf"))
    declared = {name for (name,) in terraform.blocks("variable", folder)}

    assert set(re.findall(r"\bvar\.(\w+)", text)) == declared


def test_every_example_and_module_has_the_files_of_the_registry():
    for folder in terraform.FOLDERS:
        found = {file.name for file in (terraform.MODULE / folder).iterdir()}

        assert {"README.md", "variables.tf", "outputs.tf", "versions.tf"} <= found, folder
    assert len(EXAMPLES) >= 4


def plan_of(folder, *more):
    """Runs terraform test; returns what it says."""
    terraform.init(folder)
    done = terraform.run("test", "-no-color", *more, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@templates.needs_terraform
def test_terraform_plans_the_module_with_a_mock_of_the_provider(tmp_path):
    terraform.copy(tmp_path)

    said = plan_of(tmp_path)

    runs = (terraform.MODULE / "tests/module.tftest.hcl").read_text().count('\nrun "')
    assert f"{runs} passed, 0 failed" in said and runs >= 7


@templates.needs_terraform
@pytest.mark.parametrize("folder", EXAMPLES)
def test_terraform_plans_an_example(folder, tmp_path):
    terraform.copy(tmp_path)
    given = [f'image = "{templates.IMAGE}"']
    for (name,), body in terraform.blocks("variable", folder).items():
        if name != "image" and "default" not in body:
            given.append(f'{name} = {json.dumps(["a"] if "list" in body["type"] else "a")}')
    place = tmp_path / folder
    (place / "example.tftest.hcl").write_text(
        'mock_provider "aws" {}\nvariables {\n' + "\n".join(given) + '\n}\nrun "plan" {\n  command = plan\n}\n'
    )

    assert "1 passed, 0 failed" in plan_of(place)


@templates.needs_terraform
def test_what_stands_in_for_the_provider_finds_mistakes(tmp_path):
    terraform.copy(tmp_path)
    file = tmp_path / "nightly.tf"
    file.write_text(file.read_text().replace("message_retention_seconds", "message_retention_secs"))
    terraform.init(tmp_path)

    done = terraform.run("validate", "-no-color", folder=tmp_path)

    assert done.returncode == 1 and "message_retention_secs" in done.stderr


# ── Alarms ──


def alarms_of_terraform():
    """Alarms by the end of their names: what is literal in them, and the defaults of variables."""
    variables = terraform.blocks("variable")
    found = {}
    for (kind, name), body in terraform.blocks("resource").items():
        if kind == "aws_cloudwatch_metric_alarm":
            threshold = body["threshold"]
            if isinstance(threshold, str):
                threshold = variables[(threshold.removeprefix("${var.").removesuffix("}"),)]["default"]
            found[body["alarm_name"].strip('"').removeprefix("${var.name}-")] = body | {"threshold": threshold}
    return found


def alarms_of_cloudformation():
    found = {}
    for template in (templates.CLOUDFORMATION, templates.MONITORING):
        document = templates.yaml_of(template)
        for resource in document["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                body = resource["Properties"]
                threshold = body["Threshold"]
                if isinstance(threshold, dict):
                    threshold = document["Parameters"][threshold["Ref"]]["Default"]
                name = re.sub(r"^\$\{[\w:]+\}-", "", body["AlarmName"]["Fn::Sub"])
                found[name] = body | {"Threshold": threshold}
    return found


def test_both_ring_for_the_same():
    ours, theirs = alarms_of_cloudformation(), alarms_of_terraform()
    fields = {
        "namespace": "Namespace", "metric_name": "MetricName", "statistic": "Statistic", "period": "Period",
        "evaluation_periods": "EvaluationPeriods", "datapoints_to_alarm": "DatapointsToAlarm",
        "comparison_operator": "ComparisonOperator", "threshold": "Threshold", "treat_missing_data": "TreatMissingData",
    }

    assert set(ours) == set(theirs) and len(ours) >= 9
    for name, body in theirs.items():
        there = {key: body.get(key) for key in fields}
        there = {key: each.strip('"') if isinstance(each, str) else each for key, each in there.items()}

        assert there == {key: ours[name].get(other) for key, other in fields.items()}, name


def test_alarms_and_charts_are_about_metrics_that_the_program_writes():
    source = (templates.ROOT / "src/cli/metrics.rs").read_text()
    written = set(re.findall(r'\("([A-Z]\w+)", ', source))
    found = templates.cloudformation("most").resources("AWS::CloudWatch::Alarm").values()
    asked = {each["MetricName"] for each in found if each.get("Namespace") == "trailmill"}
    for each in found:
        queries = [query["MetricStat"]["Metric"] for query in each.get("Metrics", []) if "MetricStat" in query]
        asked |= {metric["MetricName"] for metric in queries if metric["Namespace"] == "trailmill"}
    dashboard = json.loads(templates.cloudformation("most").resources()["Dashboard"]["DashboardBody"])
    for widget in dashboard["widgets"]:
        asked |= {metric[1] for metric in widget["properties"]["metrics"]}

    assert {"RecordsQuarantined", "RecordsDuplicate", "RecordsRead", "DelayP99"} <= asked
    assert asked <= written


def test_alarms_that_are_not_wanted_are_not_made():
    made = templates.cloudformation("ec2").resources("AWS::CloudWatch::Alarm")

    assert not {"QuarantinedAlarm", "DuplicatesAlarm", "DelayAlarm"} & set(made)
    assert {"FailedJobsAlarm", "MissedStartsAlarm", "NightlyAlarm", "OverdueAlarm"} <= set(made)


@templates.needs_terraform
def test_failed_jobs_are_told_by_both_alike():
    found = templates.cloudformation("most").resources()
    theirs = templates.terraform_values("most", "failed_jobs_pattern", "failed_jobs_policy")
    rule = found["FailedJobsRule"]

    assert theirs["failed_jobs_pattern"] == rule["EventPattern"]
    assert theirs["failed_jobs_policy"] == json.loads(found["FailedJobsLogPolicy"]["PolicyDocument"])
    event = {"Name": rule["Name"], "EventPattern": json.dumps(rule["EventPattern"])}
    templates.accepted("events", "PutRule", event)
    policy = {"policyName": "a", "policyDocument": found["FailedJobsLogPolicy"]["PolicyDocument"]}
    templates.accepted("logs", "PutResourcePolicy", policy)


# ── The lake and its catalog ──


@templates.needs_terraform
def test_data_files_move_and_end_by_the_same_rules():
    prefixes = templates.terraform_values("most", "data_files")["data_files"]
    bucket = templates.cloudformation("most").resources()["LakeBucketResource"]
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}

    for name, prefix in prefixes.items():
        move, end = rules[f"cheaper-class-{name}"], rules[f"old-data-files-{name}"]
        assert (move["Prefix"], end["Prefix"]) == (prefix, prefix)
        assert move["Transitions"] == [{"TransitionInDays": 60, "StorageClass": "STANDARD_IA"}]
        assert end["ExpirationInDays"] == 2557
    # No rule reaches the documents of the lake, without which it is lost.
    for prefix in prefixes.values():
        assert not "cloudtrail/_trailmill/manifests/".startswith(prefix)
    least = templates.cloudformation("least").resources()["LakeBucketResource"]
    assert [rule["Id"] for rule in least["LifecycleConfiguration"]["Rules"]] == ["unfinished-uploads", "old-versions"]


def test_the_lake_is_not_destroyed_with_the_stack():
    bucket = terraform.blocks("resource")["aws_s3_bucket", "lake"]
    twin = templates.yaml_of(templates.CLOUDFORMATION)["Resources"]["LakeBucketResource"]

    assert bucket["lifecycle"][0]["prevent_destroy"] is True
    assert (twin["DeletionPolicy"], twin["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_lake_formation_grants_the_same_in_both():
    theirs = {
        name: sorted(each.strip('"') for each in body["permissions"])
        for (kind, name), body in terraform.blocks("resource").items() if kind == "aws_lakeformation_permissions"
    }
    found = templates.cloudformation("most").resources("AWS::LakeFormation::PrincipalPermissions")
    ours = {name.removesuffix("Grant").lower(): sorted(body["Permissions"]) for name, body in found.items()}

    assert ours == theirs and len(ours) == 3
    for body in found.values():
        request = {key: body[key] for key in ("Permissions", "Principal", "Resource")}
        templates.accepted("lakeformation", "GrantPermissions", request)
    assert found["LocationGrant"]["Resource"]["DataLocation"]["ResourceArn"] == "arn:aws:s3:::lake/cloudtrail"


def test_lake_formation_grants_what_the_documentation_lists():
    page = (templates.ROOT / "docs/batch.md").read_text()
    loop = re.search(r"for grant in (.*?); do", page, re.S).group(1)
    documented = sorted(sorted(json.loads(each)) for each in re.findall(r"'(\[.*?\])", loop))
    found = templates.cloudformation("most").resources("AWS::LakeFormation::PrincipalPermissions").values()

    assert sorted(sorted(body["Permissions"]) for body in found) == documented


@templates.needs_terraform
def test_the_account_of_the_logs_allows_what_the_job_role_is_allowed():
    found = templates.terraform_values("most", "archive_bucket_policy", "archive_key_policy", "job_policy")
    job = templates.statements(found["job_policy"])
    bucket = templates.statements(found["archive_bucket_policy"])
    key = templates.statements(found["archive_key_policy"])["TrailmillDecrypt"]

    for theirs, ours in (("TrailmillList", "ListSource"), ("TrailmillRead", "ReadSource")):
        assert {k: v for k, v in bucket[theirs].items() if k not in ("Principal", "Sid")} == {
            k: v for k, v in job[ours].items() if k != "Sid"
        }
        assert bucket[theirs]["Principal"] == {"AWS": templates.ROLE + "job"}
    assert (key["Action"], key["Condition"]) == (job["SourceKey"]["Action"], job["SourceKey"]["Condition"])


def test_the_page_shows_the_policies_for_the_account_of_the_logs():
    page = (templates.ROOT / "docs/batch.md").read_text()
    shown = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", page, re.S)]
    given = templates.LEAST[0] | {"source_bucket": "BUCKET", "source_kms_key_arn": "KEY"}
    known = templates.KNOWN | {"job_role_arn": "ROLE"}
    found = terraform.evaluate(["archive_bucket_policy", "archive_key_policy"], given, known)

    assert shown == [*found["archive_bucket_policy"]["Statement"], *found["archive_key_policy"]["Statement"]]


# ── The image's repository ──


def test_the_repository_removes_the_same_images():
    text = (terraform.MODULE / "modules/repository/documents.tf").read_text()
    template = templates.Template(templates.REPOSITORY_TEMPLATE.read_text(), {}, templates.PSEUDO, {})
    made = template.resources()["Repository"]
    rules = json.loads(made["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]

    assert [rule["description"] for rule in rules] == re.findall(r'description\s+= "(.*)"', text)
    assert [rule["selection"]["countNumber"] for rule in rules] == [7, 30]
    assert made["ImageTagMutability"] == "IMMUTABLE" and 'image_tag_mutability = "IMMUTABLE"' in (
        terraform.MODULE / "modules/repository/main.tf"
    ).read_text()
    policy = {"repositoryName": "trailmill", "lifecyclePolicyText": json.dumps({"rules": rules})}
    templates.accepted("ecr", "PutLifecyclePolicy", policy)


def test_an_image_without_its_digest_is_refused():
    pattern = templates.yaml_of(templates.CLOUDFORMATION)["Parameters"]["Image"]["AllowedPattern"]

    assert re.search(pattern, templates.IMAGE)
    for image in ("trailmill", "trailmill:1", "trailmill@sha256:12", templates.IMAGE + "0"):
        assert not re.search(pattern, image), image
