"""What the table and the figures of a sweep show: lines, many wordings of one instruction as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from truing.evaluate import EVALUATIONS
from truing.evaluate.sweep.result import Line, SweepResult
from truing.evaluate.sweep.sensitivity import Sensitivity
from truing.judges.graded import JUDGED
from truing.prompts.variants import families
from truing.report.wordings import Place, difference_of, places_of
from truing.statistics.means import RESAMPLES
from truing.types import Estimate, Metric

PALETTE = ("c-sft", "c-prompt", "c-rl", "c-other1", "c-other2", "c-other3", "c-base", "c-reward")
TITLES = {name: evaluation.heading for name, evaluation in EVALUATIONS.items()}
CHOICE = ("mc1", "mc2", "binary")
"""Metrics of given answers. They go by the same names wherever they are asked for."""
MANY = 5
"""From so many wordings of a family on, its mean is shown in their place."""


SCORED = {
    "tree": "likelihoods, questions together",
    "alone": "likelihoods, each answer alone",
    "log-probabilities": "likelihoods that the server gives; its weights are unknown",
    "letters": "lettered choices in every order, by chat; its weights are unknown",
    "answers": "its own answers alone; its weights are unknown",
    "recorded": "its answers on file",
}
"""How a model was scored, in words."""


def by_letters(result: SweepResult) -> str:
    """What to say of models that weren't scored by likelihood; empty where all were."""
    names = [name for name, about in result.models.items() if about["scored"] == "letters"]
    if not names:
        return ""
    return (
        f"{', '.join(names)}: lettered choices in every order, no likelihoods. MC1 and binary are the "
        "shares of orders in which the true answer was taken; compare them with their like alone."
    )


def colours(names: Sequence[str]) -> Callable[[str], str]:
    """A style-sheet class for each name, by its place, so that neighbours differ."""
    places = {name: place for place, name in enumerate(names)}
    return lambda name: PALETTE[places[name] % len(PALETTE)]


def metric_in(evaluation: str, name: str) -> Metric:
    """A metric as it is declared; in its own section a choice's goes by its own name ('MC1')."""
    owner = EVALUATIONS["truthfulness" if name in CHOICE else evaluation]
    return owner.metric(name) or Metric(evaluation, name, name, 0, "share", "")


