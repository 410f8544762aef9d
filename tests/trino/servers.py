"""moto, Trino, and what stands between them: started on free ports, stopped together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
CATALOG = "awsdatacatalog"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
REGION = "us-east-1"
JVM = [
    "-Xmx3G", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", "-XX:ReservedCodeCacheSize=256M",
    "-XX:-OmitStackTraceInFastThrow", "-Djdk.attach.allowAttachSelf=true", "-Dfile.encoding=UTF-8",
    "-Duser.timezone=UTC",
]  # fmt: skip


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Server:
    """A program that runs until `stop`, with its output in a file."""

    def __init__(self, name, command, folder, env=None):
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    def wait_until(self, ready, seconds):
        try:
            self.wait(ready, time.monotonic() + seconds)
        except BaseException:
            self.stop()
            raise

    def wait(self, ready, end):
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if ready():
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.3)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
        raise RuntimeError(f"{self.name} did not start; the end of {self.log}:\n{tail}")

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(15)
                except subprocess.TimeoutExpired:
                    continue


def read_json(address):
    with urllib.request.urlopen(address, timeout=5) as answer:
        return json.load(answer)


class Moto(Server):
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        program = [sys.executable, "-B", HERE / "aws.py"]
        super().__init__("moto", [*program, "-H", "127.0.0.1", "-p", self.port], folder, KEYS)
        self.wait_until(lambda: read_json(f"{self.url}/moto-api/data.json") is not None, 60)


class TrinoError(Exception):
    def __init__(self, error):
        self.name, self.error = error.get("errorName"), error
        super().__init__(f"{self.name}: {error.get('message')}")

    @property
    def causes(self):
        """Type, message and place of each failure in the chain."""
        failure, lines = self.error.get("failureInfo"), []
        while failure:
            place = failure.get("stack", ["?"])[0]
            lines.append(f"{failure.get('type')}: {failure.get('message')} at {place}")
            failure = failure.get("cause")
        return lines


class Trino(Server):
    """One node of Trino with the Hive connector on Glue and S3, as near to Athena's as it goes."""

    def __init__(self, distribution, version, folder, glue, s3):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.write_settings(distribution, folder, glue, s3)
        java = Path(os.environ["JAVA_HOME"], "bin/java") if "JAVA_HOME" in os.environ else "java"
        settings = [
            f"-Dconfig={folder}/etc/config.properties",
            f"-Dlog.levels-file={folder}/etc/log.properties",
        ]
        launch = ["-cp", f"{distribution}/lib/*", HERE / "server/Launch.java", version]
        super().__init__("trino", [java, *JVM, *settings, *launch], folder)
        self.wait_until(lambda: not read_json(f"{self.url}/v1/info")["starting"], 300)

    def write_settings(self, distribution, folder, glue, s3):
        access, secret = KEYS.values()
        files = {
            "config.properties": {
                "node.environment": "trailmill",
                "coordinator": "true",
                "node-scheduler.include-coordinator": "true",
                "http-server.http.port": self.port,
                "discovery.uri": self.url,
                "plugin.dir": f"{distribution}/plugin",
                "catalog.config-dir": folder / "etc/catalog",
                "query.max-memory": "1GB",
                "query.max-memory-per-node": "1GB",
            },
            "log.properties": {"io.trino": "INFO"},
            f"catalog/{CATALOG}.properties": {
                "connector.name": "hive",
                "hive.partition-projection-enabled": "true",
                "hive.non-managed-table-writes-enabled": "true",
                "hive.collect-column-statistics-on-write": "false",
                "hive.metastore": "glue",
                "hive.metastore.glue.endpoint-url": glue,
                "hive.metastore.glue.region": REGION,
                "hive.metastore.glue.aws-access-key": access,
                "hive.metastore.glue.aws-secret-key": secret,
                "fs.hadoop.enabled": "false",
                "fs.native-s3.enabled": "true",
                "s3.endpoint": s3,
                "s3.region": REGION,
                "s3.path-style-access": "true",
                "s3.aws-access-key": access,
                "s3.aws-secret-key": secret,
            },
        }
        for name, settings in files.items():
            file = folder / "etc" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def run(self, sql, database=None):
        """(columns, rows) of a statement, or TrinoError."""
        headers = {
            "X-Trino-User": "trailmill",
            "X-Trino-Catalog": CATALOG,
            "X-Trino-Time-Zone": "UTC",
        }
        if database:
            headers["X-Trino-Schema"] = database
        request = urllib.request.Request(f"{self.url}/v1/statement", sql.encode(), headers)
        columns, rows = [], []
        while request is not None:
            with urllib.request.urlopen(request, timeout=300) as response:
                answer = json.load(response)
            if "error" in answer:
                raise TrinoError(answer["error"])
            columns = answer.get("columns", columns)
            rows += answer.get("data", [])
            following = answer.get("nextUri")
            request = following and urllib.request.Request(following, headers=headers)
        return columns, rows
