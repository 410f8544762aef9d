"""Conversion of what a queue names: moto's S3, SNS, SQS and EventBridge, with messages of every form.

Settings from the environment: TRAILMILL_QUEUE_KILLS, how often a consumer is killed (10); TRAILMILL_QUEUE_OBJECTS,
how many objects it has to convert meanwhile (60).
"""

import json
import os
import random
import time
from datetime import datetime, timezone

import pytest

from conftest import NO_CATALOG, client, log_key, log_object, record, run_trailmill, start_trailmill
from lakes import BucketLake, assert_same_rows, without_nested

KILLS = int(os.environ.get("TRAILMILL_QUEUE_KILLS", 10))
OBJECTS = int(os.environ.get("TRAILMILL_QUEUE_OBJECTS", 60))
REPORT = [*NO_CATALOG, "--report", "json"]


@pytest.fixture(scope="module")
def sqs(endpoint):
    return client("sqs", endpoint)


@pytest.fixture(scope="module")
def sns(endpoint):
    return client("sns", endpoint)


@pytest.fixture(scope="module")
def events(endpoint):
    return client("events", endpoint)


class Queue:
    """A queue of the test server."""

    names = iter(range(1, 10_000))

    def __init__(self, sqs, visibility=30):
        self.sqs, self.name = sqs, f"logs-{next(self.names):04}"
        attributes = {"VisibilityTimeout": str(visibility)}
        self.url = sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]

    def attributes(self):
        return self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]

    @property
    def arn(self):
        return self.attributes()["QueueArn"]

    @property
    def left(self):
        """Messages that are there, visible or not."""
        found = self.attributes()
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])

    def send(self, bodies):
        bodies = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        for at in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)


