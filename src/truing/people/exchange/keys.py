"""The keys of records: which say nothing about an answer, and what is said about those nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from truing.types import InputError

ABOUT = frozenset(
    (
        "id", "prompt_id", "uuid", "idx", "index", "row", "source", "dataset", "subset", "category",
        "subject", "topic", "domain", "type", "tags", "title", "url", "language", "lang", "licence",
        "license", "task", "template", "split", "group", "family", "user", "annotator", "consent",
        "use_case", "suggested_use_case", "times", "metadata", "meta", "prompt_hash", "from",
        "judged_at", "seconds", "created_at", "updated_at", "timestamp", "date",
    )
)  # fmt: skip
"""Keys that any record may have: where it comes from and what it is about, never how good it is."""
_ELSEWHERE = {
    "groups": "in a store people say of themselves what they are, under 'About you'; from a file, 'truing "
    "train reward' reads it as reward_model.judgements"
}
"""Keys that are read elsewhere, and where."""
_CLOSE = 0.75
_Read = TypeVar("_Read")


def says_nothing(value: object) -> bool:
    """Whether a value is none: null, empty text, an empty list or object."""
    return value is None or value in ("", [], {})


@dataclass(frozen=True)
class Form(Generic[_Read]):
    """A form of record: the keys that it needs, those that it may have, and who reads it.

    What a program writes as a whole has keys of its own beside those that matter: `any_key` then.
    """

    name: str
    needs: frozenset[str]
    may: frozenset[str]
    read: _Read
    any_key: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """All that it knows."""
        return self.needs | self.may


def check_whole(
    said: Collection[str], record: Mapping[str, Any], forms: Sequence[Form[_Read]]
) -> None:
    """Raises InputError where a record with these keys lacks one key alone of a form.

    So a row with a chosen answer and none that was rejected isn't called a prompt with a key too many.
    """
    for each in forms:
        beside, missing = sorted(each.needs & set(said)), sorted(each.needs - record.keys())
        if beside and len(missing) == 1:
            names = " and ".join(map(repr, beside))
            raise InputError(
                f"{missing[0]}: missing beside {names}; a row of the form {each.name!r} has "
                f"{', '.join(sorted(each.needs))}"
            )


def check_keys(record: Mapping[str, Any], form: Form[_Read], forms: Sequence[Form[_Read]]) -> None:
    """Raises InputError for a key that the form doesn't know, naming the nearest one of any form."""
    larger = [each for each in forms if form.needs < each.needs and not each.any_key]
    if not form.any_key:
        said = {key for key, value in record.items() if not says_nothing(value)}
        check_whole(said - form.keys - ABOUT, record, larger)
    for key, value in record.items():
        if form.any_key or key in form.keys or key in ABOUT or says_nothing(value):
            continue
        if key in _ELSEWHERE:
            raise InputError(f"{key}: {_ELSEWHERE[key]}; leave it out (--ignore {key})")
        absent = sorted({name for each in forms for name in each.keys} - record.keys())
        close = difflib.get_close_matches(key, absent, n=1, cutoff=_CLOSE)
        if close:
            there = {*record, close[0]}
            near = [each for each in forms if close[0] in each.keys]
            near.sort(key=lambda each: len(each.needs - there))
            raise InputError(
                f"unknown key {key!r}: did you mean {close[0]!r}, of the form {near[0].name!r}? In the "
                f"form {form.name!r} it would be lost"
            )
        raise InputError(
            f"unknown key {key!r}: the form {form.name!r} has {', '.join(sorted(form.keys))}; leave it "
            f"out (for data import: --ignore {key})"
        )
