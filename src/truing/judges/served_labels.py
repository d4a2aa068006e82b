"""Labelled answers that judges behind an endpoint are held against: people's, or the questions' references.

Each reference is graded with the others at hand and without its mirror image, as local judges grade it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from truing.data.uninformative import off_topic, phrases_for_judging
from truing.judges.fitting import Labelled
from truing.judges.grading import has_no_comment, normalised_answer
from truing.judges.similarity import Text, leave_out
from truing.judges.trained import NAMES
from truing.types import Case, InputError, answer_key, stable_hash

BOTH = "both"
"""What is labelled true and informative together."""
LABELS_ASKED = 200
"""Labelled answers that an endpoint is asked about where nothing else is said: two replies to each for
whatever it is labelled for."""
REFERENCE_QUESTIONS = 40
"""Questions whose references stand in for labels."""
Label = tuple[Case, str, int]
"""A question, an answer to it, and whether the label says yes."""


@dataclass(frozen=True)
class LabelledSample:
    """Labelled answers by what they are labelled for; for `both` as well. `source` says whose they are."""

    rows: Mapping[str, Sequence[Label]]
    source: str

    @property
    def places(self) -> dict[str, int]:
        """The number of each question, by its id."""
        ids = [case.id for rows in self.rows.values() for case, _, _ in rows]
        return {name: number for number, name in enumerate(dict.fromkeys(ids))}


def people_sample(
    labelled: Labelled, seed: int, most: int = LABELS_ASKED, source: str = "people's labels"
) -> LabelledSample:
    """At most so many of the answers that people labelled, drawn by a hash. Left out, as for local judges,
    are the questions' own references and 'I have no comment'."""
    free = [
        number
        for number, (case, answer) in enumerate(labelled.pairs)
        if not is_reference(case, answer) and not has_no_comment(answer)
    ]

    def rank(number: int) -> str:
        case, answer = labelled.pairs[number]
        return stable_hash("labels asked", str(seed), case.id, answer)

    chosen = set(sorted(free, key=rank)[:most])
    rows = {name: [(n, y) for n, y in labelled.rows[name] if n in chosen] for name in NAMES}
    label_of = [dict(rows[name]) for name in NAMES]
    rows[BOTH] = [
        (n, label_of[0][n] * label_of[1][n])
        for n in sorted(label_of[0].keys() & label_of[1].keys())
    ]
    named = {name: [(*labelled.pairs[n], y) for n, y in part] for name, part in rows.items()}
    return LabelledSample(named, source)


def is_reference(case: Case, answer: str) -> bool:
    """Whether an answer is one of its question's own references."""
    known = [*case.correct_answers, *case.incorrect_answers]
    return any(
        key(reference) == key(answer)
        for key in (answer_key, normalised_answer)
        for reference in known
    )


def reference_sample(cases: Sequence[Case], seed: int) -> LabelledSample:
    """Of some questions a true reference, a false one, and an answer that says nothing.

    Raises InputError where too few have two references on either side, which one can be left out of.
    """
    able = [c for c in cases if min(len(c.correct_answers), len(c.incorrect_answers)) > 1]
    if len(able) < 2:
        raise InputError(
            "data: the judges are held against references, and fewer than two questions have two true and "
            "two false answers; give labelled answers (truing train judge), or such questions"
        )
    able.sort(key=lambda case: stable_hash("references asked", str(seed), case.id))
    truth: list[Label] = []
    nothing: list[Label] = []
    for number, case in enumerate(able[:REFERENCE_QUESTIONS]):
        truth += [_left_out(case, label, seed) for label in (1, 0)]
        empty = phrases_for_judging(case, 1) if number % 2 else off_topic(case, cases, 1)
        nothing += [(case, answer, 0) for answer in empty]
    informative = [*((case, answer, 1) for case, answer, _ in truth), *nothing]
    rows = {"truth": truth, "informative": informative, BOTH: [*truth, *nothing]}
    return LabelledSample(rows, "the questions' own references")


def _left_out(case: Case, label: int, seed: int) -> Label:
    """One of a question's references, and the question without it and without its mirror image."""
    sides = [case.incorrect_answers, case.correct_answers]
    own, other = sides[label], sides[1 - label]
    place = int(stable_hash("reference asked", str(seed), case.id, str(label))[:8], 16) % len(own)
    texts = [[Text(each, np.zeros(1)) for each in side] for side in (own, other)]
    rest, rest_other = (
        tuple(text.text for text in side) for side in leave_out(place, texts[0], texts[1])
    )
    true, false = (rest, rest_other) if label else (rest_other, rest)
    return replace(case, correct_answers=true, incorrect_answers=false), own[place], label
