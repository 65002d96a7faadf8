"""An HTTPS server like that of vCenter and ESXi: files of a datastore by ranges, exported disks as a stream.

It is strict where they are (a wrong cookie, name, method or range is refused) and does wrong what a test asks for.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import threading

CLUSTER = 65536
PIECE = 1 << 18
HEAD_MAX = 1 << 16
MODIFIED = "Sat, 21 Nov 2026 08:00:00 GMT"


class Certificate:
    """A CA of its own and what it signed for 127.0.0.1; files in DIRECTORY."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.openssl("req", "-x509", *key, "-days", "30", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
        self.openssl("req", *key, "-subj", "/CN=esx", "-keyout", "leaf.key", "-out", "leaf.csr")
        (self.directory / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="ascii")
        self.openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "30", "-extfile", "names", "-out", "leaf.pem")
        der = ssl.PEM_cert_to_DER_cert((self.directory / "leaf.pem").read_text(encoding="ascii"))
        self.sha1, self.sha256 = (re.sub("(..)(?!$)", r"\1:", sum(der).hexdigest().upper())
                                  for sum in (hashlib.sha1, hashlib.sha256))
        self.ca = self.directory / "ca.pem"

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def context(self):
        it = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        it.load_cert_chain(self.directory / "leaf.pem", self.directory / "leaf.key")
        return it


@dataclasses.dataclass
class Fault:
    """What goes wrong with an answer, so many TIMES, after so many good requests."""

    kind: str             # status | cut | reset | short | other-range | other-size | other-date | stall | ignore-range | end
    after: int = 0        # requests before the first
    times: int = 1
    status: int = 503
    headers: tuple = ()
    bytes: int = 0        # of the body that are sent before it


