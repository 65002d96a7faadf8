"""The property collector: what is selected, what it is worth, in pages, and what of it changes while one waits.

A filter's objects are looked up anew each time, since its traversals may lead elsewhere by then. What was sent of
each object is kept as text, so that a change is a difference of what a client would read.
"""

import collections
import re
import secrets
import threading
import time

from . import schema, session, soap
from .fault import Fault
from .schema import Obj, Ref, Typed

PAGE_MAX = 1000                 # objects of a reply when the client sets no limit or a higher one
PAGES_KEPT_MAX = 200
DIRTY_KEPT = 20000


class Changes:
    """What changed, in the order in which it did; waiters are woken."""

    def __init__(self):
        self.condition = threading.Condition()
        self.number = 0
        self.log = collections.deque(maxlen=DIRTY_KEPT)     # (number, Ref)

    def touch(self, *refs):
        with self.condition:
            self.number += 1
            self.log.extend((self.number, ref) for ref in refs)
            self.condition.notify_all()

    def since(self, number):
        """The references touched after that number, or None when that is not known any more."""
        with self.condition:
            if self.log and number < self.log[0][0] - 1:
                return None
            return {ref for at, ref in self.log if at > number}


# Selection.


class Selector:
    """Objects and their property sets by a filter spec, for one caller."""

    def __init__(self, lab, caller, spec):
        self.lab = lab
        self.caller = caller
        self.spec = spec
        self.named = {}
        for item in spec.objectSet:
            self.name_traversals(item.selectSet or [])
        for item in spec.propSet:
            self.check_paths(item)

    def name_traversals(self, selections):
        for item in selections:
            if item.type == "TraversalSpec":
                if item.name:
                    self.named[item.name] = item
                self.check_traversal(item)
                self.name_traversals(item.selectSet or [])

    @staticmethod
    def check_traversal(item):
        kind = item.fields.get("type")
        if kind not in schema.MANAGED:
            raise Fault("InvalidArgument", invalidProperty="specSet.objectSet.selectSet.type")
        if not schema.path_exists(kind, item.path):
            raise Fault("InvalidProperty", name=item.path)

    @staticmethod
    def check_paths(item):
        kind = item.fields["type"]
        if kind not in schema.MANAGED:
            raise Fault("InvalidArgument", invalidProperty="specSet.propSet.type")
        for path in item.pathSet or []:
            if not schema.path_exists(kind, path):
                raise Fault("InvalidProperty", name=path)

    def objects(self):
        """The selected objects, each once, in the order in which they are found."""
        seen, visited = {}, set()
        for item in self.spec.objectSet:
            obj = self.lab.find(item.obj, self.caller)
            if obj is None:
                raise Fault("ManagedObjectNotFound", obj=item.obj)
            self.walk(item.obj, obj, item.skip, item.selectSet or [], seen, visited)
        return list(seen.values())

    def walk(self, ref, obj, skip, selections, seen, visited):
        """Depth first with a stack of its own: an inventory may be deep."""
        stack = [(ref, obj, skip, selections)]
        while stack:
            ref, obj, skip, selections = stack.pop()
            if not skip and ref not in seen and self.wanted(ref.type):
                seen[ref] = (ref, obj)
            found = []
            for item in selections:
                step = item if item.type == "TraversalSpec" else self.named.get(item.name)
                if step is None:
                    raise Fault("InvalidArgument", invalidProperty="specSet.objectSet.selectSet.name")
                if not schema.is_a(ref.type, step.fields["type"]) or (ref, id(step)) in visited:
                    continue
                visited.add((ref, id(step)))
                for target in self.targets(ref, obj, step.path):
                    reached = self.lab.find(target, self.caller)
                    if reached is not None:
                        found.append((target, reached, step.skip, step.selectSet or []))
            stack.extend(reversed(found))

    def targets(self, ref, obj, path):
        value, _, _ = evaluate(ref.type, obj, path)
        if isinstance(value, Ref):
            return [value]
        return [item for item in value or [] if isinstance(item, Ref)]

    def wanted(self, kind):
        return any(schema.is_a(kind, item.fields["type"]) for item in self.spec.propSet)

    def paths(self, kind):
        """The properties that are asked for of an object of that type."""
        paths = {}
        for item in self.spec.propSet:
            if not schema.is_a(kind, item.fields["type"]):
                continue
            if item.all:
                paths.update((field.name, None) for field in schema.fields(kind))
            paths.update((path, None) for path in item.pathSet or [])
        return list(paths)

    def content(self, ref, obj):
        """(path -> Typed) of what is set, and the MissingProperty of what cannot be had."""
        have, missing, parts = {}, [], {}
        for path in self.paths(ref.type):
            privilege = needed_privilege(ref, path)
            if not self.lab.sessions.allows(self.caller, privilege):
                problem = Fault("NoPermission", object=ref, privilegeId=privilege)
            else:
                try:
                    value, kind, array = evaluate(ref.type, obj, path, parts)
                    if value is not None and not (array and value == [] and "." in path):
                        have[path] = Typed(value, kind, array)
                    continue
                except Fault as fault:
                    problem = fault
            missing.append(Obj("MissingProperty", path=path, fault=problem.localized))
        return have, missing


