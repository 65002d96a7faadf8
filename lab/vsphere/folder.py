"""Files of datastores over HTTP: /folder, for GET and HEAD.

    folder = Folder(storage, throttles, rules=None)
    keep = folder.handle(connection, method, target, headers, authorized)

connection: the (TLS) socket, only .sendall() is called; target: the raw request target
"/folder/dir/x-flat.vmdk?dcPath=..&dsName=.."; headers: dict with lower-case names; authorized: whether the session is
good (False: 401) or "denied" (403). The whole answer is written; false is returned when the connection must be closed.

rules(path) -> None or the rule (a dict) that strikes this request, whose counting (nth, times) is the caller's:
{"status": 503} answers so; {"action": "cut", "after_bytes": N} ends the connection after so many bytes of the body;
{"action": "flip", "after_bytes": N} changes the byte there;
{"action": "stall", "after_bytes": N, "delay_ms": M} pauses.

vCenter decodes the query twice: once as a whole, before it is taken apart, and then each value of it; an ESXi once.
"""

import email.utils
import html
import http
import os
import time
import urllib.parse

from . import descriptor, qemu
from .files import Member
from .links import StorageFault

BUFFER_BYTES = 256 << 10    # more is slower: it falls out of the processor's cache between the file and the cipher
TARGET_MAX = 16 << 10
STALL_MS = 60000


class Cut(Exception):
    """A rule wants the connection to break off here."""


class Sender:
    """The body of an answer on its way: speed and rules."""

    def __init__(self, connection, meter, rule):
        self.connection = connection
        self.meter = meter
        self.rule = rule if rule and "action" in rule else None
        self.sent = 0

    def send(self, data):
        if self.rule:
            data = self.misbehave(data)
        self.connection.sendall(data)
        self.sent += len(data)
        self.meter.spend(len(data))

    def misbehave(self, data):
        at = self.rule.get("after_bytes", 0) - self.sent
        if at > len(data) or (at == len(data) and self.rule["action"] == "flip"):
            return data
        rule, self.rule = self.rule, None
        if rule["action"] == "flip":
            data = bytearray(data)
            data[at] ^= 0xff
            return data
        self.connection.sendall(data[:at])
        self.sent += at
        if rule["action"] == "cut":
            raise Cut
        time.sleep(rule.get("delay_ms", STALL_MS) / 1000)
        return data[at:]


def head(status, words, keep=True):
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", f"Date: {email.utils.formatdate(usegmt=True)}"]
    lines += [f"{key}: {value}" for key, value in words.items()]
    lines.append("Connection: " + ("Keep-Alive" if keep else "close"))
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(connection, status, text, method="GET", **words):
    """A short answer in HTML. -> true"""
    body = (f"<html><head><title>{status}</title></head><body><h1>{status} {http.HTTPStatus(status).phrase}</h1>"
            f"<p>{html.escape(text)}</p></body></html>").encode()
    words = {"Content-Type": "text/html; charset=utf-8", "Content-Length": len(body),
             **{key.replace("_", "-"): value for key, value in words.items()}}
    connection.sendall(head(status, words) + (b"" if method == "HEAD" else body))
    return True


def query_of(text, twice):
    """The values of a query. Taken apart only after the first decoding, where there are two."""
    if twice:
        text = urllib.parse.unquote(text)
    return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))


def byte_range(text, size):
    """(first, end) of a Range header, None for the whole, or () when it lies outside."""
    unit, equals, words = text.partition("=")
    first, dash, last = words.strip().partition("-")
    if unit.strip().lower() != "bytes" or not equals or not dash or "," in words:
        return None
    if not (first + last).isdecimal() or not (first + last).isascii() or len(first + last) > 40:
        return None
    if not first:
        return (max(size - int(last), 0), size) if int(last) and size else ()
    if last and int(last) < int(first):
        return None
    return (int(first), min(int(last) + 1 if last else size, size)) if int(first) < size else ()


