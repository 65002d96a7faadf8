"""SOAP envelopes: requests into values by the schema, strictly; values into replies.

The order of elements is law, names are matched with their namespace, and xsi:type by the namespace of the attribute
and of its value, as in the product. What a client gets wrong comes back in the product's words, down to the place in
its own text.
"""

import base64
import datetime
import functools
import xml.parsers.expat
from xml.sax.saxutils import escape, quoteattr

from . import schema
from .fault import Fault
from .schema import Obj, Ref, Typed

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XSD = "http://www.w3.org/2001/XMLSchema"
VIM = "urn:vim25"
INTERNAL = "urn:internalvim25"
DEPTH_MAX = 64
ELEMENTS_MAX = 200000
REQUEST_MAX = 16 << 20
LIMITS = {"byte": 7, "short": 15, "int": 31, "long": 63}


class Node:
    """An element: namespace, local name, attributes by (namespace, name), children, text, prefixes in scope, place."""

    __slots__ = ("space", "name", "attributes", "children", "text", "prefixes", "line", "column")

    def __init__(self, space, name, attributes, prefixes, line, column):
        self.space, self.name, self.attributes, self.prefixes = space, name, attributes, prefixes
        self.line, self.column = line, column
        self.children, self.text = [], ""

    @property
    def place(self):
        return f"at line {self.line}, column {self.column}"


def invalid(message, *where):
    """The fault for a request that cannot be read; `where` goes from the inside to the outside."""
    return Fault("InvalidRequest", "\n\n".join(("\n" + message,) + where))


class Builder:
    """Makes Nodes of what expat sees."""

    def __init__(self, parser):
        self.parser = parser
        self.root, self.stack, self.count = None, [], 0
        self.scopes, self.pending = [{"xml": "http://www.w3.org/XML/1998/namespace"}], {}
        parser.StartNamespaceDeclHandler = lambda prefix, uri: self.pending.__setitem__(prefix or "", uri or "")
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.data
        parser.StartDoctypeDeclHandler = self.refuse

    def refuse(self, *_):
        raise invalid("A document type declaration is not allowed", "while parsing SOAP envelope")

    def start(self, name, attributes):
        self.count += 1
        if len(self.stack) >= DEPTH_MAX or self.count > ELEMENTS_MAX:
            raise invalid(f"The request is nested deeper than {DEPTH_MAX} or has over {ELEMENTS_MAX} elements")
        scope = dict(self.scopes[-1], **self.pending) if self.pending else self.scopes[-1]
        self.pending = {}
        self.scopes.append(scope)
        space, local = split(name)
        node = Node(space, local, {split(key): value for key, value in attributes.items()}, scope,
                    self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber)
        if self.stack:
            self.stack[-1].children.append(node)
        else:
            self.root = node
        self.stack.append(node)

    def end(self, _):
        self.scopes.pop()
        self.stack.pop()

    def data(self, text):
        if self.stack:
            self.stack[-1].text += text


def split(name):
    space, _, local = name.rpartition("\n")
    return space, local


def parse(body):
    """The tree of a request, or a Fault that says where it is wrong."""
    parser = xml.parsers.expat.ParserCreate(namespace_separator="\n")
    parser.buffer_text = True
    builder = Builder(parser)
    try:
        parser.Parse(body, True)
    except xml.parsers.expat.ExpatError as error:
        raise invalid(f"XML document is not well formed: {error}", "while parsing SOAP envelope") from error
    return builder.root


def call_of(root):
    """The operationID of an envelope and the element of the call in its body."""
    if (root.space, root.name) != (ENVELOPE, "Envelope"):
        raise invalid(f"Expected element {ENVELOPE}:Envelope, got {root.space}:{root.name}",
                      "while parsing SOAP envelope")
    children = list(root.children)
    operation = ""
    if children and (children[0].space, children[0].name) == (ENVELOPE, "Header"):
        header = children.pop(0)
        operation = next((node.text for node in header.children if node.name == "operationID"), "")
    if len(children) != 1 or (children[0].space, children[0].name) != (ENVELOPE, "Body"):
        raise invalid("Expected element Body after Header", "while parsing SOAP envelope", root.place)
    if len(children[0].children) != 1:
        raise invalid("Expected one element in the body", "while parsing SOAP body", children[0].place)
    return operation, children[0].children[0]


# Requests into values.