def needed_privilege(ref, path):
    if not schema.is_a(ref.type, "ManagedEntity"):
        return None
    return "System.View" if path.split(".")[0] in ("name", "parent") else "System.Read"


def evaluate(kind, obj, path, parts=None):
    """(value, type, whether it is an array) at a property path; the value is None where something is unset.

    `parts`: what was computed of this object already, by the first step of its path."""
    step, _, rest = schema.split_path(path)
    name = step.partition("[")[0]
    field = schema.field(kind, name)
    if field is None:
        raise Fault("InvalidProperty", name=path)
    if parts is not None and name in parts:
        value = parts[name]
    else:
        value = obj.prop(name)
        if parts is not None:
            parts[name] = value
    return descend(value, field, step, rest, path)


def descend(value, field, step, rest, path):
    while True:
        if "[" in step:
            value = element(value, step.partition("[")[2].rstrip("]"))
            field = field._replace(array=False)
        if not rest:
            return value, field.type, field.array
        if value is None:
            return None, field.type, field.array
        if field.array or not isinstance(value, Obj):
            raise Fault("InvalidProperty", name=path)
        step, _, rest = schema.split_path(rest)
        found = schema.field(value.type, step.partition("[")[0])
        if found is None:
            if schema.resolve_path(field.type, step) is None:
                raise Fault("InvalidProperty", name=path)
            return None, field.type, False
        field, value = found, value.fields.get(found.name)


def element(values, key):
    """The element of an array by its key, which is a number or a text in quotes."""
    wanted = key[1:-1] if re.fullmatch(r'".*"', key, re.S) else key
    for item in values or []:
        own = item.fields.get("key") if isinstance(item, Obj) else item.value if isinstance(item, Ref) else item
        if isinstance(own, Ref):
            own = own.value
        if str(own) == wanted:
            return item
    return None


# One look.


class Pages:
    """What is still to be given out of a retrieval, by its token."""

    def __init__(self):
        self.lock = threading.Lock()
        self.waiting = collections.OrderedDict()

    def take(self, token, caller):
        with self.lock:
            owner, selector, rest, limit = self.waiting.pop(token, (None, None, None, None))
        if owner is not caller:
            raise Fault("InvalidArgument", invalidProperty="token")
        return selector, rest, limit

    def keep(self, caller, selector, rest, limit):
        token = secrets.token_hex(8)
        with self.lock:
            self.waiting[token] = (caller, selector, rest, limit)
            while len(self.waiting) > PAGES_KEPT_MAX:
                self.waiting.popitem(last=False)
        return token

    def forget(self, caller):
        with self.lock:
            for token in [token for token, item in self.waiting.items() if item[0] is caller]:
                del self.waiting[token]


def retrieve(lab, caller, specs, limit):
    """The first page of what some filter specs select."""
    work = []
    for spec in specs:
        selector = Selector(lab, caller, spec)
        work += [(selector, ref, obj) for ref, obj in selector.objects()]
    return page(lab, caller, work, limit)


def page(lab, caller, work, limit):
    size = min(limit or PAGE_MAX, PAGE_MAX)
    if not work:
        return None
    token = lab.pages.keep(caller, None, work[size:], limit) if len(work) > size else None
    return Obj("RetrieveResult", token=token, objects=[content_of(*item) for item in work[:size]])


def content_of(selector, ref, obj):
    have, missing = selector.content(ref, obj)
    return Obj("ObjectContent", obj=ref, missingSet=missing,
               propSet=[Obj("DynamicProperty", name=path, val=value) for path, value in have.items()])


# Waiting.


