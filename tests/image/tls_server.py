"""A test server behind TLS, under an authority that nobody knows."""

import datetime
import ipaddress
import re
import subprocess
import sys
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PEM = serialization.Encoding.PEM
HERE = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)


def signed(subject, key, issuer, issuer_key, extension):
    """A certificate of today, as PEM."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        subject_name=named(subject),
        issuer_name=named(issuer),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(hours=1),
        not_valid_after=now + datetime.timedelta(days=1),
    )
    made = builder.add_extension(extension, critical=False).sign(issuer_key, hashes.SHA256())
    return made.public_bytes(PEM)


def named(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def started(folder):
    """Yields moto's address and the file of its authority's certificate; stops it afterwards."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    key = server.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "authority.crt").write_bytes(signed("tests", authority, "tests", authority, AUTHORITY))
    (folder / "server.crt").write_bytes(signed("moto", server, "tests", authority, HERE))
    (folder / "server.key").write_bytes(key)
    log = tempfile.TemporaryFile("w+")
    command = [sys.executable, "-B", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0", "--ssl"]
    command += ["--ssl-cert", folder / "server.crt", "--ssl-key", folder / "server.key"]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield address(process, log), folder / "authority.crt"
    finally:
        process.terminate()
        process.wait(10)


def address(process, log):
    for _ in range(600):
        log.seek(0)
        said = log.read()
        found = re.search(r"Running on (https://127\.0\.0\.1:\d+)", said)
        if found:
            return found.group(1)
        assert process.poll() is None, f"the server ended:\n{said}"
        time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{said}")
