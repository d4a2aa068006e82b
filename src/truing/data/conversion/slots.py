"""Text with slots in braces: what fills them can be put in, and read back out of a finished text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True)
class SlotText:
    """Pieces of fixed text, each followed by the name of a slot ('' behind the last one)."""

    parts: tuple[tuple[str, str], ...]

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots in the order in which they stand, each once."""
        return tuple(dict.fromkeys(slot for _, slot in self.parts if slot))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its slots filled. Braces in the values mean nothing."""
        return "".join(fixed + (values[slot] if slot else "") for fixed, slot in self.parts)

    def readings(self, text: str) -> list[dict[str, str]]:
        """What the slots held, given a filled text: none, one, or two where it isn't certain.

        The two are the ones with the shortest and with the longest first values: if they agree, no
        other reading exists.
        """
        found: list[dict[str, str]] = []
        for quantifier in ("+?", "+"):
            match = re.fullmatch(self._pattern(quantifier), text, re.DOTALL)
            if match and match.groupdict() not in found:
                found.append(match.groupdict())
        return found

    def _pattern(self, quantifier: str) -> str:
        return "".join(self._pieces(quantifier))

    def _pieces(self, quantifier: str) -> Iterator[str]:
        seen: set[str] = set()
        for fixed, slot in self.parts:
            yield re.escape(fixed)
            if slot:
                yield f"(?P={slot})" if slot in seen else f"(?P<{slot}>.{quantifier})"
                seen.add(slot)


def parse_slots(text: str) -> SlotText:
    """Text with `{slot}` in it; `{{` and `}}` are braces.

    Raises ValueError saying what is wrong: a brace that isn't closed, or more than a name in it.
    """
    try:
        pieces = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("a single brace; write {{ or }} for a brace that is no slot") from None
    parts = []
    for fixed, slot, form, conversion in pieces:
        if slot is not None and (not slot.isidentifier() or form or conversion):
            raise ValueError(f"{{{slot}}} is no slot; a slot is a name in braces, and {{{{ a brace")
        parts.append((fixed, slot or ""))
    return SlotText(tuple(parts))