def shares(evaluation: str, metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that are shares, which bars from 0 to 1 can show."""
    return [name for name in metrics if metric_in(evaluation, name).least == 0]


def titled(evaluation: str, metric: str) -> str:
    """'Truthfulness, MC1': a metric where several evaluations stand together."""
    name = metric_in(evaluation, metric).brief
    return name if metric == "true_and_informative" else f"{TITLES[evaluation]}, {name}"


def labels(result: SweepResult) -> dict[str, str]:
    """What each prompt is shown as: its name, or the family whose mean stands for it."""
    many = {
        variant: f"{sensitivity.family} ({len(sensitivity.variants)} wordings)"
        for sensitivity in result.sensitivities
        if len(sensitivity.variants) >= MANY
        for variant in sensitivity.variants
    }
    return {variant.name: many.get(variant.name, variant.name) for variant in result.prompts}


def shown_lines(result: SweepResult, evaluation: str) -> list[Line]:
    """The lines of an evaluation; a family's has means over its wordings and their intervals.

    Judged shares are corrected line by line: a family's is their mean, and has no interval.
    """
    label_of = labels(result)
    means = _family_means(result.sensitivities, evaluation)
    for key, shares in _judged_means(result, evaluation).items():
        if key in means:
            means[key] |= shares
    lines: dict[tuple[str, str], Line] = {}
    for line in result.lines:
        if line.evaluation != evaluation:
            continue
        label = label_of[line.prompt]
        metrics = line.metrics if label == line.prompt else means.get((line.candidate, line.prompt))
        if metrics is not None:
            key = (line.candidate, label)
            lines.setdefault(key, Line(line.candidate, evaluation, label, metrics))
    return list(lines.values())


def _family_means(
    sensitivities: Sequence[Sensitivity], evaluation: str
) -> dict[tuple[str, str], dict[str, Estimate]]:
    means: dict[tuple[str, str], dict[str, Estimate]] = {}
    for sensitivity in sensitivities:
        if sensitivity.evaluation == evaluation:
            for spreading in sensitivity.spreads:
                for variant in sensitivity.variants:
                    of = means.setdefault((spreading.candidate, variant), {})
                    of[spreading.metric] = spreading.spread.mean
    return means


def _judged_means(
    result: SweepResult, evaluation: str
) -> dict[tuple[str, str], dict[str, Estimate]]:
    of = {(x.candidate, x.prompt): x.metrics for x in result.lines if x.evaluation == evaluation}
    means: dict[tuple[str, str], dict[str, Estimate]] = {}
    for family in families(result.prompts).values():
        for candidate in result.models:
            for metric in JUDGED:
                estimates = [of[candidate, w][metric] for w in family if metric in of[candidate, w]]
                values = [e.value for e in estimates if e.value is not None]
                if len(values) == len(family):
                    value = sum(values) / len(values)
                    mean = Estimate(value, None, None, estimates[0].n, estimates[0].unscored)
                    for variant in family:
                        means.setdefault((candidate, variant), {})[metric] = mean
    return means


def remark(estimate: Estimate, asked: int) -> str:
    """'3 unscored', or '48 of 85 asked' where a metric is of some questions alone by plan."""
    if estimate.unscored:
        return f"{estimate.unscored} unscored"
    return f"{estimate.n} of {asked} asked" if estimate.n < asked else ""


def asked_of(metric: Metric, asked: int) -> int:
    """How many cases a metric's figure could have been of: none is missing of one that is of some by its
    nature."""
    return 0 if metric.of_some else asked


def crosses(result: SweepResult) -> bool:
    """Whether any evaluation's intervals are for other wordings and items."""
    return any(EVALUATIONS[name].crossed is not None for name in result.asked)


def on_outcomes(result: SweepResult) -> str:
    """What to say of shares that the judge of outcomes gave; empty where it judged nothing."""
    if not result.outcome_agreement:
        return ""
    return (
        f"What answers did is as the judge sees it. {result.outcome_agreement} How it errs on these "
        "answers isn't known; of a run's candidates, 'truing label --run RUN --ask outcome' has 50 answers "
        "each labelled, which corrects their shares."
    )


def metrics_in(lines: Sequence[Line]) -> tuple[str, ...]:
    """The metrics that any of the lines has, in order."""
    return tuple(dict.fromkeys(metric for line in lines for metric in line.metrics))


def question_scores(
    result: SweepResult, evaluation: str, metric: str
) -> dict[tuple[str, str], dict[str, float]]:
    """By candidate and shown prompt, the mean score of each question over the wordings it stands for."""
    label_of = labels(result)
    sums: dict[tuple[str, str], dict[str, list[float]]] = {}
    for prompt, row in result.rows:
        score = row.metrics.get(metric)
        if row.evaluation == evaluation and isinstance(score, float):
            by_case = sums.setdefault((row.candidate, label_of[prompt]), {})
            by_case.setdefault(row.case, []).append(score)
    return {
        key: {case: sum(scores) / len(scores) for case, scores in by_case.items()}
        for key, by_case in sums.items()
    }


def question_places(result: SweepResult, evaluation: str) -> dict[str, Place]:
    """Where each case stands whose evaluation asks it in many wordings; else nothing."""
    crossed = EVALUATIONS[evaluation].crossed
    own = (row for _, row in result.rows if row.evaluation == evaluation)
    return places_of(own, crossed) if crossed else {}


def differences(
    scores: Mapping[tuple[str, str], Mapping[str, float]],
    first: str,
    seed: int,
    places: Mapping[str, Place] = MappingProxyType({}),
) -> dict[tuple[str, str], Estimate]:
    """Each candidate's paired difference under each other prompt to the one shown first."""
    return {
        (candidate, prompt): difference_of(
            of, scores[candidate, first], places, resamples=RESAMPLES, seed=seed
        )
        for (candidate, prompt), of in scores.items()
        if prompt != first and (candidate, first) in scores
    }
