#!/usr/bin/python3
"""A TLS server that does as its paths say, for test-http.

It takes a directory, makes certificates there (ca.pem and what it has signed) and prints one line: the ports of the
usual server, of the one with an old key, of the one that speaks TLS 1.1 only, and of one without TLS. It ends with
its standard input.
"""

import gzip
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import warnings

REQUEST_MAX = 1 << 20


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def make_certificates(directory):
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "30", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
    (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", encoding="ascii")
    for name, kind in (("leaf", ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]), ("old", ["rsa:1024"])):
        openssl(directory, "req", "-newkey", *kind, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out",
                f"{name}.csr")
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "30", "-extfile", "names", "-out", f"{name}.pem")


def pattern(length):
    return (bytes(range(251)) * (length // 251 + 1))[:length]


class Server:
    """One listening socket; each connection a thread."""

    requests = 0   # of all of them
    connections = 0

    def __init__(self, context):
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            plain, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) if self.context else plain as connection:
                Server.connections += 1
                number = Server.connections
                while self.answer(connection, number):
                    pass
        except OSError:
            pass

    def answer(self, connection, number):
        """One request; false to close."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more or len(data) > REQUEST_MAX:
                return False
            data += more
            if not self.context:   # what TLS begins with is no HTTP
                return self.send(connection, 400, b"") and False
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        Server.requests += 1
        words = path.strip("/").split("/")
        act = getattr(self, "do_" + words[0].replace("-", "_"), None)
        if not act:
            return self.send(connection, 404, b"no such path")
        return act(connection, *words[1:], method=method, head=head, headers=headers, body=body, number=number)

    @staticmethod
    def send(connection, status, body, extra=(), with_body=True):
        head = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", *extra, "", ""]
        connection.sendall("\r\n".join(head).encode() + (body if with_body else b""))
        return True

    def do_hello(self, connection, method, **_):
        cookies = ['Set-Cookie: vmware_soap_session="52ab"; Path=/', "Set-Cookie: other=1", "X-Twice: a", "x-tWICE:  b "]
        return self.send(connection, 200, b"hello", cookies, with_body=method != "HEAD")

    def do_echo(self, connection, *_, head, body, **__):
        return self.send(connection, 200, head + b"\r\n\r\n" + body)

    def do_count(self, connection, number, **_):
        return self.send(connection, 200, f"{Server.requests} {number}".encode())

    def do_status(self, connection, status, **_):
        return self.send(connection, int(status), b"")

    def do_redirect(self, connection, **_):
        return self.send(connection, 302, b"", ["Location: /hello"])

    def do_continue(self, connection, **_):
        connection.sendall(b"HTTP/1.1 100 Continue\r\nX-Twice: wrong\r\n\r\n")
        return self.do_hello(connection, "GET")

    def do_bytes(self, connection, length, **_):
        return self.send(connection, 200, pattern(int(length)))

    def do_chunked(self, connection, length, end="whole", **_):
        body = pattern(int(length))
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 1000):
            piece = body[at:at + 1000]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        if end == "cut":
            return False
        connection.sendall(b"0\r\nX-Twice: behind\r\n\r\n")
        return True

    def do_cut(self, connection, length, sent, **_):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % length.encode() + pattern(int(sent)))
        return False

    def do_stall(self, connection, **_):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
        return bool(connection.recv(1))   # until the client goes

    def do_silent(self, connection, **_):
        return bool(connection.recv(1))

    def do_gzip(self, connection, headers, length="100000", **_):
        if headers.get("accept-encoding") != "gzip":
            return self.send(connection, 200, b"not asked for")
        return self.send(connection, 200, gzip.compress(bytes(int(length))), ["Content-Encoding: gzip"])

    def do_many_headers(self, connection, **_):
        return self.send(connection, 200, b"", [f"X-{i}: {'x' * 1000}" for i in range(100)])

    def do_garbage(self, connection, **_):
        connection.sendall(b"220 mail.example ready\r\n")
        return False

    def do_close(self, *_, **__):
        return False

    def do_once(self, connection, number, **_):
        """The connection goes away without a word, as after a time of rest."""
        self.send(connection, 200, str(number).encode())
        return False


def context(directory, name, settings="DEFAULT"):
    it = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    it.set_ciphers(settings)
    it.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    return it


def main():
    directory = pathlib.Path(sys.argv[1])
    make_certificates(directory)
    early = context(directory, "leaf", "ALL:@SECLEVEL=0")
    warnings.simplefilter("ignore")
    early.minimum_version = ssl.TLSVersion.TLSv1_1
    early.maximum_version = ssl.TLSVersion.TLSv1_1
    servers = [Server(context(directory, "leaf")), Server(context(directory, "old", "DEFAULT:@SECLEVEL=0")),
               Server(early), Server(None)]
    print(*(it.port for it in servers), flush=True)
    sys.stdin.read()


main()