class Reader:
    """Reads a call under the version of the API that the client asked for."""

    def __init__(self, version, space):
        self.version = version
        self.space = space

    def call(self, node, method):
        """The reference of `_this` and the arguments by name."""
        where = f"while parsing call information for method {method.name}\n{node.place}"
        try:
            this = schema.Field("_this", "ManagedObject", False, False, schema.OLDEST)
            values = self.sequence(node, [this] + method.arguments, f"method {method.name}")
        except Fault as fault:
            raise Fault(fault.name, fault.message + "\n\n" + where + "\n\nwhile parsing SOAP body",
                        **fault.fields) from None
        return values.pop("_this"), values

    def sequence(self, node, wanted, owner):
        """The children of an element, each in its place."""
        if node.text.strip():
            raise invalid(f"Unexpected text {node.text.strip()[:40]!r} in {owner}", node.place)
        wanted = [item for item in wanted if item.since <= self.version]
        values, index, last = {}, 0, None
        for child in node.children:
            position = next((number for number, item in enumerate(wanted[index:], index) if item.name == child.name),
                            None)
            if position is None or (child.space != self.space and child.space != VIM):
                if child.space in (self.space, VIM) and child.name in values:
                    raise invalid(f'Element tag "{child.name}" is not allowed here: {owner} has it before "{last}"',
                                  child.place)
                raise invalid(f'Unexpected element tag "{child.name}" seen in {owner}', child.place)
            item = wanted[position]
            self.require(wanted[index:position], values, owner, child)
            index = position if item.array else position + 1
            value = self.value(child, item.type)
            if item.array:
                values.setdefault(item.name, []).append(value)
            else:
                values[item.name] = value
            last = child.name
        self.require(wanted[index:], values, owner, node)
        return values

    def require(self, skipped, values, owner, node):
        for item in skipped:
            if not item.optional and item.name not in values:
                raise invalid(f"Required property {item.name} is missing from {owner}", node.place)

    def value(self, node, wanted):
        given = self.given_type(node)
        if wanted in schema.MANAGED:
            return self.reference(node, wanted)
        if wanted == "anyType":
            wanted = given
            if wanted is None:
                raise invalid(f"Missing xsi:type in element {node.name}, which can be anything", node.place)
            if wanted == "ManagedObjectReference":
                return self.reference(node, "ManagedObject")
        if wanted in schema.DATA:
            kind = given or wanted
            if not schema.is_a(kind, wanted):
                raise invalid(f"Type {kind} cannot stand for {wanted} in element {node.name}", node.place)
            return Obj(kind, **self.sequence(node, schema.fields(kind), f"data object of type {kind}"))
        if node.children:
            raise invalid(f'Unexpected element tag "{node.children[0].name}" seen in simple element {node.name}',
                          node.place)
        return simple(node, wanted)

    def given_type(self, node):
        """xsi:type, matched by the namespace of the attribute and of the prefix in its value."""
        text = node.attributes.get((XSI, "type"))
        if text is None:
            return None
        prefix, _, local = text.strip().rpartition(":")
        space = node.prefixes.get(prefix)
        if space is None and prefix:
            raise invalid(f"Prefix {prefix!r} of xsi:type {text!r} is not declared", node.place)
        if space == XSD and local in schema.PRIMITIVES:
            return local
        if space in (VIM, self.space) and (local in schema.DATA or local in schema.ENUMS
                                           or local == "ManagedObjectReference"):
            return local
        raise invalid(f'Type not found: "{space or ""}:{local}"', node.place)

    def reference(self, node, wanted):
        kind = node.attributes.get(("", "type"))
        value = node.text.strip()
        if kind is None:
            raise invalid(f"Missing type attribute of the reference in element {node.name}", node.place)
        if node.children or not value:
            raise invalid(f"Element {node.name} holds no reference", node.place)
        if kind not in schema.MANAGED:
            raise invalid(f'Type not found: "{VIM}:{kind}"', node.place)
        if not schema.is_a(kind, wanted):
            raise Fault("InvalidArgument", f"A specified parameter was not correct: {node.name}. A {kind} is no "
                        f"{wanted}.", invalidProperty=node.name)
        return Ref(kind, value)


