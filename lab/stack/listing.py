"""Lists: which rows an answer has. Rows are answers already, and filters look at the fields that they have."""

from . import refusal

UNLIMITED = -1      # a size of pages


class Rows(list):
    """What a list command gives back; paging is not its business."""


def matches(row, args, fields):
    """Whether a row is what the arguments ask for. fields: {argument: field of the row}."""
    for argument, field in fields.items():
        if argument in args and not same(row.get(field), args[argument]):
            return False
    keyword = args.get("keyword")
    if keyword and not any(keyword.lower() in str(row.get(field, "")).lower() for field in ("name", "displayname",
                                                                                           "description", "path")):
        return False
    return "ids" not in args or row["id"] in [item.id for item in args["ids"]]


def same(have, wanted):
    if hasattr(wanted, "id"):
        return have == wanted.id
    if isinstance(wanted, str) and isinstance(have, str):
        return have.lower() == wanted.lower()
    return have == wanted


def select(rows, args, *fields, **renamed):
    """The rows that fit; `fields` are those whose argument has the name of the field."""
    table = dict({field: field for field in fields}, **renamed)
    return Rows(row for row in rows if matches(row, args, table))


def page(rows, args, default_size):
    """(count of all, rows of the page), as the product cuts them."""
    number, size = args.get("page"), args.get("pagesize")
    if size is not None and size > default_size != UNLIMITED:
        raise refusal.parameter(f"The parameter pagesize exceeded its max value - {default_size}")
    if size == UNLIMITED:
        if number is not None:
            raise refusal.parameter("Can't specify page parameter when pagesize parameter is -1 (Unlimited)")
        if default_size != UNLIMITED:
            raise refusal.parameter(f"The parameter pagesize exceeded its max value - {default_size}")
        return len(rows), rows
    if (number is None) != (size is None):
        raise refusal.parameter("Both page and pagesize must be specified, or neither")
    if number is None:
        return len(rows), rows if default_size == UNLIMITED else rows[:default_size]
    if number < 1 or size < 1:
        raise refusal.parameter("The parameters page and pagesize must be positive")
    return len(rows), rows[(number - 1) * size:number * size]


def without_nothing(value):
    """An answer without its absent fields, as the product leaves them out."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nothing(item) for item in value]
    return value
