"""Words of a question or an option that lose their sense when options are listed in another order.

"The first option", "all of the above", "the latter", options that bring letters of their own: under other
letters they say something else. What only looks like it ("Plan B", "vitamin A", "the former president")
is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LETTER = "(?-i:[A-H])"
_NUMERAL = "(?-i:I{1,3}|IV|V)"
_MARK = f"(?:{_LETTER}|[1-9]|{_NUMERAL})"
_OF_OPTIONS = "(?:options?|answers?|choices?|alternatives?|statements?|responses?|items?)"
_PRINTED_ORDER = re.compile(
    rf"\b(?:as )?(?:printed|listed|shown|given|{_OF_OPTIONS}) (?:are )?"
    r"(?:printed |listed |shown |given )?(?:above|below)\b(?!-)"
    r"|(?<!your )(?<!my )(?<!his )(?<!her )(?<!our )(?<!their )"
    r"\b(?:first|second|third|fourth|last) (?:option|answer|choice|alternative|statement)\b"
    rf"|\b{_OF_OPTIONS} (?:{_LETTER}(?![\w'’])|above\b(?!-)|below\b)"
    rf"|\b(?:options?|choices?|statements?|alternatives?) (?:[1-9]|{_NUMERAL})\b(?![.,]\d)"
    r"|\b(?:which|any|one|all|none|each|both|either|neither|some|two) of (?:the )?"
    r"(?:(?:options?|answers?|choices|statements?) )?(?:above|below|preceding|foregoing)\b(?!-)"
    rf"|\b(?:choose|pick|select|answer|mark|tick|circle|say|enter|reply|respond|write)(?: with| either)?"
    rf" {_LETTER}(?:, {_LETTER})*,? or {_LETTER}\b(?!['’\w])"
    r"|\bthe (?:former|latter)\b(?= *(?:[?.,;:)!]|$)"
    r"| (?:or|and|is|are|was|than|to|over|rather|option|one|statement|view|position|alternative|answer|"
    r"choice)\b)",
    re.IGNORECASE,
)
_REFERS_TO_OPTIONS = re.compile(
    r"^(?:all|none|any|both|either|neither|some|two) of (?:the )?(?:above|below|preceding|following)\b(?!-)"
    rf"|^(?:both|neither|either)(?: of)? (?:the )?(?:options? )?{_LETTER} (?:and|or|nor) {_LETTER}\b"
    rf"|^{_LETTER}(?:, {_LETTER})*,? (?:and|or|nor) {_LETTER}(?: only)?\.?$"
    rf"|^(?:only |both )?{_OF_OPTIONS} {_MARK}(?:,? (?:and|or) {_MARK})?(?: only)?\.?$"
    r"|^the (?:former|latter)\.?$|\bthan the (?:former|latter)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^\(?([A-Ha-h]|[1-9]|[ivIV]{1,3})(?:[.):]\s+|\)|[.:](?=[A-Za-z]))(?=\S)")
_LISTED = re.compile(r"(?<![\w.])\(?([A-H]|[a-h]|[1-9])(?:\)|[.:](?=\s))(?=\s*\S)")
_SERIES = ("ABCDEFGH", "abcdefgh", "123456789")
_ROMAN = (("i", "ii", "iii", "iv", "v"), ("I", "II", "III", "IV", "V"))


def printed_order(question: str) -> str:
    """The words of a question that mention the order in which its options are printed; "" for none."""
    match = _PRINTED_ORDER.search(question)
    return match[0].strip() if match else ""


def other_options(option: str) -> str:
    """The words of an option that refer to other options, as "all of the above"; "" for none."""
    match = _REFERS_TO_OPTIONS.search(option)
    return match[0].strip() if match else ""


def own_labels(options: Sequence[str]) -> str:
    """The first of options that bring letters or numbers of their own ("A. Good", "B. Bad"); "" where they
    don't, as where two people's initials stand there."""
    labels = [match[1] for option in options if (match := _LABEL.match(option.strip()))]
    if len(labels) < 2 or not any(_begins(series, labels) for series in (*_SERIES, *_ROMAN)):
        return ""
    return next(option for option in options if _LABEL.match(option.strip()))


def _begins(series: Sequence[str], labels: Sequence[str]) -> bool:
    return list(series[: len(labels)]) == list(labels)


def lists_options(question: str, options: int) -> str:
    """The labels under which a question itself lists what can be chosen ("A. ... B. ..."); "" for none.
    Numbers may be those of statements that are asked about, unless there are as many as options."""
    labels = [match[1] for match in _LISTED.finditer(question)]
    for series in _SERIES:
        own = [label for label in labels if label in series]
        is_other = series.isdigit() and len(own) != options
        if len(own) > 1 and _begins(series, own) and not is_other:
            return " ".join(own)
    return ""


def order_words(question: str, options: Sequence[str]) -> str:
    """Why options of a question can't stand in another order; "" where they can."""
    if words := printed_order(question) or next(filter(None, map(other_options, options)), ""):
        return f"mentions the order as printed ({words!r})"
    if option := own_labels(options):
        return f"has options with letters or numbers of their own ({option[:40]!r})"
    if labels := lists_options(question, len(options)):
        return f"lists in its own text what can be chosen, under {labels}"
    return ""
