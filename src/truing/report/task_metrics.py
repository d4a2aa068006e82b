"""What a report speaks of: the metrics of a task, what 'helped' means in it and what must not be lost.

It is plain data that whoever asks for a report hands down: `report` knows no task and no evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from truing.types import Estimate, Metric, Row

FromRows = Callable[[Sequence[Row], int], dict[str, Estimate]]
Crossed = Callable[[Row], tuple[str, str, str] | None]
"""The family, the wording and the item of a row that is one of many wordings; None for any other."""
Key = tuple[str, str]
"""An evaluation and a metric in it."""
SMALLEST_SHARE = 0.02
"""The smallest effect that counts on a share where the task doesn't say: an answer in fifty."""
REWARD: Key = ("hacking", "reward")
"""What training was rewarded with, measured on the held-out cases."""
DRIFT: Key = ("drift", "kl")
"""How far a candidate is from base."""
ATTACKED: Key = ("attacks", "success")
TWIN: Key = ("attacks", "twin")
"""What tricks get against a rule; the same wordings with demands that it permits."""
OVER_REFUSAL: Key = ("refusals", "over_refusal")
REFUSAL: Key = ("refusals", "refusal")
"""What is declined of safe prompts, and of those that are to be declined."""


@dataclass(frozen=True)
class Words:
    """What a task calls one of its cases, and the answers that are known to be good and bad."""

    case: str = "case"
    good: str = "Good"
    bad: str = "Bad"

    @property
    def cases(self) -> str:
        """More than one of them."""
        return f"{self.case}s"


@dataclass(frozen=True)
class TaskMetrics:
    """Every metric in the order in which it is shown, and which of them count for what.

    `headline` is what 'helped' means, the weightiest first; `gold` what the reward stands for (empty:
    the headline); `must_not_fall` has the loss allowed of each metric that must not get worse,
    `smallest` the smallest effect that counts on a metric, where the task says it.
    `rewarded` are metrics that are also what training was rewarded for, because an exact program gives
    them; `by_reward` names the methods that follow a reward. `evaluations` are those of the task.
    `from_rows` has the evaluations with figures that aren't means over cases: what gives them, from a
    candidate's rows and a seed; `crossed` those whose rows are of many wordings: which is of which. A
    metric that isn't listed is shown last, under its own name, and is neither gain nor loss. `shares` have
    their least value, 0 or -1; 1 is their greatest in every row.
    """

    metrics: tuple[Metric, ...]
    titles: Mapping[str, str]
    headline: tuple[Key, ...]
    gold: tuple[Key, ...] = ()
    must_not_fall: Mapping[Key, float] = field(default_factory=dict)
    smallest: Mapping[Key, float] = field(default_factory=dict)
    evaluations: tuple[str, ...] = ()
    rewarded: tuple[Key, ...] = ()
    by_reward: tuple[str, ...] = ("rl",)
    words: Words = Words()
    from_rows: Mapping[str, FromRows] = field(default_factory=dict)
    crossed: Mapping[str, Crossed] = field(default_factory=dict)
    shares: Mapping[Key, float] = field(default_factory=dict)
    headings: Mapping[str, str] = field(default_factory=dict)

    def metric_of(self, evaluation: str, name: str) -> Metric:
        """The metric as listed, or a neutral one under its own name."""
        for metric in self.metrics:
            if (metric.evaluation, metric.name) == (evaluation, name):
                return metric
        return Metric(evaluation, name, f"{evaluation}: {name}", 0, "share", "", name)

    def title(self, evaluation: str) -> str:
        """What heads an evaluation's figures."""
        return self.titles.get(evaluation, evaluation)

    def in_order(self, keys: Iterable[Key]) -> list[Key]:
        """Keys as `metrics` lists them, then unlisted ones by name."""
        places = {(m.evaluation, m.name): place for place, m in enumerate(self.metrics)}
        return sorted(keys, key=lambda key: (places.get(key, len(places)), key))

    def of(self, keys: Iterable[Key]) -> list[Metric]:
        """The metrics of keys."""
        return [self.metric_of(*key) for key in keys]

    def smallest_effect(self, metric: Metric) -> float:
        """A change by less than this doesn't count, however sure it is; 0 where nothing is known."""
        names = [metric.name, *(each.name for each in self.served_by(metric))]
        known = [self.smallest.get((metric.evaluation, name)) for name in names]
        usual = SMALLEST_SHARE if metric.unit == "share" else 0.0
        return next((smallest for smallest in known if smallest is not None), usual)

    def adjusted(self, metric: Metric) -> Metric | None:
        """The metric that a verdict on this one asks for as well, if it has one."""
        return self.metric_of(metric.evaluation, metric.adjusted) if metric.adjusted else None

    def served_by(self, adjusted: Metric) -> list[Metric]:
        """The metrics that an adjusted one is there for; none where it is an ordinary one."""
        return [
            metric
            for metric in self.metrics
            if (metric.evaluation, metric.adjusted) == (adjusted.evaluation, adjusted.name)
        ]

    def counts(self, key: Key) -> bool:
        """Whether the task goes by a metric: headline, gold, or what must not fall."""
        return key in self.headline or key in self.gold or key in self.must_not_fall

    @property
    def stands_for(self) -> tuple[Key, ...]:
        """What the reward stands for: gold, or the headline."""
        return self.gold or self.headline

    @property
    def headline_evaluations(self) -> tuple[str, ...]:
        """The evaluations that the headline is taken from."""
        return tuple(dict.fromkeys(evaluation for evaluation, _ in self.headline))

    @property
    def watched(self) -> list[Metric]:
        """Grades of answers that a training log may hold under their names: first what counts."""
        first = self.of(self.stands_for)
        evaluations = {metric.evaluation for metric in first}
        rest = [
            metric
            for metric in self.metrics
            if metric.evaluation in evaluations
            and metric not in first
            and metric.better
            and not self.served_by(metric)
        ]
        return [metric for metric in (*first, *rest) if not metric.by_likelihood]

    @property
    def grades(self) -> list[Metric]:
        """What is shown beneath an answer: grades by one judge or program. A product of two isn't."""
        return [
            metric
            for metric in self.metrics
            if metric.evaluation in self.headline_evaluations
            and metric.better
            and not metric.by_likelihood
            and len(metric.judges) < 2
        ]

    @property
    def likelihoods(self) -> list[Metric]:
        """The headline's metrics that rest on the likelihood of given answers, in order."""
        return [m for m in self.of(self.in_order(self.headline)) if m.by_likelihood]
