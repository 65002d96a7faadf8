"""Faults as the product sends them, and the rules by which the lab fails on purpose.

A rule is a JSON object that says where it strikes (exactly one of the words of KINDS), when ("nth": the n-th such
event, 1 by default; "times": how many from then on, 1 by default, 0: always; "machine", "user", "path": only events
of these), and what happens:

    {"method": "CreateSnapshot_Task", "nth": 1, "fault": "TaskInProgress"}       the call itself is answered so
    {"method": "Login", "status": 503}                                          by HTTP, "action": "cut": no answer
    {"method": "CurrentTime", "delay_ms": 500}                                  the answer comes late
    {"task": "CreateSnapshot_Task", "nth": 2, "fault": "SnapshotFault", "message": "..", "fields": {..}}
    {"task": "RemoveSnapshot_Task", "action": "consolidation_needed"}           succeeds, and leaves its files behind
    {"http": "/folder", "after_bytes": N, "action": "cut"}, {"http": "/folder", "status": 503, "times": 3}
    {"nfc": "read", "nth": 100, "error": 5}, {"nfc": "read", "nth": 9, "action": "abort"}
    {"session": "expire", "after_calls": N}                                     every session is gone after N calls
    {"lease": "ready", "fault": "..."}, {"power": "start", ...}, {"storage": "consolidate", ...}
"""

import fault_rules

from . import schema
from .schema import Obj

KINDS = ("method", "task", "http", "nfc", "session", "lease", "power", "storage")
WORDS = {"nth", "times", "fault", "message", "fields", "status", "action", "after_bytes", "after_calls", "delay_ms",
         "error", "machine", "path", "user", "text"}
NUMBERS = ("nth", "times", "after_bytes", "after_calls", "status", "delay_ms")
MESSAGES = {
    "NotAuthenticated": "The session is not authenticated.",
    "NoPermission": "Permission to perform this operation was denied.",
    "InvalidLogin": "Cannot complete login due to an incorrect user name or password.",
    "PasswordExpired": "Your account password has expired.",
    "TaskInProgress": "Another task is already in progress.",
    "ConcurrentAccess": "The resource is in use by another operation.",
    "InvalidState": "The operation is not allowed in the current state.",
    "InvalidPowerState": "The attempted operation cannot be performed in the current state.",
    "ToolsUnavailable": "Cannot complete operation because VMware Tools is not running in this virtual machine.",
    "RestrictedVersion": "Current license or ESXi version prohibits execution of the requested operation.",
    "SnapshotFault": "An error occurred while taking a snapshot.",
    "ApplicationQuiesceFault": "An error occurred while quiescing the virtual machine. See the virtual machine's "
                               "event log for details.",
    "FilesystemQuiesceFault": "The guest OS has reported an error during quiescing.",
    "TooManySnapshotLevels": "The maximum number of snapshot levels has been reached.",
    "MemorySnapshotOnIndependentDisk": "Cannot take a memory snapshot, since the virtual machine is configured with "
                                       "independent disks.",
    "SnapshotIncompatibleDeviceInVm": "Cannot take a snapshot, since a device of the virtual machine does not "
                                      "support it.",
    "NotSupported": "The operation is not supported on the object.",
    "NotImplemented": "The operation is not implemented.",
    "MethodDisabled": "The method is disabled by another operation.",
    "HostNotConnected": "Unable to communicate with the remote host, since it is disconnected.",
    "HostCommunication": "Unable to communicate with the remote host.",
    "Timedout": "Operation timed out.",
    "NotFound": "The object or item referred to could not be found.",
    "RequestCanceled": "The task was canceled by a user.",
    "InvalidCollectorVersion": "The collector version is invalid.",
    "FileLocked": "Unable to access file since it is locked.",
    "InvalidVmConfig": "Invalid configuration.",
    "NoDiskSpace": "Insufficient disk space on datastore.",
}


class Fault(Exception):
    """A refusal as vSphere gives it: the name of its type, its fields, and a message for people."""

    def __init__(self, name, message=None, /, **fields):
        self.name = name
        self.fields = {key: value for key, value in fields.items() if value is not None}
        self.message = message or default_message(name, fields)
        super().__init__(f"{name}: {self.message}")

    @property
    def detail(self):
        """The fault as a data object."""
        return Obj(self.name, **self.fields)

    @property
    def localized(self):
        """The fault where it is a value, as in the info of a task."""
        return Obj("LocalizedMethodFault", fault=self.detail, localizedMessage=self.message)


class Hangup(Exception):
    """The connection is to be cut without an answer."""


class HttpError(Exception):
    """An answer of HTTP, not of SOAP."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status
        self.text = text


def default_message(name, fields):
    if name == "InvalidArgument":
        return f"A specified parameter was not correct: {fields.get('invalidProperty') or ''}"
    if name == "ManagedObjectNotFound":
        ref = fields["obj"]
        return (f"The object 'vim.{ref.type}:{ref.value}' has already been deleted or has not been completely created")
    if name == "FileFault":
        return f"Error caused by file {fields.get('file')}"
    if name == "FileNotFound":
        return f"File {fields.get('file')} was not found"
    if name == "InvalidProperty":
        return f"Property {fields.get('name')} is invalid."
    return MESSAGES.get(name, name)


def rules():
    return fault_rules.Rules(check_rule, strikes)


def strikes(rule, kind, name, facts):
    return kind in rule and names(kind, rule[kind], name) and fits(rule, facts)


def names(kind, wanted, name):
    if wanted == "*":
        return True
    return str(name).startswith(wanted) if kind == "http" else wanted == name


def fits(rule, facts):
    machine = facts.get("machine")
    if "machine" in rule and (machine is None or rule["machine"] not in (machine.ref.value, machine.name)):
        return False
    if "user" in rule and rule["user"] != facts.get("user"):
        return False
    return "path" not in rule or rule["path"] in str(facts.get("path", ""))


def check_rule(rule):
    kind = fault_rules.kind_of(rule, KINDS, WORDS, NUMBERS)
    if kind in ("method", "task"):
        if "fault" in rule and rule["fault"] not in schema.FAULTS:
            raise ValueError(f"{rule['fault']} is no fault that the lab knows; {', '.join(sorted(schema.FAULTS))} are")
        if rule[kind] != "*" and rule[kind] not in schema.METHODS:
            raise ValueError(f"{rule[kind]} is no method that the lab knows")


def of_rule(rule, **needed):
    """The Fault that a rule asks for. `needed`: values for fields that the rule leaves open but the type must have."""
    fields = dict(rule.get("fields", {}))
    for item in schema.fields(rule["fault"]):
        if not item.optional and item.name not in fields:
            fields[item.name] = needed.get(item.name, fallback(item))
    return Fault(rule["fault"], rule.get("message"), **fields)


def fallback(item):
    if item.type == "LocalizedMethodFault":
        return Obj("LocalizedMethodFault", fault=Obj("NotSupported"), localizedMessage=MESSAGES["NotSupported"])
    if item.type in schema.MANAGED:
        return schema.Ref(item.type, f"{item.type.lower()}-0")
    return schema.ENUMS[item.type][0] if item.type in schema.ENUMS else ""
