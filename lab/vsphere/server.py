"""The HTTPS server: SOAP at /sdk, files at /folder, leases at /nfc. A thread for each connection, kept alive."""

import base64
import binascii
import gzip
import re
import time
import traceback

from kept_server import KeptHandler, KeptServer

from . import fault as faults
from . import soap
from .fault import Fault, Hangup, HttpError
from .links import StorageFault
from .machine_methods import fault_of

GZIP_MIN = 1024
CHUNK_LINE_MAX = 256
VERSIONS = ("8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.2", "8.0.0.1", "7.0.3.2", "7.0.3.1", "7.0.3.0", "7.0.2.1",
            "7.0.2.0", "7.0.1.1", "7.0.1.0", "7.0.0.2", "7.0", "6.9.1", "6.8.7", "6.7.3", "6.7.2", "6.7.1", "6.7",
            "6.5", "6.0", "5.5", "5.1", "5.0", "4.1", "4.0", "2.5u2server", "2.5u2", "2.5")
OLDEST = (2, 5)


def number(version):
    return tuple(int(part) for part in re.match(r"[\d.]+", version).group().split("."))


class Server(KeptServer):
    def __init__(self, lab, port):
        self.requests_done = 0
        self.versions = [text for text in VERSIONS if number(text) <= number(lab.site.api_version)]
        super().__init__(lab, port, Handler, lab.certificates.context())

    def version_of(self, action):
        """The version of the API that a SOAPAction header asks for; without one it is the oldest."""
        match = re.fullmatch(r'"?urn:(?:internal)?vim25/([^"]+)"?', (action or "").strip())
        if not match:
            if (action or "").strip(' "') in ("", "urn:vim25", "urn:internalvim25"):
                return OLDEST
            raise soap.invalid(f"Unsupported namespace URI in SOAPAction {action!r}")
        if match[1] not in self.versions:
            raise soap.invalid(f'Unsupported version URI "urn:vim25/{match[1]}"', "while parsing SOAP envelope")
        return number(match[1])

    def versions_document(self):
        prior = "".join(f"<version>{text}</version>" for text in self.versions[1:])
        return ('<?xml version="1.0" encoding="UTF-8" ?>\n<namespaces version="1.0"><namespace><name>urn:vim25</name>'
                f"<version>{self.versions[0]}</version><priorVersions>{prior}</priorVersions></namespace>"
                "<namespace><name>urn:vim2</name><version>2.0</version></namespace></namespaces>\n").encode()


class Cookied:
    """A connection whose next answer sets a cookie."""

    def __init__(self, connection, cookie):
        self.connection = connection
        self.line = f"Set-Cookie: {cookie}\r\n".encode()

    def sendall(self, data):
        if self.line:
            status, _, rest = bytes(data).partition(b"\r\n")
            data, self.line = status + b"\r\n" + self.line + rest, None
        self.connection.sendall(data)


