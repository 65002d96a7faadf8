"""What the checks share: which files there are, and C with its comments and strings taken out."""

import os
import re
import sys

SKIPPED_DIRS = re.compile(r"\.git|\.cache|build.*|demo-output|__pycache__|seeds")

# A comment, a string or a character constant; strings first cannot be right for "/* \" */", so the
# alternatives are tried at each place in turn.
TOKEN = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def root_of(argv):
    """The tree to look at: the first argument, or the one this file stands in."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return argv[1] if len(argv) > 1 else here


def files(root, *suffixes):
    """Paths relative to root, sorted, of the files that end in one of suffixes (none: of all)."""
    found = []
    for where, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if not SKIPPED_DIRS.fullmatch(d)]
        found += [os.path.relpath(os.path.join(where, n), root) for n in names
                  if not suffixes or n.endswith(suffixes)]
    return sorted(found)


def read(root, path):
    """The file's text, None for what is no text."""
    try:
        with open(os.path.join(root, path), encoding="utf-8") as f:
            return f.read()
    except UnicodeDecodeError:
        return None


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    """C without comments, strings emptied; every line keeps its number."""
    return TOKEN.sub(lambda m: blank(m[0]) if m[0][0] == "/" else m[0][0] * 2, text)


def comments_of(text):
    """Only the comments; every line keeps its number."""
    out, end = [], 0
    for m in TOKEN.finditer(text):
        out += [blank(text[end:m.start()]), m[0] if m[0][0] == "/" else blank(m[0])]
        end = m.end()
    return "".join(out) + blank(text[end:])


def lines(text):
    return enumerate(text.split("\n"), 1)


def finish(name, complaints):
    """Print what was found and end the program with the verdict."""
    for path, line, reason in complaints:
        print(f"{path}:{line}: {reason}")
    if complaints:
        print(f"{name}: {len(complaints)} found")
    sys.exit(1 if complaints else 0)
