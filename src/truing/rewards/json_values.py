"""JSON as answers write it: read strictly, held against another value, or against a schema."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any


def _one_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        raise ValueError("a key stands twice")
    return keys


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} isn't JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # all of these would be the same value
        raise ValueError("a number is too large")
    return number


_DEEPEST = 100
"""Arrays and objects in each other: what looks through them calls itself for each."""


def parsed_json(text: str) -> Any:
    """The JSON value that is all of a text. Raises ValueError where there is none.

    Stricter than Python: NaN and Infinity aren't JSON, nor is a number that is read as one of them; no key
    may stand twice in an object, and no more than 100 arrays and objects in each other.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_one_of_each,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    inside = [value]
    for _ in range(_DEEPEST):
        inside = [each for outer in inside for each in _parts(outer)]
        if not inside:
            return value
    raise ValueError("nested too deeply")


def _parts(value: Any) -> list[Any]:
    """The arrays and objects right inside a value."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in parts if isinstance(each, dict | list)]


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values say the same: 1 is 1.0 but not true, white space around texts is free."""
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


# --- Schemas ----------------------------------------------------------------------------------

_KINDS: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: _KINDS["number"](value) and value == value // 1,
}
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, least: not _KINDS["number"](value) or value >= least,
    "maximum": lambda value, most: not _KINDS["number"](value) or value <= most,
    "minLength": lambda value, least: not isinstance(value, str) or len(value) >= least,
    "maxLength": lambda value, most: not isinstance(value, str) or len(value) <= most,
    "minItems": lambda value, least: not isinstance(value, list) or len(value) >= least,
    "maxItems": lambda value, most: not isinstance(value, list) or len(value) <= most,
}
_REMARKS = ("title", "description", "$schema", "default", "examples")
KEYWORDS = (
    *("type", "enum", "const", "properties", "required", "additionalProperties", "items"),
    *_BOUNDS,
)
"""Keywords of JSON Schema that are understood."""


def check_schema(schema: Any, path: str = "schema") -> None:
    """Raises ValueError where a schema holds what isn't understood: a check that is left out would pass."""
    if not isinstance(schema, Mapping):
        raise ValueError(f"{path}: must be a mapping")
    for key, value in schema.items():
        if key not in (*KEYWORDS, *_REMARKS):
            raise ValueError(f"{path}.{key}: not understood; known: {', '.join(KEYWORDS)}")
        _check_keyword(key, value, f"{path}.{key}")
    for name, inner in schema.get("properties", {}).items():
        check_schema(inner, f"{path}.properties.{name}")
    if "items" in schema:
        check_schema(schema["items"], f"{path}.items")


def _check_keyword(key: str, value: Any, path: str) -> None:
    if key == "type" and not (value and set(_kinds(value)) <= set(_KINDS)):
        raise ValueError(f"{path}: must be one or a list of {', '.join(_KINDS)}")
    if key in ("enum", "required") and not isinstance(value, list | tuple):
        raise ValueError(f"{path}: must be a list")
    if key == "properties" and not isinstance(value, Mapping):
        raise ValueError(f"{path}: must be a mapping")
    if key == "additionalProperties" and not isinstance(value, bool):
        raise ValueError(f"{path}: must be true or false")
    if key in _BOUNDS and not _KINDS["number"](value):
        raise ValueError(f"{path}: must be a number")


def _kinds(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value or ()]


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a JSON value is as a schema, which `check_schema` passed, says."""
    if "type" in schema and not any(_KINDS[kind](value) for kind in _kinds(schema["type"])):
        return False
    if "enum" in schema and not any(same_value(value, each) for each in schema["enum"]):
        return False
    if "const" in schema and not same_value(value, schema["const"]):
        return False
    if not all(fine(value, schema[key]) for key, fine in _BOUNDS.items() if key in schema):
        return False
    if isinstance(value, dict) and not _object_fits(value, schema):
        return False
    if isinstance(value, list) and "items" in schema:
        return all(fits(each, schema["items"]) for each in value)
    return True


def _object_fits(value: dict[str, Any], schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    if not set(schema.get("required", ())) <= value.keys():
        return False
    if schema.get("additionalProperties") is False and value.keys() - properties.keys():
        return False
    return all(fits(value[name], inner) for name, inner in properties.items() if name in value)