class Handler(KeptHandler):
    @property
    def lab(self):
        return self.server.lab

    def answer(self, status, body, kind="text/html", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # Files and leases.

    def do_GET(self):
        with self.server.lock:
            self.server.requests_done += 1
        path = self.path.partition("?")[0]
        if path == "/sdk/vimServiceVersions.xml":
            self.answer(200, self.server.versions_document(), "text/xml")
        elif path == "/folder" or path.startswith("/folder/"):
            self.serve_folder()
        elif path.startswith("/nfc/"):
            self.hand_over(self.lab.leases.handle, self.connection)
        else:
            self.answer(404, b"404 Not Found")

    do_HEAD = do_GET

    def hand_over(self, handle, connection, *more):
        headers = {key.lower(): value for key, value in self.headers.items()}
        if not handle(connection, self.command, self.path, headers, *more):
            self.close_connection = True
        elif headers.get("connection", "").lower() == "close":
            self.close_connection = True

    def serve_folder(self):
        sessions, cookie = self.lab.sessions, self.headers.get("Cookie")
        if sessions.use_file_ticket(cookie, self.command, self.path):
            self.hand_over(self.lab.host_folder.handle, self.connection, True)
            self.close_connection = True
            return
        connection, session = self.connection, sessions.of_cookie(cookie)
        if session is None and self.headers.get("Authorization"):
            session = self.basic_login()
            if session == "full":
                self.answer(503, b"Out of HTTP sessions", "text/plain")
                return
            if session is not None:
                connection = Cookied(connection, cookie_line(session))
        authorized = session is not None
        if session is not None and not all(sessions.allows(session, privilege)
                                           for privilege in ("Datastore.Browse", "Datastore.FileManagement")):
            authorized = "denied"
        self.hand_over(self.lab.folder.handle, connection, authorized)

    def basic_login(self):
        """A session by user and password of the request itself: each such request takes one."""
        try:
            scheme, _, word = self.headers["Authorization"].partition(" ")
            name, _, password = base64.b64decode(word, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if scheme.lower() != "basic" or self.lab.sessions.of_password(name, password) is None:
            return None
        if self.lab.sessions.is_full:
            return "full"
        session = self.lab.sessions.new()
        self.lab.sessions.login(session, name, password)
        return session

    # SOAP.

    def do_POST(self):
        with self.server.lock:
            self.server.requests_done += 1
        if self.path.partition("?")[0] not in ("/sdk", "/sdk/", "/sdk/vimService"):
            self.answer(404, b"404 Not Found", Connection="close")
            self.close_connection = True
            return
        try:
            body = self.body()
            self.obey_http_rules()
            self.serve_call(body)
        except Hangup:
            self.close_connection = True
        except HttpError as error:
            self.answer(error.status, error.text.encode(), "text/plain")

    def body(self):
        """The whole body of a request, by its length or in chunks."""
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        length = self.headers.get("Content-Length", "")
        if not chunked and not length.isdecimal():
            self.close_connection = True
            raise HttpError(411, "the request has no length")
        parts, total = [], 0
        while True:
            size = self.chunk_size() if chunked else int(length)
            total += size
            if total > soap.REQUEST_MAX:
                self.close_connection = True
                raise HttpError(413, f"a request of more than {soap.REQUEST_MAX} bytes")
            parts.append(self.rfile.read(size))
            if len(parts[-1]) < size:
                raise Hangup()
            if chunked and self.rfile.readline(3) != b"\r\n":
                raise Hangup()
            if not chunked or size == 0:
                return b"".join(parts)

    def chunk_size(self):
        line = self.rfile.readline(CHUNK_LINE_MAX).partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", line):
            raise Hangup()
        return int(line, 16)

    def obey_http_rules(self):
        rule = self.lab.faults.take("http", "/sdk")
        if rule is None:
            return
        time.sleep(rule.get("delay_ms", 0) / 1000)
        if rule.get("action") == "cut":
            raise Hangup()
        if "status" in rule:
            raise HttpError(rule["status"], rule.get("message", "The lab was told so."))

    def serve_call(self, body):
        sessions = self.lab.sessions
        time.sleep(self.lab.site.soap_latency_ms / 1000)
        session, fresh = sessions.any_of_cookie(self.headers.get("Cookie")), False
        if session is None:
            session, fresh = sessions.new(), True
            session.address = self.client_address[0]
        session.agent = self.headers.get("User-Agent", "")
        with sessions.lock:
            session.busy += 1
            session.touch()
        status, text = 200, ""
        version = OLDEST
        try:
            version = self.server.version_of(self.headers.get("SOAPAction"))
            method, result = self.lab.service.call(session, body, version)
            text = soap.reply(method, result, version)
        except Fault as fault:
            status, text = 500, soap.fault_reply(fault, version)
        except StorageFault as fault:
            status, text = 500, soap.fault_reply(fault_of(fault), version)
        except (Hangup, HttpError, OSError):
            raise
        except Exception as error:      # a mistake of the lab is an answer too, and is seen
            traceback.print_exc()
            status = 500
            text = soap.fault_reply(faults.Fault("SystemError", f"lab: {error!r}", reason=repr(error)), version)
        finally:
            with sessions.lock:
                session.busy -= 1
                session.touch()
        self.send_envelope(status, text.encode(), cookie_line(session) if fresh else None)

    def send_envelope(self, status, body, cookie):
        headers = {"Cache_Control": "no-cache"}
        if cookie:
            headers["Set_Cookie"] = cookie
        if not self.lab.esxi and len(body) >= GZIP_MIN and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content_Encoding"] = "gzip"
        self.answer(status, body, 'text/xml; charset="utf-8"', **headers)


def cookie_line(session):
    return f"vmware_soap_session={session.cookie}; Path=/; HttpOnly; Secure;"
