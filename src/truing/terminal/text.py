"""Text that does nothing to a terminal but stand there, and signs for terminals that have few."""

from __future__ import annotations

import re

_ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but the tab and the line break
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the reading direction
    "\u2028\u2029\ud800-\udfff]"  # separators that some terminals break lines at; half characters
)

READABLE = "truing.readable"
"""The name of `readable` where a stream names how it treats what it can't encode."""

_ALIKE = {
    "'": "‘’",
    '"': "“”",
    "-": "‐‑‒–—−·─━▃▄",
    "~": "…±",
    "*": "•★",
    "x": "×✗",
    "2": "²",
    "<": "≤←",
    ">": "≥→",
    "^": "↑▲△",
    "v": "↓▼▽",
    "+": "✓",
    "o": "○●",
    "|": "│┃║",
    "=": "═▅▆",
    "#": "█▇",
    "_": "▁▂",
}
_SIGNS = {ord(sign): alike for alike, signs in _ALIKE.items() for sign in signs}


def harmless(text: str) -> str:
    """The text with whatever would act on a terminal spelled out: `\\x1b`, `\\u202e`."""
    return _ACTIVE.sub(lambda match: _spelled(match[0]), text.replace("\r\n", "\n"))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def shortly(text: str, length: int = 90) -> str:
    """The beginning of a text, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def readable(error: UnicodeError) -> tuple[str, int]:
    """An error handler for encoders: signs that are alike, else the number, so that nothing is lost.

    One character stands for one where there is a like one, so that tables stay in line.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end].translate(_SIGNS)
    return "".join(sign if sign.isascii() else _spelled(sign) for sign in signs), error.end