class Filter:
    type = "PropertyFilter"

    def __init__(self, collector, spec, partial):
        self.collector = collector
        self.ref = Ref("PropertyFilter", f"session[{collector.session.key}]{session.vmware_key()}")
        self.spec = spec
        self.partial = partial
        self.selector = Selector(collector.lab, collector.session, spec)
        self.selector.objects()
        self.sent = {}          # Ref -> {path: text of the value}

    def prop(self, name):
        return {"spec": self.spec, "partialUpdates": self.partial}[name]

    def updates(self, dirty, version):
        """The ObjectUpdates since the last time. `dirty`: what may have changed; None: anything."""
        updates, missing, found = [], [], {}
        try:
            objects = self.selector.objects()
        except Fault as fault:
            gone = fault.fields.get("obj")
            objects = []
            if self.sent and gone is not None:
                missing.append(Obj("MissingObject", obj=gone, fault=fault.localized))
        for ref, obj in objects:
            found[ref] = True
            if ref in self.sent and dirty is not None and ref not in dirty:
                continue
            update = self.update(ref, obj, version)
            if update is not None:
                updates.append(update)
        for ref in [ref for ref in self.sent if ref not in found]:
            del self.sent[ref]
            updates.append(Obj("ObjectUpdate", kind="leave", obj=ref))
        return updates, missing

    def update(self, ref, obj, version):
        have, missing = self.selector.content(ref, obj)
        texts = {path: text_of(value, version) for path, value in have.items()}
        old = self.sent.get(ref)
        self.sent[ref] = texts
        changed = [Obj("PropertyChange", name=path, op="assign", val=value) for path, value in have.items()
                   if old is None or old.get(path) != texts[path]]
        if old is None:
            return Obj("ObjectUpdate", kind="enter", obj=ref, changeSet=changed, missingSet=missing)
        changed += [Obj("PropertyChange", name=path, op="assign") for path in old if path not in texts]
        return Obj("ObjectUpdate", kind="modify", obj=ref, changeSet=changed) if changed else None


def text_of(value, version):
    writer = soap.Writer(version)
    writer.element("v", value, "anyType")
    # A time stamp of the answer itself is no change.
    return re.sub(r"<timestamp>[^<]*</timestamp>", "", writer.text())


class Collector:
    """A property collector of a session: its filters, and how far the client has followed them."""

    type = "PropertyCollector"

    def __init__(self, lab, owner, ref):
        self.lab = lab
        self.session = owner
        self.ref = ref
        self.lock = threading.RLock()
        self.filters = []
        self.version = 0
        self.looked = 0                 # number of the changes that are in what was sent
        self.held = []                  # (filter, ObjectUpdate) that did not fit into the last answer
        self.cancelled = 0
        self.gone = False

    def prop(self, name):
        return {"filter": [item.ref for item in self.filters]}[name]

    def create_filter(self, spec, partial):
        made = Filter(self, spec, partial)
        with self.lock:
            self.filters.append(made)
        self.session.objects[made.ref] = made
        self.lab.changes.touch()
        return made.ref

    def destroy_filter(self, item):
        with self.lock:
            if item in self.filters:
                self.filters.remove(item)
            self.held = [pair for pair in self.held if pair[0] is not item]
        self.session.objects.pop(item.ref, None)

    def destroy(self):
        self.gone = True
        for item in list(self.filters):
            self.destroy_filter(item)
        self.session.objects.pop(self.ref, None)
        self.lab.changes.touch()

    def cancel(self):
        self.cancelled += 1
        self.lab.changes.touch()

    def wait(self, version, seconds, limit, api_version):
        """The next UpdateSet; None when the time is over without one. `seconds` None: as long as it takes."""
        with self.lock:
            if version in (None, ""):
                self.held = []
                for item in self.filters:
                    item.sent = {}
                self.looked = -1
            elif version != str(self.version) or self.version == 0:
                raise Fault("InvalidCollectorVersion")
        until = None if seconds is None else time.monotonic() + seconds
        cancelled = self.cancelled
        while True:
            self.check_alive(cancelled)
            with self.lab.changes.condition:
                number = self.lab.changes.number
            with self.lock:
                answer = self.look(number, limit, api_version)
            if answer is not None:
                return answer
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return None
            with self.lab.changes.condition:
                if self.lab.changes.number == number:
                    self.lab.changes.condition.wait(min(left, 60) if left is not None else 60)

    def check_alive(self, cancelled):
        """A fault when nobody is to wait any more."""
        if self.session.user is None:
            raise Fault("NotAuthenticated", object=self.ref, privilegeId="System.View")
        if self.gone:
            raise Fault("ManagedObjectNotFound", obj=self.ref)
        if self.cancelled != cancelled:
            raise Fault("RequestCanceled", "The request was canceled")

    def look(self, number, limit, api_version):
        dirty = None if self.looked < 0 else self.lab.changes.since(self.looked)
        pairs, missing = self.held, {}
        self.held = []
        for item in self.filters:
            updates, lost = item.updates(dirty, api_version)
            pairs = pairs + [(item, update) for update in updates]
            if lost:
                missing[item] = lost
        self.looked = number
        if not pairs and not missing:
            return None
        if limit and len(pairs) > limit:
            pairs, self.held = pairs[:limit], pairs[limit:]
        self.version += 1
        sets = []
        for item in self.filters:
            mine = [update for owner, update in pairs if owner is item]
            if mine or item in missing:
                sets.append(Obj("PropertyFilterUpdate", filter=item.ref, objectSet=mine, missingSet=missing.get(item)))
        return Obj("UpdateSet", version=str(self.version), filterSet=sets, truncated=True if self.held else None)
