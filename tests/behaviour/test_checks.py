"""Each check is fed a tree that breaks its rule and must refuse it, and one that keeps it."""

import importlib.machinery
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

CLEAN = '#include "base/err.h"\n\n/* fine */\nint f(void);\n\nint\nf(void)\n{\n    return 0;\n}\n'


def check(name, tree, files):
    """Run tools/check-NAME over a tree of these files: (did it pass, what it printed)."""
    for path, text in files.items():
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    shutil.copy(ROOT / ".clang-format", tree)
    done = subprocess.run([ROOT / "tools" / f"check-{name}", tree], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode == 0, done.stdout


def refused(name, tree, path, text, *words):
    passed, output = check(name, tree, {path: text})
    assert not passed
    for word in words:
        assert word in output


@pytest.mark.parametrize("name", ["layers", "size", "banned", "format"])
def test_clean_tree_passes(name, tmp_path):
    passed, output = check(name, tmp_path, {"src/wire/a.c": CLEAN})
    assert passed, output


@pytest.mark.parametrize("path, include", [
    ("src/base/a.c", '"wire/json.h"'),          # up
    ("src/disk/a.c", '"guest/inspect.h"'),      # sideways
    ("src/disk/a.c", '"wire/json.h"'),          # a room it may enter by two doors only
    ("src/cli/a.c", '"disk/copy.h"'),
    ("src/engine/a.c", '"disk/copy.h"'),
    ("src/worker/a.c", '"descriptor/ova.h"'),
    ("src/base/a.c", '"err.h"'),                # without its folder
    ("src/guest/a.c", "<jansson.h>"),
    ("src/cli/a.c", "<curl/curl.h>"),
    ("src/descriptor/a.c", "<libxml/parser.h>"),
    ("src/worker/a.c", "<guestfs.h>"),
    ("src/copier/a.c", "<libnbd.h>"),
    ("src/engine/a.c", "<libvirt/libvirt.h>"),
])
def test_layers_refuse(tmp_path, path, include):
    refused("layers", tmp_path, path, f"/* one */\n#include {include}\n", f"{path}:2:")


@pytest.mark.parametrize("path, include", [
    ("src/disk/a.c", '"wire/qemu-nbd.h"'),
    ("src/disk/a.c", "<libnbd.h>"),
    ("src/guest/a.c", "<guestfs.h>"),
    ("src/wire/a.c", "<jansson.h>"),
    ("src/engine/a.c", '"descriptor/ova.h"'),
    ("src/cli/a.c", '"cli/output.h"'),
    ("src/cli/a.c", "<stdio.h>"),
])
def test_layers_allow(tmp_path, path, include):
    passed, output = check("layers", tmp_path, {path: f"#include {include}\n"})
    assert passed, output


@pytest.mark.parametrize("call", ["fork()", "vfork ()", "execve(a, b, c)", "posix_spawn(&p)"])
def test_only_proc_starts_processes(tmp_path, call):
    code = f"void f(void)\n{{\n    {call};\n}}\n"
    refused("layers", tmp_path, "src/guest/a.c", code, "src/guest/a.c:3:")
    passed, output = check("layers", tmp_path / "b", {"src/base/proc.c": code,
                                                      "src/disk/a.c": f'/* {call} */ "{call}"\n'})
    assert passed, output


def function_of(lines, name="f"):
    return f"void\n{name}(void)\n{{\n" + "    g();\n" * (lines - 4) + "}\n"


def test_size_of_functions(tmp_path):
    passed, output = check("size", tmp_path / "a", {"src/base/a.c": function_of(80)})
    assert passed, output
    refused("size", tmp_path / "b", "src/base/b.c", "int x;\n\n" + function_of(81, "long_one"),
            "src/base/b.c:3:", "long_one: 81 lines")
    refused("size", tmp_path / "c", "tests/test_a.py", "def f():\n" + "    g()\n" * 80,
            "tests/test_a.py:1:")


def test_size_leaves_tables_out(tmp_path):
    rows = "        { 1 },\n" * 100
    inside = f"void\nf(void)\n{{\n    static const struct a t[] = {{\n{rows}    }};\n    g(t);\n}}\n"
    outside = f"static const struct a t[] = {{\n{rows}}};\n"
    passed, output = check("size", tmp_path, {"src/base/a.c": inside, "src/base/b.c": outside})
    assert passed, output


def test_size_of_files(tmp_path):
    passed, output = check("size", tmp_path / "a", {"src/base/a.c": "int x;\n" * 800})
    assert passed, output
    refused("size", tmp_path / "b", "src/base/b.c", "int x;\n" * 801, "src/base/b.c:1:", "801")


@pytest.mark.parametrize("code", [
    "strcpy(a, b);", "strncat (a, b, 1);", "sprintf(a, b);", "vsprintf(a, b, c);", "x = atoi(a);",
    "strtok(a, b);", 'system("ls");', "popen(a, b);", "p = alloca(5);", "gets(a);",
    "clock_gettime(CLOCK_REALTIME, &t);", "t = time(NULL);",
])
def test_banned_functions(tmp_path, code):
    refused("banned", tmp_path, "src/base/a.c", f"void f(void)\n{{\n    {code}\n}}\n",
            "src/base/a.c:3:")


def test_banned_words_elsewhere_are_no_functions(tmp_path):
    text = ('/* strcpy(a, b) is banned */ const char *a = "system(1)";\n'
            "ecosystem(1); my_atoi(2); s.system(3); s->gets(4); snprintf(a, 1, b);\n")
    passed, output = check("banned", tmp_path, {"src/base/a.c": text})
    assert passed, output


# The words are put together here: this file is looked at as well.
@pytest.mark.parametrize("path, text", [
    ("src/base/a.c", "/* TO" + "DO: the rest */\n"),
    ("docs/a.md", "FIX" + "ME\n"),
    ("tests/a.py", "# X" + "XX\n"),
    ("src/base/a.c", "/* good enough for" + " now */\n"),
    ("src/base/a.c", "// not" + " implemented\n"),
    ("tests/unit/a.c", "    sle" + "ep(1);\n"),
    ("tests/unit/b.c", "    usle" + "ep(1);\n"),
    ("tests/behaviour/a.py", "time.sle" + "ep(0.1)\n"),
    ("tests/behaviour/a.sh", "  sle" + "ep 5\n"),
    ("docs/a.md", "see /ho" + "me/somebody/x\n"),
])
def test_banned_text(tmp_path, path, text):
    refused("banned", tmp_path, path, text, f"{path}:1:")


def test_format(tmp_path):
    refused("format", tmp_path, "src/base/a.c", "int f( void ) ;\n", "a.c:1:")


# ---- the sum of the test driver ----

@pytest.fixture(name="driver")
def load_driver():
    loader = importlib.machinery.SourceFileLoader("run_tests", str(ROOT / "tools" / "run-tests"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
    loader.exec_module(module)
    return module


def test_meson_results_are_counted_by_case(driver):
    log = [json.dumps(entry) for entry in [
        {"name": "base / a", "result": "OK", "stdout": "[       OK ] x\n[       OK ] y\n"},
        {"name": "base / b", "result": "OK", "stdout": "no cases"},
        {"name": "base / c", "result": "OK", "stdout": "[ RUN      ] x\n[       OK ] x\n"
         "[ RUN      ] y\nno loop\ndevices\n[  SKIPPED ] y\n"},
        {"name": "base / d", "result": "FAIL", "stdout": "[       OK ] x\n",
         "stderr": "[  FAILED  ] why\n"},
        {"name": "disk / e", "result": "TIMEOUT", "stdout": ""},
        {"name": "disk / f", "result": "SKIP", "stdout": "no qemu-io\n"},
    ]]
    tally = driver.Tally()
    driver.count_meson(log, "", tally)
    assert tally.passed == 2 + 1 + 1 + 1
    assert [name for name, _ in tally.failed] == ["d fail why", "e timeout"]
    assert [reason for _, reason in tally.skipped] == ["no loop devices", "no qemu-io"]


def test_junit_results_are_counted(driver, tmp_path):
    result = tmp_path / "junit.xml"
    result.write_text("<testsuites><testsuite>"
                      "<testcase classname='t' name='good'/>"
                      "<testcase classname='t' name='bad'><failure message='m'>trace</failure></testcase>"
                      "<testcase classname='t' name='worse'><error message='no setup'/></testcase>"
                      "<testcase classname='t' name='absent'><skipped message='no sshd'/></testcase>"
                      "</testsuite></testsuites>")
    tally = driver.Tally()
    driver.count_junit(result, "asan: ", tally)
    assert tally.passed == 1
    assert tally.failed == [("asan: t::bad", "trace"), ("asan: t::worse", "no setup")]
    assert tally.skipped == [("asan: t::absent", "no sshd")]


@pytest.mark.parametrize("passed, failed, status", [(3, 0, 0), (0, 0, 1), (3, 1, 1)])
def test_sum_is_the_last_line(driver, capsys, passed, failed, status):
    tally = driver.Tally()
    tally.passed = passed
    for i in range(failed):
        tally.fail(f"test {i}", "output")
    assert driver.report(tally, {"unit": 1.0}) == status
    assert capsys.readouterr().out.split("\n")[-2] == f"{passed} passed, {failed} failed, 0 skipped"


def test_what_hangs_is_killed(driver):
    status, output = driver.run(["sh", "-c", "echo started; exec tail -f /dev/null"], 0.5)
    assert status < 0
    assert "started" in output and "did not end" in output


# ---- the packages ----

def test_every_package_has_its_reason():
    setup = (ROOT / "tools" / "setup").read_text()
    listed = re.search(r"<<'LIST'\n(.*?)\nLIST\n", setup, re.S)[1]
    installed = set(re.sub(r"#.*", "", listed).split())
    table = (ROOT / "HACKING.md").read_text().split("| package | why |")[1]
    explained = set()
    for row in re.findall(r"^\| ([^|]+) \|", table, re.M):
        explained |= set(row.split(", "))
    assert explained - {"linux-image-cloud-amd64"} == installed
