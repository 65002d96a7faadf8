"""Types and methods as data, read from the tables of schema_types and schema_methods.

`Ref` is a managed object reference, `Obj` a data object: a type and its fields. `Typed` says of a value what the
schema says of the place it was taken from, for a value alone does not tell an int from a long.
"""

import collections
import functools
import re

from . import schema_methods, schema_types

OLDEST = (2, 5)
PRIMITIVES = {"string": "String", "boolean": "Boolean", "int": "Int", "long": "Long", "short": "Short", "byte": "Byte",
              "dateTime": "DateTime", "base64Binary": "Base64Binary", "anyType": "AnyType"}

Ref = collections.namedtuple("Ref", "type value")
Typed = collections.namedtuple("Typed", "value type array")
Field = collections.namedtuple("Field", "name type optional array since")
Method = collections.namedtuple("Method", "owner name arguments result privilege since vc internal change")


class Obj:
    """A data object. `obj.field` is its value, None when it is unset; an array that is unset is None too."""

    __slots__ = ("type", "fields")

    def __init__(self, type_name, /, **fields):
        self.type = type_name
        self.fields = {name: value for name, value in fields.items() if value is not None}

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.fields.get(name)

    def __repr__(self):
        return f"{self.type}{self.fields}"


def version(text):
    return tuple(int(part) for part in text.split("."))


def parse_field(word):
    match = re.fullmatch(r"(\w+):(\w+)([?*+]?)(?:@([\d.]+))?", word)
    if not match:
        raise ValueError(f"the schema has {word!r}, which is no field")
    name, kind, mark, since = match.groups()
    return Field(name, kind, mark in ("?", "*"), mark in ("*", "+"), version(since) if since else OLDEST)


def lines_of(text):
    """The lines of a table; an indented one goes on with the line before."""
    return [line for line in re.sub(r"\n +", " ", text).splitlines() if line]


def parse_types(text):
    types = {}
    for line in lines_of(text):
        match = re.fullmatch(r"(\w+)(?:\((\w+)\))?:(.*)", line)
        types[match[1]] = (match[2], [parse_field(word) for word in match[3].split()])
    return types


def parse_methods(text):
    methods = {}
    for line in lines_of(text):
        owner, name, arguments, result, words = re.fullmatch(r"(\w+)\.(\w+)\((.*)\) (\S+)(.*)", line).groups()
        words = words.split()
        said = dict(word.split("=") for word in words if "=" in word)
        methods[name] = Method(owner, name, [parse_field(word) for word in arguments.split()],
                               None if result == "-" else parse_field("returnval:" + result), said.get("priv"),
                               version(said.get("since", "2.5")), "vc" in words, "internal" in words,
                               "change" in words)
    return methods


DATA = parse_types(schema_types.DATA)
FAULTS = parse_types(schema_types.FAULTS)
DATA.update(FAULTS)
MANAGED = parse_types(schema_methods.MANAGED)
ENUMS = {line.split(":")[0]: line.split(":")[1].split() for line in schema_types.ENUMS.strip().splitlines()}
METHODS = parse_methods(schema_methods.METHODS)


def known(name):
    return name in DATA or name in MANAGED or name in ENUMS or name in PRIMITIVES


@functools.lru_cache(None)
def fields(name):
    """The fields of a data object, or the properties of a managed one, those of its base first."""
    table = DATA if name in DATA else MANAGED
    base, own = table[name]
    return (fields(base) if base else []) + own


@functools.lru_cache(None)
def field(type_name, name):
    return next((item for item in fields(type_name) if item.name == name), None)


@functools.lru_cache(None)
def is_a(name, base):
    """Whether a type is another or derived from it."""
    if name == base or base == "anyType":
        return True
    table = DATA if name in DATA else MANAGED
    return name in table and table[name][0] is not None and is_a(table[name][0], base)


@functools.lru_cache(None)
def derived(base):
    """All types that can stand where `base` is asked for."""
    return [name for table in (DATA, MANAGED) for name in table if is_a(name, base)]


def array_name(type_name):
    """The type of an array of these where any type can stand, and the name of its elements."""
    if type_name in MANAGED:
        return "ArrayOfManagedObjectReference", "ManagedObjectReference"
    if type_name in PRIMITIVES:
        return "ArrayOf" + PRIMITIVES[type_name], type_name
    return "ArrayOf" + type_name, type_name


@functools.lru_cache(None)
def path_exists(type_name, path):
    """Whether a property path can have a value in an object of that type, or of one derived from it."""
    return resolve_path(type_name, path) is not None


@functools.lru_cache(None)
def resolve_path(type_name, path):
    """The Field at the end of a property path, or None. Steps: name, or name[key] of an array."""
    step, _, rest = split_path(path)
    name = step.partition("[")[0]
    found = None
    for kind in derived(type_name):
        item = field(kind, name)
        if item is None:
            continue
        if "[" in step:
            if not item.array:
                continue
            item = item._replace(array=False)
        if not rest:
            return item
        if item.array or item.type not in DATA:
            continue
        found = resolve_path(item.type, rest)
        if found:
            return found
    return None


def split_path(path):
    """The first step of a path, and the rest; a key in brackets may hold a dot when it is quoted."""
    match = re.match(r"([^.\[]+(?:\[(?:\"[^\"]*\"|[^\]]*)\])?)(\.|$)(.*)", path, re.S)
    return match.groups() if match else (path, "", "")


def check():
    """The tables name no type that they do not have."""
    for table in (DATA, MANAGED):
        for name, (base, own) in table.items():
            if base and base not in table:
                raise ValueError(f"{name} is derived from {base}, which the schema does not have")
            for item in own:
                if not known(item.type):
                    raise ValueError(f"{name}.{item.name} is a {item.type}, which the schema does not have")
    for method in METHODS.values():
        for item in method.arguments + ([method.result] if method.result else []):
            if not known(item.type) or method.owner not in MANAGED:
                raise ValueError(f"{method.name} takes or gives a {item.type}, which the schema does not have")


check()
