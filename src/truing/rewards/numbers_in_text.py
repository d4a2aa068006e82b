"""Numbers that stand in a text, as exact fractions: 1,200.50, −3, 3/4, 1 1/2, ½, 6.02e23.

What stands beside a number (a currency, a unit, a percent sign) isn't part of it: $1,200 is 1200, 5 % is
5. Digits within a word (H2O, x2) are no number, and the dash of a range (3-5) is no sign.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

_DIGITS = r"(?:[0-9]{1,3}(?:[,'’\u00a0\u2009\u202f][0-9]{3})+(?![0-9])|[0-9]+)"
_PATTERN = re.compile(
    r"(?P<sign>(?<![\w.)])[-−+]\s?)?[$€£¥]?(?<![\w.])"
    rf"(?:(?P<whole>[0-9]+)[ \u00a0](?P<top>[0-9]+)[/⁄](?P<bottom>[0-9]+)(?![\w/⁄])"
    rf"|(?P<n>{_DIGITS})[/⁄](?P<d>{_DIGITS})(?![\w/⁄])"
    rf"|(?P<number>{_DIGITS}(?:\.[0-9]+)?|\.[0-9]+)(?:[eE](?P<exponent>[-−+]?[0-9]+))?)"
)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
_LATEX_SPACING = re.compile(r"\\[,;:! ]|\{,\}")
_SEPARATORS = str.maketrans("", "", ",'’\u00a0\u2009\u202f")
_MOST_DIGITS = 400
"""Of a number or of its power of ten: beyond it there is no number, but a way to take up the machine."""


def numbers_in(text: str) -> list[Fraction]:
    """All numbers of a text in order. One of more than 400 digits, or divided by 0, is none."""
    values = (_value(match) for match in _PATTERN.finditer(_plain(text)))
    return [value for value in values if value is not None]


def _plain(text: str) -> str:
    """Typographic fractions and those of LaTeX as 1/2, other digits (full width, Arabic) as ours."""
    text = _LATEX_SPACING.sub(lambda match: "," if match[0] == "{,}" else "", text)
    text = _LATEX_FRACTION.sub(r" \1/\2", text)
    return "".join(map(_character, text))


def _character(each: str) -> str:
    if each.isascii():
        return each
    if unicodedata.category(each) == "Nd":
        return str(unicodedata.digit(each))
    plain = unicodedata.normalize("NFKC", each)
    return f" {plain}" if "⁄" in plain and len(plain) > 1 else each


def _value(match: re.Match[str]) -> Fraction | None:
    sign = -1 if (match["sign"] or "")[:1] in ("-", "−") else 1
    if len(match[0]) > _MOST_DIGITS:
        return None
    try:
        if match["whole"]:
            return sign * (int(match["whole"]) + Fraction(int(match["top"]), int(match["bottom"])))
        if match["n"]:
            above, below = (int(match[part].translate(_SEPARATORS)) for part in ("n", "d"))
            return sign * Fraction(above, below)
    except ZeroDivisionError:
        return None
    exponent = int((match["exponent"] or "0").replace("−", "-"))
    if abs(exponent) > _MOST_DIGITS:
        return None
    return sign * Fraction(match["number"].translate(_SEPARATORS)) * Fraction(10) ** exponent
