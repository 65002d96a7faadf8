"""What decides whether an image is right: qemu-img, and nothing of ours."""

import json
import subprocess

LIMIT_S = 300


def qemu_img(*args):
    done = subprocess.run(["qemu-img", *map(str, args)], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    return done.returncode, done.stdout + done.stderr


def check(image):
    """A qcow2 file is without errors and without leaked clusters."""
    status, output = qemu_img("check", "-f", "qcow2", image)
    assert status == 0 and "No errors were found" in output, f"qemu-img check {image}: {output}"


def compare(expected, expected_format, found, found_format):
    """The same bytes. A longer image must be zero behind the end of the other."""
    status, output = qemu_img("compare", "-U", "-f", expected_format, "-F", found_format, expected, found)
    assert status == 0, f"qemu-img compare {expected} {found}: {output}"


def virtual_bytes(image, image_format):
    status, output = qemu_img("info", "-U", "--output=json", "-f", image_format, image)
    assert status == 0, output
    return json.loads(output)["virtual-size"]


def same(raw, image, image_format):
    """IMAGE is whole and holds what the raw disk RAW holds."""
    if image_format == "qcow2":
        check(image)
    compare(raw, "raw", image, image_format)