class Folder:
    """The service; thread safe, a call per request."""

    def __init__(self, storage, throttles, rules=None):
        self.storage = storage
        self.throttles = throttles
        self.rules = rules
        self.esxi = storage.site.esxi

    def handle(self, connection, method, target, headers, authorized):
        """The whole answer; false when the connection has to be closed."""
        if method not in ("GET", "HEAD"):
            return answer(connection, 405, "the lab's datastores are read only", Allow="GET, HEAD")
        if not authorized:
            return answer(connection, 401, "not logged in", method,
                          WWW_Authenticate='Basic realm="VMware HTTP server"')
        if authorized == "denied":
            return answer(connection, 403, "the user may not browse datastores", method)
        if len(target) > TARGET_MAX:
            return answer(connection, 414, "the request target is too long", method)
        rule = self.rules(target.partition("?")[0]) if self.rules else None
        if rule and "status" in rule:
            return answer(connection, rule["status"], rule.get("message", "a rule of the lab"), method)
        try:
            member, machine = self.find(target)
        except StorageFault as fault:
            return answer(connection, 404, str(fault), method)
        throttle = self.throttles.of(machine)
        if not throttle.enter():
            return answer(connection, 503, "too many connections", method, Retry_After=1)
        try:
            meter = throttle.connection()
            meter.begin()
            if member.kind == "directory":
                return self.listing(connection, method, target, member)
            return self.file(connection, method, headers, member, Sender(connection, meter, rule))
        except Cut:
            return False
        finally:
            throttle.leave()

    def find(self, target):
        """(Member, a machine that lies there or None)"""
        path, _, query = target.partition("?")
        words = query_of(query, not self.esxi)
        inside = urllib.parse.unquote(path.removeprefix("/folder"))
        if "dsName" not in words:
            return self.above(words.get("dcPath"), inside), None
        datacenter = words.get("dcPath", None if self.esxi else "")
        member = self.storage.resolve(datacenter, words["dsName"], inside)
        place = inside.strip("/") if member.kind == "directory" else inside.strip("/").rpartition("/")[0]
        if member.link:
            return member, member.link.disk.machine
        for datastore in self.storage.datastores:
            if datastore.name == words["dsName"] and place in datastore.machines:
                return member, datastore.machines[place][0]
        return member, None

    def above(self, datacenter, inside):
        """Without a datastore: the datacenters, or the datastores of one."""
        stores = self.storage.datastores
        if inside.strip("/"):
            raise StorageFault("FileNotFound", "the request names no datastore (dsName)")
        if datacenter is None:
            names = sorted({store.datacenter.path for store in stores})
        else:
            names = [store.name for store in stores if store.datacenter.path == datacenter.strip("/")]
            if not names:
                raise StorageFault("FileNotFound", f"there is no datacenter {datacenter}")
        return Member("directory", "", entries=[Member("directory", name) for name in names])

    def listing(self, connection, method, target, member):
        """As the datastore browser of the product: a table of links."""
        path, _, query = target.partition("?")
        words = query_of(query, not self.esxi)
        rows = []
        for entry in member.entries:
            inner = "/" if entry.kind == "directory" else ""
            place = f"{path.rstrip('/')}/{urllib.parse.quote(entry.name)}{inner}?{query}"
            if "dsName" not in words:
                key = "dsName" if "dcPath" in words else "dcPath"
                coded = urllib.parse.quote(entry.name, safe="")
                coded = coded if self.esxi else urllib.parse.quote(coded, safe="")
                place = f"/folder?{query}{'&' if query else ''}{key}={coded}"
            when = time.strftime("%d-%b-%Y %H:%M", time.gmtime(entry.modified))
            size = "-" if inner else size_of(entry)
            rows.append(f'<tr><td><a href="{html.escape(place)}">{html.escape(entry.name)}{inner}</a></td>'
                        f'<td align="right">{when}</td><td align="right">{size}</td></tr>\n')
        title = f"Index of {html.escape(member.name or '/')}"
        body = (f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><table>\n"
                f"<tr><th>Name</th><th>Last modified</th><th>Size</th></tr>\n{''.join(rows)}</table></body></html>\n"
                ).encode()
        connection.sendall(head(200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": len(body)})
                           + (b"" if method == "HEAD" else body))
        return True

    def file(self, connection, method, headers, member, sender):
        """A file or a part of it; 500 when it is locked."""
        release = None
        try:
            if member.kind == "locked":
                return answer(connection, 500, f"cannot open {member.name}: {member.why}", method)
            if member.link:
                release = self.storage.hold([member.link], "folder")
            source = Source(member)
        except (StorageFault, qemu.QemuError, OSError) as fault:
            if release:
                release()
            return answer(connection, 500, f"cannot open {member.name}: {fault}", method)
        try:
            return self.body(connection, method, headers, member, source, sender)
        finally:
            source.close()
            if release:
                release()

    @staticmethod
    def body(connection, method, headers, member, source, sender):
        size = source.size
        words = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes",
                 "Last-Modified": email.utils.formatdate(member.modified, usegmt=True)}
        part = byte_range(headers["range"], size) if "range" in headers and method == "GET" else None
        if part == ():
            return answer(connection, 416, "the range lies behind the end", method, Content_Range=f"bytes */{size}")
        first, end = part or (0, size)
        words["Content-Length"] = end - first
        if part:
            words["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        connection.sendall(head(206 if part else 200, words))
        if method == "HEAD":
            return True
        while first < end:
            data = source.read(min(BUFFER_BYTES, end - first), first)
            if not data:
                return False    # shorter than it was
            sender.send(data)
            first += len(data)
        return True


def size_of(member):
    """For a listing: of what is being written, that of the file behind it."""
    link = member.link
    if member.kind != "made" or (link is link.disk.active and link.disk.machine.running):
        return member.size
    try:
        return link.shown().size
    except (OSError, qemu.QemuError):
        return member.size      # it has gone meanwhile


class Source:
    """An open file of a datastore; read by one thread."""

    def __init__(self, member):
        self.opened = None
        self.file = -1
        if member.kind == "made":
            self.opened = descriptor.Opened(member.link.shown())
            self.size = self.opened.pieces.size
        else:
            self.file = os.open(member.path, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.fstat(self.file).st_size
            self.buffer = memoryview(bytearray(BUFFER_BYTES))

    def read(self, length, offset):
        if self.opened:
            return self.opened.read(length, offset)
        return self.buffer[:os.preadv(self.file, [self.buffer[:length]], offset)]

    def close(self):
        if self.opened:
            self.opened.close()
        else:
            os.close(self.file)