class Web:
    """A server over room.path(...) files. Use as a context."""

    FILE = "/folder/web%2001/web01-flat.vmdk?dcPath=DC%25200&dsName=ds%25201"
    EXPORT = "/nfc/52d3-ticket/disk-0.vmdk"

    def __init__(self, certificate, path, faults=(), max_busy=0):
        self.certificate = certificate
        self.path = path
        self.faults = list(faults)
        self.max_busy = max_busy      # more requests at once get a 503; 0: any number
        self.cookie = 'vmware_soap_session="52ab7c"'
        self.lock = threading.Lock()
        self.requests = []            # (method, first byte, length) of those that were well-formed
        self.statuses = []
        self.busy = self.most_busy = 0
        self.crowded = threading.Event()
        self.connections = 0
        self.expire_after = None      # requests, then the cookie is another
        self.fuse = None              # (requests left, what to call)
        self.earlier, self.present = set(), set()   # clusters asked for, by earlier runs and in this one
        self.repeated = 0
        self.open = set()
        self.context = certificate.context()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in list(self.open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)

    # What a copy is told.

    def source(self, **fields):
        return {"kind": "https", "name": "[ds 1] web 01/web01.vmdk", "uri": f"https://127.0.0.1:{self.port}{self.FILE}",
                "cookie": self.cookie, "thumbprint": self.certificate.sha1, "identity": "vm-16 snapshot-3", **fields}

    def export(self, **fields):
        return {"kind": "export", "name": "disk-0.vmdk", "uri": f"https://127.0.0.1:{self.port}{self.EXPORT}",
                "thumbprint": self.certificate.sha256, "cookie": None, **fields}

    # Runs, as a Meter counts them.

    def begin_run(self, _operation=None, requests=0, action=None):
        with self.lock:
            self.earlier |= self.present
            self.present, self.repeated = set(), 0
            self.fuse = (requests, action) if action else None

    def end_run(self):
        with self.lock:
            self.fuse = None
            return self.repeated

    def count_sent(self, offset, length):
        """So much of the answer went out: that is what a copy may have kept."""
        with self.lock:
            for cluster in range(offset // CLUSTER, -(-(offset + length) // CLUSTER)):
                if cluster not in self.present:
                    self.repeated += CLUSTER if cluster in self.earlier else 0
                    self.present.add(cluster)

    # Serving.

    def listen(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.wrap_socket(plain, server_side=True) as connection:
                with self.lock:
                    self.open.add(connection)
                    self.connections += 1
                try:
                    while self.one_request(connection):
                        pass
                finally:
                    with self.lock:
                        self.open.discard(connection)
        except (OSError, ValueError):
            plain.close()

    def one_request(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(HEAD_MAX)
            if not more or len(head) > HEAD_MAX:
                return False
            head += more
        lines = head[:-4].decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (it.partition(":") for it in lines[1:])}
        assert version == "HTTP/1.1" and headers["host"] == f"127.0.0.1:{self.port}", lines
        assert "accept-encoding" not in headers and "authorization" not in headers, lines
        with self.lock:
            self.busy += 1
            too_busy = self.max_busy and self.busy > self.max_busy
            self.most_busy = max(self.most_busy, self.busy)
        try:
            if too_busy:
                self.crowded.set()
                return self.refuse(connection, 503)
            if self.max_busy and self.requests:   # none is answered before one had to be sent away
                self.crowded.wait(30)
            return self.answer(connection, method, target, headers)
        finally:
            with self.lock:
                self.busy -= 1

    def refuse(self, connection, status, headers=()):
        with self.lock:
            self.statuses.append(status)
        body = b"<html>no</html>"
        head = [f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", *headers, "", ""]
        connection.sendall("\r\n".join(head).encode() + body)
        return True

    def next_fault(self):
        """The fault that this request gets; it also counts the request."""
        fired = None
        with self.lock:
            number = len(self.requests)
            if self.expire_after is not None and number >= self.expire_after:
                self.expire_after = None
                self.cookie = 'vmware_soap_session="another"'
            for fault in self.faults:
                if number >= fault.after and fault.times > 0:
                    fault.times -= 1
                    fired = fault
                    break
            if self.fuse:
                left, action = self.fuse
                self.fuse = (left - 1, action) if left > 1 else None
                if left == 1:
                    action()
        return fired

    def answer(self, connection, method, target, headers):
        fault = self.next_fault()
        if fault and fault.kind == "status":
            with self.lock:
                self.requests.append((method, 0, 0))
            return self.refuse(connection, fault.status, fault.headers)
        if target == self.EXPORT and method == "GET":
            with self.lock:
                self.requests.append((method, 0, 0))
            return self.send_export(connection, fault)
        if headers.get("cookie") != self.cookie:
            return self.refuse(connection, 401)
        if target != self.FILE:
            return self.refuse(connection, 404)
        if method not in ("GET", "HEAD"):
            return self.refuse(connection, 405)
        return self.send_range(connection, method, headers.get("range"), fault)

    def send_range(self, connection, method, asked, fault):
        size = os.stat(self.path).st_size
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked or "")
        if not found or method == "HEAD" or (fault and fault.kind == "ignore-range"):
            self.send_head(connection, 200, [f"Content-Length: {size}"])
            return method == "HEAD" or self.send_body(connection, 0, size, size)
        first, last = int(found[1]), min(int(found[2]), size - 1)
        if first >= size or last < first:
            return self.refuse(connection, 416)
        length = last + 1 - first
        with self.lock:
            self.requests.append((method, first, length))
        kind = fault.kind if fault else ""
        shift = 512 if kind == "other-range" else 0
        total = size + 512 if kind == "other-size" else "*" if kind == "no-size" else size
        told = max(length // 2, 1) if kind == "short" else length
        date = "Sat, 21 Nov 2026 09:00:00 GMT" if kind == "other-date" else MODIFIED
        self.send_head(connection, 206, [f"Content-Range: bytes {first + shift}-{last + shift}/{total}",
                                         f"Content-Length: {told}", f"Last-Modified: {date}"])
        if kind in ("cut", "reset", "stall"):
            self.send_body(connection, first, min(fault.bytes, length), size)
            return self.break_off(connection, kind)
        return self.send_body(connection, first, told, size)

    def send_head(self, connection, status, lines):
        with self.lock:
            self.statuses.append(status)
        connection.sendall("\r\n".join([f"HTTP/1.1 {status} OK", *lines, "", ""]).encode())

    def send_body(self, connection, offset, length, size):
        assert offset + length <= size
        with open(self.path, "rb") as file:
            file.seek(offset)
            while length > 0:
                piece = file.read(min(PIECE, length))
                connection.sendall(piece)
                self.count_sent(offset, len(piece))
                offset += len(piece)
                length -= len(piece)
        return True

    @staticmethod
    def break_off(connection, kind):
        if kind == "stall":
            connection.recv(1)   # until the other side goes
        if kind == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def send_export(self, connection, fault):
        """Chunks of many sizes and no length, as ESXi sends it."""
        self.send_head(connection, 200, ["Transfer-Encoding: chunked", "Content-Type: application/x-vnd.vmware-streamVmdk"])
        with open(self.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            left = min(fault.bytes, size) if fault else size
            number = 0
            while left > 0:
                number += 1
                piece = file.read(min(left, number * 7919 % PIECE + 1))
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                left -= len(piece)
        if fault and fault.kind != "end":
            return self.break_off(connection, fault.kind)
        connection.sendall(b"0\r\n\r\n")
        return True
