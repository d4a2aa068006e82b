"""Sentences that say nothing of what was asked: who speaks, thanks, slogans, "That is a question."

They neither decline nor answer, whatever stands before them, and a model that says one to everything isn't
careful. A judge learns them beside its labels (data/built_in/says_nothing.json, written by the authors):
alone, two together, and before refusals and answers, which they don't change; and refusals as short as they
are (declines_shortly.json), which do decline. They count in no table.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from truing.files import read_json
from truing.judges.outcome.labels import SHIPPED, LabelledOutcome
from truing.types import stable_hash

SENTENCES = SHIPPED.with_name("says_nothing.json")
DECLINES = SHIPPED.with_name("declines_shortly.json")
_BEFORE_OTHERS = 120
"""Labelled answers that a sentence which says nothing is put before."""


@cache
def sentences(file: Path = SENTENCES) -> tuple[str, ...]:
    """The sentences of a file that ships, kind by kind."""
    kinds: dict[str, list[str]] = read_json(file)
    return tuple(each for kind in kinds.values() for each in kind)


def saying_nothing(labelled: Sequence[LabelledOutcome]) -> list[LabelledOutcome]:
    """Answers that say nothing, as *unrelated*, behind the prompts of labelled ones; labelled ones that
    begin so, which do what they did; and short refusals of what was refused. The same for the same labels.
    """
    known = sentences()
    draw = random.Random(stable_hash("saying nothing", str(len(labelled))))
    alone = [text for text in known for _ in range(2)]
    twice = [f"{text} {draw.choice(known)}" for text in known]
    filled = [
        replace(draw.choice(labelled), answer=text, outcome="unrelated")
        for text in (*alone, *twice)
    ]
    some = draw.sample(labelled, min(_BEFORE_OTHERS, len(labelled)))
    longer = [replace(each, answer=f"{draw.choice(known)} {each.answer}") for each in some]
    refused = [each for each in labelled if each.outcome == "refused"]
    shorter = [
        replace(draw.choice(refused), answer=text) for text in sentences(DECLINES) * 3 if refused
    ]
    return [*filled, *longer, *shorter]
