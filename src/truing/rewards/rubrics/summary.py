"""What is to be known of a judge behind an endpoint: does it grade, what the order does, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.rewards.rubrics.asking import Usage
from truing.rewards.rubrics.judge import Graded, ServedJudge
from truing.spec.rubric import RubricSpec
from truing.statistics.means import mean
from truing.types import Estimate

LEAST_ALIKE = 10
"""So many answers with one grade, and no other: the judge tells nothing apart."""


@dataclass(frozen=True)
class OrderEffect:
    """What the order in which the grades are listed does to `answers` graded both ways.

    `changed` is the share whose grade changed; `shift` the mean score with the best grade listed first
    less that with it listed last: above 0 where what stands first is liked. Grades without an order have
    none, nor have those of which the best and the worst aren't listed at the ends.
    """

    answers: int
    changed: float | None
    shift: Estimate | None

    @staticmethod
    def of(rubric: RubricSpec, graded: Sequence[Graded]) -> OrderEffect:
        """That of all these answers."""
        both = [each.grades for each in graded if not each.unscored]
        if not both:
            return OrderEffect(0, None, None)
        changed = sum(first != reverse for first, reverse in both) / len(both)
        if (values := rubric.values) is None:
            return OrderEffect(len(both), changed, None)
        listed_first, *_, listed_last = (values[name] for name in rubric.scale)
        if {listed_first, listed_last} != {0.0, 1.0}:
            return OrderEffect(len(both), changed, None)
        sign = 1 if listed_first > listed_last else -1
        shifts = [sign * (values[first] - values[reverse]) for first, reverse in both]
        return OrderEffect(len(both), changed, mean(shifts))

    @property
    def decides(self) -> bool:
        """Whether the order decides most grades."""
        return self.answers >= LEAST_ALIKE and (self.changed or 0.0) > 0.5

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        shift = {"shift": self.shift.to_json()} if self.shift else {}
        return {"answers": self.answers, "changed": self.changed, **shift}

    def __str__(self) -> str:
        """In words."""
        if self.changed is None:
            return "no answer was graded in both orders of the scale"
        words = f"the order of the scale changed {self.changed:.1%} of {self.answers} grades"
        shift = self.shift
        if shift is None or shift.value is None:
            return words
        interval = "" if shift.low is None else f" [{shift.low:+.3f}, {shift.high:+.3f}]"
        return f"{words} (best grade first less best last: {shift.value:+.3f}{interval})"


@dataclass(frozen=True)
class JudgeSummary:
    """What a judge made of `answers`: how many of them got no score and why, and whether all of the
    others got one `constant` grade."""

    name: str
    by: str
    answers: int
    unscored: Mapping[str, int]
    constant: str | None
    order: OrderEffect
    usage: Usage

    @staticmethod
    def of(judge: ServedJudge) -> JudgeSummary:
        """That of a judge so far."""
        graded = list(judge.of_answers.values())
        given = {grade for each in graded if not each.unscored for grade in each.grades}
        scored = sum(not each.unscored for each in graded)
        constant = given.pop() if len(given) == 1 and scored >= LEAST_ALIKE else None
        reasons = Counter(_kind(each.unscored.reason) for each in graded if each.unscored)
        order = OrderEffect.of(judge.rubric, graded)
        return JudgeSummary(
            judge.name, judge.by, len(graded), dict(reasons), constant, order, judge.usage
        )

    @property
    def without_score(self) -> int:
        """Answers that got no score."""
        return sum(self.unscored.values())

    @property
    def figures(self) -> dict[str, Any]:
        """Those that stand beside a judge's agreement with labels, and what to beware of."""
        return {
            "order_changed": self.order.changed,
            "unread": self.without_score,
            "warning": self.warning or None,
        }

    @property
    def warning(self) -> str:
        """Why its grades tell nothing; empty where nothing speaks against them."""
        if self.constant is not None:
            scored = self.answers - self.without_score
            return (
                f"always the same grade ({self.constant!r}, of {scored} answers): it tells nothing"
            )
        if self.order.decides:
            return (
                "most of its grades change with the order in which they are listed: its scores are the "
                "order's doing, whatever their intervals say"
            )
        return ""

    def lines(self) -> list[str]:
        """For a person."""
        lines = [f"Judge of {self.name} ({self.by}): {self.answers} answers; {self.order}"]
        if self.unscored:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.unscored.items())
            lines.append(f"Judge of {self.name}: without a score: {reasons}")
        if self.warning:
            lines.append(f"Warning: judge of {self.name}: {self.warning}")
        return [*lines, f"Judge of {self.name}: {cost_in_words(self.usage)}"]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "by": self.by,
            "answers": self.answers,
            "unscored": dict(self.unscored),
            "constant": self.constant,
            "order": self.order.to_json(),
            "usage": dict(self.usage.__dict__),
        }


def _kind(reason: str) -> str:
    """A reason without what the judge replied, which differs from answer to answer."""
    return reason.partition(": ")[0] if reason.startswith("the judge") else reason


def cost_in_words(usage: Usage) -> str:
    """'80 replies (12 asked for now), 23,410 tokens sent and 160 back, 41.2 s, 0.0041 USD'."""
    tokens = "tokens not counted by the server"
    if usage.tokens_sent is not None and usage.tokens_back is not None:
        tokens = f"{usage.tokens_sent:,} tokens sent and {usage.tokens_back:,} back"
    price = f", {usage.price:.4g} {usage.currency}" if usage.price is not None else ""
    if price and usage.price_now is not None and usage.fresh < usage.replies:
        price += f" ({usage.price_now:.4g} of it now)"
    fresh = "all" if usage.fresh == usage.replies else f"{usage.fresh:,}"
    replies = f"{usage.replies:,} replies ({fresh} asked for now)"
    return f"{replies}, {tokens}, {usage.seconds:.1f} s of the server's time{price}"


def summaries(judges: Iterable[ServedJudge]) -> list[JudgeSummary]:
    """Those of the judges that have graded something."""
    return [JudgeSummary.of(judge) for judge in judges if judge.usage.replies]
