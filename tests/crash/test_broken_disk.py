"""Disks that fail below a migration: the images', and the store's."""

import os
import shutil
import stat
import subprocess

import pytest

from scenes import KEYS, World
from service import COPY, WORKER, Service
from v2v_scenes import wait_until

MACHINES = 60
MIB = 1 << 20
COPIES = ("vmferry-copy", "vmferry-copy-vddk")

# Does as the program that it stands for, under strace when a file beside it has options for that.
UNDER = """#!/bin/sh
here=${0%%/*}
if [ -f "$here/fault" ]; then
    exec strace -f -qq -o "$here/trace.$$" $(cat "$here/fault") %s
fi
exec %s
"""


@pytest.fixture(scope="module")
def world(workdir, programs):
    made = World(workdir, programs, MACHINES)
    yield made
    made.close()


class Broken:
    """The images of a Scene, on a disk that says EIO to a call while it is broken."""

    def __init__(self, scene):
        if not shutil.which("strace"):
            pytest.skip("strace is not installed")
        self.scene = scene
        self.bin = scene.out.parent / "bin"
        self.bin.mkdir()
        worker = scene.daemon.program
        shutil.copy(worker, self.bin)
        for name in COPIES:
            real = worker.parent.parent / "copier" / name
            (self.bin / name).write_text(UNDER % (real, real))
            (self.bin / name).chmod(stat.S_IRWXU)
        scene.daemon.program = self.bin / worker.name
        self.images = [scene.out / f".vmferry-{scene.name}/sd{letter}" for letter in "ab"]

    def breaks(self, call, nth):
        """From the nth call of each process on."""
        paths = " ".join(f"-P {image} -P {image}.part" for image in self.images)
        fresh = self.bin / "fault.fresh"
        fresh.write_text(f"{paths} -e trace={call} -e inject={call}:error=EIO:when={nth}+")
        os.replace(fresh, self.bin / "fault")

    def heals(self):
        (self.bin / "fault").unlink()
        for trace in self.bin.glob("trace.*"):
            trace.unlink()

    def was_hit(self):
        return any("(INJECTED)" in trace.read_text(errors="replace") for trace in self.bin.glob("trace.*"))


def write_much(scene):
    for key in KEYS:
        scene.event("write", disk=key, offset=5 * MIB, hex=scene.random.randbytes(MIB).hex())


# When the disk breaks, and after how many rounds that is: the first worker makes two of them.
ROUNDS = {"base": 0, "delta": 2, "final": 2}
CALLS = [("pwrite64", 1), ("fdatasync", 1), pytest.param("pwrite64", 2, marks=pytest.mark.soak),
         pytest.param("fdatasync", 2, marks=pytest.mark.soak)]


@pytest.mark.parametrize("transport", ["https", pytest.param("vddk", marks=pytest.mark.soak)])
@pytest.mark.parametrize("call, nth", CALLS)
@pytest.mark.parametrize("kind", ROUNDS)
def test_the_disk_of_the_images_fails(world, kind, call, nth, transport):
    """It says so and names the image; when it is well again the same round is made to its end."""
    scene = world.take(transport=transport)
    disk = Broken(scene)
    if ROUNDS[kind]:
        assert scene.daemon.run().outcome == "wait"
        write_much(scene)
        scene.daemon.store.wish(finalize=kind == "final")
    disk.breaks(call, nth)
    ended = scene.daemon.run()
    assert ended.outcome == "retry", ended
    assert disk.was_hit()
    error = ended.result["error"]
    assert error["kind"] == "io" and "Input/output error" in error["text"], error
    assert any(str(image) in error["text"] for image in disk.images), error
    assert len(scene.daemon.store.rounds()) == ROUNDS[kind], "a round that failed is none"
    powers = [state for state, _ in scene.machine()["power_changes"][scene.power_before:]]
    assert powers == (["poweredOff"] if kind == "final" else [])
    disk.heals()
    scene.is_done(scene.migrate(rounds=1))
    scene.close()


# ---- the store ----

class Disk:
    """A file system of its own under the store. Its journal can break off, and then it is read-only at once, whoever has
    files of it open."""

    def __init__(self, file, path):
        self.file, self.path = file, path
        with open(file, "wb") as image:
            image.truncate(64 * MIB)
        subprocess.run(["mkfs.ext4", "-q", file], check=True)
        path.mkdir()
        self.mount()

    def run(self, *words):
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def mount(self, *options):
        done = self.run("mount", "-o", ",".join(["loop", *options]), self.file, self.path)
        if done.returncode and (os.geteuid() or "permission denied" in done.stderr or "loop" in done.stderr):
            pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr

    def becomes_read_only(self):
        done = self.run("mount", "-o", "remount,abort", self.path)
        assert done.returncode == 0, done.stderr

    def is_put_right(self):
        """When nobody has files of it open."""
        assert self.run("umount", self.path).returncode == 0
        self.run("fsck.ext4", "-fy", self.file)
        self.mount()

    def close(self):
        self.run("umount", "--lazy", self.path)


@pytest.fixture(name="stored")
def a_service_with_a_disk_for_its_store(world):
    made = []

    def take(**how):
        scene = world.take(kind=Service, **how)
        disk = Disk(scene.out.parent / "disk", scene.out.parent / "mounted")
        made.append((scene, disk))
        scene.store = disk.path / "store.db"
        scene.start().create()
        return scene, disk

    yield take
    for scene, disk in made:
        scene.close()
        disk.close()


def comes_to_rest(scene):
    """No worker runs, and none is started again and again."""
    wait_until(lambda: not scene.vmferryd.below(WORKER, COPY), "the end of the worker", 30)


@pytest.mark.parametrize("when", [pytest.param("copying", marks=pytest.mark.soak), "waiting", "finalizing"])
def test_the_store_becomes_read_only(stored, when):
    """In the middle of it: the daemon says so, and goes on answering; its workers come to rest, nothing is switched off;
    when it can be written again, and the daemon is started again, all goes on."""
    scene, disk = stored(**({"bandwidth": "6MiB"} if when == "copying" else {}))
    if when == "copying":
        scene.wait_for(lambda m: m["progress"])
        disk.becomes_read_only()
    else:
        scene.wait_for(lambda m: m["status"] == "waiting")
        scene.write()
        scene.wrote = 1
        if when == "finalizing":
            scene.cut_over = True
            scene.say("finalize-now")
        disk.becomes_read_only()
    wait_until(lambda: any("Read-only file system" in it or "read-only" in it for it in scene.vmferryd.logs),
               f"a word of it: {scene.vmferryd.logs}", 30)
    comes_to_rest(scene)
    status, answer = scene.call("POST", f"/migrations/{scene.id}/pause")
    assert status >= 400 and answer["detail"], answer
    assert scene.show()["status"] in ("running", "waiting", "retrying", "queued")
    assert not scene.machine()["power_changes"][scene.power_before:]
    scene.vmferryd.stop()
    disk.is_put_right()
    scene.start()
    scene.finish()


def test_a_store_that_is_read_only_when_it_is_opened(stored):
    scene, disk = stored()
    scene.wait_for(lambda m: m["status"] == "waiting")
    scene.vmferryd.stop()
    assert disk.run("mount", "-o", "remount,ro", disk.path).returncode == 0
    scene.start()
    assert not scene.vmferryd.wait_ready()
    error = scene.vmferryd.result["error"]
    assert error["kind"] == "denied" and str(scene.store) in error["text"], error
    assert "Read-only file system" in error["text"], error
    assert disk.run("mount", "-o", "remount,rw", disk.path).returncode == 0
    scene.start()
    scene.finish()
