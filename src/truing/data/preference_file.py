"""Preferences from a user's table: two answers to one prompt, and which of them people chose.

Three forms: a prompt with two answers; two conversations that share all but their last turn; two
transcripts of that kind ("Human: ...", "Assistant: ..."), as Bai et al. (2022) published them. Real files
have rows that can teach nothing; those are left out, and why is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from truing.data.columns import Columns, Field, columns_of
from truing.data.drafts import mistake
from truing.data.left_out import LeftOutRows, with_place
from truing.data.messages import Turns, stripped, turns_of
from truing.data.tables import Table, TableRow, read_table
from truing.data.transcripts import hh_messages
from truing.data.turns import answers_in, asked_in, is_conversation, turns_in
from truing.types import InputError, stable_hash

ROLES = ("prompt", "messages", "chosen", "rejected")
"""What a mapping can say of a file of preferences."""
_COMMON = ("prompt", "messages")
_VOTES = ("Question", "Answer1", "Answer2", "Preference")
_JUDGEMENTS = ("preferred", "ranks", "rating", "label")
EMPTY = "an empty answer"
EQUAL = "the two answers are the same"
APART = "the two don't answer the same prompt"
OPEN = "no answer of the assistant behind a user's turn"


@dataclass(frozen=True)
class Preference:
    """Messages (role, content) up to the user's last one, and two answers: people chose the first.

    `source` is the row's place, `columns` the row itself.
    """

    messages: Turns
    chosen: str
    rejected: str
    source: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def prompt(self) -> str:
        """All that was said before the answers, a message a paragraph."""
        return "\n\n".join(content for _, content in self.messages)

    @property
    def id(self) -> str:
        """64 hexadecimal digits of exactly these messages and these answers, in this order."""
        before = [part for message in self.messages for part in message]
        return stable_hash("preference", *before, self.chosen, self.rejected)


@dataclass(frozen=True)
class PreferenceFile:
    """The preferences of a source in order; `left_out` counts rows that can't be one, by reason,
    `first` has the place of the first of these; `remarks` says how it was read where that isn't plain."""

    preferences: tuple[Preference, ...]
    left_out: Mapping[str, int]
    source: str
    remarks: tuple[str, ...] = ()
    first: Mapping[str, str] = field(default_factory=dict)

    @property
    def left_out_with_place(self) -> dict[str, int]:
        """What was left out, by its reason with the place of the first of them."""
        return with_place(self.left_out, self.first)


@dataclass(frozen=True)
class _Side:
    """An answer, and all that stands before it in its own column or in the prompt's."""

    messages: Turns
    answer: str


def read_preferences(source: str, columns: Mapping[str, str], where: str) -> PreferenceFile:
    """The preferences in a file, a saved folder or a data set of the hub; see `read_table`.

    `columns` and `where` are as for cases. Raises InputError where there are no columns of chosen and
    rejected answers, naming those that are; for a value of a wrong kind, naming the row; and where no
    row is left.
    """
    table = _voted(read_table(source, where))
    known = columns_of(table, columns, where, ROLES, _COMMON)
    place = f"{where}: {source}"
    missing = [role for role in ("chosen", "rejected") if not known.has(role)]
    if missing and table.rows:
        right = f"{known.listed()}{_judged(table)}"
        raise mistake(place, None, "", f"no column {' and none '.join(missing)}", right)
    read = [_preference(known, row) for row in table.rows]
    preferences = tuple(each for each in read if isinstance(each, Preference))
    rows = LeftOutRows()
    for each, row in zip(read, table.rows, strict=True):
        if isinstance(each, str):
            rows.add(each, row.place)
    file = PreferenceFile(preferences, dict(rows.counts), source, table.remarks, rows.first)
    if not preferences:
        left_out = file.left_out_with_place.items()
        reasons = "; ".join(f"{count} left out: {reason}" for reason, count in left_out)
        right = "give a prompt with a chosen and a rejected answer"
        raise mistake(place, None, "", f"no preference in it ({reasons or 'no row'})", right)
    return file


def _judged(table: Table) -> str:
    """What would be right, and who learns from the judgements that a table without pairs has instead."""
    has = [name for name in _JUDGEMENTS if name in table.columns]
    if not has:
        return "; a pair is a prompt with a chosen and a rejected answer"
    return (
        f"; {', '.join(has)}: comparisons, rankings and ratings are what 'truing train reward' learns "
        "from, as reward_model.judgements"
    )


def _voted(table: Table) -> Table:
    """A table with a question, two answers and the better one's name, as chosen and rejected."""
    if not set(_VOTES) <= set(table.columns):
        return table
    rows = tuple(TableRow(row.place, _by_vote(row)) for row in table.rows)
    columns = (*table.columns, "prompt", "chosen", "rejected")
    return Table(table.name, columns, rows, table.remarks)


def _by_vote(row: TableRow) -> dict[str, Any]:
    votes = {"Answer1": ("Answer1", "Answer2"), "Answer2": ("Answer2", "Answer1")}
    vote = row.values.get("Preference")
    if not isinstance(vote, str) or vote not in votes:
        raise mistake(row.place, None, "Preference", f"{vote!r}", "give Answer1 or Answer2")
    names = ("Question", *votes[vote])
    speakers = ("Human:", "Assistant:", "Assistant:")
    texts = [Field(row.place, name, row.values.get(name)).text for name in names]
    bare = [t.removeprefix(s).strip() for t, s in zip(texts, speakers, strict=True)]
    return {**row.values, **dict(zip(("prompt", "chosen", "rejected"), bare, strict=True))}


def _preference(columns: Columns, row: TableRow) -> Preference | str:
    """A row's preference, or why it has none."""
    chosen, rejected = columns.of(row, "chosen"), columns.of(row, "rejected")
    if chosen is None or rejected is None:
        role = "chosen" if chosen is None else "rejected"
        return EMPTY if columns.is_blank(row, role) else f"no {role} answer"
    first, second = _side(columns, row, chosen), _side(columns, row, rejected)
    if isinstance(first, str):
        return first
    if isinstance(second, str):
        return second
    if stripped(first.messages) != stripped(second.messages):
        return APART
    if first.answer == second.answer:
        return EQUAL
    return Preference(first.messages, first.answer, second.answer, row.place, row.values)


def _side(columns: Columns, row: TableRow, answer: Field) -> _Side | str:
    """An answer with all that stands before it, or why there is none."""
    turns = _conversation(answer)
    if turns is None:
        turns = tuple(("assistant", text) for text in answers_in(answer)[:1])
    if turns[:1] and turns[0][0] == "assistant":
        turns = (*asked_in(columns, row, columns.asking)[1], *turns)
    *before, last = turns or (("", ""),)
    if last[0] != "assistant" or not before or before[-1][0] != "user":
        return OPEN
    return _Side(tuple(before), last[1].strip()) if last[1].strip() else EMPTY


def _conversation(answer: Field) -> Turns | None:
    """The turns in a column that holds a whole conversation; None where it holds an answer alone."""
    if isinstance(answer.value, str) and answer.value.lstrip().startswith("Human:"):
        try:
            return turns_of(hh_messages(answer.value, answer.name))
        except InputError as error:
            raise InputError(f"{answer.place}: {error}") from None
    return turns_in(answer) if is_conversation(answer.value) else None
