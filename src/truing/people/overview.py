"""What the lead looks at: who does how much, who drifts, where people disagree."""

from __future__ import annotations

import datetime as dt
import statistics as plain
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.people.assigning import is_current
from truing.people.observations import Said
from truing.people.questions.tables import KIND
from truing.people.tables import Annotator, Assignment, Gold, Judgement, Task, now
from truing.people.vocabulary import KINDS
from truing.statistics.agreement import Column, Value
from truing.statistics.means import means
from truing.types import Estimate

RECENT = 10
"""A person's last so many gold questions are held against those before."""


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


def matches_gold(judgement: Said, gold: Said) -> bool | None:
    """Whether a judgement says what the gold one says; None where the kind can't be right or wrong.

    A rating may be one off. A ranking needs more than half of the pairs of answers in the same order, a
    set of questions the same grade for each.
    """
    if judgement.kind != gold.kind or judgement.kind == "demonstration":
        return None
    if judgement.kind == "ranking":
        return _kendall(judgement.ranks(), gold.ranks())
    if judgement.kind == KIND:
        return judgement.told == gold.told
    question = {"annotation": "use_case"}.get(judgement.kind, judgement.kind)
    ours, theirs = judgement.value(question), gold.value(question)
    if isinstance(ours, int) and isinstance(theirs, int) and judgement.kind == "rating":
        return abs(ours - theirs) <= 1
    return ours == theirs


def _kendall(ranks: Mapping[int, int], gold_ranks: Mapping[int, int]) -> bool:
    """Whether more than half of the pairs that gold puts in an order are put in that order."""
    pairs = [(a, b) for a in gold_ranks for b in gold_ranks if gold_ranks[a] < gold_ranks[b]]
    same = sum(ranks[a] < ranks[b] for a, b in pairs)
    return same > len(pairs) / 2 if pairs else len(set(ranks.values())) == 1


def _gold_scores(session: Session, judgements: Sequence[Said]) -> dict[int, list[float]]:
    """Right (1) or wrong (0) on gold questions by annotator, oldest first."""
    by_id = {judgement.id: judgement for judgement in judgements}
    gold_of = {
        task: by_id[judgement]
        for task, judgement in session.execute(select(Gold.task_id, Gold.judgement_id)).all()
        if judgement in by_id
    }
    scores: dict[int, list[float]] = defaultdict(list)
    for judgement in judgements:
        gold = gold_of.get(judgement.task)
        if gold is None or gold.annotator == judgement.annotator:
            continue
        matched = matches_gold(judgement, gold)
        if matched is not None:
            scores[judgement.annotator].append(float(matched))
    return scores


def _leniencies(judgements: Sequence[Said]) -> dict[int, list[float]]:
    """Own rating minus the mean of the others' on the same answer, by annotator, oldest first."""
    ratings = [
        (each, float(each.value("rating") or 0)) for each in judgements if each.kind == "rating"
    ]
    sums: dict[int, float] = defaultdict(float)
    raters: Counter[int] = Counter()
    for each, value in ratings:  # a rating task is about one answer, and has it alone
        sums[each.task] += value
        raters[each.task] += 1
    leniencies: dict[int, list[float]] = defaultdict(list)
    for each, value in ratings:
        others = raters[each.task] - 1
        if others:
            leniencies[each.annotator].append(value - (sums[each.task] - value) / others)
    return leniencies


def _later_minus_earlier(values: Sequence[float]) -> list[float]:
    """The later half minus the earlier half, value by value; empty for fewer than four."""
    half = len(values) // 2
    if half < 2:
        return []
    pairs = zip(values[-half:], values[:half], strict=True)
    return [later - earlier for later, earlier in pairs]


def workers(session: Session, judgements: Sequence[Said]) -> list[Worker]:
    """Everybody who can sign in, in the order in which they came."""
    skips = Counter(
        session.scalars(
            select(Judgement.annotator_id).where(is_current(), Judgement.kind == "skip")
        )
    )
    people = session.scalars(
        select(Annotator).where(Annotator.role != "source").order_by(Annotator.id)
    ).all()
    own: dict[int, list[Said]] = defaultdict(list)
    for judgement in judgements:
        own[judgement.annotator].append(judgement)
    by_person = _gold_scores(session, judgements)
    gold = [by_person.get(person.id, []) for person in people]
    by_person = _leniencies(judgements)
    leniency = [by_person.get(person.id, []) for person in people]
    estimates = zip(
        means(gold),
        means([scores[-RECENT:] if len(scores) > RECENT else [] for scores in gold]),
        means(leniency),
        means([_later_minus_earlier(values) for values in leniency]),
        strict=True,
    )
    day_ago = now() - dt.timedelta(hours=24)
    return [
        Worker(
            annotator=person,
            done=len(own[person.id]),
            skipped=skips[person.id],
            today=sum(each.at > day_ago for each in own[person.id]),
            seconds=_median([each.seconds for each in own[person.id] if each.seconds is not None]),
            gold=right,
            recent_gold=recently_right,
            leniency=lenient,
            leniency_change=change,
        )
        for person, (right, recently_right, lenient, change) in zip(people, estimates, strict=True)
    ]


def _median(values: Sequence[float]) -> float | None:
    return plain.median(values) if values else None


@dataclass(frozen=True)
class Disagreement:
    """A task on which people said different things about one unit."""

    task_id: int
    question: str
    values: tuple[Value, ...]
    distance: float
    """0 to 1 for all but long rankings."""


def _furthest(
    question: str, column: Column, most: int, steps: Mapping[str, int]
) -> list[Disagreement]:
    """The tasks on which people are furthest apart in one question, each with its widest unit."""
    order = np.argsort(column.units, kind="stable")
    units, first = np.unique(column.units[order], return_index=True)
    if not len(units):
        return []
    numbers = all(isinstance(value, int) for value in column.values)
    points = np.array(column.values if numbers else range(len(column.values)), np.float64)
    point_N = points[column.codes][order]
    apart = np.maximum.reduceat(point_N, first) - np.minimum.reduceat(point_N, first)
    span = {**_SPANS, **steps}.get(question, 3)
    apart = apart / span if numbers and span else (apart > 0).astype(np.float64)
    tasks = column.tasks[order][first]
    widest: dict[int, Disagreement] = {}
    for place in np.lexsort((tasks, -apart)):
        if apart[place] <= 0 or len(widest) == most:
            break
        task = int(tasks[place])
        codes = column.codes[column.units == units[place]]
        values = tuple(column.values[code] for code in codes)
        widest.setdefault(task, Disagreement(task, question, values, float(apart[place])))
    return list(widest.values())


_SPANS = {"rating": 6, "comparison": 2}
"""Steps from one end of a scale to the other."""


def disagreements(
    columns: Mapping[str, Column], most: int = 20, *, steps: Mapping[str, int] | None = None
) -> list[Disagreement]:
    """Where people are furthest apart: for each task its widest unit, the widest first.

    `steps` are those from one end to the other of further questions' scales, 0 where there is no order.
    """
    widest: dict[int, Disagreement] = {}
    for question, column in columns.items():
        for each in _furthest(question, column, most, steps or {}):
            task = each.task_id
            if task not in widest or each.distance > widest[task].distance:
                widest[task] = each
    ranked = sorted(widest.values(), key=lambda each: (-each.distance, each.task_id))
    return ranked[:most]
