"""A reverse proxy that breaks requests on purpose, between the program and a test server.

Everything passes through as it came, signatures included, until a rule says otherwise: a rule names an
operation and a pattern for `bucket/key`, which of the requests that match it are hit, and a fault.
Every request is kept in a log with what became of it.

    proxy = FaultyProxy("http://127.0.0.1:5000")
    slow_down = proxy.on("PutObject", r"/_trailmill/manifests/", status(503, "SlowDown"), count=2)
    …                        # run the program against proxy.url
    assert slow_down.hits == 2

Standard library only. Bodies are kept in memory: the archives of tests are small.
"""

import http.client
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVERY = 1 << 30
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection"}
# Two conditional puts of one key must not overtake one another in the server: S3 is atomic there, test
# servers look first and then write.
ONE_CONDITIONAL_PUT = threading.Lock()


class Request:
    """What the client asked, and what became of it."""

    def __init__(self, method, target, headers):
        self.method, self.target = method, target
        self.headers = {name.lower(): value for name, value in headers}
        path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        bucket, _, key = path[1:].partition("/")
        self.bucket, self.key = urllib.parse.unquote(bucket), urllib.parse.unquote(key)
        self.body = b""
        self.operation = self._operation()
        if self.operation.startswith("List") and self.bucket:
            self.key = self.query.get("prefix", "")
        # What the client was told; None when it was told nothing.
        self.status = None
        # What the server said; None when it was not asked.
        self.upstream_status = None
        self.rule = None

    def _operation(self):
        if "x-amz-target" in self.headers:
            return self.headers["x-amz-target"].rpartition(".")[2]
        if not self.bucket:
            return "GetCallerIdentity" if self.method == "POST" else "ListBuckets"
        return self._of_object() if self.key else self._of_bucket()

    def _of_bucket(self):
        if self.method == "POST" and "delete" in self.query:
            return "DeleteObjects"
        if self.method == "HEAD":
            return "HeadBucket"
        if self.method == "GET":
            for name, operation in [
                ("list-type", "ListObjectsV2"),
                ("uploads", "ListMultipartUploads"),
                ("location", "GetBucketLocation"),
                ("policyStatus", "GetBucketPolicyStatus"),
                ("policy", "GetBucketPolicy"),
                ("acl", "GetBucketAcl"),
                ("publicAccessBlock", "GetPublicAccessBlock"),
                ("encryption", "GetBucketEncryption"),
                ("requestPayment", "GetBucketRequestPayment"),
                ("versioning", "GetBucketVersioning"),
            ]:
                if name in self.query:
                    return operation
            return "ListObjects"
        return f"{self.method} bucket"

    def _of_object(self):
        if self.method == "PUT":
            if "partNumber" in self.query:
                return "UploadPart"
            return "CopyObject" if "x-amz-copy-source" in self.headers else "PutObject"
        if self.method == "POST":
            return "CreateMultipartUpload" if "uploads" in self.query else "CompleteMultipartUpload"
        if self.method == "DELETE":
            return "AbortMultipartUpload" if "uploadId" in self.query else "DeleteObject"
        return {"GET": "GetObject", "HEAD": "HeadObject"}.get(self.method, self.method)

    @property
    def keys(self):
        """The keys it is about: one, or those in the body of a DeleteObjects."""
        if self.operation != "DeleteObjects":
            return [self.key]
        found = re.findall(r"<Key>(.*?)</Key>", self.body.decode("utf-8", "replace"), re.S)
        return [_unescape(key) for key in found]

    @property
    def places(self):
        """`bucket/key` of everything it is about."""
        return [f"{self.bucket}/{key}" for key in self.keys]

    @property
    def is_write(self):
        is_put = self.method in ("PUT", "POST", "DELETE") and "x-amz-target" not in self.headers
        return is_put and self.operation != "GetCallerIdentity"

    @property
    def is_conditional(self):
        return "if-none-match" in self.headers or "if-match" in self.headers

    def __repr__(self):
        told = "dropped" if self.status is None else self.status
        return f"{self.operation} {' '.join(self.places)} -> {told}"


def _unescape(text):
    for entity, char in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")]:
        text = text.replace(entity, char)
    return text


