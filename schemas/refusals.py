"""Why a model refused a record, as one `BadRecord` that a person understands.

pydantic's first error in field order is the one that is told. What was expected is said in the contract's
words, and what came is quoted as JSON, unless it is an attribute of a person: of those only type and size.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.deadletters import MAX_GOT_CHARACTERS, BadRecord, Reason
from schemas.events import InputEvent

_COMMON_FIELDS = frozenset(InputEvent.model_fields)

# pydantic's error type → our reason, and what was expected given the error's context.
_REASONS: dict[str, tuple[Reason, Callable[[Mapping[str, Any]], str]]] = {
    "missing": ("missing_field", lambda _: "this field"),
    "string_type": ("wrong_type", lambda _: "a string"),
    "int_type": ("wrong_type", lambda _: "an integer"),
    "bool_type": ("wrong_type", lambda _: "true or false"),
    "list_type": ("wrong_type", lambda _: "a list"),
    "model_type": ("wrong_type", lambda _: "an object"),
    "literal_error": ("bad_value", lambda ctx: f"one of {ctx['expected']}"),
    "string_too_short": ("bad_value", lambda ctx: f"at least {ctx['min_length']} character"),
    "string_too_long": ("bad_value", lambda ctx: f"at most {ctx['max_length']} characters"),
    "too_long": ("bad_value", lambda ctx: f"at most {ctx['max_length']} entries"),
    "greater_than_equal": ("bad_value", lambda ctx: f"at least {ctx['ge']}"),
    "less_than_equal": ("bad_value", lambda ctx: f"at most {ctx['le']}"),
    "bad_value": ("bad_value", lambda ctx: str(ctx["expected"])),
}


def refusal(error: ValidationError, *, is_personal: bool) -> BadRecord:
    """The reason for which a model refused a record.

    Args:
        is_personal: whether fields beyond the common ones are attributes of a person.
    """
    first = error.errors(include_url=False)[0]
    kind, context, value = first["type"], first.get("ctx", {}), first["input"]
    if kind == "json_invalid":
        return BadRecord("not_json", None, "JSON (RFC 8259) of at most 200 levels", _json_problem(context))
    if kind == "maker_is_checker":
        return BadRecord("bad_value", "checker", "another person than the maker", "the maker")
    field = _path(first)
    if field is None:
        return BadRecord("not_an_object", None, "a JSON object", _size(value))
    reason, expected = _REASONS.get(kind, ("bad_value", lambda _: first["msg"]))
    if kind == "missing":
        return BadRecord(reason, field, expected(context), "nothing")
    is_private = is_personal and first["loc"][0] not in _COMMON_FIELDS
    return BadRecord(reason, field, expected(context), _size(value) if is_private else _quote(value))


def _path(error: ErrorDetails) -> str | None:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or None


def _json_problem(context: Mapping[str, Any]) -> str:
    problem = str(context.get("error", "malformed JSON"))
    for theirs, ours in {
        "unexpected end of hex escape": "a lone surrogate or a broken \\u escape",
        "lone leading surrogate in hex escape": "a lone surrogate",
        "recursion limit exceeded": "more levels",
        "number out of range": "a number of more than 4300 digits",
    }.items():
        problem = problem.replace(theirs, ours)
    return problem


def _quote(value: Any) -> str:
    if isinstance(value, list | dict):
        return _size(value)
    if isinstance(value, str):
        value = value[: MAX_GOT_CHARACTERS + 1]
    elif isinstance(value, int) and value.bit_length() > 256:
        return "a huge number"
    return json.dumps(value, ensure_ascii=False)


def _size(value: Any) -> str:
    """Type and size of a JSON value, without the value."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "a boolean"
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    return "a number"
