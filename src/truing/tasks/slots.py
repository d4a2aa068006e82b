"""Slots of a rule's texts, {name}, which every item must fill."""

from __future__ import annotations

import json
import re
from typing import Any

from truing.types import InputError

SLOT = re.compile(r"\{(\w+)\}")


def check_filled(value: Any, slot: str, what: str, place: str) -> None:
    """Raises InputError, naming the item's place, where its value can't stand in the slot of a text."""
    if value in (None, "", (), [], {}):
        wrong = "doesn't fill"
    elif isinstance(value, str) and not value.strip():
        wrong = "has nothing but blanks in"
    elif isinstance(value, bool) or not isinstance(value, str | int | float):
        wrong = f"has {json.dumps(value, default=str, skipkeys=True)[:60]} in"
    else:
        return
    raise InputError(f"{place}: {wrong} the slot {{{slot}}} of {what}; give it a text of that name")
