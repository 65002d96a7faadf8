"""From a request's bytes to the typed arguments of a command, in the steps and with the words of the product."""

import dataclasses
import re
import urllib.parse

from . import refusal

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WORD = re.compile(r"(\w+)(\*?):(\w+)(?:/(\w+))?(?:@([\w.]+))?(?:=(\d+))?")
LENGTH = 255
MAP_HELP = ("; if specifying an object array, please use parameter[index].field=" + "X" * 3 + ", "
            "e.g. userGroupList[0].group=httpGroup")


@dataclasses.dataclass
class Param:
    """A parameter of a command. entity: table of the world in which a UUID must be. since: release that brought it."""

    name: str
    required: bool
    type: str
    entity: str = None
    since: str = None
    length: int = LENGTH


def parse(text):
    """Parameters from a row of the table of commands: `name[*]:type[/entity][@release][=length]`."""
    made = []
    for word in text.split():
        name, star, kind, entity, since, length = WORD.fullmatch(word).groups()
        made.append(Param(name, bool(star), kind, entity, since, int(length or LENGTH)))
    return made


def query_pairs(text):
    """A query string: what has no `=` is dropped, the last of a name wins. ValueError when it cannot be decoded."""
    pairs = {}
    for token in text.split("&"):
        name, equals, value = token.partition("=")
        if equals:
            pairs[decode(name)] = decode(value)
    return pairs


def form_pairs(text, keys_max):
    """A form: the first of a name wins. ValueError when it cannot be decoded or has too many keys."""
    pairs = {}
    for token in filter(None, text.split("&")):
        name, _, value = token.partition("=")
        pairs.setdefault(decode(name), decode(value))
        if len(pairs) > keys_max:
            raise ValueError(f"Form with too many keys [{len(pairs)} > {keys_max}]")
    return pairs


def decode(text):
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("illegal hex characters in escape (%) pattern")
    return urllib.parse.unquote_plus(text, errors="replace")


def check_characters(pairs):
    for name, value in pairs.items():
        if any(ord(letter) < 0x20 and letter not in "\t\n\r" for letter in value):
            raise refusal.parameter(f"Received value {value!r} for parameter {name} is invalid, contains illegal ASCII "
                                    "non-printable characters")


def unpack(pairs):
    """Names in lower case, and `name[index].field` as {index: {field: value}}."""
    folded = {}
    for key, value in pairs.items():
        start = key.find("[")
        if start <= 0:
            if key.count("[") > 1:
                raise malformed(key)
            folded[key.lower()] = value
            continue
        end, dot = key.find("]"), key.find(".")
        if key.count("[") != 1 or end < start or key.count("]") != 1 or dot < end:
            raise malformed(key)
        if not re.fullmatch(r"[+-]?[0-9]+", key[start + 1:end]):
            raise malformed(key)
        table = folded.setdefault(key[:start].lower(), {})
        if isinstance(table, str):
            raise malformed(key)
        table.setdefault(int(key[start + 1:end]), {})[key[dot + 1:]] = value
    return folded


def malformed(key):
    return refusal.Refusal(refusal.MALFORMED, f"Unable to decode parameter {key}{MAP_HELP}")


def process(command, folded, find, release_has):
    """The arguments of a command. find(entity, uuid) is the object, removed ones as well, or None."""
    args = {}
    lower = command.name.lower()
    for param in command.params:
        if param.since and not release_has(param.since):
            continue                    # an unknown parameter is ignored
        value = folded.get(param.name.lower())
        if value is None:
            if param.required:
                raise refusal.parameter(f"Unable to execute API command {lower} due to missing parameter {param.name}")
            continue
        try:
            args[param.name] = READERS[param.type](param, value, find)
        except refusal.Refusal as error:
            raise refusal.parameter(f"Unable to execute API command {lower} due to invalid value. {error}") from error
        except ValueError as error:
            raise refusal.parameter(f"Unable to execute API command {lower} due to invalid value {value} for "
                                    f"parameter {param.name}") from error
    return {name: value for name, value in args.items() if value is not None}


def read_string(param, value, _find):
    if isinstance(value, dict):
        raise ValueError("a map")
    if len(value) > param.length:
        raise refusal.invalid(f"Value greater than max allowed length {param.length} for param: {param.name}")
    return value


def read_bool(_param, value, _find):
    return str(value).lower() == "true"


def read_int(_param, value, _find):
    if not str(value).strip():
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", str(value)):
        raise ValueError("no number")
    return int(value)


def read_long(_param, value, _find):
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", str(value)):
        raise ValueError("no number")
    return int(value)


def read_uuid(param, value, find):
    """The object itself; "-1", which stands for all projects, as it is."""
    if value == "-1" and param.entity == "project":
        return value
    found = find(param.entity, value) if UUID.fullmatch(str(value)) else None
    if found is None:
        raise refusal.invalid(f"Invalid parameter {param.name} value={value} due to incorrect long value format, or "
                              "entity does not exist or due to incorrect parameter annotation for the field in api cmd "
                              "class.")
    return found


def read_list(param, value, find):
    if isinstance(value, dict):
        raise ValueError("a map")
    words = [word for word in value.split(",") if word]
    return [read_uuid(param, word, find) for word in words] if param.entity else words


def read_map(_param, value, _find):
    """[{field: value}] in the order of the indices."""
    if not isinstance(value, dict):
        raise ValueError("no map")
    return [value[index] for index in sorted(value)]


READERS = {"string": read_string, "bool": read_bool, "int": read_int, "long": read_long, "uuid": read_uuid,
           "list": read_list, "map": read_map}
