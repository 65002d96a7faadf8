"""The rules by which the server fails on purpose.

A rule is a JSON object that says where it strikes (exactly one of "call" and "job", with the name of a command or "*"),
when ("nth": the n-th such event, 1 by default; "times": how many from then on, 1 by default, 0: always; "account": only
those of this one), and what happens:

    {"call": "listZones", "code": 530, "text": "..."}       an error as the server makes it; 429 and 503 as well
    {"call": "importVm", "status": 502}                     an error page of whatever stands before the server
    {"call": "*", "delay_ms": 500}                          a late answer; goes together with the others
    {"call": "importVm", "action": "cut"}                   the connection ends before anything is done
    {"call": "importVm", "action": "cut-after"}             it is done, and the connection ends without an answer
    {"call": "listVolumes", "action": "truncate"}           half of the body, and the connection ends
    {"call": "listVolumes", "action": "chunked"}            the body in chunks
    {"call": "listVolumes", "action": "close"}              a good answer, but not kept alive
    {"job": "importVm", "code": 530, "text": "..."}         the job fails and has done nothing
    {"job": "importVm", "delay_ms": 3000}                   it takes its time before it does anything
    {"job": "importVm", "action": "hang"}                   it never does anything, until the server restarts
    {"job": "importVm", "action": "hang-after"}             it does everything and never ends
"""

import threading

from .commands import COMMANDS

KINDS = {"call": ("cut", "cut-after", "truncate", "chunked", "close"), "job": ("hang", "hang-after")}
NUMBERS = ("nth", "times", "delay_ms", "status", "code")
WORDS = {"nth", "times", "delay_ms", "status", "code", "text", "action", "account"}
RULES_MAX = 1000


class Rules:
    def __init__(self):
        self.lock = threading.Lock()
        self.rules = []
        self.last = 0

    def add(self, rule):
        check(rule)
        with self.lock:
            if len(self.rules) >= RULES_MAX:
                raise ValueError("too many rules")
            self.last += 1
            self.rules.append({"id": self.last, "rule": rule, "seen": 0, "fired": 0})
            return self.last

    def list(self):
        with self.lock:
            return [dict(item) for item in self.rules]

    def clear(self):
        with self.lock:
            self.rules.clear()

    def take(self, kind, name, account=None):
        """The rule that strikes this event, or None. Each one counts every event that it is about."""
        with self.lock:
            struck = None
            for item in self.rules:
                rule = item["rule"]
                if rule.get(kind) not in ("*", name) or rule.get("account") not in (None, account and account.name):
                    continue
                item["seen"] += 1
                first, times = rule.get("nth", 1), rule.get("times", 1)
                if struck is None and item["seen"] >= first and (times == 0 or item["seen"] < first + times):
                    item["fired"] += 1
                    struck = rule
            return struck


def check(rule):
    if not isinstance(rule, dict):
        raise ValueError("a rule is a JSON object")
    kinds = [kind for kind in KINDS if kind in rule]
    if len(kinds) != 1:
        raise ValueError("a rule says exactly one of call, job")
    strange = set(rule) - set(KINDS) - WORDS
    if strange:
        raise ValueError(f"a rule cannot say {', '.join(sorted(strange))}; it can {', '.join(sorted(WORDS))}")
    name = rule[kinds[0]]
    if name != "*" and (name not in COMMANDS or (kinds[0] == "job" and not COMMANDS[name].is_async)):
        raise ValueError(f"{name!r} is no {kinds[0]} that the lab knows")
    if rule.get("action", KINDS[kinds[0]][0]) not in KINDS[kinds[0]]:
        raise ValueError(f"a {kinds[0]} cannot {rule['action']!r}; it can {', '.join(KINDS[kinds[0]])}")
    for word in NUMBERS:
        if word in rule and (not isinstance(rule[word], int) or rule[word] < 0):
            raise ValueError(f"{word} is a whole number, not {rule[word]!r}")
    if kinds[0] == "job" and "status" in rule:
        raise ValueError("a job has no status of HTTP; its failure is a code")
