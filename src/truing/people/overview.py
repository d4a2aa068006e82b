"""What the lead looks at: who does how much, where people disagree, who drifts, how groups differ."""

from __future__ import annotations

import datetime as dt
import statistics as plain
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.people.agreement import Observation, Value, krippendorff_alpha
from truing.people.assigning import is_current
from truing.people.observations import QUESTIONS, values_of
from truing.people.tables import Annotator, Assignment, Gold, Judgement, Task, now
from truing.people.vocabulary import KINDS
from truing.statistics import mean, paired_difference
from truing.types import Estimate

RECENT = 10
"""A person's last so many gold questions are held against those before."""
SMALLEST_GROUP = 2
"""A group of fewer people isn't shown: it would be a person, not a group."""


@dataclass(frozen=True)
class KindProgress:
    """Places of one kind of task: filled with a judgement, and in all."""

    kind: str
    done: int
    total: int


def progress_by_kind(session: Session) -> list[KindProgress]:
    """For every kind that has tasks waiting for people."""
    wanted = dict(
        session.execute(
            select(Task.kind, func.sum(Task.wanted)).where(Task.wanted > 0).group_by(Task.kind)
        ).all()
    )
    done = dict(
        session.execute(
            select(Task.kind, func.count(Judgement.id))
            .join(Assignment, Assignment.task_id == Task.id)
            .join(Judgement, Judgement.assignment_id == Assignment.id)
            .where(is_current(), Judgement.kind != "skip", Assignment.slot.is_not(None))
            .group_by(Task.kind)
        ).all()
    )
    return [KindProgress(kind, done.get(kind, 0), wanted[kind]) for kind in KINDS if kind in wanted]


@dataclass(frozen=True)
class Worker:
    """One person's work."""

    annotator: Annotator
    done: int
    skipped: int
    today: int
    seconds: float | None
    """Median time for one judgement."""
    gold: Estimate
    """The share of gold questions answered right."""
    recent_gold: Estimate
    """The same over the last `RECENT`, where there were others before."""
    leniency: Estimate
    """How much higher they rate than others rate the same answers."""
    leniency_change: Estimate
    """Leniency in the later half of their ratings minus that in the earlier half."""


def matches_gold(judgement: Judgement, gold: Judgement) -> bool | None:
    """Whether a judgement says what the gold one says; None where the kind can't be right or wrong.

    A rating may be one off. A ranking needs more than half of the pairs of answers in the same order.
    """
    said = {(q, unit): value for q, unit, value in values_of(judgement)}
    right = {(q, unit): value for q, unit, value in values_of(gold)}
    if judgement.rating and gold.rating:
        return abs(judgement.rating.value - gold.rating.value) <= 1
    if judgement.comparison and gold.comparison:
        return said[("comparison", "")] == right[("comparison", "")]
    if judgement.annotation and gold.annotation:
        return judgement.annotation.use_case == gold.annotation.use_case
    if judgement.rankings and gold.rankings:
        return _kendall(
            {each.completion_id: each.rank for each in judgement.rankings},
            {each.completion_id: each.rank for each in gold.rankings},
        )
    return None


def _kendall(said: Mapping[int, int], right: Mapping[int, int]) -> bool:
    """Whether more than half of the pairs that gold puts in an order are put in that order."""
    pairs = [(a, b) for a in right for b in right if right[a] < right[b]]
    same = sum(said[a] < said[b] for a, b in pairs)
    return same > len(pairs) / 2 if pairs else len(set(said.values())) == 1


def _gold_scores(session: Session, judgements: Sequence[Judgement]) -> dict[int, list[float]]:
    """Right (1) or wrong (0) on gold questions by annotator, oldest first."""
    by_id = {judgement.id: judgement for judgement in judgements}
    gold_of = {
        task: by_id[judgement]
        for task, judgement in session.execute(select(Gold.task_id, Gold.judgement_id)).all()
        if judgement in by_id
    }
    scores: dict[int, list[float]] = defaultdict(list)
    for judgement in judgements:
        gold = gold_of.get(judgement.assignment.task_id)
        if gold is None or gold.annotator_id == judgement.annotator_id:
            continue
        matched = matches_gold(judgement, gold)
        if matched is not None:
            scores[judgement.annotator_id].append(float(matched))
    return scores


def _leniencies(judgements: Sequence[Judgement]) -> dict[int, list[float]]:
    """Own rating minus the mean of the others' on the same answer, by annotator, oldest first."""
    units: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for each in judgements:
        if each.rating:
            units[each.rating.completion_id].append((each.annotator_id, each.rating.value))
    found: dict[int, list[float]] = defaultdict(list)
    for each in judgements:
        if each.rating is None:
            continue
        others = [v for who, v in units[each.rating.completion_id] if who != each.annotator_id]
        if others:
            found[each.annotator_id].append(each.rating.value - plain.fmean(others))
    return found


def _half_change(values: Sequence[float]) -> Estimate:
    """Mean of the later half minus mean of the earlier half, value by value; needs four."""
    half = len(values) // 2
    if half < 2:
        return Estimate(None, None, None, 0)
    earlier = {str(place): value for place, value in enumerate(values[:half])}
    later = {str(place): value for place, value in enumerate(values[-half:])}
    return paired_difference(later, earlier)


