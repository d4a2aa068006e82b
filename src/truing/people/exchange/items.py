"""What every form of file is read into."""

from __future__ import annotations

from dataclasses import dataclass, field

from truing.data.messages import Messages


@dataclass
class Item:
    """A prompt with what is known of answers to it.

    `completions` holds (candidate, text); an empty candidate is filled in with the file's source.
    `preferred` says which of exactly two completions is better: first, second or tie; `ranks` gives a
    rank (1 the best) for places. `demonstration` is an answer meant to be imitated. `use_case`
    describes the prompt. `flags` belong to the rating or to the use case. `wanted` says whether
    the one completion should be given, where that is all that is known of it. `consent` is that of the
    prompt's writer. `remarks` say what of the record isn't in the item.
    """

    messages: Messages
    completions: list[tuple[str, str]] = field(default_factory=list)
    demonstration: str = ""
    preferred: str = ""
    ranks: dict[int, int] = field(default_factory=dict)
    rating: int | None = None
    wanted: bool | None = None
    use_case: str = ""
    flags: dict[str, str] = field(default_factory=dict)
    user: str = ""
    judge: str = ""
    consent: str = ""
    remarks: tuple[str, ...] = ()


class LeftOut(Exception):
    """Why a record is neither wrong nor imported: nobody is to learn from it."""
