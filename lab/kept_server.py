"""What the servers of the labs have in common: a thread for each connection, kept alive, with TLS or without."""

import http.server
import socket
import socketserver
import ssl
import sys
import threading
import traceback

IDLE_SECONDS = 600
HANDSHAKE_SECONDS = 20


class KeptServer(socketserver.ThreadingTCPServer):
    """Listens from the start; `serve` answers. context: of TLS; None: without."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, lab, port, handler, context):
        self.lab, self.context = lab, context
        self.lock = threading.Lock()
        self.open = set()
        self.serving = False
        super().__init__(("127.0.0.1", port), handler)
        self.port = self.server_address[1]

    def serve(self):
        self.serving = True
        threading.Thread(target=self.serve_forever, args=(0.2,), name="server", daemon=True).start()

    def handle_error(self, _request, _client):
        """A client that went away is its own business; a mistake of the lab is shown."""
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            traceback.print_exc()

    def hang_up(self):
        with self.lock:
            connections = list(self.open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def end(self):
        if self.serving:        # else there would be nobody to hear it
            self.shutdown()
        self.server_close()
        self.hang_up()


class KeptHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "lab"
    sys_version = ""

    def setup(self):
        """The handshake is the connection's own thread's work."""
        self.request.settimeout(HANDSHAKE_SECONDS)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        if self.server.context:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.request.settimeout(IDLE_SECONDS)
        with self.server.lock:
            self.server.open.add(self.request)
        super().setup()

    def finish(self):
        with self.server.lock:
            self.server.open.discard(self.request)
        try:
            super().finish()
            self.request.close()
        except OSError:
            pass

    def log_message(self, *_):
        """What was called is counted, not printed."""
