#!/usr/bin/python3
"""One copy by HTTPS, for the clock of bench_https.py: URL THUMBPRINT CONNECTIONS TARGET. It imports as little as can be."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "disk"))
from copier import copied  # noqa: E402

URL, THUMBPRINT, CONNECTIONS, TARGET = sys.argv[1:]
copied({"kind": "https", "name": "bench", "uri": URL, "thumbprint": THUMBPRINT, "connections": int(CONNECTIONS)},
       (TARGET, "raw"))
