"""What a reward and a judge may both like in an answer without its being any better.

Length, a proper ending, polite words, words of agreement, praise of itself: each a plain count that needs
no model. What both like makes both rise, so a judge may speak for a reward only once these are taken out.
The words are English (`data/built_in/surface_words.json`); in other languages length and ending are left.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache

from truing.data.texts import built_in_text
from truing.rewards.program import EndsProperly
from truing.rewards.reward import Answered
from truing.types import Case, normalised

SURFACE = {
    "length": "length",
    "ending": "proper endings",
    "politeness": "polite words",
    "agreement": "words of agreement",
    "self_praise": "self-praise",
}
"""Every feature, with what a sentence calls it."""


def surface(answer: str, finished: bool) -> dict[str, float]:
    """The features of an answer; counts as logarithms (of 1 + n), because a tenth word adds less than a
    second."""
    text = normalised(answer)
    ending = EndsProperly().score(Answered(Case(""), answer.strip(), finished))
    assert isinstance(ending, float)
    counts = {kind: len(words.findall(text)) for kind, words in _patterns().items()}
    return {
        "length": math.log1p(len(text.split())),
        "ending": ending,
        **{kind: math.log1p(count) for kind, count in counts.items()},
    }


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """A pattern for each list of words: whole words, the longest phrase first."""
    patterns = {}
    for kind, phrases in json.loads(built_in_text("surface_words.json")).items():
        ordered = sorted(map(normalised, phrases), key=len, reverse=True)
        patterns[kind] = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)")
    return patterns
