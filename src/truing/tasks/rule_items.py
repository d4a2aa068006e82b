"""The items of a task's rules, from the task file or a file of their own: each column as what it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from truing.data.rule_book import BY_CONTEXT, COLUMNS, EXAMPLES
from truing.data.rules import RuleItem
from truing.data.tables.reading import read_table
from truing.types import InputError, did_you_mean

ENTRIES = ("done", "carry", "report", "about", "words", "claim", "ingredients")
"""Columns of words: one entry, or a list of them."""
TEXTS = ("name", "canary", "language", "private")
"""Columns of one text each."""
LONGEST = 100_000
"""Characters that a text of an item may have."""


def own_items(
    source: str | Sequence[Mapping[str, Any]],
    rule: str,
    given: Mapping[str, Any],
    contexts: Collection[str],
    where: str,
) -> Iterator[RuleItem]:
    """The items of a rule that has its own; `given` are columns that they all have, or say for themselves.

    Raises InputError, naming the item's place, where a column can't be what its name says.
    """
    rows = [(place, read_columns(row, contexts, place)) for place, row in _rows(source, where)]
    if not rows:
        raise InputError(f"{where}: empty; give at least one item, or leave the key out")
    names = [row.get("name") or f"{rule}-{number}" for number, (_, row) in enumerate(rows, 1)]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{where}: two items are called {name!r}; give each a name of its own")
    _check_each_once(rows)
    for name, (_, row) in zip(names, rows, strict=True):
        yield RuleItem(name, {**given, **row})


def _rows(
    source: str | Sequence[Mapping[str, Any]], where: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(source, str):
        for row in read_table(source, where).rows:
            yield f"{where}: {row.place}", row.values
    else:
        for number, values in enumerate(source):
            yield f"{where}.{number}", values


def _check_each_once(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    places: dict[str, str] = {}
    for place, row in rows:
        key = repr(sorted((name, repr(value)) for name, value in row.items() if name != "name"))
        if key in places:
            first = places[key].rpartition(": ")[2]
            raise InputError(f"{place}: the same item as {first}; leave one of them out")
        places[key] = place


def read_columns(row: Mapping[str, Any], contexts: Collection[str], place: str) -> dict[str, Any]:
    """An item's columns, each as what its name says; those that are empty are left out."""
    read: dict[str, Any] = {}
    for name, value in row.items():
        where = f"{place}.{name}"
        if name in COLUMNS:
            raise InputError(
                f"{where}: is the name of a column that every case has ({', '.join(COLUMNS)}); rename it"
            )
        _check_characters(value, where)
        read[name] = _column(name, value, contexts, where)
    return {name: value for name, value in read.items() if value not in (None, "", [], {})}


def _column(name: str, value: Any, contexts: Collection[str], where: str) -> Any:
    if name in BY_CONTEXT and isinstance(value, Mapping):
        for context in value:
            if context not in contexts:
                raise InputError(
                    f"{where}: {context!r}: unknown context; {did_you_mean(str(context), contexts)}"
                    f"known: {', '.join(contexts)}"
                )
        return {c: _of_name(name, each, f"{where}.{c}") for c, each in value.items()}
    return _of_name(name, value, where)


def _of_name(name: str, value: Any, where: str) -> Any:
    """A value as what its column's name says; that of any other name as it is."""
    if value in (None, "") or name not in (*ENTRIES, *EXAMPLES, *TEXTS):
        return value
    if name in ENTRIES:
        return entries(value, where)
    if name in EXAMPLES and isinstance(value, list | tuple):
        return [_text(each, where) for each in value]
    text = _text(value, where)
    if name in ("name", "canary"):
        check_name(text, where)
    return text


def entries(value: Any, where: str) -> list[str]:
    """Words as entries: one text is one entry. Raises InputError where one could match nothing."""
    listed = [
        _text(each, where) for each in (value if isinstance(value, list | tuple) else [value])
    ]
    for entry in listed:
        if not any(map(str.isalnum, entry)):
            raise InputError(
                f"{where}: {entry!r}: no word, so that nothing could match it; give a word, "
                '"late|delayed" for either, or "boat*" for any that begins so'
            )
    return listed


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    given = json.dumps(value, default=str, skipkeys=True)[:60]
    raise InputError(f"{where}: {given}: should be a text or a list of texts; put it in quotes")


def check_name(text: str, where: str) -> None:
    """Raises InputError where a name or a secret has no letter or digit, or more than a line."""
    if not any(map(str.isalnum, text)) or not text.isprintable():
        raise InputError(f"{where}: {text[:60]!r}: should be one line with letters or digits")


def _check_characters(value: Any, where: str) -> None:
    """Raises InputError where a text, however deep, is one that no model can be given."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += [*each, *each.values()]
        elif isinstance(each, list | tuple):
            waiting += each
        elif isinstance(each, str):
            check_text(each, where)


def check_text(text: str, where: str) -> None:
    """Raises InputError where a text is too long or holds half of a surrogate pair."""
    if len(text) > LONGEST:
        raise InputError(f"{where}: {len(text)} characters; give at most {LONGEST}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"{where}: half of a surrogate pair; escape characters as whole pairs"
        ) from None
