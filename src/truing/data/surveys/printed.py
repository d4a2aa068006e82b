"""Lists and dictionaries as Python prints them, which published tables hold; read as data, never run."""

from __future__ import annotations

import ast
import re
from typing import Any

MOST_CHARACTERS = 200_000
_DEFAULTDICT = re.compile(r"\A\s*defaultdict\(<class '\w+'>,\s*(\{.*\})\s*\)\s*\Z", re.DOTALL)


def printed_list(text: str) -> list[Any] | None:
    """The list in a text, None where it is none."""
    value = _literal(text)
    return list(value) if isinstance(value, list | tuple) else None


def printed_mapping(text: str) -> dict[Any, Any] | None:
    """The dictionary in a text, also one printed as a defaultdict; None where it is none."""
    match = _DEFAULTDICT.match(text)
    value = _literal(match[1] if match else text)
    return value if isinstance(value, dict) else None


def _literal(text: str) -> Any:
    if len(text) > MOST_CHARACTERS:
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
