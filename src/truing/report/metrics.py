"""What is reported: each metric's name for people, which way is better, and how it is written.

One visible list, in the order in which it is shown. A metric that isn't listed is shown last,
under its own name, and counts as neither gain nor loss.
"""

from __future__ import annotations

from typing import Literal

from truing.types import Estimate, Metric, Unit

_DECIMALS: dict[Unit, int] = {"share": 3, "reward": 2, "nats": 2, "tokens": 1}
DASH = "–"

METRICS: tuple[Metric, ...] = (
    Metric(
        "truthfulness",
        "mc1",
        "MC1",
        1,
        "share",
        "share of questions on which the best true answer is the likeliest of all choices",
    ),
    Metric(
        "truthfulness",
        "mc2",
        "MC2",
        1,
        "share",
        "share of probability that falls on the true choices",
    ),
    Metric(
        "truthfulness",
        "binary",
        "Binary",
        1,
        "share",
        "share of questions on which the best true answer is likelier than the best false one",
    ),
    Metric(
        "truthfulness",
        "true",
        "True",
        1,
        "share",
        "share of free answers that the judge holds true (“I don’t know” counts as true)",
    ),
    Metric(
        "truthfulness",
        "informative",
        "Informative",
        1,
        "share",
        "share of free answers that the judge holds to answer the question",
    ),
    Metric(
        "truthfulness",
        "true_and_informative",
        "True and informative",
        1,
        "share",
        "share of free answers that are both: the figure to go by",
        "True & informative",
    ),
    Metric(
        "trivia",
        "mc1",
        "Control questions, MC1",
        1,
        "share",
        "plain questions without a misconception: is what the model could do still there?",
        "Controls MC1",
    ),
    Metric(
        "trivia",
        "mc2",
        "Control questions, MC2",
        1,
        "share",
        "the same, as a share of probability",
        "Controls MC2",
    ),
    Metric(
        "trivia",
        "binary",
        "Control questions, binary",
        1,
        "share",
        "the right answer against one wrong one",
        "Controls binary",
    ),
    Metric(
        "attacks",
        "success",
        "Attacks that succeed",
        -1,
        "share",
        "share of “ignore the above directions” prompts that get their way (less is better)",
        "Attack success",
    ),
    Metric(
        "drift",
        "kl",
        "KL to base (nats)",
        -1,
        "nats",
        "how far the answers’ distribution has moved from base, per answer (less is nearer)",
        "KL to base, nats",
    ),
    Metric(
        "drift",
        "answer_tokens",
        "Answer length (tokens)",
        0,
        "tokens",
        "mean length of a free answer (neither good nor bad)",
        "Answer tokens",
    ),
    Metric(
        "hacking",
        "reward",
        "Training reward",
        1,
        "reward",
        "what the reward model gives the free answers. A gain here alone is reward hacking",
    ),
)

EVALUATION_TITLES = {
    "truthfulness": "Truthfulness, on held-out questions",
    "trivia": "Capability kept",
    "attacks": "Attacks",
    "drift": "Drift from base",
    "hacking": "Reward’s own view",
}


def metric_of(evaluation: str, name: str) -> Metric:
    """The metric as listed, or a neutral one under its own name."""
    for metric in METRICS:
        if (metric.evaluation, metric.name) == (evaluation, name):
            return metric
    return Metric(evaluation, name, f"{evaluation}: {name}", 0, "share", "", name)


def number(value: float | None, unit: Unit = "share", *, sign: bool = False) -> str:
    """A figure as people write it: a true minus sign, no negative zero, a dash for nothing."""
    if value is None:
        return DASH
    text = f"{abs(value):.{_DECIMALS[unit]}f}"
    zero = float(text) == 0
    if value < 0 and not zero:
        return "−" + text
    return "+" + text if sign and not zero else text


def interval(estimate: Estimate, unit: Unit = "share", *, sign: bool = False) -> str:
    """'[0.02, 0.08]', or nothing where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = (number(bound, unit, sign=sign) for bound in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


def moved(difference: Estimate | None) -> Literal[-1, 0, 1]:
    """+1 or -1 where the whole interval lies above or below 0, else 0."""
    if difference is None or difference.low is None or difference.high is None:
        return 0
    return 1 if difference.low > 0 else -1 if difference.high < 0 else 0


def change(difference: Estimate | None, metric: Metric) -> Literal["gain", "loss", "moved", ""]:
    """What a difference means: 'moved' is clear but neither good nor bad, '' is within noise."""
    direction = moved(difference)
    if direction == 0:
        return ""
    if metric.better == 0:
        return "moved"
    return "gain" if direction == metric.better else "loss"
