"""Objects that a queue names and that cannot be read, partitions of a catalog, signals, and a stricter queue."""

import json
import re
import threading
import time

import faulty_proxy as faults
import pytest
from conftest import client, log_key, log_object, record, run_trailmill, start_trailmill
from faulty_proxy import EVERY
from queues import REPORT, Queue, check, drain, until, watch

REFUSALS = {
    "denied": (faults.status(403, "AccessDenied", "Access Denied"), "not allowed"),
    "key disabled": (faults.status(400, "KMS.DisabledException", "The key is disabled."), "KMS.Disabled"),
}


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject"])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_message_whose_object_is_refused_is_left(sqs, logs, lake, proxy, plain_rows, name, operation):
    # Longer than a drain waits for a message, so that it meets each once.
    queue = Queue(sqs, visibility=4)
    logs.put(4)
    # The message of a trail says neither size nor etag, so that S3 is asked.
    form = 4 if operation == "HeadObject" else 0
    queue.send(logs.message(form, [key]) for key in logs.keys)
    fault, said = REFUSALS[name]
    proxy.on(operation, re.escape(logs.keys[1]), fault, count=EVERY)

    report = drain(queue, lake, proxy.url, codes=(1,))

    counts = report["queue"]
    assert (report["objects_read"], counts["messages_deleted"], counts["messages_left"]) == (3, 3, 1)
    # A HEAD has no body that could say why.
    reason = said if operation == "GetObject" else "object"
    assert [reason in text for text in counts["left_by_reason"]] == [True], counts
    assert queue.left == 1
    proxy.clear()
    time.sleep(4)
    report = drain(queue, lake, proxy.url)
    assert (report["objects_read"], queue.left) == (1, 0)
    check(logs, lake, plain_rows(logs), proxy.url)


def test_messages_stay_while_s3_throttles(sqs, logs, lake, proxy, plain_rows):
    queue = Queue(sqs, visibility=1)
    logs.put(4)
    queue.send(logs.messages(1))
    throttled = proxy.on("GetObject", re.escape(logs.bucket), faults.status(503, "SlowDown"), count=EVERY)
    options = ["convert", "--queue", queue.url, lake.url, *REPORT, "--retry-timeout", "2"]

    run_trailmill(*options, endpoint=proxy.url, codes=(75,))

    assert queue.left > 0 and not lake.manifests()
    # A service goes on until S3 answers.
    before = throttled.hits
    consumer = watch(queue, lake, proxy.url, "--retry-timeout", "1")
    until("a request", lambda: throttled.hits > before)
    assert queue.left > 0
    proxy.clear()
    until("an empty queue", lambda: queue.left == 0)
    consumer.signal("TERM")
    consumer.wait(30).exits(0)
    check(logs, lake, plain_rows(logs), proxy.url)


@pytest.mark.parametrize("kind", ["moto", "elasticmq"])
def test_a_drain_that_fails_makes_its_messages_visible_again(request, sqs, logs, lake, proxy, plain_rows, kind):
    if kind == "elasticmq":
        elasticmq = request.getfixturevalue("elasticmq")
        sqs, env = client("sqs", elasticmq.url), {"AWS_ENDPOINT_URL_SQS": elasticmq.url}
    else:
        env = {}
    queue = Queue(sqs, visibility=600)
    logs.put(25)
    queue.send(["nonsense", *logs.messages(1)])
    proxy.on("GetObject", re.escape(logs.bucket), faults.status(503, "SlowDown"), count=EVERY)
    options = ["convert", "--queue", queue.url, lake.url, *REPORT, "--retry-timeout", "2", "--metrics", "emf"]

    failed = run_trailmill(*options, "--log-format", "json", endpoint=proxy.url, codes=(75,), env=env)

    found = queue.attributes()
    assert int(found["ApproximateNumberOfMessagesNotVisible"]) == 0 < int(found["ApproximateNumberOfMessages"])
    # What was counted is told all the same.
    counted = [line for line in map(json.loads, failed.stderr.splitlines()) if "MessagesReceived" in line]
    assert sum(line["MessagesReceived"] for line in counted) == queue.left
    assert sum(line["MessagesLeft"] for line in counted) == 1
    proxy.clear()
    # At once, and not when their visibility ends.
    report = run_trailmill(*options, endpoint=proxy.url, codes=(1,), env=env).report
    assert (report["objects_read"], queue.left) == (25, 1)
    check(logs, lake, plain_rows(logs), proxy.url)


