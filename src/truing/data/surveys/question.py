"""What every form of survey becomes, and the checks that all of them share.

What can't be measured is left out with a reason and counted; nothing is put right by guessing. People's
shares are over those who answered: refusals are taken out, and n with them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from truing.data.surveys.order_words import order_words
from truing.types import normalised, stable_hash

MOST_OPTIONS = 26
"""As many as there are letters to call them by."""
FEWEST_PEOPLE = 5
"""In a group; shares of fewer are about persons."""
LARGEST = 1e100
"""A number beyond it, or beyond 1 over it, can't be squared and summed any more."""
_ALL_PEOPLE = 1e10
_MANY = 5  # groups with exactly the same shares: no chance of people who answered for themselves
_MOST_DECIMALS = 5
_EXACT = 1e-6
_ROUNDING = (
    1e-12  # shares that sum to 1 but for it stay as they are, so that a file is read as written
)


@dataclass(frozen=True, slots=True)
class GroupShares:
    """People's shares over a question's options, in their order. `n`: how many people answered, the
    effective number where they are weighted; None where the source doesn't say."""

    shares: tuple[float, ...]
    n: float | None


Groups = Mapping[str, Mapping[str, GroupShares]]
"""Dimension (party, country), to value (Spain), to shares."""


@dataclass(frozen=True, slots=True)
class SurveyQuestion:
    """A question with the options that can be chosen and how groups of people chose.

    `scale`: the position of each option; None: the options have no order. `refusals`: what else people
    could say ("don't know", "refused"); these aren't among the options, nor in the shares. `groups` is
    empty where the survey has questions alone. `id` depends on all of it.
    """

    id: str
    question: str
    options: tuple[str, ...]
    scale: tuple[float, ...] | None
    refusals: tuple[str, ...]
    topic: str
    source: str
    groups: Groups


@dataclass(frozen=True, slots=True)
class Survey:
    """The questions that can be measured. `unscored`: (place, reason) of each question, group or
    ordered metric that can't; `remarks`: what else is to be said of how the source was read."""

    questions: tuple[SurveyQuestion, ...]
    unscored: tuple[tuple[str, str], ...]
    source: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskedGroup:
    """A group's shares as they stand in a source, over all that could be answered; unchecked."""

    shares: Sequence[float]
    n: float | None


@dataclass(frozen=True)
class AskedQuestion:
    """A question as it stands in a source. `options` may hold some of the `refusals`; positions and
    shares are then for these, too, or `scale` for the others alone. `printed`: options as the question's
    own text lists them, where it does."""

    place: str
    question: str
    options: Sequence[str]
    scale: Sequence[float] | None = None
    refusals: Sequence[str] = ()
    topic: str = ""
    source: str = ""
    groups: Mapping[str, Mapping[str, AskedGroup]] = field(default_factory=dict)
    printed: Sequence[str] = ()


@dataclass(frozen=True)
class AskedSurvey:
    """A source's questions, unchecked, with what couldn't even become one."""

    questions: tuple[AskedQuestion, ...]
    source: str
    unscored: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()


def equal_steps(options: Sequence[str], refusals: Sequence[str]) -> tuple[float, ...]:
    """A position for each option in the listed order, those aside that are refusals."""
    refused = {normalised(each) for each in refusals}
    chosen = sum(normalised(each) not in refused for each in options)
    return tuple(float(place) for place in range(chosen))


class _NotScoredError(Exception):
    """Why something can't be measured."""


def survey_of(asked: AskedSurvey) -> Survey:
    """The survey of these questions, each checked; what is asked twice counts once."""
    questions: dict[str, SurveyQuestion] = {}
    places: dict[str, str] = {}
    left_out = list(asked.unscored)
    for each in asked.questions:
        try:
            question = _checked(each, left_out)
        except _NotScoredError as reason:
            left_out.append((each.place, str(reason)))
            continue
        key = stable_hash(*(normalised(text) for text in (question.question, *question.options)))
        if first := places.get(key):
            left_out.append((each.place, f"asked twice: the same question and options as {first}"))
            continue
        places[key] = each.place
        questions[key] = question
    return Survey(tuple(questions.values()), tuple(left_out), asked.source, asked.remarks)


def _checked(asked: AskedQuestion, left_out: list[tuple[str, str]]) -> SurveyQuestion:
    """The question; what of it can't be measured is added to `left_out`. Raises _NotScoredError."""
    refused = {normalised(each) for each in asked.refusals}
    places = [place for place, each in enumerate(asked.options) if normalised(each) not in refused]
    options = tuple(asked.options[place].strip() for place in places)
    _check_texts(asked, options)
    scale = _scale(asked, places, left_out)
    groups = _groups(asked, places, left_out)
    for dimension, values in groups.items():
        if len(values) >= _MANY and len({each.shares for each in values.values()}) == 1:
            raise _NotScoredError(
                f"implausible: all {len(values)} groups by {dimension} have the same shares"
            )
    if asked.groups and not groups:
        raise _NotScoredError("no group with shares that can be used")
    question, refusals = asked.question.strip(), tuple(each.strip() for each in asked.refusals)
    shares = {
        dimension: {value: asdict(each) for value, each in values.items()}
        for dimension, values in groups.items()
    }
    parts = (options, scale, refusals, asked.topic, asked.source, shares)
    name = stable_hash("survey question", question, json.dumps(parts, sort_keys=True))
    return SurveyQuestion(
        name, question, options, scale, refusals, asked.topic, asked.source, groups
    )


