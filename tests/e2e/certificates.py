# SPDX-License-Identifier: Apache-2.0
"""Certificates for a test, made by the openssl program."""
import os
import shutil
import subprocess
import tempfile


def openssl(*args, **more):
    subprocess.run(["openssl", *args], check=True, capture_output=True, **more)


class Authority:
    """A folder with an authority's certificate (ca) and what it signs."""

    def __init__(self, name="test"):
        self.dir = tempfile.mkdtemp(prefix="signet-test-")
        self.ca = self.path("ca.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-keyout", self.path("ca.key"), "-out", self.ca, "-subj", "/CN=%s authority" % name)

    def path(self, name):
        return os.path.join(self.dir, name)

    def sign(self, name, host="localhost", days=30):
        """(certificate, key): paths. days < 0: it has expired."""
        cert, key, request = self.path(name + ".pem"), self.path(name + ".key"), self.path(name + ".csr")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                "-out", request, "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.path("ca.key"), "-CAcreateserial",
                "-days", str(days), "-out", cert, "-extfile", "/dev/stdin",
                input=("subjectAltName=DNS:%s,IP:127.0.0.1\n" % host).encode())
        return cert, key

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)
