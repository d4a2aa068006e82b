"""What a candidate did to a metric: whether it is beyond noise, and whether it counts.

A change counts where its 95 % interval excludes 0 and it is at least the task's smallest effect. Where the
metric has an adjusted one beside it, a gain counts where both gained so; a run without the adjusted one
goes by the metric alone, and says so.
"""

from __future__ import annotations

from typing import Literal

from truing.report.measured import Measured
from truing.report.metrics import change, improvement, moved
from truing.report.sentences import change_text, joined
from truing.types import Estimate, Metric

Effect = Literal["gain", "loss", "small", "unconfirmed", ""]
"""`small`: too small to count; `unconfirmed`: a gain that the adjusted metric doesn't show."""
Loss = Literal["damage", "not excluded", "little", ""]
"""Of what must not get worse: beyond noise and the limit or more, perhaps more, beyond noise but less."""
_ROUNDING = 1e-9  # of a mean that is the limit itself


def effect(measured: Measured, name: str, metric: Metric) -> Effect:
    """What the candidate did to the metric; nothing where it is within noise or not measured."""
    plain = _alone(measured, name, metric)
    adjusted = measured.task.adjusted(metric)
    if plain != "gain" or adjusted is None or measured.defined_difference(name, adjusted) is None:
        return plain
    return "gain" if _alone(measured, name, adjusted) == "gain" else "unconfirmed"


def _alone(measured: Measured, name: str, metric: Metric) -> Literal["gain", "loss", "small", ""]:
    difference = measured.defined_difference(name, metric)
    kind = change(difference, metric)
    if difference is None or kind not in ("gain", "loss"):
        return ""
    assert difference.value is not None
    counts = abs(difference.value) >= measured.task.smallest_effect(metric) - _ROUNDING
    return kind if counts else "small"


def changes(measured: Measured, name: str, kind: Literal["gain", "loss"]) -> str:
    """'raised MC2 by +0.05 [0.02, 0.08] and lowered ...': what moved so, of the headline's evaluations."""
    raised: list[str] = []
    lowered: list[str] = []
    task = measured.task
    for metric in task.metrics:
        if metric.evaluation not in task.headline_evaluations:
            continue
        served = task.served_by(metric)
        if served and (kind == "gain" or any(effect(measured, name, m) == kind for m in served)):
            continue  # stands in brackets behind the metric that it is there for
        difference = measured.defined_difference(name, metric)
        if difference is not None and effect(measured, name, metric) == kind:
            side = raised if moved(difference) == 1 else lowered
            side.append(_text(measured, name, metric, difference))
    parts = [f"raised {joined(raised)}"] if raised else []
    return " and ".join([*parts, f"lowered {joined(lowered)}"] if lowered else parts)


def _text(measured: Measured, name: str, metric: Metric, difference: Estimate) -> str:
    text = f"{metric.spoken} by {change_text(difference, metric.unit)}"
    adjusted = measured.task.adjusted(metric)
    beside = measured.defined_difference(name, adjusted) if adjusted else None
    return f"{text} (adjusted {change_text(beside, metric.unit)})" if beside else text


def reservations(measured: Measured, name: str) -> list[str]:
    """What moved in the headline and doesn't count, with the reason."""
    texts = []
    for metric in measured.task.of(measured.task.headline):
        difference = measured.defined_difference(name, metric)
        kind = effect(measured, name, metric)
        if difference is None or kind not in ("small", "unconfirmed"):
            continue
        verb = "raised" if moved(difference) == 1 else "lowered"
        text = f"it {verb} {metric.spoken} by {change_text(difference, metric.unit)}"
        texts.append(f"{text}, {why_not(measured, name, metric)}")
    return texts


def why_not(measured: Measured, name: str, metric: Metric) -> str:
    """Why a change beyond noise doesn't count; nothing where it does."""
    kind = effect(measured, name, metric)
    if kind == "small":
        return f"too small to count (below {measured.task.smallest_effect(metric):g})"
    adjusted = measured.task.adjusted(metric)
    beside = measured.defined_difference(name, adjusted) if adjusted else None
    if kind != "unconfirmed" or adjusted is None or beside is None:
        return ""
    reasons = {"small": "too small to count", "loss": "for the worse"}
    reason = reasons.get(_alone(measured, name, adjusted), "within noise")
    return f"but adjusted by {change_text(beside, metric.unit)}, {reason}"


def nearest(measured: Measured, name: str) -> str:
    """The headline differences that stayed within noise, so that 'did not help' has its figures."""
    texts = []
    for metric in measured.task.of(measured.task.headline):
        difference = measured.defined_difference(name, metric)
        if difference is not None and moved(difference) == 0:
            texts.append(f"{metric.spoken} {change_text(difference, metric.unit)}")
    return joined(texts) if texts else ""


def loss(measured: Measured, name: str, metric: Metric, limit: float) -> Loss:
    """What a candidate did to a metric that must not get worse by the limit or more."""
    difference = measured.defined_difference(name, metric)
    if difference is None:
        return ""
    better = improvement(difference, metric)
    if moved(better) == -1 and is_large(better, limit):
        return "damage"
    if better.low is not None and better.low < -limit:
        return "not excluded"
    return "little" if moved(better) == -1 else ""


def is_large(better: Estimate, limit: float) -> bool:
    """Whether the loss itself is the limit or more, noise or not."""
    return better.value is not None and better.value <= -limit + _ROUNDING