class Logs:
    """A bucket with log objects, and the messages about them."""

    def __init__(self, s3, bucket, seed=1):
        self.s3, self.bucket, self.url = s3, bucket, f"s3://{bucket}/"
        self.random, self.keys, self.facts = random.Random(seed), [], {}

    def put(self, count, each=5):
        for _ in range(count):
            number = len(self.keys)
            # Keys that need decoding, and copies of records.
            name = f"{number:05}{['', '+a b', '%2B', 'é'][number % 4]}.json.gz"
            numbers = range(number * each - (number % 3 == 2), (number + 1) * each)
            self.put_one(log_key(name), log_object(record(max(n, 0)) for n in numbers))

    def put_one(self, key, body):
        etag = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)["ETag"].strip('"')
        self.keys.append(key)
        self.facts[key] = {"key": key, "size": len(body), "etag": etag, "put": datetime.now(timezone.utc)}

    def message(self, form, keys):
        from urllib.parse import quote_plus

        facts = [self.facts[key] for key in keys]
        records = [
            {
                "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "eventTime": f"{fact['put']:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                "s3": {
                    "bucket": {"name": self.bucket},
                    "object": {"key": quote_plus(fact["key"]), "size": fact["size"], "eTag": fact["etag"]},
                },
            }
            for fact in facts
        ]
        wrap = lambda message: {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(message)}
        trail = {"s3Bucket": self.bucket, "s3ObjectKey": list(keys)}
        if form == 2 and len(keys) == 1:
            made = {name: facts[0][name] for name in ("key", "size", "etag")}
            detail = {"bucket": {"name": self.bucket}, "object": made, "reason": "PutObject"}
            return {"detail-type": "Object Created", "source": "aws.s3", "detail": detail}
        return [{"Records": records}, wrap({"Records": records}), {"Records": records}, wrap(trail), trail][form]

    def messages(self, times=3, keys=None):
        """Messages of all forms about every object, some about several, in no order."""
        made = []
        for time_ in range(times):
            rest = list(self.keys if keys is None else keys)
            self.random.shuffle(rest)
            while rest:
                count = self.random.choice([1, 1, 1, 3])
                made.append(self.message(self.random.randrange(5), rest[:count]))
                rest = rest[count:]
        self.random.shuffle(made)
        return made


@pytest.fixture
def logs(s3, new_bucket):
    return Logs(s3, new_bucket("logs"))


@pytest.fixture
def reference(s3, new_bucket, endpoint):
    """The lake that a plain conversion makes of some logs."""

    def make(logs):
        lake = BucketLake(s3, new_bucket("plain"), "lake")
        run_trailmill("convert", logs.url, lake.url, *REPORT, "-q", endpoint=endpoint)
        return without_nested(lake.rows())

    return make


def drain(queue, lake, endpoint, *more, codes=(0,)):
    return run_trailmill(
        "convert", "--queue", queue.url, *more, lake.url, *REPORT, "-q", endpoint=endpoint, codes=codes
    ).report


def watch(queue, lake, endpoint, *more):
    age = [] if "--window-age" in more else ["--window-age", "1s"]
    options = [*age, "--partition-by", "account,region,event_date", *REPORT]
    return start_trailmill("watch", queue.url, *more, lake.url, *options, endpoint=endpoint)


def until(what, is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.1)


def check(logs, lake, wanted, endpoint):
    assert_same_rows(wanted, without_nested(lake.rows()))
    run_trailmill("verify", logs.url, lake.url, "-q", endpoint=endpoint)
    assert not lake.intents()


def test_messages_that_services_send_are_understood(s3, sns, events, sqs, logs, lake, endpoint, reference):
    queue = Queue(sqs)
    topic = sns.create_topic(Name="logs")["TopicArn"]
    raw = sns.create_topic(Name="logs-raw")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    sns.subscribe(TopicArn=raw, Protocol="sqs", Endpoint=queue.arn, Attributes={"RawMessageDelivery": "true"})
    events.put_rule(Name="logs", EventPattern=json.dumps({"source": ["aws.s3"]}))
    events.put_targets(Rule="logs", Targets=[{"Id": "queue", "Arn": queue.arn}])
    configurations = [
        {"QueueConfigurations": [{"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"]}]},
        {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]},
        {"TopicConfigurations": [{"TopicArn": raw, "Events": ["s3:ObjectCreated:*"]}]},
        {"EventBridgeConfiguration": {}},
    ]
    for configuration in configurations:
        s3.put_bucket_notification_configuration(
            Bucket=logs.bucket, NotificationConfiguration=configuration
        )
        logs.put(4)
    sns.publish(TopicArn=topic, Message="CloudTrail validation message.")
    sns.publish(TopicArn=topic, Message=json.dumps({"s3Bucket": logs.bucket, "s3ObjectKey": logs.keys[:9]}))

    report = drain(queue, lake, endpoint)

    counts = report["queue"]
    assert set(counts["messages_by_shape"]) == {"s3", "s3_through_sns", "event_bridge", "trail"}, counts
    assert counts["messages_of_tests"] >= 2 and not counts["messages_left"], counts
    assert report["objects_read"] == len(logs.keys)
    assert queue.left == 0
    check(logs, lake, reference(logs), endpoint)


def test_doubled_and_lost_messages_make_the_lake_of_a_listing(sqs, logs, lake, endpoint, reference):
    queue = Queue(sqs)
    logs.put(100)
    lost = logs.keys[17]
    queue.send(logs.messages(3, [key for key in logs.keys if key != lost]))
    windows = ["--window-objects", "20"]

    report = drain(queue, lake, endpoint, *windows)

    assert report["objects_read"] == 99 and report["queue"]["messages_left"] == 0
    assert report["queue"]["delay_p99_seconds"] < 60
    swept = run_trailmill("convert", logs.url, lake.url, *REPORT, "-q", endpoint=endpoint).report
    assert (swept["objects_read"], swept["objects_known"]) == (1, 99)
    check(logs, lake, reference(logs), endpoint)


def test_a_consumer_that_is_killed_at_any_instant_loses_and_doubles_nothing(sqs, logs, lake, endpoint, reference):
    queue = Queue(sqs, visibility=2)
    logs.put(OBJECTS)
    queue.send(logs.messages(2))
    chance = random.Random(OBJECTS)

    for _ in range(KILLS):
        consumer = watch(queue, lake, endpoint, "--window-objects", "7")
        time.sleep(chance.uniform(0.1, 1.5))
        consumer.kill()
    consumer = watch(queue, lake, endpoint)
    until("an empty queue", lambda: queue.left == 0)
    consumer.signal("TERM")
    done = consumer.wait(30).exits(0)

    assert done.report["queue"]["messages_left"] == 0
    check(logs, lake, reference(logs), endpoint)


