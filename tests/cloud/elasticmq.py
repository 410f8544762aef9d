"""ElasticMQ, a queue with SQS's interface that keeps to its rules more strictly than moto.

It comes from Maven Central the first time, 36 MB, and is kept beside the program that is tested. Where there is
no Java, no Maven or no network, tests that need it are skipped, and say so.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import BINARY

HERE = Path(__file__).parent / "elasticmq_server"
MAVEN = ["mvn", "--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never", "-f", str(HERE / "pom.xml")]
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def libraries():
    """The folder with its libraries."""
    folder = BINARY.parent.parent / "elasticmq-1.6.12"
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None:
        pytest.skip("ElasticMQ is not there and needs Maven to be fetched: install maven")
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        lib = Path(made) / "lib"
        done = subprocess.run(
            [*MAVEN, COPY, f"-DoutputDirectory={lib}"], capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"ElasticMQ could not be fetched: {done.stdout[-500:]}")
        try:
            lib.rename(folder)
        except OSError:
            # Another worker was faster.
            assert folder.is_dir()
    return folder


class ElasticMq:
    """The server, as a process of its own."""

    def __enter__(self):
        java = shutil.which("java")
        if java is None or shutil.which("javac") is None:
            pytest.skip("ElasticMQ needs a JDK: install default-jdk-headless")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [java, "-cp", f"{libraries()}/*", str(HERE / "Launch.java"), str(port)]
        self.log = tempfile.TemporaryFile("w+")
        env = {"PATH": os.environ.get("PATH", "")}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=env)
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                return self
            except urllib.error.HTTPError:
                return self
            except OSError:
                assert self.process.poll() is None, self.said()
                time.sleep(0.2)
        raise AssertionError(self.said())

    def said(self):
        self.log.seek(0)
        return f"ElasticMQ did not start:\n{self.log.read()}"

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
