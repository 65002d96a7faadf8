"""The socket by which tests talk to a running lab: a JSON object in a line, and one back. Who serves it has a method
`do_NAME` for each {"do": NAME, ...}."""

import json
import os
import socket
import threading

REQUEST_MAX = 64 << 20
SECONDS = 60


class ControlSocket:
    """The socket `control` in a lab's directory."""

    def __init__(self, directory):
        self.path = directory / "control"
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        with_directory(directory, lambda place: self.socket.bind(f"{place}/control"))
        self.path.chmod(0o600)
        self.socket.listen(16)
        self.thread = threading.Thread(target=self.accept, name="control", daemon=True)

    def serve(self):
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return      # closed
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, connection.makefile("rwb") as lines:
            try:
                request = json.loads(lines.readline(REQUEST_MAX))
                reply = getattr(self, "do_" + request["do"].replace("-", "_"), self.unknown)(request)
            except (ValueError, KeyError, TypeError, LookupError) as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            except Exception as error:  # the lab's own errors and mistakes alike: whoever asked must know
                reply = {"error": str(error) or repr(error)}
            try:
                lines.write(json.dumps(reply).encode() + b"\n")
                lines.flush()
            except OSError:
                pass                    # whoever asked has gone

    @staticmethod
    def unknown(request):
        raise ValueError(f"{request['do']!r} is nothing that the lab can do")

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        if self.thread.is_alive():
            self.thread.join()
        self.socket.close()
        self.path.unlink(missing_ok=True)


def with_directory(directory, act):
    """Do something with a short name of a directory: the path of a Unix socket has 107 bytes at most."""
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        return act(f"/proc/self/fd/{opened}")
    finally:
        os.close(opened)


def ask(directory, request):
    """Send a request to the lab whose directory that is; its reply. ConnectionError when nobody is there."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        try:
            with_directory(directory, lambda place: connection.connect(f"{place}/control"))
        except OSError as error:
            raise ConnectionError(f"no lab serves in {directory}: {error.strerror}") from error
        with connection.makefile("rwb") as lines:
            lines.write(json.dumps(request).encode() + b"\n")
            lines.flush()
            line = lines.readline()
    if not line:
        raise ConnectionError(f"the lab in {directory} went away")
    return json.loads(line)
