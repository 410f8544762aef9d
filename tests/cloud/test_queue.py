"""Conversion of what a queue names: moto's S3, SNS, SQS and EventBridge, with messages of every form.

Settings from the environment: TRAILMILL_QUEUE_KILLS, how often a consumer is killed (10); TRAILMILL_QUEUE_OBJECTS,
how many objects it has to convert meanwhile (60). Above 500 the queue is ElasticMQ's: moto goes on looking for messages
for every consumer that was killed while it waited.
"""

import json
import os
import random
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from conftest import client, log_key, log_object, record, run_trailmill
from lakes import BucketLake, without_nested
from queues import REPORT, Logs, Queue, check, drain, until, watch

KILLS = int(os.environ.get("TRAILMILL_QUEUE_KILLS", 10))
OBJECTS = int(os.environ.get("TRAILMILL_QUEUE_OBJECTS", 60))


@pytest.fixture(scope="module")
def sns(endpoint):
    return client("sns", endpoint)


@pytest.fixture(scope="module")
def events(endpoint):
    return client("events", endpoint)


def test_messages_that_services_send_are_understood(s3, sns, events, sqs, logs, lake, endpoint, plain_rows):
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
    check(logs, lake, plain_rows(logs), endpoint)


def test_doubled_and_lost_messages_make_the_lake_of_a_listing(sqs, logs, lake, endpoint, plain_rows):
    queue = Queue(sqs)
    logs.put(100)
    lost = logs.keys[17]
    queue.send(logs.messages(3, [key for key in logs.keys if key != lost]))
    windows = ["--window-objects", "20"]

    report = drain(queue, lake, endpoint, *windows)

    assert report["objects_read"] == 99 and report["queue"]["messages_left"] == 0
    assert report["queue"]["delay_from_put_p99_seconds"] < 60
    swept = run_trailmill("convert", logs.url, lake.url, *REPORT, "-q", endpoint=endpoint).report
    assert (swept["objects_read"], swept["objects_known"]) == (1, 99)
    check(logs, lake, plain_rows(logs), endpoint)


@pytest.fixture
def queues_at(request, endpoint):
    """Where queues are that bear many consumers."""
    return request.getfixturevalue("elasticmq").url if OBJECTS > 500 else endpoint


def test_a_consumer_that_is_killed_at_any_instant_loses_and_doubles_nothing(
    queues_at, logs, lake, endpoint, plain_rows
):
    sqs, env = client("sqs", queues_at), {"AWS_ENDPOINT_URL_SQS": queues_at}
    queue = Queue(sqs, visibility=2)
    logs.put(OBJECTS)
    queue.send(logs.messages(3))
    chance = random.Random(OBJECTS)

    for _ in range(KILLS):
        consumer = watch(queue, lake, endpoint, "--window-objects", "7", env=env)
        time.sleep(chance.uniform(0.1, 1.5))
        consumer.kill()
    # Renewing many messages every second is more than the test server can do.
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "60"})
    consumer = watch(queue, lake, endpoint, env=env)
    until("an empty queue", lambda: queue.left == 0, 60 + OBJECTS)
    consumer.signal("TERM")
    done = consumer.wait(30).exits(0)

    assert done.report["queue"]["messages_left"] == 0
    check(logs, lake, plain_rows(logs), endpoint)


def test_two_consumers_a_nightly_run_and_a_sweep_share_a_lake(sqs, logs, lake, endpoint, plain_rows):
    queue = Queue(sqs)
    logs.put(30)
    queue.send(logs.messages(3, logs.keys[:-1]))
    more = ["--window-objects", "5", "--lease-timeout", "5"]
    first = watch(queue, lake, endpoint, logs.url, *more, "--sweep", "2s")
    second = watch(queue, lake, endpoint, logs.url, *more)
    run_trailmill("convert", logs.url, lake.url, *REPORT, "-q", "--lease-timeout", "5", endpoint=endpoint)

    logs.put(10)
    queue.send(logs.messages(1, logs.keys[-10:-1]))
    until("an empty queue", lambda: queue.left == 0)
    until("the sweep", lambda: sum(len(m["objects"]) for m in lake.manifests()) == 40)
    for consumer in (first, second):
        began = time.monotonic()
        consumer.signal("TERM")
        consumer.wait(30).exits(0)
        assert time.monotonic() - began < 20
    check(logs, lake, plain_rows(logs), endpoint)


