"""Which candidate people like better: win rates of pairs, mean ratings, each with its interval."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from truing.people.assigning import is_current
from truing.people.tables import (
    Assignment,
    Comparison,
    Completion,
    Judgement,
    Prompt,
    Ranking,
    Rating,
    Task,
)
from truing.statistics.pigeonhole import crossed_mean
from truing.types import Estimate


class _Vote(NamedTuple):
    """What one judgement says: 1 for a win, 0.5 for a tie, 0 for a loss, or a rating."""

    value: float
    person: int
    prompt: int


@dataclass(frozen=True)
class Win:
    """How often one candidate's answers were preferred to another's; a tie is half a win."""

    candidate: str
    against: str
    rate: Estimate
    judgements: int
    ties: int
    people: int

    @property
    def is_clear(self) -> bool:
        """Whether it won, rather than that nobody can tell."""
        return self.rate.low is not None and self.rate.low > 0.5

    def to_json(self) -> dict[str, Any]:
        """A row of an export."""
        return {
            "kind": "comparison",
            "candidate": self.candidate,
            "against": self.against,
            "win_rate": self.rate.value,
            **_interval(self.rate, self.judgements, self.people),
            "ties": self.ties,
        }


@dataclass(frozen=True)
class MeanRating:
    """How a candidate's answers were rated, 1 to 7."""

    candidate: str
    rating: Estimate
    judgements: int
    people: int

    def to_json(self) -> dict[str, Any]:
        """A row of an export."""
        return {
            "kind": "rating",
            "candidate": self.candidate,
            "rating": self.rating.value,
            **_interval(self.rating, self.judgements, self.people),
        }


def _interval(estimate: Estimate, judgements: int, people: int) -> dict[str, Any]:
    return {
        "low": estimate.low,
        "high": estimate.high,
        "prompts": estimate.n,
        "judgements": judgements,
        "people": people,
    }


def _of(query: Select[*tuple[Any, ...]], consents: Collection[str]) -> Select[*tuple[Any, ...]]:
    """Of judgements that stand, about prompts with one of these consents (any without)."""
    query = (
        query.join(Assignment, Assignment.id == Judgement.assignment_id)
        .join(Task, Task.id == Assignment.task_id)
        .join(Prompt, Prompt.id == Task.prompt_id)
        .where(is_current())
        .order_by(Judgement.id)
    )
    return query.where(Prompt.consent.in_(consents)) if consents else query


def _compared(session: Session, consents: Collection[str]) -> Iterator[tuple[str, str, _Vote]]:
    first, second = aliased(Completion), aliased(Completion)
    query = (
        select(
            first.candidate,
            second.candidate,
            Comparison.preferred,
            Judgement.annotator_id,
            Task.prompt_id,
        )
        .join(Judgement, Judgement.id == Comparison.judgement_id)
        .join(first, first.id == Comparison.first_id)
        .join(second, second.id == Comparison.second_id)
    )
    share = {"first": 1.0, "tie": 0.5, "second": 0.0}
    for ours, theirs, preferred, person, prompt in session.execute(_of(query, consents)):
        yield ours, theirs, _Vote(share[preferred], person, prompt)


def _ranked(session: Session, consents: Collection[str]) -> Iterator[tuple[str, str, _Vote]]:
    """Each pair of answers in a ranking, as a comparison of the two."""
    query = (
        select(
            Judgement.id,
            Completion.candidate,
            Ranking.rank,
            Judgement.annotator_id,
            Task.prompt_id,
        )
        .join(Judgement, Judgement.id == Ranking.judgement_id)
        .join(Completion, Completion.id == Ranking.completion_id)
    )
    rankings: dict[int, list[Any]] = defaultdict(list)
    for row in session.execute(_of(query, consents)):
        rankings[row[0]].append(row[1:])
    for ranked in rankings.values():
        for (ours, rank, person, prompt), (theirs, other, _, _) in combinations(ranked, 2):
            value = 0.5 if rank == other else float(rank < other)
            yield ours, theirs, _Vote(value, person, prompt)


def wins(session: Session, consents: Collection[str] = ()) -> list[Win]:
    """Every pair of candidates that was compared or ranked, those with most judgements first.

    The first of a pair is the one that is preferred more often. Answers that bear one name (an
    imported file's, say) can't win against each other and are left out.
    """
    votes: dict[tuple[str, str], list[_Vote]] = defaultdict(list)
    for ours, theirs, vote in (*_compared(session, consents), *_ranked(session, consents)):
        if ours < theirs:
            votes[ours, theirs].append(vote)
        elif theirs < ours:
            votes[theirs, ours].append(vote._replace(value=1 - vote.value))
    found = [_win(pair, cast) for pair, cast in votes.items()]
    return sorted(found, key=lambda win: (-win.judgements, win.candidate, win.against))


def _win(pair: tuple[str, str], votes: Sequence[_Vote]) -> Win:
    ours, theirs = pair
    values = [vote.value for vote in votes]
    if sum(values) < len(values) / 2:
        ours, theirs, values = theirs, ours, [1 - value for value in values]
    ties = Counter(values)[0.5]
    return Win(ours, theirs, _mean(values, votes), len(votes), ties, _people(votes))


def _mean(values: Sequence[float], votes: Sequence[_Vote]) -> Estimate:
    return crossed_mean(values, [vote.person for vote in votes], [vote.prompt for vote in votes])


def _people(votes: Sequence[_Vote]) -> int:
    return len({vote.person for vote in votes})


def ratings(session: Session, consents: Collection[str] = ()) -> list[MeanRating]:
    """Every candidate whose answers were rated, the best first."""
    query = (
        select(Completion.candidate, Rating.value, Judgement.annotator_id, Task.prompt_id)
        .join(Judgement, Judgement.id == Rating.judgement_id)
        .join(Completion, Completion.id == Rating.completion_id)
    )
    votes: dict[str, list[_Vote]] = defaultdict(list)
    for candidate, value, person, prompt in session.execute(_of(query, consents)):
        votes[candidate].append(_Vote(float(value), person, prompt))
    found = [
        MeanRating(name, _mean([vote.value for vote in cast], cast), len(cast), _people(cast))
        for name, cast in votes.items()
    ]
    return sorted(found, key=lambda each: (-(each.rating.value or 0), each.candidate))


def result_rows(session: Session, consents: Collection[str] = ()) -> list[dict[str, Any]]:
    """All of it as rows of an export."""
    compared = [each.to_json() for each in wins(session, consents)]
    return compared + [each.to_json() for each in ratings(session, consents)]