def workers(session: Session, judgements: Sequence[Judgement]) -> list[Worker]:
    """Everybody who can sign in, in the order in which they came."""
    skips = Counter(
        session.scalars(
            select(Judgement.annotator_id).where(is_current(), Judgement.kind == "skip")
        )
    )
    gold = _gold_scores(session, judgements)
    leniency = _leniencies(judgements)
    own: dict[int, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        own[judgement.annotator_id].append(judgement)
    day_ago = now() - dt.timedelta(hours=24)
    people = session.scalars(
        select(Annotator).where(Annotator.role != "source").order_by(Annotator.id)
    )
    found = []
    for person in people:
        seconds = [each.seconds for each in own[person.id] if each.seconds is not None]
        scores = gold.get(person.id, [])
        found.append(
            Worker(
                annotator=person,
                done=len(own[person.id]),
                skipped=skips[person.id],
                today=sum(each.created_at > day_ago for each in own[person.id]),
                seconds=plain.median(seconds) if seconds else None,
                gold=mean(scores),
                recent_gold=mean(scores[-RECENT:] if len(scores) > RECENT else []),
                leniency=mean(leniency.get(person.id, [])),
                leniency_change=_half_change(leniency.get(person.id, [])),
            )
        )
    return found


@dataclass(frozen=True)
class Disagreement:
    """A task on which people said different things about one unit."""

    task_id: int
    question: str
    values: tuple[Value, ...]
    distance: float


def _distance(question: str, a: Value, b: Value) -> float:
    """How far apart two values are, 0 to 1 for all but long rankings."""
    if isinstance(a, int) and isinstance(b, int):
        return abs(a - b) / {"rating": 6, "comparison": 2}.get(question, 3)
    return float(a != b)


def disagreements(found: Mapping[str, Sequence[Observation]], most: int = 20) -> list[Disagreement]:
    """Where people are furthest apart: for each task its widest unit, the widest first."""
    widest: dict[Hashable, Disagreement] = {}
    for question, observed in found.items():
        units: dict[Hashable, list[Observation]] = defaultdict(list)
        for each in observed:
            units[each.unit].append(each)
        for said in units.values():
            values = tuple(each.value for each in said)
            apart = max((_distance(question, a, b) for a in values for b in values), default=0.0)
            task = said[0].task
            if apart > 0 and (task not in widest or apart > widest[task].distance):
                assert isinstance(task, int)
                widest[task] = Disagreement(task, question, values, apart)
    ranked = sorted(widest.values(), key=lambda each: (-each.distance, each.task_id))
    return ranked[:most]


@dataclass(frozen=True)
class GroupContrast:
    """Two groups on one question: agreement inside each, of both together, and how they differ.

    Groups *differ* where both agree among themselves better than all do together; they *err* where
    they don't agree among themselves either.
    """

    dimension: str
    groups: tuple[str, str]
    question: str
    inside: tuple[Estimate, Estimate]
    together: Estimate
    difference: Estimate
    """First group's mean minus the second's over units both judged; ratings only."""

    @property
    def differ(self) -> bool:
        """Whether the groups hold different views rather than make different mistakes."""
        inside = [each.value for each in self.inside]
        whole = self.together.value
        if whole is None or any(value is None for value in inside):
            return False
        apart = self.difference.low is None or not (
            self.difference.low <= 0 <= (self.difference.high or 0)
        )
        return apart and all(value is not None and value > whole + 0.1 for value in inside)


def _unit_means(observed: Sequence[Observation]) -> dict[str, float]:
    units: dict[str, list[float]] = defaultdict(list)
    for each in observed:
        units[str(each.unit)].append(float(each.value))
    return {unit: plain.fmean(values) for unit, values in units.items()}


def group_contrasts(
    people: Sequence[Annotator], found: Mapping[str, Sequence[Observation]]
) -> list[GroupContrast]:
    """Every pair of groups of a dimension with enough people, on every question both answered."""
    members: dict[tuple[str, str], set[int]] = defaultdict(set)
    for person in people:
        for group in person.groups:
            members[group.dimension, group.value].add(person.id)
    large = sorted(key for key, ids in members.items() if len(ids) >= SMALLEST_GROUP)
    contrasts = []
    for place, first in enumerate(large):
        for second in large[place + 1 :]:
            if first[0] != second[0]:
                continue
            for question, observed in found.items():
                made = _contrast(question, observed, first, second, members)
                if made:
                    contrasts.append(made)
    return contrasts


def _contrast(
    question: str,
    observed: Sequence[Observation],
    first: tuple[str, str],
    second: tuple[str, str],
    members: Mapping[tuple[str, str], set[int]],
) -> GroupContrast | None:
    ours = [each for each in observed if each.annotator in members[first]]
    theirs = [each for each in observed if each.annotator in members[second]]
    if not ours or not theirs:
        return None
    scale = QUESTIONS[question][1]
    together = krippendorff_alpha([*ours, *theirs], scale)
    if together.value is None:  # all alike: nothing to tell the groups apart by
        return None
    difference = Estimate(None, None, None, 0)
    if question == "rating":
        difference = paired_difference(_unit_means(ours), _unit_means(theirs))
    return GroupContrast(
        dimension=first[0],
        groups=(first[1], second[1]),
        question=question,
        inside=(krippendorff_alpha(ours, scale), krippendorff_alpha(theirs, scale)),
        together=together,
        difference=difference,
    )
