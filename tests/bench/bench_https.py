"""The tables HTTPS of bench.py: a file of a datastore by ranges, against as many curls, from one nginx.

The file has no zeroes, which we would not write and curl would. curl writes each part to a file of its own on the
same tmpfs; what it leaves out, against us, is putting them together, looking for zeroes, and the hashes of the map.

"slow" is a server as vCenter is: each connection gets 12 MiB/s, and each answer begins 100 ms after it was asked for.
"""
import contextlib
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time

import bench

sys.path.insert(0, str(bench.ROOT / "tests/disk"))
from web import Certificate  # noqa: E402

CONNECTIONS = 8
CONFIG = """
{module}
daemon off; pid {folder}/pid; error_log {folder}/error.log crit; worker_processes {cpus};
{user}
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nopush on; ssl_buffer_size 16k;
    {temporary}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/leaf.pem; ssl_certificate_key {folder}/leaf.key;
        ssl_protocols TLSv1.2 TLSv1.3; keepalive_requests 100000;
        root {folder};
        location /fast/ {{ alias {folder}/; }}
        location /slow/ {{ {slow} }}
        location /throttled/ {{ internal; alias {folder}/; limit_rate 12m; }}
    }}
}}
"""
ECHO = pathlib.Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
SLOW = "rewrite ^/slow/(.*)$ /throttled/$1 break; echo_sleep 0.1; echo_exec $uri;"


@contextlib.contextmanager
def nginx(folder):
    """Serves what is in FOLDER; gives the URL and the thumbprint."""
    certificate = Certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(
        module=f"load_module {ECHO};" if ECHO.exists() else "", folder=folder, port=port, cpus=os.cpu_count(),
        user="user root;" if os.geteuid() == 0 else "", slow=SLOW if ECHO.exists() else "return 404;",
        temporary=" ".join(f"{it}_temp_path {folder}/{it};" for it in kinds)), encoding="ascii")
    server = subprocess.Popen(["nginx", "-e", f"{folder}/error.log", "-c", config])
    try:
        wait_until_it_listens(server, port)
        yield f"https://127.0.0.1:{port}", certificate.sha256
    finally:
        server.terminate()
        server.wait()


def wait_until_it_listens(server, port):
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("bench: nginx does not start")
        os.sched_yield()


def make_full_disk(path, size):
    dice = random.Random(8)
    text = b"".join(b"%012d a line of a log file, as there are many on a disk\n" % n for n in range(40000))
    noise = dice.randbytes(4 * bench.MIB)
    with open(path, "wb") as disk:
        for at in range(0, size, 16 * bench.MIB):
            disk.write(bench.mixed(dice, text, noise, min(16 * bench.MIB, size - at)))


def ours(url, thumbprint, raw):
    script = bench.ROOT / "tests/bench/copy_https.py"
    return lambda target: ([[sys.executable, script, url, thumbprint, str(CONNECTIONS), target]],
                           ["bash", "-ec", f"cmp {target} {raw}; rm {target}"])


def curls(url, raw):
    def commands(target):
        size = raw.stat().st_size
        part = -(-size // CONNECTIONS)
        each = [f"curl -sS --insecure --noproxy '*' -r {at}-{min(at + part, size) - 1} -o {target}.{at // part} '{url}' & "
                for at in range(0, size, part)]
        parts = " ".join(f"{target}.{number}" for number in range(len(each)))
        return [["bash", "-c", f"{''.join(each)} wait"]], ["bash", "-ec", f"cat {parts} | cmp - {raw}; rm {parts}"]
    return commands


def measure(raw, folder, url, thumbprint, rounds):
    best = {}
    target = folder / "target"
    peer = f"{CONNECTIONS} x curl"
    for number in range(rounds):
        figures = {}
        for name in ("vmferry copy", peer) if number % 2 else (peer, "vmferry copy"):   # who is first pays for new memory
            commands, after = ours(url, thumbprint, raw)(target) if name != peer else curls(url, raw)(target)
            bench.settle(folder, True)
            figures[name] = bench.run(commands)
            subprocess.run(after, check=True)
        for name, it in figures.items():
            best[name] = tuple(map(min, best.get(name, it), it))
    return {name: best[name] for name in ("vmferry copy", peer)}


def run_tables(options):
    titles = ["HTTPS, 127.0.0.1 to tmpfs"]
    titles += ["HTTPS slow, 127.0.0.1 to tmpfs"] if ECHO.exists() else []
    titles = [it for it in titles if options.only in it]
    if not titles:
        return
    with tempfile.TemporaryDirectory(prefix="vmferry-bench-", dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        raw = folder / "source.raw"
        make_full_disk(raw, int(options.gib * 512) * bench.MIB)
        with nginx(folder) as (url, thumbprint):
            for title in titles:
                where = "slow" if "slow" in title else "fast"
                bench.show(title, measure(raw, folder, f"{url}/{where}/source.raw", thumbprint, options.rounds))
