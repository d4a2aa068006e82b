"""Pairs of answers as cases: where people only said which answer is better, that is all there is to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from truing.data.distinct import CaseFile, distinct_cases
from truing.data.messages import Turns
from truing.data.preference_file import Preference, PreferenceFile
from truing.types import Case


def case_of_pairs(pairs: Sequence[Preference]) -> Case:
    """What pairs of one prompt ask: chosen answers are good ones, the others that were rejected bad ones.

    An answer that was chosen and rejected, as rankings have it, counts as good.
    """
    first = pairs[0]
    chosen = tuple(dict.fromkeys(pair.chosen for pair in pairs))
    rejected = tuple(dict.fromkeys(p.rejected for p in pairs if p.rejected not in chosen))
    turns = () if [role for role, _ in first.messages] == ["user"] else first.messages
    return Case(
        first.prompt, chosen, rejected, source=first.source, messages=turns, columns=first.columns
    )


def pairs_by_prompt(pairs: Sequence[Preference]) -> Mapping[Turns, list[Preference]]:
    """The pairs of each prompt, in order."""
    by_prompt: dict[Turns, list[Preference]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.messages, []).append(pair)
    return by_prompt


def cases_of_preferences(read: PreferenceFile) -> CaseFile:
    """A case for each prompt of a file of pairs."""
    cases = [case_of_pairs(own) for own in pairs_by_prompt(read.preferences).values()]
    return distinct_cases(cases, read.source)