def test_a_message_whose_object_is_gone_is_deleted_when_it_comes_for_the_third_time(s3, sqs, logs, lake, endpoint):
    queue = Queue(sqs, visibility=1)
    logs.put(2)
    queue.send(logs.messages(1))
    gone = logs.keys.pop()
    s3.delete_object(Bucket=logs.bucket, Key=gone)
    reports = []

    def is_empty():
        reports.append(drain(queue, lake, endpoint, codes=(0, 1))["queue"])
        time.sleep(1)
        return queue.left == 0

    until("an empty queue", is_empty)

    assert sum(counts["objects_gone"] for counts in reports) == 1, reports
    assert sum(counts["messages_received"] for counts in reports) == 1 + 3, reports
    assert reports[-1]["gone"] == [f"s3://{logs.bucket}/{gone}"]
    assert reports[0]["left_by_reason"]


def test_every_count_has_a_metric_that_adds_up(s3, sqs, logs, lake, endpoint):
    queue = Queue(sqs, visibility=1)
    logs.put(6)
    gone = logs.keys.pop()
    s3.delete_object(Bucket=logs.bucket, Key=gone)
    logs.put_one(log_key("x.json.gz").replace("/CloudTrail/", "/Config/"), b"{}")
    queue.send(["nonsense", logs.message(0, [gone]), *logs.messages(2)])
    consumer = watch(queue, lake, endpoint, "--window-objects", "3", "--metrics", "emf", "--log-format", "json")
    until("what nobody understands", lambda: queue.left == 1, 120)
    consumer.signal("TERM")
    done = consumer.wait(30).exits(1)

    counts = done.report["queue"]
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    for metric, count in {
        "MessagesReceived": "messages_received", "MessagesDeleted": "messages_deleted",
        "MessagesLeft": "messages_left", "ObjectsNamed": "objects_named", "ObjectsIgnored": "objects_ignored",
        "ObjectsGone": "objects_gone", "ReceiptsExpired": "receipts_expired", "LeasesAwaited": "leases_awaited",
    }.items():  # fmt: skip
        assert sum(line.get(metric, 0) for line in lines) == counts[count], metric
    assert counts["objects_gone"] == 1 and counts["objects_ignored"] >= 1
    # Who looks at the log of a service learns the name at once.
    told = [line for line in lines if "is gone" in line.get("message", "")]
    assert len(told) == 1 and gone in told[0]["message"], told


def glue_calls(proxy):
    names = [request.headers.get("x-amz-target", "") for request in proxy.requests()]
    return [name.partition(".")[2] for name in names if name.startswith("AWSGlue.")]


class Days:
    """A watch with Glue, and a log object for each day that a test asks for."""

    def __init__(self, sqs, logs, lake, proxy, *more):
        self.queue, self.logs, self.lake, self.proxy, self.number = Queue(sqs), logs, lake, proxy, 0
        options = ["--window-age", "1s", "--catalog", "glue", "--database", lake.bucket.replace("-", "_")]
        options += ["--no-typed", "--partition-by", "region,event_date", "--report", "json", *more]
        self.watch = start_trailmill("watch", self.queue.url, lake.url, *options, endpoint=proxy.url)

    def calls(self, day):
        """The calls to Glue for an object of a day."""
        self.proxy.clear_log()
        self.number += 1
        event = record(self.number, eventTime=f"{day}T01:02:03Z", awsRegion="us-east-1")
        self.logs.put_one(log_key(f"{self.number}.json.gz"), log_object([event]))
        self.queue.send(self.logs.messages(1, self.logs.keys[-1:]))
        until("an empty queue", lambda: self.queue.left == 0)
        return glue_calls(self.proxy)

    def end(self):
        self.watch.signal("TERM")
        self.watch.wait(30).exits(0)


def test_a_partition_is_registered_once_when_its_first_file_is_committed(endpoint, sqs, logs, lake, proxy):
    days = Days(sqs, logs, lake, proxy)
    days.calls("2026-10-01")

    known, new, old = (days.calls(f"2026-10-{day}") for day in ("01", "02", "01"))

    days.end()
    assert known == old == [], (known, old)
    made = [call for call in new if "CreatePartition" in call]
    assert len(made) == 1, new
    # One request has all partitions of a window; what else is asked reads.
    assert all(call.startswith("Get") for call in new if call not in made and "Update" not in call), new
    glue = client("glue", endpoint)
    found = glue.get_partitions(DatabaseName=lake.bucket.replace("-", "_"), TableName="cloudtrail")
    assert sorted(part["Values"][1] for part in found["Partitions"]) == ["2026-10-01", "2026-10-02"]


def test_projected_partitions_need_no_call(sqs, logs, lake, proxy):
    days = Days(sqs, logs, lake, proxy, "--partition-projection")
    days.calls("2026-10-01")

    later = [days.calls(f"2026-10-0{day}") for day in (1, 2, 3)]
    earlier = days.calls("2026-09-30")

    days.end()
    assert later == [[], [], []], later
    assert earlier, "projection begins at the first day, which is another one now"


