"""The HTTP or HTTPS server of /client/api. A thread for each connection, kept alive."""

import re
import socket
import time
import traceback

from kept_server import KeptHandler, KeptServer

from . import params, refusal
from .service import json_of

PATH = "/client/api"
FORM = "application/x-www-form-urlencoded"
XML = ('<?xml version="1.0" encoding="UTF-8"?><errorresponse><errorcode>501</errorcode><errortext>the lab answers with '
       "response=json only</errortext></errorresponse>").encode()
BARE = re.compile(r"[\x00-\x1f]")      # what no header may have
CHUNK = 512
DISCARD = 1 << 20


class Server(KeptServer):
    def __init__(self, lab, port, context=None):
        self.requests = 0
        super().__init__(lab, port, Handler, context)


class Handler(KeptHandler):
    def do_GET(self):       # pylint: disable=invalid-name
        self.handle_call("GET", "")

    def do_POST(self):      # pylint: disable=invalid-name
        length = self.headers.get("Content-Length", "")
        most = int(self.server.lab.world.setting("request.content.size"))
        if not length.isdigit():
            self.close_connection = True
            self.plain(411, "Length required")
            return
        if int(length) > most:
            self.discard(int(length))
            self.plain(413, "Request entity too large")
            return
        body = self.rfile.read(int(length))
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.handle_call("POST", body.decode("latin-1") if kind == FORM else "")

    def discard(self, length):
        """Hear a body out, so that whoever sends it hears the answer."""
        while length > 0:
            piece = self.rfile.read(min(length, DISCARD))
            length = length - len(piece) if piece else 0

    def handle_call(self, method, form):
        path, _, query = self.path.partition("?")
        self.server.requests += 1
        if path.rstrip("/") != PATH:
            self.plain(404, "Not Found")
            return
        try:
            pairs = params.form_pairs(form, int(self.server.lab.world.setting("request.max.form.keys")))
            pairs.update(params.query_pairs(query))
        except ValueError as error:
            self.plain(400, str(error))
            return
        self.answer(method, pairs)

    def answer(self, method, pairs):
        lab = self.server.lab
        account = lab.world.user(next((value for name, value in pairs.items() if name.lower() == "apikey"), None))
        rule = lab.faults.take("call", pairs.get("command"), account=account) or {}
        action = rule.get("action")
        if rule.get("delay_ms"):
            time.sleep(rule["delay_ms"] / 1000)
        if action == "cut":
            self.cut()
        elif "status" in rule:
            self.plain(rule["status"], "the lab was told to")
        elif pairs.get("response", "").lower() != "json":
            self.send(501, XML, "text/xml; charset=UTF-8")
        else:
            status, answer = self.answered(pairs, method, rule)
            if action == "cut-after":
                self.cut()
                return
            text = next(iter(answer.values())).get("errortext") if status != 200 else None
            self.send(status, json_of(answer), lab.world.setting("json.content.type"), action, text)

    def answered(self, pairs, method, rule):
        try:
            return self.server.lab.service.answer(pairs, method, rule)
        except Exception as error:      # pylint: disable=broad-except
            traceback.print_exc()       # a mistake of the lab: whoever ended it sees it
            return refusal.INTERNAL, {"errorresponse": {"uuidList": [], "errorcode": refusal.INTERNAL,
                                                        "errortext": f"the lab is wrong: {error!r}"}}

    # Sending.

    def plain(self, status, text):
        self.send(status, f"<html><body><h1>{status}</h1>{text}</body></html>".encode(), "text/html")

    def send(self, status, body, kind, action=None, description=None):
        self.send_response(status, "OK" if status == 200 else "Error")
        self.send_header("Content-Type", kind)
        if description is not None:
            self.send_header("X-Description", BARE.sub(" ", description).encode().decode("latin-1"))
        if action == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        if action in ("close", "truncate"):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if action == "chunked":
            for place in range(0, len(body), CHUNK):
                piece = body[place:place + CHUNK]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            body = b"0\r\n\r\n"
        self.wfile.write(body[:len(body) // 2] if action == "truncate" else body)

    def cut(self):
        self.close_connection = True
        try:
            self.request.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