def test_two_consumers_a_nightly_run_and_a_sweep_share_a_lake(sqs, logs, lake, endpoint, reference):
    queue = Queue(sqs)
    logs.put(30)
    queue.send(logs.messages(3, logs.keys[:-1]))
    more = ["--window-objects", "5", "--lease-timeout", "5"]
    first = watch(queue, lake, endpoint, logs.url, *more, "--sweep", "2s")
    second = watch(queue, lake, endpoint, logs.url, *more)
    nightly = ["convert", logs.url, lake.url, *REPORT, "-q", "--lease-timeout", "5"]
    codes = []
    until("its turn", lambda: codes.append(run_trailmill(*nightly, endpoint=endpoint, codes=(0, 75)).code) or codes[-1] == 0)

    logs.put(10)
    queue.send(logs.messages(1, logs.keys[-10:-1]))
    until("an empty queue", lambda: queue.left == 0)
    until("the sweep", lambda: sum(len(m["objects"]) for m in lake.manifests()) == 40)
    for consumer in (first, second):
        began = time.monotonic()
        consumer.signal("TERM")
        consumer.wait(30).exits(0)
        assert time.monotonic() - began < 20
    check(logs, lake, reference(logs), endpoint)


def test_delays_are_those_of_the_window_and_little_more(sqs, logs, lake, endpoint):
    queue = Queue(sqs)
    consumer = watch(queue, lake, endpoint, "--window-age", "3s", "--metrics", "emf", "--log-format", "json")
    for _ in range(12):
        logs.put(1)
        queue.send(logs.messages(1, logs.keys[-1:]))
        time.sleep(0.4)
    until("an empty queue", lambda: queue.left == 0)
    consumer.signal("TERM")
    done = consumer.wait(30).exits(0)

    assert done.report["queue"]["delay_p99_seconds"] <= 3 + 5
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    windows = [line for line in lines if line.get("event") == "window"]
    metrics = [line for line in lines if "OldestMessageAge" in line]
    assert windows and len(metrics) == len(windows)
    assert all(line["DelayP99"] <= 8 for line in metrics if "DelayP99" in line)


def test_what_cannot_be_used_is_said(sqs, logs, lake, endpoint, tmp_path):
    queue = Queue(sqs)
    run = lambda *args: run_trailmill(*args, endpoint=endpoint, codes=(2,)).stderr
    assert "invalid queue URL" in run("watch", queue.name, lake.url)
    assert "there is no such queue" in run("watch", queue.url + "-gone", lake.url)
    assert "give them before the lake" in run("watch", queue.url, lake.url, "--sweep", "1d")
    assert "expected sources such as" in run("watch", queue.url, tmp_path, lake.url)
    queue.send(["nonsense"])
    report = drain(queue, lake, endpoint, codes=(1,))
    assert report["queue"]["left_by_reason"] == {"not a JSON object": 1}


def test_the_doctor_says_what_a_queue_lacks(s3, sqs, logs, lake, endpoint):
    queue = Queue(sqs)
    logs.put(1)
    examine = lambda: run_trailmill(
        "doctor", logs.url, lake.url, "--catalog", "none", "--queue", queue.url, "--report", "json",
        endpoint=endpoint, codes=None,
    ).report["checks"]

    found = {check["subject"]: check["outcome"] for check in examine() if check["place"] == queue.url}
    assert found["sqs:GetQueueAttributes"] == "ok" and found["sqs:ReceiveMessage"] == "skipped", found
    assert found["queue policy"] == found["visibility"] == found["dead letters"] == "warning", found

    dead = Queue(sqs)
    allowed = {
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{logs.bucket}"}},
    }
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={
        "VisibilityTimeout": "300", "SqsManagedSseEnabled": "true",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 5}),
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    })
    found = {check["subject"]: check["outcome"] for check in examine() if check["place"] == queue.url}
    assert "warning" not in found.values(), found