def _check_texts(asked: AskedQuestion, options: Sequence[str]) -> None:
    keys = [normalised(each) for each in options]
    if len(options) < 2:
        raise _NotScoredError(f"{len(options)} option(s) that aren't refusals; it takes two")
    if len(options) > MOST_OPTIONS:
        raise _NotScoredError(f"{len(options)} options; letters reach to {MOST_OPTIONS}")
    if again := next((each for each in keys if keys.count(each) > 1), ""):
        raise _NotScoredError(f"the option {again!r} stands twice")
    if normalised(asked.question) in keys:
        raise _NotScoredError(
            "implausible: the question's text is one of its options, so that texts may be mis-joined"
        )
    if asked.printed and [normalised(each) for each in asked.printed] != [
        normalised(each) for each in asked.options
    ]:
        raise _NotScoredError(
            "implausible: the options in the question's text are others than its options, so that "
            "texts may be mis-joined"
        )
    if reason := order_words(asked.question, options):
        raise _NotScoredError(f"{reason}, so that options can't be permuted")


def _scale(
    asked: AskedQuestion, places: Sequence[int], left_out: list[tuple[str, str]]
) -> tuple[float, ...] | None:
    """The positions of the options; None, with the reason, where two of them are equal."""
    if asked.scale is None:
        return None
    if len(asked.scale) == len(asked.options):
        scale = tuple(float(asked.scale[place]) for place in places)
    elif len(asked.scale) == len(places):
        scale = tuple(float(each) for each in asked.scale)
    else:
        raise _NotScoredError(
            f"the scale has {len(asked.scale)} positions where {len(places)} options can be chosen"
        )
    if not all(math.isfinite(each) for each in scale):
        raise _NotScoredError("the scale has a position that is no finite number")
    if any(each and not 1 / LARGEST <= abs(each) <= LARGEST for each in scale):
        raise _NotScoredError(
            "the scale has a position that can't be counted with: too large or small"
        )
    if len(set(scale)) < len(scale):
        equal = next(each for each in scale if scale.count(each) > 1)
        left_out.append(
            (asked.place, f"no ordered metric: two options have the same position ({equal:g})")
        )
        return None
    return scale


def _groups(
    asked: AskedQuestion, places: Sequence[int], left_out: list[tuple[str, str]]
) -> dict[str, dict[str, GroupShares]]:
    groups: dict[str, dict[str, GroupShares]] = {}
    for dimension, values in asked.groups.items():
        for value, each in values.items():
            try:
                group = _group(each, len(asked.options), places)
            except _NotScoredError as reason:
                left_out.append((f"{asked.place} {dimension}={value}", str(reason)))
                continue
            groups.setdefault(dimension, {})[value] = group
    return groups


def _group(asked: AskedGroup, answers: int, places: Sequence[int]) -> GroupShares:
    """A group's shares over the options that can be chosen. Raises _NotScoredError."""
    shares = [float(each) for each in asked.shares]
    if len(shares) == len(places):
        places, answers = range(len(places)), len(places)
    if len(shares) != answers:
        raise _NotScoredError(f"{len(shares)} shares where there are {answers} options")
    if not all(math.isfinite(each) and each >= 0 for each in shares):
        raise _NotScoredError("a share that is negative or no finite number")
    total = sum(shares)
    if abs(total - 1) > _tolerance(shares):
        percent = "; give shares, not per cent" if 90 < total < 110 else ""
        raise _NotScoredError(f"the shares sum to {total:.6g}, not to 1{percent}")
    chosen = [shares[place] for place in places]
    answered = sum(chosen)
    if answered <= 0:
        raise _NotScoredError("nobody chose an option that isn't a refusal")
    n = None if asked.n is None else asked.n * answered / total
    if n is not None and not n >= FEWEST_PEOPLE:
        raise _NotScoredError(f"{n:.3g} people; a group has at least {FEWEST_PEOPLE}")
    if n is not None and n > _ALL_PEOPLE:
        raise _NotScoredError(f"implausible: {n:.3g} people; there are fewer in the world")
    if abs(answered - 1) > _ROUNDING:
        chosen = [each / answered for each in chosen]
    return GroupShares(tuple(chosen), n)


def _tolerance(shares: Sequence[float]) -> float:
    """How far from 1 shares may sum that are rounded to two or more decimals."""
    for decimals in range(2, _MOST_DECIMALS):
        if all(abs(each - round(each, decimals)) < 1e-9 for each in shares):
            return max(0.5 * 10.0**-decimals * len(shares) + 1e-9, _EXACT)
    return _EXACT
