"""Where a process stands that does not go on: what the kernel and, where it is there, gdb say of it and its children."""

import contextlib
import pathlib
import shutil
import subprocess

PROC = pathlib.Path("/proc")
GDB_LIMIT_S = 60


def of(pid):
    """A text for people, of the process and of all that it has started."""
    return "\n".join(text for one in family(pid) for text in (seen_by_kernel(one), seen_by_gdb(one)) if text)


def family(pid):
    yield pid
    for task in tasks(pid):
        for child in read(task / "children").split():
            yield from family(int(child))


def tasks(pid):
    with contextlib.suppress(OSError):
        return sorted((PROC / str(pid) / "task").iterdir())
    return []


def read(path):
    """Not all of these may be read by everybody, nor while the process ends."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as why:
        return f"({why.strerror})" if path.name != "children" else ""


def seen_by_kernel(pid):
    command = read(PROC / str(pid) / "cmdline").replace("\0", " ")
    lines = [f"---- process {pid}: {command}", read(PROC / str(pid) / "status").rstrip()]
    for task in tasks(pid):
        lines.append(f"-- task {task.name} {read(task / 'comm').strip()}: waits in {read(task / 'wchan') or '?'}, "
                     f"system call {read(task / 'syscall').strip()}")
        lines.append(read(task / "stack").rstrip())
    with contextlib.suppress(OSError):
        for fd in sorted((PROC / str(pid) / "fd").iterdir(), key=lambda it: int(it.name)):
            with contextlib.suppress(OSError):
                lines.append(f"descriptor {fd.name}: {fd.readlink()}")
    return "\n".join(lines)


def seen_by_gdb(pid):
    if not shutil.which("gdb"):
        return ""
    try:
        done = subprocess.run(["gdb", "-p", str(pid), "-batch", "-ex", "thread apply all bt"], capture_output=True,
                              text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=GDB_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"gdb did not end within {GDB_LIMIT_S} s"
    return done.stdout + done.stderr