class Answer:
    """What the server said."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Rule:
    """A fault, and which requests it happens to."""

    def __init__(self, fault, operation, place, first, count):
        self.fault, self.place = fault, re.compile(place)
        self.operations = {operation} if isinstance(operation, str) else set(operation or ())
        self.first, self.count = first, count
        # How many requests matched, and how many of them were hit.
        self.matched = self.hits = 0
        self.is_hit = threading.Event()

    def takes(self, request):
        """Whether this request is hit; counts it. The proxy holds its lock."""
        if self.operations and request.operation not in self.operations:
            return False
        if not any(self.place.search(place) for place in request.places):
            return False
        self.matched += 1
        is_hit = self.first <= self.matched < self.first + self.count
        if is_hit:
            self.hits += 1
            self.is_hit.set()
        return is_hit

    def wait(self, seconds=30):
        """Waits until a request was hit."""
        assert self.is_hit.wait(seconds), f"no request was hit: {self.operations} {self.place.pattern}"


class Exchange:
    """One request on its way; faults decide what happens to it."""

    def __init__(self, proxy, handler, request):
        self.proxy, self.handler, self.request = proxy, handler, request
        self.length = int(request.headers.get("content-length", 0))
        self.is_read = False

    def read_body(self):
        if self.is_read:
            return
        self.is_read = True
        if "chunked" in self.request.headers.get("transfer-encoding", "").lower():
            self.request.body = self._read_chunks()
        else:
            self.request.body = self.handler.rfile.read(self.length)

    def _read_chunks(self):
        out = b""
        while True:
            size = int(self.handler.rfile.readline().split(b";")[0], 16)
            out += self.handler.rfile.read(size)
            self.handler.rfile.readline()
            if size == 0:
                return out

    def forward(self):
        """Lets the server do it; returns what it says."""
        self.read_body()
        if self.request.method == "PUT" and self.request.is_conditional:
            with ONE_CONDITIONAL_PUT:
                answer = self.handler.ask(self.request)
        else:
            answer = self.handler.ask(self.request)
        self.request.upstream_status = answer.status
        return answer

    def send(self, answer, body_bytes=None):
        """Tells the client; only the first `body_bytes` of the body if given."""
        self.handler.tell(self.request, answer, body_bytes)

    def answer(self, code, name, message="made up by a test"):
        """Tells the client an error, as S3 words it or as JSON services do."""
        self.read_body()
        if "x-amz-target" in self.request.headers:
            kind, body = "application/x-amz-json-1.1", f'{{"__type":"{name}","Message":"{message}"}}'
        else:
            kind = "application/xml"
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>{name}</Code><Message>{message}</Message>"
                f"<Resource>/{self.request.bucket}</Resource><RequestId>TEST</RequestId></Error>"
            )
        headers = [("Content-Type", kind), ("x-amz-request-id", "TEST")]
        self.send(Answer(code, headers, body.encode()))

    def drop(self):
        """Resets the connection."""
        self.handler.reset()


# Faults: each takes an exchange, and leaves it answered or dropped.


def passes(exchange):
    """No fault: for counting."""
    exchange.send(exchange.forward())


def status(code, name, message="made up by a test"):
    """Answers with an error and does nothing: 503 SlowDown, 403 AccessDenied, 409, 412, 400 …"""
    return lambda exchange: exchange.answer(code, name, message)


def drop(exchange):
    """Resets the connection before anything is done."""
    exchange.read_body()
    exchange.drop()


def cut_request(exchange):
    """Resets the connection in the middle of the client's body; nothing is done."""
    exchange.handler.rfile.read(exchange.length // 2)
    exchange.drop()


def cut_answer(exchange):
    """Resets the connection in the middle of the server's body."""
    answer = exchange.forward()
    exchange.send(answer, len(answer.body) // 2)
    exchange.drop()


def drop_after(exchange):
    """Lets the server do it and resets the connection: the client cannot know."""
    exchange.forward()
    exchange.drop()


def status_after(code, name):
    """Lets the server do it and answers with an error: the client cannot know."""

    def fault(exchange):
        exchange.forward()
        exchange.answer(code, name)

    return fault


def once_per_key(fault):
    """Does `fault` to the first request of each key, and nothing to those that come again."""
    seen, lock = set(), threading.Lock()

    def first_only(exchange):
        with lock:
            is_first = exchange.request.key not in seen
            seen.add(exchange.request.key)
        (fault if is_first else passes)(exchange)

    return first_only


def late(seconds):
    """Lets the server do it, some time later."""

    def fault(exchange):
        time.sleep(seconds)
        passes(exchange)

    return fault


def slow_answer(seconds, pieces=20):
    """Sends the server's body in small pieces, over so many seconds."""

    def fault(exchange):
        answer = exchange.forward()
        size = max(1, -(-len(answer.body) // pieces))
        exchange.send(answer, 0)
        for start in range(0, len(answer.body), size):
            time.sleep(seconds / pieces)
            exchange.handler.wfile.write(answer.body[start : start + size])

    return fault


def hold(gate):
    """Waits for an event before the server does it."""

    def fault(exchange):
        exchange.read_body()
        gate.wait(600)
        passes(exchange)

    return fault


def silence(gate):
    """Says nothing until an event, and does nothing."""

    def fault(exchange):
        exchange.read_body()
        gate.wait(600)
        exchange.drop()

    return fault


def before(callback):
    """Calls back before the server does it, and then it is not done: a kill at a boundary."""

    def fault(exchange):
        exchange.read_body()
        callback()
        exchange.drop()

    return fault


def after(callback):
    """Calls back when the server has done it, and the client is not told: a kill at a boundary."""

    def fault(exchange):
        exchange.forward()
        callback()
        exchange.drop()

    return fault


def meanwhile(callback):
    """Calls back before the server does it: what somebody else does between two requests."""

    def fault(exchange):
        callback()
        passes(exchange)

    return fault


def pages_of(count):
    """Makes listings come in pages of so many keys."""

    def fault(exchange):
        exchange.request.target += f"&max-keys={count}"
        passes(exchange)

    return fault


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one of its own to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # An idle connection ends by itself.
    timeout = 60
    upstream = None

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.exchange
        raise AttributeError(name)

    def exchange(self):
        proxy = self.server.proxy
        request = Request(self.command, self.path, self.headers.items())
        exchange = Exchange(proxy, self, request)
        # Keys of a DeleteObjects are in its body; other bodies are read when a fault has been chosen.
        if request.operation == "DeleteObjects":
            exchange.read_body()
        fault = proxy.begin(request)
        try:
            fault(exchange)
        except OSError:
            # The client went away: it was killed, or told to.
            self.close_connection = True
        finally:
            proxy.end()

    def ask(self, request):
        """Passes the request on as it came and returns the answer."""
        for attempt in (1, 2):
            if self.upstream is None:
                self.upstream = http.client.HTTPConnection(*self.server.proxy.server, timeout=120)
            try:
                self.upstream.putrequest(
                    request.method, request.target, skip_host=True, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.upstream.putheader(name, value)
                if request.body or request.method in ("PUT", "POST"):
                    self.upstream.putheader("Content-Length", str(len(request.body)))
                self.upstream.endheaders(request.body or None)
                found = self.upstream.getresponse()
                return Answer(found.status, found.getheaders(), found.read())
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # An idle connection that the server had closed; nothing was done.
                self.upstream.close()
                self.upstream = None
                if attempt == 2:
                    raise
        raise AssertionError

    def tell(self, request, answer, body_bytes):
        request.status = answer.status
        names = {name.lower(): value for name, value in answer.headers}
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, 'x')}"]
        lines += [f"{n}: {v}" for n, v in answer.headers if n.lower() not in HOP_BY_HOP]
        if request.method == "HEAD":
            lines += [f"Content-Length: {names.get('content-length', 0)}"]
        elif answer.status not in (204, 304):
            lines += [f"Content-Length: {len(answer.body)}"]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = b"" if request.method == "HEAD" else answer.body
        self.wfile.write(head + (body if body_bytes is None else body[:body_bytes]))

    def reset(self):
        """Closes the connection so that the client sees a reset, not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def finish(self):
        if self.upstream is not None:
            self.upstream.close()
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """Clients that went away are no news; a fault that failed is."""
        err = sys.exc_info()[1]
        if not isinstance(err, OSError):
            self.proxy.problems.append(repr(err))


class FaultyProxy:
    """A proxy on a free port of this machine, until it is stopped."""

    def __init__(self, endpoint):
        address = urllib.parse.urlsplit(endpoint)
        self.server = (address.hostname, address.port)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._in_flight = 0
        self._rules = []
        # What went wrong in here; tests insist on nothing.
        self.problems = []
        self.clear_log()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.proxy = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def on(self, operation, place, fault, first=1, count=1):
        """Adds a rule: `fault` happens to the `first` request that matches, and `count` in all.

        `operation` is S3's name for it, several of them, or None for any; `place` is searched for in
        `bucket/key`, for listings in `bucket/prefix`. The first rule that takes a request has it.
        """
        rule = Rule(fault, operation, place, first, count)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self):
        """Forgets all rules: the network is well again."""
        with self._lock:
            self._rules = []

    def clear_log(self):
        """Forgets what was asked so far."""
        with self._lock:
            self.log = []
            # The most requests that were under way at once.
            self.peak = 0

    def begin(self, request):
        with self._lock:
            self.log.append(request)
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            for rule in self._rules:
                if rule.takes(request):
                    request.rule = rule
                    return rule.fault
        return passes

    def end(self):
        with self._lock:
            self._in_flight -= 1
            self._idle.notify_all()

    def drain(self, seconds=30):
        """Waits until nothing is under way: what a killed client had sent may still arrive."""
        with self._lock:
            assert self._idle.wait_for(lambda: self._in_flight == 0, seconds)

    def requests(self, operation=None, place=""):
        """Returns the logged requests of an operation whose `bucket/key` has a match of `place`."""
        with self._lock:
            log = list(self.log)
        found = [r for r in log if operation is None or r.operation == operation]
        return [r for r in found if any(re.search(place, name) for name in r.places)]

    def writes(self):
        """Returns the logged requests that change a bucket."""
        with self._lock:
            return [request for request in self.log if request.is_write]

    def stop(self):
        self._http.shutdown()
        self._http.server_close()
