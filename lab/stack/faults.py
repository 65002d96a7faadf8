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

import fault_rules

from .commands import COMMANDS

KINDS = {"call": ("cut", "cut-after", "truncate", "chunked", "close"), "job": ("hang", "hang-after")}
NUMBERS = ("nth", "times", "delay_ms", "status", "code")
WORDS = {*NUMBERS, "text", "action", "account"}


def rules():
    return fault_rules.Rules(check, strikes)


def strikes(rule, kind, name, facts):
    account = facts.get("account")
    return rule.get(kind) in ("*", name) and rule.get("account") in (None, account and account.name)


def check(rule):
    kind = fault_rules.kind_of(rule, KINDS, WORDS, NUMBERS)
    name = rule[kind]
    if name != "*" and (name not in COMMANDS or (kind == "job" and not COMMANDS[name].is_async)):
        raise ValueError(f"{name!r} is no {kind} that the lab knows")
    if rule.get("action", KINDS[kind][0]) not in KINDS[kind]:
        raise ValueError(f"a {kind} cannot {rule['action']!r}; it can {', '.join(KINDS[kind])}")
    if kind == "job" and "status" in rule:
        raise ValueError("a job has no status of HTTP; its failure is a code")
