"""A judge behind an endpoint: a model that grades answers by a rubric, each with the scale both ways.

The score of an answer is the mean of its two grades, so that whether a model likes what stands first, or
last, plays no part; how often the order changes the grade is shown. An answer of which one reply gives no
grade is unscored: the other one alone would bring the order back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from truing.models.memo.replies import ReplyStore, StoredReply
from truing.models.remote.replies import ended_early
from truing.progress import Progress
from truing.rewards.reward import Answered
from truing.rewards.rubrics.asking import Asker, Reply, Usage
from truing.rewards.rubrics.reading import rubric_named
from truing.rewards.rubrics.request import (
    OF_TWO,
    REFERENCES,
    grade_in,
    listed,
    request,
    request_of_two,
)
from truing.spec.rubric import RubricJudge, RubricSpec
from truing.types import InputError, Score, Unscored, did_you_mean, stable_hash

REPLY_TOKENS, REASONED_TOKENS = 16, 400
"""A reply's greatest length: of a grade alone, and of one behind reasons."""
LEAST_READ = 20
"""So many replies without a single grade: the model doesn't grade, and no more is asked."""
EMPTY = Unscored("empty answer")
_OWNER = "the judge's"
Grade = str | Unscored


@dataclass(frozen=True)
class Graded:
    """The grades of one answer: with the scale in one order, and in its reverse."""

    first: Grade
    reverse: Grade

    @property
    def unscored(self) -> Unscored | None:
        """Why there is no score, where there is none."""
        return next((g for g in (self.first, self.reverse) if isinstance(g, Unscored)), None)

    @property
    def grades(self) -> tuple[str, str]:
        """Both, of an answer that has a score."""
        assert isinstance(self.first, str) and isinstance(self.reverse, str)
        return self.first, self.reverse