def test_nightly_runs_succeed_beside_a_watch_that_is_never_idle(sqs, logs, lake, endpoint, plain_rows):
    queue, is_over = Queue(sqs), threading.Event()
    logs.put(1)
    queue.send(logs.messages(1))
    consumer = watch(queue, lake, endpoint, "--window-objects", "2")

    def feed():
        while not is_over.is_set():
            logs.put(2)
            queue.send(logs.messages(1, logs.keys[-2:]))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        until("windows", lambda: len(lake.manifests()) >= 3)
        for command in ("convert", "repair", "convert"):
            before = len(lake.manifests())
            sources = [logs.url] if command == "convert" else []
            run_trailmill(command, *sources, lake.url, *(REPORT if sources else []), "-q", endpoint=endpoint)
            until("more windows", lambda: len(lake.manifests()) > before)
    finally:
        is_over.set()
        feeder.join()
    until("an empty queue", lambda: queue.left == 0)
    consumer.signal("TERM")
    done = consumer.wait(30).exits(0)

    assert done.report["queue"]["conversions"] >= 6
    check(logs, lake, plain_rows(logs), endpoint)


def test_delays_are_those_of_the_window_and_little_more(sqs, logs, lake, endpoint):
    queue = Queue(sqs)
    consumer = watch(queue, lake, endpoint, "--window-age", "3s", "--metrics", "emf", "--log-format", "json")
    for number in range(12):
        # The event was two minutes before its log was delivered.
        event = f"{datetime.now(timezone.utc) - timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}"
        records = [record(number * 5 + n, eventTime=event) for n in range(5)]
        logs.put_one(log_key(f"{number}.json.gz"), log_object(records))
        queue.send(logs.messages(1, logs.keys[-1:]))
        time.sleep(0.4)
    until("an empty queue", lambda: queue.left == 0)
    consumer.signal("TERM")
    done = consumer.wait(30).exits(0)

    counts = done.report["queue"]
    assert counts["delay_from_put_p99_seconds"] <= 3 + 5, counts
    from_event = counts["delay_p50_seconds"], counts["delay_p99_seconds"]
    assert 120 <= from_event[0] <= from_event[1] <= (120 + 1 + 3 + 5) * 1.02, counts
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    windows = [line for line in lines if line.get("event") == "window"]
    metrics = [line for line in lines if "OldestMessageAge" in line]
    assert windows and len(metrics) == len(windows)
    late = [line for line in metrics if "DelayP99" in line]
    assert late and all(line["DelayFromPutP99"] <= 8 <= 120 <= line["DelayP50"] for line in late), late


def test_what_cannot_be_used_is_said(sqs, logs, lake, endpoint, tmp_path):
    queue = Queue(sqs)
    run = lambda *args: run_trailmill(*args, endpoint=endpoint, codes=(2,)).stderr
    assert "invalid queue URL" in run("watch", queue.name, lake.url)
    assert "there is no such queue" in run("watch", queue.url + "-gone", lake.url)
    assert "FIFO queues are not supported" in run("convert", "--queue", queue.url + ".fifo", lake.url)
    assert "give them before the lake" in run("watch", queue.url, lake.url, "--sweep", "1d")
    assert "expected sources such as" in run("watch", queue.url, tmp_path, lake.url)
    queue.send(["nonsense"])
    queue.url = queue.arn
    report = drain(queue, lake, endpoint, codes=(1,))
    assert report["queue"]["left_by_reason"] == {"not a JSON object": 1}
