"""The proxy itself: transparent until told otherwise, and each fault is what it says."""

import http.client
import urllib.parse

import faulty_proxy as faults
import pytest


# The test server looks whether there is a signature, not at it.
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20261001/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}


def ask(url, method, path, body=None, headers=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, body, {**SIGNED, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture
def bucket(s3, new_bucket):
    name = new_bucket("proxied")
    s3.put_object(Bucket=name, Key="a/b c+%.txt", Body=b"x" * 1000)
    return name


def path(bucket, key="a/b c+%.txt"):
    return f"/{bucket}/{urllib.parse.quote(key)}"


def test_requests_and_answers_pass_as_they_are(endpoint, proxy, bucket, s3):
    direct = ask(endpoint, "GET", path(bucket))
    proxied = ask(proxy.url, "GET", path(bucket))
    assert (proxied[0], proxied[2]) == (direct[0], direct[2])
    assert proxied[1]["ETag"] == direct[1]["ETag"]
    assert ask(proxy.url, "HEAD", path(bucket))[1]["Content-Length"] == "1000"

    for key in ["/x", "x//y", "ü €/ñ"]:
        assert ask(proxy.url, "PUT", path(bucket, key), b"body of " + key.encode())[0] == 200
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"body of " + key.encode()

    told = [(r.operation, r.key, r.status) for r in proxy.log]
    assert told[:2] == [("GetObject", "a/b c+%.txt", 200), ("HeadObject", "a/b c+%.txt", 200)]
    assert told[-1] == ("PutObject", "ü €/ñ", 200)


def test_a_conditional_put_wins_once(proxy, bucket):
    headers = {"If-None-Match": "*"}
    assert ask(proxy.url, "PUT", path(bucket, "new"), b"1", headers)[0] == 200
    assert ask(proxy.url, "PUT", path(bucket, "new"), b"2", headers)[0] == 412


def test_a_rule_hits_the_requests_it_names_and_no_others(proxy, bucket):
    rule = proxy.on("GetObject", r"/a/b", faults.status(503, "SlowDown"), first=2, count=2)
    found = [ask(proxy.url, "GET", path(bucket))[0] for _ in range(4)]
    assert found == [200, 503, 503, 200]
    assert (rule.matched, rule.hits) == (4, 2)
    assert [request.rule for request in proxy.log] == [None, rule, rule, None]


def test_a_dropped_put_is_not_done_and_one_dropped_after_is(proxy, bucket, s3):
    for fault, is_done in [(faults.drop, False), (faults.cut_request, False), (faults.drop_after, True)]:
        proxy.clear()
        proxy.on("PutObject", "", fault)
        with pytest.raises(OSError):
            ask(proxy.url, "PUT", path(bucket, fault.__name__), b"y" * 100)
        found = s3.list_objects_v2(Bucket=bucket, Prefix=fault.__name__)["KeyCount"]
        assert found == is_done, fault.__name__
    assert [r.status for r in proxy.requests("PutObject")] == [None] * 3


def test_an_answer_can_be_cut_or_slow(proxy, bucket):
    proxy.on("GetObject", "", faults.cut_answer)
    with pytest.raises((http.client.IncompleteRead, OSError)):
        ask(proxy.url, "GET", path(bucket))
    proxy.clear()
    proxy.on("GetObject", "", faults.slow_answer(0.2))
    assert ask(proxy.url, "GET", path(bucket))[2] == b"x" * 1000


def test_listings_come_in_pages_and_deletes_name_their_keys(proxy, bucket, s3):
    import boto3

    through = boto3.client(
        "s3",
        endpoint_url=proxy.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"p/{number}&", Body=b"")
    proxy.on("ListObjectsV2", f"^{bucket}/p/", faults.pages_of(2), count=faults.EVERY)
    pages = list(through.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="p/"))
    assert [len(page["Contents"]) for page in pages] == [2, 2, 1]

    kept = proxy.on("DeleteObjects", "p/3&", faults.status(503, "SlowDown"))
    through.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "p/3&"}, {"Key": "p/4&"}]})
    assert kept.hits == 1
    assert s3.list_objects_v2(Bucket=bucket, Prefix="p/")["KeyCount"] == 3
