"""The templates of scripts/aws: what AWS would say to them, that both say the same, that they allow what is used.

No test here needs AWS or a network. TRAILMILL_BIN, if given, is asked whether it knows the commands of the jobs.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import botocore.session
import moto
import pytest
from botocore.validate import ParamValidator

sys.path.insert(0, str(Path(__file__).parent))

import terraform  # noqa: E402
from cloudformation import Stacks, Template  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CLOUDFORMATION = ROOT / "scripts/aws/cloudformation.yaml"
MONITORING = ROOT / "scripts/aws/cloudformation-monitoring.yaml"
REPOSITORY_TEMPLATE = ROOT / "scripts/aws/cloudformation-repository.yaml"
TEMPLATES = (CLOUDFORMATION, MONITORING, REPOSITORY_TEMPLATE)
ACCOUNT, REGION = "111122223333", "eu-west-1"

JOBS = ("plan", "child", "finish")
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:arrivals"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/trailmill"

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/trailmill@sha256:" + "0123456789abcdef" * 4

# The same inputs in both spellings.
LEAST = (
    {
        "image": IMAGE, "source_bucket": "logs", "lake_bucket": "lake",
        "subnet_ids": ["subnet-1"], "security_group_ids": ["sg-1"],
    },
    {
        "Image": IMAGE, "SourceBucket": "logs", "LakeBucket": "lake",
        "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"],
    },
)
MOST = (
    LEAST[0] | {
        "ecr_repository_arn": REPOSITORY, "source_prefix": "org/AWSLogs", "source_kms_key_arn": KEY + "c",
        "lake_kms_key_arn": KEY + "d", "catalog_id": "444455556666", "create_database": False,
        "partition_index": True, "plan_options": ["--partition-by", "region,event_date"],
        "child_options": ["--memory", "3GB"], "finish_options": ["--allow-quarantine"],
        "array_size": 500, "architecture": "X86_64", "assign_public_ip": True,
        "child_size": {"vcpus": 4, "memory": 8192},
        "watch": True, "watch_topic_arn": TOPIC, "watch_options": ["--sweep", "1d"],
        "athena_results": "s3://results/a/", "table": "audit", "lake_storage_days": 60, "lake_retention_days": 2557,
        "lake_formation": True, "lake_formation_location": True,
    },
    LEAST[1] | {
        "EcrRepositoryArn": REPOSITORY, "SourcePrefix": "org/AWSLogs", "SourceKmsKeyArn": KEY + "c",
        "LakeKmsKeyArn": KEY + "d", "CatalogId": "444455556666", "CreateDatabase": "false",
        "PartitionIndex": "true", "PlanOptions": "--partition-by region,event_date",
        "ChildOptions": "--memory 3GB", "FinishOptions": "--allow-quarantine",
        "ArraySize": 500, "Architecture": "X86_64", "AssignPublicIp": "ENABLED",
        "ChildVcpus": "4", "ChildMemory": "8192",
        "Watch": "true", "WatchTopicArn": TOPIC, "WatchOptions": "--sweep 1d",
        "AthenaResults": "s3://results/a/", "Table": "audit", "LakeStorageDays": 60, "LakeRetentionDays": 2557,
        "LakeFormation": "true", "LakeFormationLocation": "true",
    },
)
ON_EC2 = (
    LEAST[0] | {"compute": "EC2", "metrics": False, "alarm_quarantined": 0, "alarm_duplicates_percent": 0},
    LEAST[1] | {"Compute": "EC2", "Metrics": "false", "AlarmQuarantined": 0, "AlarmDuplicatesPercent": 0},
)
ON_EVENTS = (LEAST[0] | {"watch": True}, LEAST[1] | {"Watch": "true"})
INPUTS = {"least": LEAST, "most": MOST, "ec2": ON_EC2, "events": ON_EVENTS}

# What AWS would answer, the same for both.
BATCH = f"arn:aws:batch:{REGION}:{ACCOUNT}"
QUEUE = f"{BATCH}:job-queue/trailmill"
JOB_ARNS = {job: f"{BATCH}:job-definition/trailmill-{job}:1" for job in JOBS}
STATE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:trailmill-nightly"
GROUP = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/trailmill"
OBJECTS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:trailmill-objects"
MISSED = f"arn:aws:sqs:{REGION}:{ACCOUNT}:trailmill-missed-starts"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
KNOWN = {
    "partition": "aws", "dns_suffix": "amazonaws.com", "region": REGION, "account": ACCOUNT,
    "job_role_arn": ROLE + "job", "execution_role_arn": ROLE + "run",
    "log_group_arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/trailmill/trailmill",
    "job_queue_arn": QUEUE, "job_arns": JOB_ARNS, "state_machine_arn": STATE_MACHINE, "schedule_group_arn": GROUP,
    "dead_letters_arn": OBJECTS + "-dead", "missed_starts_arn": MISSED,
}
PSEUDO = {
    "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT, "AWS::StackName": "trailmill",
}
ADDRESSES = {
    "JobRole": "job", "JobRole.Arn": ROLE + "job", "ExecutionRole": "run", "ExecutionRole.Arn": ROLE + "run",
    "StateMachineRole": "nightly", "StateMachineRole.Arn": ROLE + "nightly",
    "ScheduleRole": "schedule", "ScheduleRole.Arn": ROLE + "schedule",
    "InstanceRole": "host", "InstanceProfile.Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/host",
    "LaunchTemplate": "lt-1", "LaunchTemplate.LatestVersionNumber": "1",
    "LogGroup": "/trailmill/trailmill", "LakeBucketResource": "lake", "JobQueue": QUEUE,
    "PlanJob": JOB_ARNS["plan"], "ChildJob": JOB_ARNS["child"], "FinishJob": JOB_ARNS["finish"],
    "SpotEnvironment": f"{BATCH}:compute-environment/spot",
    "OnDemandEnvironment": f"{BATCH}:compute-environment/on-demand",
    "StateMachine": STATE_MACHINE, "ScheduleGroup": "trailmill",
    "ObjectsQueue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/trailmill-objects",
    "ObjectsQueue.Arn": OBJECTS, "ObjectsQueue.QueueName": "trailmill-objects",
    "DeadLetters.Arn": OBJECTS + "-dead", "DeadLetters.QueueName": "trailmill-objects-dead",
    "MissedStarts.Arn": MISSED, "FailedJobsRule": "trailmill-failed-jobs",
    "FailedJobsLog": "/aws/events/trailmill-failed-jobs",
    "Workgroup": "trailmill", "WatchCluster": "trailmill-watch", "WatchTask": "trailmill-watch:1",
}
POLICIES = {
    "execution_policy": "ExecutionRolePolicy", "job_policy": "JobRolePolicy",
    "state_machine_policy": "StateMachineRolePolicy", "schedule_policy": "ScheduleRolePolicy",
    "lake_bucket_policy": "LakeBucketPolicy", "watch_policy": "WatchPolicy", "objects_queue_policy": "ObjectsQueuePolicy",
}
TRUSTS = {
    "job_trust": "JobRole", "state_machine_trust": "StateMachineRole", "schedule_trust": "ScheduleRole",
    "instance_trust": "InstanceRole",
}

needs_terraform = pytest.mark.skipif(not terraform.PROGRAM, reason="there is no terraform program here")
any_inputs = pytest.mark.parametrize("inputs", INPUTS)


def cloudformation(inputs):
    """The stack of the jobs, and the one beside it that imports its outputs, as one."""
    return Stacks([CLOUDFORMATION.read_text(), MONITORING.read_text()], INPUTS[inputs][1], PSEUDO, ADDRESSES)


def yaml_of(template):
    return Template.load(template.read_text())


def terraform_values(inputs, *names):
    return terraform.evaluate(names, INPUTS[inputs][0], KNOWN)


def camel(value):
    """Properties of CloudFormation in the spelling of the API; keys of maps stay."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key[0].lower() + key[1:]: each if key in ("Options", "Parameters") else camel(each)
        for key, each in value.items()
    }