def test_a_window_that_takes_too_long_is_abandoned_within_20_seconds(sqs, logs, lake, proxy, plain_rows):
    queue, gate = Queue(sqs, visibility=600), threading.Event()
    logs.put(6)
    queue.send(logs.message(0, [key]) for key in logs.keys)
    held = proxy.on("GetObject", re.escape(logs.keys[3]), faults.hold(gate))
    consumer = watch(queue, lake, proxy.url, "--retry-timeout", "600")
    held.wait()
    began = time.monotonic()

    consumer.signal("TERM")
    consumer.wait(30).exits(0, 75)

    assert time.monotonic() - began < 20
    gate.set()
    proxy.clear()
    committed = sum(len(manifest["objects"]) for manifest in lake.manifests())
    assert committed < 6 and queue.left >= 6 - committed
    # They are visible at once, and not when their visibility ends.
    assert queue.attributes()["ApproximateNumberOfMessagesNotVisible"] == "0"
    until("an empty queue", lambda: drain(queue, lake, proxy.url) and queue.left == 0)
    check(logs, lake, plain_rows(logs), proxy.url)


GOOD = {
    "VisibilityTimeout": "300", "SqsManagedSseEnabled": "true", "MessageRetentionPeriod": "1209600",
    "RedrivePolicy": lambda dead, _: json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 5}),
    "Policy": lambda _, bucket: policy(f"arn:aws:s3:::{bucket}"),
}  # fmt: skip


def policy(source, principal="s3.amazonaws.com", arn="*"):
    allowed = {
        "Effect": "Allow", "Principal": {"Service": principal}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


DEFECTS = {
    "visibility": {"VisibilityTimeout": "30"},
    "dead letters": {"RedrivePolicy": lambda dead, _: json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 2})},
    "retention": {"MessageRetentionPeriod": "3600"},
    "encryption": {"SqsManagedSseEnabled": "false"},
    "queue policy": {"Policy": lambda *_: policy("arn:aws:s3:::another-bucket")},
}


@pytest.mark.parametrize("defect", ["nothing", "all", *DEFECTS])
def test_the_doctor_says_what_a_queue_lacks(sqs, logs, lake, endpoint, defect):
    queue, dead = Queue(sqs), Queue(sqs)
    logs.put(1)
    if defect != "all":
        wanted = {**GOOD, **DEFECTS.get(defect, {})}
        attributes = {k: v(dead.arn, logs.bucket) if callable(v) else v for k, v in wanted.items()}
        sqs.set_queue_attributes(QueueUrl=queue.url, Attributes=attributes)
    options = ["--catalog", "none", "--queue", queue.url, "--report", "json"]

    report = run_trailmill("doctor", logs.url, lake.url, *options, endpoint=endpoint, codes=None).report

    checks = [check for check in report["checks"] if check["place"] == queue.url]
    outcomes = {check["subject"]: check["outcome"] for check in checks}
    assert outcomes["sqs:GetQueueAttributes"] == outcomes["sqs:DeleteMessage"] == "ok", outcomes
    assert outcomes["sqs:ReceiveMessage"] == "skipped", outcomes
    bad = {subject for subject, outcome in outcomes.items() if outcome == "warning"}
    if defect == "all":
        assert bad >= {"visibility", "dead letters", "queue policy"}, outcomes
    else:
        assert bad == {defect} - {"nothing"}, outcomes


def test_the_doctor_refuses_a_fifo_queue(sqs, logs, lake, endpoint):
    logs.put(1)
    options = ["--catalog", "none", "--queue", Queue(sqs).url + ".fifo", "--report", "json"]
    report = run_trailmill("doctor", logs.url, lake.url, *options, endpoint=endpoint, codes=(1, 2)).report
    assert any("FIFO" in check["detail"] for check in report["checks"] if check["outcome"] == "failed")


def test_another_queue_than_motos_gives_the_same_rows(elasticmq, logs, lake, endpoint, plain_rows):
    queue = Queue(client("sqs", elasticmq.url), visibility=2)
    logs.put(60)
    queue.send(["nonsense", *logs.messages(3)])
    env = {"AWS_ENDPOINT_URL_SQS": elasticmq.url}
    options = ["--window-age", "1s", "--partition-by", "account,region,event_date", *REPORT]
    args = ("watch", queue.url, lake.url, "--window-objects", "15", *options)
    for _ in range(3):
        consumer = start_trailmill(*args, endpoint=endpoint, env=env)
        time.sleep(1.5)
        consumer.kill()
    consumer = start_trailmill(*args, endpoint=endpoint, env=env)
    # What nobody understands stays.
    until("the last window", lambda: queue.left == 1, 120)
    consumer.signal("TERM")
    counts = consumer.wait(30).exits(1).report["queue"]

    assert set(counts["left_by_reason"]) == {"not a JSON object"}, counts
    check(logs, lake, plain_rows(logs), endpoint)