def simple(node, wanted):
    text = node.text
    try:
        if wanted in LIMITS:
            number = int(text.strip())
            if not -(1 << LIMITS[wanted]) <= number < 1 << LIMITS[wanted]:
                raise ValueError("out of range")
            return number
        if wanted == "boolean":
            return {"true": True, "1": True, "false": False, "0": False}[text.strip()]
        if wanted == "dateTime":
            return datetime.datetime.fromisoformat(text.strip())
        if wanted == "base64Binary":
            return base64.b64decode(text, validate=True)
    except (ValueError, KeyError):
        raise invalid(f"Cannot convert {text[:40]!r} of element {node.name} to {wanted}", node.place) from None
    if wanted in schema.ENUMS and text not in schema.ENUMS[wanted]:
        raise invalid(f"{text[:40]!r} is no value of {wanted} in element {node.name}", node.place)
    return text


# Values into replies.


class Writer:
    """Writes values for a client of that version: what is newer it does not see."""

    def __init__(self, version):
        self.version = version
        self.out = []

    def text(self):
        return "".join(self.out)

    def element(self, tag, value, kind, explicit=False):
        """One value. `explicit`: the place can hold anything, so that its type is said."""
        if isinstance(value, Typed):
            self.typed(tag, value)
        elif isinstance(value, Ref):
            said = ' xsi:type="ManagedObjectReference"' if explicit or kind == "anyType" else ""
            self.out.append(f"<{tag} type={quoteattr(value.type)}{said}>{escape(value.value)}</{tag}>")
        elif isinstance(value, Obj):
            self.data(tag, value, kind, explicit)
        else:
            if kind == "anyType":
                kind, explicit = guess(value), True
            space = "" if kind in schema.ENUMS else "xsd:"
            said = f' xsi:type="{space}{kind}"' if explicit else ""
            self.out.append(f"<{tag}{said}>{plain(value)}</{tag}>")

    def typed(self, tag, value):
        """A value where anything can stand, with the type of the place that it comes from."""
        if not value.array:
            self.element(tag, value.value, value.type, True)
            return
        name, item = schema.array_name(value.type)
        self.out.append(f'<{tag} xsi:type="{name}">')
        explicit = item == "ManagedObjectReference"
        for element in value.value:
            self.element(item, element, value.type, explicit)
        self.out.append(f"</{tag}>")

    def data(self, tag, value, kind, explicit):
        said = f' xsi:type="{value.type}"' if explicit or value.type != kind else ""
        wanted = schema.fields(value.type)
        strange = value.fields.keys() - names_of(value.type)
        if strange:
            raise ValueError(f"the lab made a {value.type} with {sorted(strange)}")
        self.out.append(f"<{tag}{said}>")
        for item in wanted:
            content = value.fields.get(item.name)
            if item.since > self.version:
                continue
            if content is None:
                if not item.optional:
                    raise ValueError(f"the lab made a {value.type} without {item.name}")
            elif item.array:
                for element in content:
                    self.element(item.name, element, item.type)
            else:
                self.element(item.name, content, item.type)
        self.out.append(f"</{tag}>")


@functools.lru_cache(None)
def names_of(kind):
    return frozenset(item.name for item in schema.fields(kind))


def plain(value):
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return escape(str(value))


def guess(value):
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int" if -(1 << 31) <= value < 1 << 31 else "long"
    if isinstance(value, datetime.datetime):
        return "dateTime"
    if isinstance(value, bytes):
        return "base64Binary"
    return "string"


def envelope(body):
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:soapenv="{ENVELOPE}" '
            f'xmlns:xsd="{XSD}" xmlns:xsi="{XSI}">\n<soapenv:Body>\n{body}\n</soapenv:Body>\n</soapenv:Envelope>')


def reply(method, result, version):
    """The envelope that answers a call."""
    writer = Writer(version)
    wanted = method.result
    if wanted is not None and result is not None:
        for value in result if wanted.array else [result]:
            writer.element("returnval", value, wanted.type)
    space = INTERNAL if method.internal else VIM
    return envelope(f'<{method.name}Response xmlns="{space}">{writer.text()}</{method.name}Response>')


def fault_reply(fault, version):
    writer = Writer(version)
    try:
        writer.element(f'{fault.name}Fault', fault.detail, None, True)
        detail = writer.text().replace(f"<{fault.name}Fault", f'<{fault.name}Fault xmlns="{VIM}"', 1)
    except ValueError as error:
        detail = (f'<SystemErrorFault xmlns="{VIM}" xsi:type="SystemError"><reason>{escape(str(error))}</reason>'
                  "</SystemErrorFault>")
    return envelope(f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{escape(fault.message)}"
                    f"</faultstring><detail>{detail}</detail></soapenv:Fault>")
