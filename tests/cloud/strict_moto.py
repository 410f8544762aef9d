"""moto's server, with conditional puts that are atomic, and without work that says the same for every request.

moto looks at `If-Match` and `If-None-Match` and stores the object afterwards, on a thread for each request: of two puts
at the same moment both may succeed. S3 lets one of them win (docs.aws.amazon.com/AmazonS3/latest/userguide,
"Conditional writes"), and the lease of a lake depends on it.

For each request moto lists its own package, to find a service by a host name, and writes a line of a log that nobody
reads: a third of the time that it takes for a small one.

    python tests/cloud/strict_moto.py -H 127.0.0.1 -p 5000
"""

import functools
import io
import threading

import moto.server
from werkzeug.serving import WSGIRequestHandler

CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")


class Application(moto.server.DomainDispatcherApplication):
    """One conditional write at a time."""

    writing = threading.Lock()

    @functools.lru_cache(maxsize=10_000)  # noqa: B019
    def get_backend_for_host(self, host):
        return super().get_backend_for_host(host)

    def __call__(self, environ, start_response):
        is_write = environ["REQUEST_METHOD"] in ("PUT", "POST")
        if not is_write or not any(name in environ for name in CONDITIONS):
            return super().__call__(environ, start_response)
        # First the body: a client that stops in the middle of it must not hold up the others.
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        with self.writing:
            return super().__call__(environ, start_response)


if __name__ == "__main__":
    moto.server.DomainDispatcherApplication = Application
    WSGIRequestHandler.log_request = lambda *_: None
    moto.server.main()