def accepted(service, operation, request):
    """Insists that a request has the shape that an operation of AWS takes."""
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    report = ParamValidator().validate(request, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def cloudformation_jobs(inputs):
    """The job definitions as requests to Batch."""
    found = cloudformation(inputs).resources("AWS::Batch::JobDefinition")
    jobs = {}
    for job in JOBS:
        request = camel(found[f"{job.capitalize()}Job"]) | {"jobDefinitionName": f"trailmill-{job}"}
        # In a map of strings, CloudFormation makes strings of numbers.
        request["parameters"] = {k: str(v) for k, v in request.get("parameters", {}).items()}
        jobs[job] = request
    return jobs


def terraform_jobs(inputs):
    """The same, from the locals that jobs.tf hands to its resource."""
    found = terraform_values(inputs, "containers", "parameters", "retries")
    spelled = {
        "on_status_reason": "onStatusReason", "on_reason": "onReason", "on_exit_code": "onExitCode", "action": "action",
    }
    given = INPUTS[inputs][0]
    return {
        job: {
            "jobDefinitionName": f"trailmill-{job}",
            "type": "container",
            "platformCapabilities": [given.get("compute", "FARGATE")],
            "propagateTags": True,
            "parameters": found["parameters"][job],
            "containerProperties": found["containers"][job],
            "timeout": {"attemptDurationSeconds": 10800},
            "retryStrategy": {
                "attempts": 5,
                "evaluateOnExit": [
                    {spelled[key]: value for key, value in rule.items() if value is not None}
                    for rule in found["retries"]
                ],
            },
        }
        for job in JOBS
    }


def statements(policy):
    """Statements by their id, with lists in order, so that only what is allowed is compared."""
    def ordered(value):
        return sorted(value) if isinstance(value, list) else value

    return {
        each.get("Sid", number): {key: ordered(value) for key, value in each.items()}
        for number, each in enumerate(policy["Statement"])
    }


def strings(value):
    return [value] if isinstance(value, str) else value


def cloudformation_policies(inputs):
    found = cloudformation(inputs).resources()
    return {name: found[logical]["PolicyDocument"] for name, logical in POLICIES.items() if logical in found}


# ── The texts ──


def test_cfn_lint_has_nothing_to_say():
    lint = str(Path(sys.executable).with_name("cfn-lint"))
    command = [lint, "--include-checks", "I", "--template", *map(str, TEMPLATES)]

    done = subprocess.run(command, text=True, capture_output=True, timeout=300)

    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_templates_can_be_deployed_without_a_bucket_for_them():
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    for template in TEMPLATES:
        assert template.stat().st_size <= 51_200, template.name


@needs_terraform
def test_terraform_is_formatted():
    done = terraform.run("fmt", "-recursive", "-check", "-diff", folder=terraform.MODULE)

    assert done.returncode == 0, done.stdout


@needs_terraform
@pytest.mark.parametrize("folder", terraform.FOLDERS)
def test_terraform_is_valid(folder, tmp_path):
    terraform.copy(tmp_path)
    tmp_path = tmp_path / folder
    terraform.init(tmp_path)

    done = terraform.run("validate", "-no-color", folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_terraform_gives_each_resource_what_the_provider_takes():
    """Against the names of arguments in the provider's own schema; needs neither terraform nor the provider."""
    known = json.loads(Path(__file__).with_name("provider_arguments.json").read_text())
    of_every_resource = {"count", "for_each", "depends_on", "lifecycle", "provider", "dynamic"}

    def look(place, given, takes):
        given = {key: value for key, value in given.items() if not key.startswith("__")}
        inner = [
            (key, block)
            for key, value in given.items() if key != "dynamic" and isinstance(value, list)
            for block in value if isinstance(block, dict)
        ]
        for dynamic in given.get("dynamic", []):
            for label, body in dynamic.items():
                if not label.startswith("__"):
                    inner.append((label.strip('"'), body["content"][0]))
        names = {name.rstrip("!"): what for name, what in takes.items()}
        present = (set(given) - of_every_resource) | {key for key, _ in inner if key not in of_every_resource}
        required = {name[:-1] for name in takes if name.endswith("!")}
        assert present <= set(names), f"{place}: unknown: {present - set(names)}"
        assert required <= present, f"{place}: lacks: {required - present}"
        for key, block in inner:
            if key not in of_every_resource:
                look(f"{place}.{key}", block, names[key])

    resources = {place: terraform.blocks("resource", place) for place in terraform.FOLDERS}
    assert len(resources["."]) > 20
    for place, found in resources.items():
        for (kind, name), body in found.items():
            look(f"{place}/{kind}.{name}", body, known[kind])


def test_every_input_says_what_it_is():
    variables = terraform.blocks("variable")
    parameters = {}
    for template in TEMPLATES:
        parameters |= yaml_of(template)["Parameters"]

    lacking = [
        f"{folder}/{name}"
        for folder in terraform.FOLDERS
        for kind in ("variable", "output")
        for (name,), body in terraform.blocks(kind, folder).items()
        if not body.get("description")
    ]
    lacking += [name for name, body in parameters.items() if not body.get("Description")]

    assert len(variables) > 30 and not lacking


def test_no_account_region_or_partition_is_written_down():
    files = [file for ending in ("tf", "hcl", "json") for file in terraform.MODULE.rglob(f"*.{ending}")]
    for file in [*TEMPLATES, *files]:
        found = re.findall(r"\b\d{12}\b|\b[a-z]{2}-[a-z]+-\d\b|arn:aws", file.read_text())

        assert not found, f"{file.name}: {found}"


# ── What AWS would say ──


@any_inputs
def test_batch_takes_the_jobs_of_cloudformation(inputs):
    for request in cloudformation_jobs(inputs).values():
        accepted("batch", "RegisterJobDefinition", request)


@needs_terraform
@any_inputs
def test_batch_takes_the_jobs_of_terraform(inputs):
    for request in terraform_jobs(inputs).values():
        accepted("batch", "RegisterJobDefinition", request)


@any_inputs
def test_aws_takes_environments_queue_schedule_alarm_and_database(inputs):
    found = cloudformation(inputs)

    for request in found.resources("AWS::Batch::ComputeEnvironment").values():
        assert request.pop("ReplaceComputeEnvironment") is False
        accepted("batch", "CreateComputeEnvironment", camel(request) | {"computeEnvironmentName": "a"})
    for request in found.resources("AWS::Batch::JobQueue").values():
        accepted("batch", "CreateJobQueue", camel(request) | {"jobQueueName": "a"})
    for request in found.resources("AWS::Scheduler::Schedule").values():
        accepted("scheduler", "CreateSchedule", request)
    for request in found.resources("AWS::CloudWatch::Alarm").values():
        accepted("cloudwatch", "PutMetricAlarm", request)
    for request in found.resources("AWS::Glue::Database").values():
        accepted("glue", "CreateDatabase", request)


def test_purchase_decides_which_environments_there_are_and_in_what_order():
    for purchase, order in {"SPOT_FIRST": ["Spot", "OnDemand"], "SPOT": ["Spot"], "ON_DEMAND": ["OnDemand"]}.items():
        given = LEAST[1] | {"Purchase": purchase}
        template = Template(CLOUDFORMATION.read_text(), given, PSEUDO, ADDRESSES)

        queue = template.resources("AWS::Batch::JobQueue")["JobQueue"]["ComputeEnvironmentOrder"]

        assert [each["ComputeEnvironment"] for each in queue] == [ADDRESSES[f"{name}Environment"] for name in order]
        assert set(template.resources("AWS::Batch::ComputeEnvironment")) == {f"{name}Environment" for name in order}


@any_inputs
def test_moto_makes_what_the_stack_is_made_of(inputs):
    """Piece by piece: moto's CloudFormation lacks half of the kinds. It reads policies with a parser of its own."""
    found = cloudformation(inputs)
    with moto.mock_aws():
        session = boto3.Session(region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
        iam, batch, states = map(session.client, ("iam", "batch", "stepfunctions"))
        for name, role in found.resources("AWS::IAM::Role").items():
            trust = json.dumps(role["AssumeRolePolicyDocument"])
            iam.create_role(RoleName=ADDRESSES[name], AssumeRolePolicyDocument=trust)
        for policy in found.resources("AWS::IAM::Policy").values():
            document = json.dumps(policy["PolicyDocument"])
            iam.put_role_policy(RoleName=policy["Roles"][0], PolicyName=policy["PolicyName"], PolicyDocument=document)
        for request in cloudformation_jobs(inputs).values():
            batch.register_job_definition(**request)
        for machine in found.resources("AWS::StepFunctions::StateMachine").values():
            states.create_state_machine(
                name=machine["StateMachineName"], definition=machine["DefinitionString"], roleArn=machine["RoleArn"]
            )
        scheduler = session.client("scheduler")
        for group in found.resources("AWS::Scheduler::ScheduleGroup").values():
            scheduler.create_schedule_group(**group)
        for schedule in found.resources("AWS::Scheduler::Schedule").values():
            scheduler.create_schedule(**schedule)

        jobs = {job["jobDefinitionName"]: job for job in batch.describe_job_definitions()["jobDefinitions"]}

        for name, request in cloudformation_jobs(inputs).items():
            kept = jobs[f"trailmill-{name}"]
            assert kept["containerProperties"]["command"] == request["containerProperties"]["command"]
            assert len(kept["retryStrategy"]["evaluateOnExit"]) == len(request["retryStrategy"]["evaluateOnExit"])
        assert len(iam.list_roles()["Roles"]) == (5 if inputs == "ec2" else 4)
        assert [each["name"] for each in states.list_state_machines()["stateMachines"]] == ["trailmill-nightly"]


# ── The jobs ──


@needs_terraform
@any_inputs
def test_both_define_the_same_jobs(inputs):
    """Commands, sizes, users, logs, retry strategies: everything."""
    assert terraform_jobs(inputs) == cloudformation_jobs(inputs)


def test_both_name_the_same_reasons_to_try_again():
    """Without a terraform program, too."""
    text = (terraform.MODULE / "documents.tf").read_text()
    rules = re.findall(r'\{ action = "(\w+)", on_status_reason = (.+?), on_reason = (.+?), on_exit_code = (.+?) \}', text)
    plain = [tuple(each.strip('"') if each != "null" else None for each in rule) for rule in rules]

    for job in cloudformation_jobs("least").values():
        found = job["retryStrategy"]["evaluateOnExit"]

        assert plain == [
            (rule["action"], rule.get("onStatusReason"), rule.get("onReason"), rule.get("onExitCode")) for rule in found
        ]


def outcome(rules, exit_code="", reason="", status_reason="Essential container in task exited"):
    """What Batch does by a retry strategy: the first rule that matches in all it names; none: RETRY."""
    def matches(pattern, text):
        return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern

    for rule in rules:
        asked = [("onExitCode", exit_code), ("onReason", reason), ("onStatusReason", status_reason)]
        if all(matches(rule[name], text) for name, text in asked if name in rule):
            return rule["action"]
    return "RETRY"


@pytest.mark.parametrize("job", JOBS)
def test_retries_what_may_pass_and_nothing_else(job):
    rules = cloudformation_jobs("least")[job]["retryStrategy"]["evaluateOnExit"]

    assert len(rules) <= 5
    for again in (
        {"exit_code": "75"},
        {"status_reason": "Host EC2 (instance i-0a1b) terminated."},
        {"status_reason": "Your Spot Task was interrupted."},
        {"reason": "CannotPullContainerError: Error response from daemon", "status_reason": "Task failed to start"},
    ):
        assert outcome(rules, **again) == "RETRY", again
    for never in (
        {"exit_code": "1"},
        {"exit_code": "2"},
        {"exit_code": "3"},
        {"exit_code": "175"},
        {"exit_code": "137", "reason": "OutOfMemoryError: Container killed due to memory usage"},
        {},
    ):
        assert outcome(rules, **never) == "EXIT", never
    for rule in rules:
        for name, pattern in rule.items():
            # What Batch takes in a pattern.
            assert name == "action" or re.fullmatch(r"[A-Za-z0-9.:\s]*\*?", pattern)


@any_inputs
def test_jobs_run_without_rights_on_their_machine(inputs):
    for request in cloudformation_jobs(inputs).values():
        container = request["containerProperties"]

        assert (container["user"], container["privileged"]) == ("65532", False)
        assert container["readonlyRootFilesystem"] is True
        # Batch keeps this prefix for itself.
        assert not [each for each in container["environment"] if each["name"].startswith("AWS_BATCH")]
        assert container["logConfiguration"]["options"]["awslogs-group"] == "/trailmill/trailmill"
        assert "awslogs-create-group" not in container["logConfiguration"]["options"]


@any_inputs
def test_the_program_knows_the_commands(inputs):
    program = os.environ.get("TRAILMILL_BIN")
    if not program:
        pytest.skip("TRAILMILL_BIN is not set")
    if "--children" not in subprocess.run([program, "plan", "--help"], text=True, capture_output=True).stdout:
        pytest.skip("this program has no array jobs yet")
    for job, request in cloudformation_jobs(inputs).items():
        parameters = request["parameters"]
        words = [
            re.sub(r"^Ref::(\w+)$", lambda found: parameters[found.group(1)], word)
            for word in request["containerProperties"]["command"]
        ]

        # Help comes only when everything before it was understood.
        done = subprocess.run([program, *words, "--help"], text=True, capture_output=True)

        assert done.returncode == 0, f"{job}: {words}\n{done.stderr}"


# ── For people ──


def named_queries(inputs):
    found = cloudformation(inputs).resources("AWS::Athena::NamedQuery").values()
    return {each["Name"]: {"description": each["Description"], "query": each["QueryString"]} for each in found}


@needs_terraform
@any_inputs
def test_both_show_the_same(inputs):
    found = cloudformation(inputs).resources()
    theirs = terraform_values(inputs, "dashboard", "queries")

    assert theirs["dashboard"] == json.loads(found["Dashboard"]["DashboardBody"])
    assert ("Workgroup" in found) == (inputs == "most")
    if inputs == "most":
        assert theirs["queries"] == named_queries(inputs)


def test_aws_takes_the_workgroup_and_its_queries():
    found = cloudformation("most").resources()
    group = found["Workgroup"]
    request = {"Name": group["Name"], "Description": group["Description"]}
    accepted("athena", "CreateWorkGroup", request | {"Configuration": group["WorkGroupConfiguration"]})
    queries = cloudformation("most").resources("AWS::Athena::NamedQuery")
    assert len(queries) > 5
    for query in queries.values():
        accepted("athena", "CreateNamedQuery", query)


def test_the_queries_of_the_workgroup_run(tmp_path):
    program = os.environ.get("TRAILMILL_BIN")
    if not program:
        pytest.skip("TRAILMILL_BIN is not set")
    subprocess.run([program, "sample", tmp_path / "logs", "--size", "1MB", "-q"], check=True, capture_output=True)
    convert = [program, "convert", tmp_path / "logs", tmp_path / "lake", "-q", "--table", "audit"]
    subprocess.run(convert, check=True, capture_output=True)
    for name, query in named_queries("most").items():
        done = subprocess.run([program, "query", tmp_path / "lake", query["query"]], text=True, capture_output=True)

        assert done.returncode in (0, 1), f"{name}: {done.stderr}"


# ── As it happens ──

any_watch = pytest.mark.parametrize("inputs", ["most", "events"])


@any_watch
def test_aws_takes_the_queue_and_the_service_of_a_watch(inputs):
    found = cloudformation(inputs).resources()
    queue = found["ObjectsQueue"]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": ADDRESSES["DeadLetters.Arn"], "maxReceiveCount": 5}

    accepted("ecs", "RegisterTaskDefinition", camel(found["WatchTask"]))
    service = camel(found["WatchService"])
    assert service["deploymentConfiguration"] == {"minimumHealthyPercent": 0, "maximumPercent": 100}
    accepted("ecs", "CreateService", service)
    assert ("ObjectsSubscription" in found, "ObjectsRule" in found) == (inputs == "most", inputs == "events")
    if inputs == "events":
        rule = found["ObjectsRule"]
        accepted("events", "PutRule", {"Name": rule["Name"], "EventPattern": json.dumps(rule["EventPattern"])})
        (allowed,) = found["ObjectsQueuePolicy"]["PolicyDocument"]["Statement"]
        rule_arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule['Name']}"
        assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": rule_arn}}


def test_there_is_no_watch_where_none_is_asked_for():
    found = cloudformation("least").resources()

    assert not [name for name in found if name.startswith(("Watch", "Objects", "Dead", "Delay", "Late"))]


@needs_terraform
@any_watch
def test_both_watch_the_same(inputs):
    found = cloudformation(inputs).resources()
    theirs = terraform_values(inputs, "watch_container", "objects_pattern", "redrive")
    (container,) = found["WatchTask"]["ContainerDefinitions"]

    assert theirs["watch_container"] == camel(container)
    assert theirs["redrive"] == found["ObjectsQueue"]["RedrivePolicy"]
    if inputs == "events":
        assert theirs["objects_pattern"] == found["ObjectsRule"]["EventPattern"]


@any_watch
def test_the_program_knows_the_command_of_a_watch(inputs):
    program = os.environ.get("TRAILMILL_BIN")
    if not program:
        pytest.skip("TRAILMILL_BIN is not set")
    (container,) = cloudformation(inputs).resources()["WatchTask"]["ContainerDefinitions"]

    done = subprocess.run([program, *container["Command"], "--help"], text=True, capture_output=True)

    assert done.returncode == 0, done.stderr


# ── Every night ──


def definition(inputs):
    text = cloudformation(inputs).resources("AWS::StepFunctions::StateMachine")["StateMachine"]["DefinitionString"]
    return json.loads(text)


def tasks(definition):
    return {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}


@needs_terraform
@any_inputs
def test_both_run_the_same_state_machine(inputs):
    assert json.loads(terraform_values(inputs, "state_machine")["state_machine"]) == definition(inputs)


def test_the_state_machine_is_word_for_word_the_same():
    text, _ = yaml_of(CLOUDFORMATION)["Resources"]["StateMachine"]["Properties"]["DefinitionString"]["Fn::Sub"]

    assert text == (terraform.MODULE / "nightly.asl.json").read_text()


@any_inputs
def test_the_state_machine_goes_from_plan_over_the_array_to_finish(inputs):
    found = definition(inputs)
    states, path, here = found["States"], [], found["StartAt"]
    while here:
        path.append(here)
        here = states[here].get("Next")

    assert path == ["Size", "Plan", "Children", "Finish"] and set(path) == set(states)
    assert states["Finish"]["End"] is True and isinstance(found["TimeoutSeconds"], int)
    assert {caught["Next"] for caught in states["Children"]["Catch"]} == {"Finish"}
    for task in tasks(found).values():
        assert task["Resource"] == "arn:aws:states:::batch:submitJob.sync"


@any_inputs
def test_batch_takes_what_the_state_machine_submits(inputs):
    size = INPUTS[inputs][1].get("ArraySize", 4)
    values = {"{% $arraySize %}": size, "{% $string($arraySize) %}": str(size)}

    def known(value):
        if isinstance(value, dict):
            return {key: known(each) for key, each in value.items()}
        assert not (isinstance(value, str) and value.startswith("{%") and value not in values), value
        return values.get(value, value) if isinstance(value, str) else value

    found = definition(inputs)
    assert found["States"]["Size"]["Assign"]["arraySize"].endswith(f" : {size} %}}")
    for name, task in tasks(found).items():
        request = camel(known(task["Arguments"]))

        accepted("batch", "SubmitJob", request)
        assert ("arrayProperties" in request) == (name == "Children")


# ── Who may do what ──

# These know no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/
WITHOUT_RESOURCES = {"batch:DescribeJobs", "cloudtrail:ListPublicKeys", "ecr:GetAuthorizationToken"}
# What comes after these names is an object, a table, a stream, a job: not known beforehand.
OPEN_ENDS = re.compile(
    r"arn:aws:s3:::[a-z]+/[\w/]+/\*"
    r"|arn:aws:glue:[\w-]+:\d+:table/\w+/\w+_\*"
    r"|arn:aws:logs:[\w-]+:\d+:log-group:[\w/]+:log-stream:\*"
    r"|arn:aws:batch:[\w-]+:\d+:job/\*"
)


def documented_permissions():
    page = (ROOT / "docs/aws-setup.md").read_text()
    text = re.search(r"The permissions a job needs:.*?\n\n", page, re.S).group()
    names = re.findall(r"`([A-Za-z0-9:]+)`", text)
    return {name if ":" in name else f"glue:{name}" for name in names}


@needs_terraform
@any_inputs
def test_both_allow_the_same(inputs):
    ours = cloudformation_policies(inputs)
    theirs = terraform_values(inputs, *ours)

    for name, policy in ours.items():
        assert statements(theirs[name]) == statements(policy), name


@needs_terraform
@any_inputs
def test_both_trust_the_same(inputs):
    found = cloudformation(inputs).resources("AWS::IAM::Role")
    theirs = terraform_values(inputs, *TRUSTS)

    for name, logical in TRUSTS.items():
        if logical in found:
            assert theirs[name] == found[logical]["AssumeRolePolicyDocument"], name


def test_both_name_the_same_actions():
    """Without a terraform program, too."""
    text = (terraform.MODULE / "documents.tf").read_text()
    theirs = set(re.findall(r'"([a-z0-9]+:[A-Z][A-Za-z]+)"', text))
    theirs = {action for action in theirs if not action.startswith("aws:")} - {"kms:ViaService"}
    ours = {"sts:AssumeRole"}
    for policy in cloudformation_policies("most").values():
        for statement in policy["Statement"]:
            ours |= {action for action in strings(statement["Action"]) if statement["Effect"] == "Allow"}

    assert theirs == ours


def test_the_job_may_do_what_the_documentation_lists_and_nothing_else():
    allowed = {
        action
        for statement in cloudformation_policies("most")["job_policy"]["Statement"]
        for action in statement["Action"]
    }

    # The database is made with the stack, or was there.
    assert allowed == documented_permissions() - {"glue:CreateDatabase"}


@any_inputs
def test_no_role_may_do_more_than_it_names(inputs):
    for name, policy in cloudformation_policies(inputs).items():
        for statement in policy["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            assert not [action for action in statement["Action"] if "*" in action], name
            if set(statement["Action"]) <= WITHOUT_RESOURCES:
                continue
            for resource in statement["Resource"]:
                assert "*" not in resource or OPEN_ENDS.fullmatch(resource), f"{name}: {resource}"


@any_inputs
def test_the_source_is_only_read_and_both_only_below_their_prefix(inputs):
    prefix = INPUTS[inputs][1].get("SourcePrefix", "AWSLogs")
    found = statements(cloudformation_policies(inputs)["job_policy"])

    for statement in found.values():
        if "arn:aws:s3:::logs" in statement["Resource"]:
            assert statement["Action"] == ["s3:ListBucket"]
            assert statement["Condition"] == {"StringLike": {"s3:prefix": [f"{prefix}/*"]}}
        elif [each for each in statement["Resource"] if each.startswith("arn:aws:s3:::logs")]:
            assert statement["Action"] == ["s3:GetObject"]
            assert statement["Resource"] == [f"arn:aws:s3:::logs/{prefix}/*"]
    assert found["WriteLake"]["Resource"] == ["arn:aws:s3:::lake/cloudtrail/*"]
    assert found["ListLake"]["Condition"] == {"StringLike": {"s3:prefix": ["cloudtrail", "cloudtrail/*"]}}
    assert ("SourceKey" in found, "LakeKey" in found) == ((inputs == "most"),) * 2


@any_inputs
def test_no_service_may_act_for_another_account(inputs):
    for name, role in cloudformation(inputs).resources("AWS::IAM::Role").items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        condition = statement.get("Condition", {})

        if name == "InstanceRole":
            continue  # EC2 sends no such keys
        assert condition["StringEquals"] == {"aws:SourceAccount": ACCOUNT}, name
        (arns,) = [value for key, value in condition.items() if key.startswith("Arn")]
        assert f":{ACCOUNT}:" in arns["aws:SourceArn"], name


def test_a_bucket_that_is_made_is_closed_and_one_that_is_there_is_left_alone():
    bucket = cloudformation("least").resources("AWS::S3::Bucket")["LakeBucketResource"]
    taken = Template(CLOUDFORMATION.read_text(), LEAST[1] | {"CreateLakeBucket": "false"}, PSEUDO, ADDRESSES)

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert [name for name in taken.resources() if "Bucket" in name] == []
