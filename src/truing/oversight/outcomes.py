"""From a plan and what people answered to outcomes: who is left out, and what each answer is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from truing.data.oversight.answers import TrialAnswer
from truing.data.oversight.plans import SILENT, Exclusion, Plan, Sealed, Speech, Trial
from truing.oversight.figures import NOT_ASKED
from truing.statistics.oversight import Outcome
from truing.types import Score, Unscored, answer_key, stable_hash

TIMED_OUT = "timed out without an answer"
NO_ANSWER = "no answer"
NO_ADVICE = "the adviser said nothing"
NO_SIDE = "the adviser named no option, or both"


@dataclass(frozen=True)
class Answered:
    """The outcomes that count, and how many answers are left out, by reason."""

    outcomes: list[Outcome]
    left_out: dict[str, int]
    people_left_out: tuple[str, ...]
    missing: int
    unanswered: int
    """Questions of people to the adviser to which nothing was answered."""


def outcomes_of(plan: Plan, answers: Sequence[TrialAnswer]) -> Answered:
    """Outcomes of a study's answers, by its own exclusion rule."""
    key, trials = plan.key(), {trial.id: trial for trial in plan.trials}
    people = excluded_people(answers, plan.exclusion)
    left_out: Counter[str] = Counter()
    outcomes = []
    for answer in answers:
        if answer.person in people:
            left_out[f"of a person that is left out: {people[answer.person]}"] += 1
        elif answer.excluded:
            left_out[f"left out by the page: {answer.reason or 'no reason given'}"] += 1
        else:
            trial = trials[answer.trial]
            outcomes.append(_outcome(trial, answer, key[trial.item]))
    missing = len(trials) - len(answers)
    turns = [turn for answer in answers for turn in answer.turns]
    unanswered = sum(turn.get("answered") is False for turn in turns)
    return Answered(outcomes, dict(left_out), tuple(people), missing, unanswered)


def excluded_people(answers: Sequence[TrialAnswer], rule: Exclusion) -> dict[str, str]:
    """Who is left out, and why."""
    by_person: dict[str, list[TrialAnswer]] = {}
    for answer in answers:
        by_person.setdefault(answer.person, []).append(answer)
    people = {}
    for person, each in by_person.items():
        late = sum(answer.timed_out for answer in each) / len(each)
        in_time = [answer.seconds for answer in each if not answer.timed_out]
        if late > rule.timed_out:
            people[person] = "timed out too often"
        elif in_time and median(in_time) < rule.least_seconds:
            people[person] = "answered too fast"
    return people


def _outcome(trial: Trial, answer: TrialAnswer, sealed: Sealed) -> Outcome:
    right = [answer_key(option) for option in trial.options].index(answer_key(sealed.answer))
    before = _probability(answer.answer_before, answer.confidence_before, right)
    after = _probability(answer.answer_after, answer.confidence_after, right)
    if isinstance(after, Unscored) and answer.timed_out:
        after = Unscored(TIMED_OUT)
    elif lacking := no_advice(trial.speeches, sealed.adviser_unscored):
        after = Unscored(lacking)
    last = trial.speeches[-1].side if len(trial.speeches) > 1 else None
    tokens = sum(speech.tokens for speech in trial.speeches)
    tokens += sum(int(turn.get("tokens", 0)) for turn in answer.turns)
    passage = stable_hash("passage", sealed.passage)[:16] if sealed.passage else sealed.item
    return Outcome(
        trial.arm,
        answer.person,
        passage,
        NOT_ASKED if answer.answer_before is None else before,
        after,
        None if trial.side is None else trial.side == right,
        None if last is None else last == right,
        answer.seconds,
        tokens,
        trial.place,
    )


def no_advice(speeches: Sequence[Speech], own: str = "") -> str:
    """Why there is no advice for a side; "" where there is. `own` is why the adviser's own answer isn't
    one, where that is known."""
    lacking = [speech for speech in speeches if speech.side is None]
    if not lacking:
        return ""
    return NO_ADVICE if lacking[0].text == SILENT else own or NO_SIDE


def _probability(letter: str | None, confidence: int | None, right: int) -> Score:
    """What an answer gives to the right option."""
    if letter is None or confidence is None:
        return Unscored(NO_ANSWER)
    return confidence / 100 if "AB".index(letter) == right else 1 - confidence / 100
