"""The rules by which a lab fails on purpose: where one strikes its lab says, when is the same in all of them ("nth": the
n-th such event, 1 by default; "times": how many from then on, 1 by default, 0: always)."""

import threading

RULES_MAX = 1000


class Rules:
    """The rules in force. Thread safe."""

    def __init__(self, check, strikes):
        """check(rule): ValueError says what is wrong with it. strikes(rule, kind, name, facts): is the event one of its?"""
        self.check, self.strikes = check, strikes
        self.lock = threading.Lock()
        self.rules = []
        self.last = 0

    def add(self, rule):
        """Take a rule; ValueError says what is wrong with it. Returns its number."""
        self.check(rule)
        with self.lock:
            if len(self.rules) >= RULES_MAX:
                raise ValueError(f"there are {RULES_MAX} rules already; clear them")
            self.last += 1
            self.rules.append({"id": self.last, "rule": dict(rule), "seen": 0, "fired": 0})
            return self.last

    def clear(self):
        with self.lock:
            self.rules = []

    def list(self):
        with self.lock:
            return [dict(item) for item in self.rules]

    def take(self, kind, name, **facts):
        """The rule that strikes this event, as it was given, or None. Each call counts as one event."""
        with self.lock:
            struck = None
            for item in self.rules:
                rule = item["rule"]
                if not self.strikes(rule, kind, name, facts):
                    continue
                item["seen"] += 1
                first, times = rule.get("nth", 1), rule.get("times", 1)
                if struck is None and item["seen"] >= first and (times == 0 or item["seen"] < first + times):
                    item["fired"] += 1
                    struck = rule
            return dict(struck) if struck else None


def kind_of(rule, kinds, words, numbers):
    """Which of the kinds it is; ValueError for what no rule can say."""
    if not isinstance(rule, dict):
        raise ValueError("a rule is a JSON object")
    found = [kind for kind in kinds if kind in rule]
    if len(found) != 1:
        raise ValueError(f"a rule says exactly one of {', '.join(kinds)}")
    strange = set(rule) - set(kinds) - set(words)
    if strange:
        raise ValueError(f"a rule cannot say {', '.join(sorted(strange))}; it can {', '.join(sorted(words))}")
    for word in numbers:
        if word in rule and (not isinstance(rule[word], int) or rule[word] < 0):
            raise ValueError(f"{word} is a whole number, not {rule[word]!r}")
    return found[0]
