"""Personal data that has a shape, replaced by what it was: e-mail, phone, card, IBAN, keys.

Names and addresses have no shape and stay; what is masked is what can be told for certain or nearly so,
so that ordinary numbers, dates and versions aren't touched. Checks: Luhn (ISO/IEC 7812-1, annex B) for
cards, mod 97 (ISO 13616) for IBANs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)
_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<![\w-])(?:"
    r"sk-[\w-]{20,}|[sr]k_(?:live|test)_\w{16,}|gh[pousr]_\w{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}"
    r"|hf_[A-Za-z0-9]{30,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r")(?![\w-])",
    re.DOTALL,
)
_CARD = re.compile(
    r"(?<![\w.,/-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|3[47]\d{2}([ -])\d{6}\2\d{5})"
    r"(?![\w/-]|[.,]\d)"
)
_CARD_ISSUERS = "3456"
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)")
_PHONE = re.compile(
    r"(?<![\w.+/-])(?:"
    r"\+\d[\d ()./-]{6,22}\d"
    r"|\([2-9]\d{2}\) ?\d{3}[ .-]\d{4}|[2-9]\d{2}([.-])\d{3}\1\d{4}"
    r"|(?:\(0\d{1,4}\)|0\d{1,4})[ /-]\d[\d -]{4,14}\d"
    r"|(?<=\btel )\d[\d ()./-]{5,18}\d|(?<=\btel: )\d[\d ()./-]{5,18}\d"
    r"|(?<=\bphone )\d[\d ()./-]{5,18}\d|(?<=\bphone: )\d[\d ()./-]{5,18}\d"
    r"|(?<=\bmobile )\d[\d ()./-]{5,18}\d|(?<=\bmobile: )\d[\d ()./-]{5,18}\d"
    r")(?![\w/-]|[.,]\d)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}")


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _is_card(text: str) -> bool:
    digits = _digits(text)
    return 13 <= len(digits) <= 19 and digits[0] in _CARD_ISSUERS and luhn(digits)


def iban(text: str) -> str | None:
    """The IBAN that a text begins with, if any; longer words behind it aren't part of it."""
    for end in range(len(text), 14, -1):
        compact = text[:end].replace(" ", "")
        if end < len(text) and text[end] != " ":
            continue
        turned = compact[4:] + compact[:4]
        if len(compact) >= 15 and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1:
            return text[:end]
    return None


def _is_phone(text: str) -> bool:
    digits = _digits(text)
    return (10 if text.startswith("0") else 7) <= len(digits) <= 15 and not _DATE.search(text)


def _when(holds: Callable[[str], bool], name: str) -> Callable[[re.Match[str]], str]:
    return lambda match: name if holds(match.group()) else match.group()


def _mask_iban(match: re.Match[str]) -> str:
    found = iban(match.group())
    return match.group() if found is None else f"[IBAN]{match.group()[len(found) :]}"


def mask(text: str) -> str:
    """The text with e-mail addresses, phone and card numbers, IBANs and keys replaced by their names.

    Masking twice is masking once.
    """
    text = _KEY.sub("[key]", text)
    text = _EMAIL.sub("[e-mail]", text)
    text = _IBAN.sub(_mask_iban, text)
    text = _CARD.sub(_when(_is_card, "[card]"), text)
    return _PHONE.sub(_when(_is_phone, "[phone]"), text)
