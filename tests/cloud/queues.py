"""Queues, messages about log objects and consumers of them, for the tests of `watch` and `convert --queue`."""

import json
import random
import time
from datetime import datetime, timezone
from urllib.parse import quote_plus

from conftest import NO_CATALOG, log_key, log_object, record, run_trailmill, start_trailmill
from lakes import assert_same_rows, without_nested

REPORT = [*NO_CATALOG, "--report", "json"]


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


def drain(queue, lake, endpoint, *more, codes=(0,)):
    return run_trailmill(
        "convert", "--queue", queue.url, *more, lake.url, *REPORT, "-q", endpoint=endpoint, codes=codes
    ).report


def watch(queue, lake, endpoint, *more, env=None):
    age = [] if "--window-age" in more else ["--window-age", "1s"]
    options = [*age, "--partition-by", "account,region,event_date", *REPORT]
    return start_trailmill("watch", queue.url, *more, lake.url, *options, endpoint=endpoint, env=env)


def until(what, is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.1)


def check(logs, lake, wanted, endpoint):
    assert_same_rows(wanted, without_nested(lake.rows()))
    run_trailmill("verify", logs.url, lake.url, "-q", endpoint=endpoint, seconds=3600)
    assert not lake.intents()
