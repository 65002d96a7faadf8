"""Certificates of the lab: a CA of its own, and a server's certificate signed by it, made by the openssl program."""

import hashlib
import ipaddress
import pathlib
import ssl
import subprocess

DAYS = "3650"


class Certificates:
    """ca, certificate, key: paths. thumbprint (SHA-1) and thumbprint_sha256 of the server: "AA:BB:..". """

    def __init__(self, directory, names):
        self.directory = pathlib.Path(directory)
        self.ca = self.directory / "ca.pem"
        self.certificate = self.directory / "server.pem"
        self.key = self.directory / "server.key"
        if not self.certificate.exists():
            self.make(names)
        data = ssl.PEM_cert_to_DER_cert(self.certificate.read_text(encoding="ascii"))
        self.thumbprint = colons(hashlib.sha1(data).hexdigest())
        self.thumbprint_sha256 = colons(hashlib.sha256(data).hexdigest())

    def make(self, names):
        ca_key, request, extensions = (self.directory / name for name in ("ca.key", "server.csr", "server.ext"))
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS, "-keyout", ca_key, "-out", self.ca,
                     "-subj", "/O=lab/CN=The lab's own CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", request,
                     "-subj", "/O=lab/CN=localhost")
        extensions.write_text("subjectAltName=" + ",".join(map(alternative, names))
                              + "\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n", encoding="ascii")
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", DAYS,
                     "-extfile", extensions, "-out", self.certificate)
        self.key.chmod(0o600)
        ca_key.chmod(0o600)

    @staticmethod
    def openssl(*words):
        result = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
        if result.returncode:
            raise OSError(f"openssl {words[0]} failed: {result.stderr.strip()}")

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


def alternative(name):
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def colons(digits):
    return ":".join(digits[place:place + 2] for place in range(0, len(digits), 2)).upper()
