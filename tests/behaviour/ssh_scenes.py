"""A real sshd on loopback with keys of its own, for the tests of what is reached by SSH."""

import os
import pathlib
import shutil
import socket
import subprocess
import time

from v2v_scenes import POLL, WAIT_SECONDS

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {here}/host_key
AuthorizedKeysFile {here}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication {passwords}
KbdInteractiveAuthentication no
Subsystem sftp {sftp}
SetEnv PATH={path}
MaxStartups 100
LogLevel VERBOSE
{more}
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Sshd:
    """Serves until stop(); `key` logs in as root, `known_hosts` knows it, `log` is what it said."""

    def __init__(self, here, more="", passwords="no", sftp="internal-sftp"):
        self.here = pathlib.Path(here)
        self.here.mkdir(parents=True)
        self.key = self.here / "key"
        self.known_hosts = self.here / "known_hosts"
        self.programs = self.here / "programs"
        self.log = self.here / "log"
        self.programs.mkdir()
        os.makedirs("/run/sshd", exist_ok=True)
        for name in ("host_key", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.here / name], check=True)
        shutil.copy(self.here / "key.pub", self.here / "authorized_keys")
        self.port = free_port()
        kind, data, *_ = (self.here / "host_key.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {data}\n")
        config = self.here / "config"
        config.write_text(CONFIG.format(port=self.port, here=self.here, more=more, passwords=passwords, sftp=sftp,
                                        path=f"{self.programs}:/usr/bin:/bin"))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=log,
                                            stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                POLL.wait(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=WAIT_SECONDS)


# A root directory that holds this host's programs, and the datastores where every ESXi has them.
ESXI_SFTP = """\
#!/bin/sh
exec /usr/bin/unshare -m /bin/sh -e -c '
cd "$1"
for name in usr etc dev; do mount --bind /$name $name; done
mount --bind "$2" vmfs/volumes
exec /usr/sbin/chroot . /usr/lib/openssh/sftp-server' sh {root} {datastores}
"""


def esxi_sshd(here, datastores):
    """What answers on port 22 of an ESXi whose datastores are in that directory."""
    here.mkdir()
    root = here / "root"
    for name in ("usr", "etc", "dev", "vmfs/volumes"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    program = here / "sftp"
    program.write_text(ESXI_SFTP.format(root=root, datastores=datastores))
    program.chmod(0o755)
    return Sshd(here / "sshd", sftp=program)