class ServedJudge:
    """A model that grades by a rubric. `of_answers` holds what it made of every answer so far."""

    def __init__(
        self,
        name: str,
        spec: RubricJudge,
        where: str,
        *,
        seed: int = 0,
        store: ReplyStore | None = None,
    ) -> None:
        """Asks nothing yet. `where` is the place in spec or command that names it.

        Raises InputError where endpoint or rubric are wrong.
        """
        assert spec.rubric is not None
        self.name, self.spec, self.seed = name, spec, seed
        self.rubric: RubricSpec = rubric_named(spec.rubric, f"{where}.rubric")
        self._ask = Asker(spec, where, store)
        self.of_answers: dict[str, Graded] = {}
        self._read = 0
        self._unread: list[str] = []

    @property
    def by(self) -> str:
        """'MODEL at URL, by the rubric NAME'."""
        served = self._ask.name
        return f"{served.model} at {served.url}, by the rubric {self.rubric.name}"

    @property
    def usage(self) -> Usage:
        """What it has cost."""
        return self._ask.usage

    @property
    def unread(self) -> Counter[str]:
        """Replies that gave no grade, by the reason."""
        return Counter(self._unread)

    def watched_by(self, progress: Progress) -> None:
        """Who is shown that it is asked."""
        self._ask.progress = progress

    def check_ordered(self, where: str) -> None:
        """Raises InputError where its grades have no order, so that they can't be scores."""
        if self.rubric.values is None:
            raise InputError(
                f"{where}.rubric: {self.rubric.name}: its grades have no values, so that none is better; "
                "give each a value, or list them from worst to best"
            )

    def check_columns(self, columns: Collection[str], where: str) -> None:
        """Raises InputError where the rubric shows a column that the data hasn't."""
        for name in self.rubric.shows:
            if name != REFERENCES and name not in columns:
                hint = did_you_mean(name, (*columns, REFERENCES))
                there = ", ".join((*sorted(columns), REFERENCES))
                raise InputError(
                    f"{where}.rubric: {self.rubric.name}: shows {name!r}, which is no column here; "
                    f"{hint}there are {there}"
                )

    # --- One answer --------------------------------------------------------------------------

    def grades(self, answers: Sequence[Answered]) -> list[Graded]:
        """Both grades of each answer; of one without text there is nothing to ask."""
        full = [(place, each) for place, each in enumerate(answers) if each.answer.strip()]
        graded = [Graded(EMPTY, EMPTY)] * len(answers)
        orders = [listed(self.rubric, each, self.seed) for _, each in full]
        texts = [
            request(self.rubric, each, order)
            for (_, each), both in zip(full, orders, strict=True)
            for order in both
        ]
        if not texts:
            return graded
        replies = iter(
            [self._grade(reply, tuple(self.rubric.scale)) for reply in self._ask_all(texts)]
        )
        for place, each in full:
            graded[place] = Graded(next(replies), next(replies))
            key = stable_hash("graded", each.case.id, each.case.prompt, each.answer)
            self.of_answers[key] = graded[place]
        return graded

    def many(self, answers: Sequence[Answered]) -> list[Score]:
        """The score of each answer: the mean of both grades, from 0 (the worst) to 1 (the best)."""
        return [self.score(graded) for graded in self.grades(answers)]

    def __call__(self, answered: Answered) -> Score:
        """The score of one answer."""
        return self.many([answered])[0]

    def score(self, graded: Graded) -> Score:
        """The mean of both grades' values; unscored where one is, or where grades have none."""
        values = self.rubric.values
        if graded.unscored or values is None:
            return graded.unscored or Unscored("the judge's grades have no order")
        first, reverse = graded.grades
        return (values[first] + values[reverse]) / 2

    # --- Two answers -------------------------------------------------------------------------

    def wins(self, pairs: Sequence[tuple[Answered, Answered]]) -> list[Score]:
        """Of each pair whether its first answer is the better one: 1, 0, or 0.5 for a tie. They are shown
        in both orders, and where the replies differ it is a tie, too."""
        full = [
            place
            for place, (one, other) in enumerate(pairs)
            if one.answer.strip() and other.answer.strip()
        ]
        scores: list[Score] = [EMPTY] * len(pairs)
        texts = []
        for place in full:
            one, other = pairs[place]
            for first, second in ((one, other), (other, one)):
                texts.append(request_of_two(self.rubric, one, first.answer, second.answer))
        if not texts:
            return scores
        replies = iter([self._grade(reply, OF_TWO) for reply in self._ask_all(texts, OF_TWO)])
        for place in full:
            scores[place] = _win(next(replies), next(replies))
        return scores

    # --- Replies -----------------------------------------------------------------------------

    def _ask_all(self, texts: Sequence[str], grades: Sequence[str] = ()) -> list[Reply]:
        known = tuple(grades or self.rubric.scale)
        reasons = self.rubric.reasons and not grades
        most = REASONED_TOKENS if reasons else REPLY_TOKENS
        return self._ask(texts, most, lambda reply: self._count(reply, known))

    def _count(self, reply: StoredReply, grades: Sequence[str]) -> None:
        """Raises InputError once it is plain that the model doesn't grade."""
        grade = self._grade(reply, grades)
        if not isinstance(grade, Unscored):
            self._read += 1
            return
        self._unread.append(ended_early(reply, _OWNER) or "no grade in the reply")
        if not self._read and len(self._unread) >= LEAST_READ:
            raise InputError(
                f"{self._ask.where}: {self.spec.endpoint}: none of its {len(self._unread)} replies is one "
                f"of the grades ({', '.join(grades)}); {grade.reason}; name a model that keeps to the "
                "grades (the replies are kept)"
            )

    @staticmethod
    def _grade(reply: Reply, grades: Sequence[str]) -> Grade:
        if isinstance(reply, Unscored):
            return reply
        ended = ended_early(reply, _OWNER)
        grade = grade_in(reply.text, grades, cut=bool(ended))
        return (
            Unscored(f"{ended}: {grade.reason}") if isinstance(grade, Unscored) and ended else grade
        )


def _win(first: Grade, swapped: Grade) -> Score:
    """What two replies say of the first answer, which stood second in the other one."""
    if isinstance(first, Unscored):
        return first
    if isinstance(swapped, Unscored):
        return swapped
    shares = {"1": 1.0, "tie": 0.5, "2": 0.0}
    return (shares[first] + 1.0 - shares[swapped]) / 2
