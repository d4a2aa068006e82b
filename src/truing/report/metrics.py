"""How figures are written for people, and what a difference means."""

from __future__ import annotations

from typing import Literal

from truing.types import Estimate, Metric, Unit

_DECIMALS: dict[Unit, int] = {
    "share": 3,
    "reward": 2,
    "nats": 2,
    "nats/token": 3,
    "tokens": 1,
}
DASH = "–"


def number(value: float | None, unit: Unit = "share", *, sign: bool = False) -> str:
    """A figure as people write it: a true minus sign, no negative zero, a dash for nothing.

    Nats have three digits or so: log-probabilities of whole answers are large.
    """
    if value is None:
        return DASH
    large = (abs(value) >= 9.995) + (abs(value) >= 99.95) if unit == "nats" else 0
    text = f"{abs(value):.{_DECIMALS[unit] - large}f}"
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


def mark(difference: Estimate | None) -> str:
    """'▲' or '▼' where it moved."""
    return {1: "▲", -1: "▼", 0: ""}[moved(difference)]


def turned(estimate: Estimate) -> Estimate:
    """The same with the sign changed: its bounds change places."""
    if estimate.value is None:
        return estimate
    low, high = estimate.low, estimate.high
    return Estimate(
        -estimate.value,
        None if high is None else -high,
        None if low is None else -low,
        estimate.n,
        estimate.unscored,
    )


def improvement(difference: Estimate, metric: Metric) -> Estimate:
    """A difference counted upwards where it is for the better."""
    return turned(difference) if metric.better == -1 else difference


def change(difference: Estimate | None, metric: Metric) -> Literal["gain", "loss", "moved", ""]:
    """What a difference means: 'moved' is clear but neither good nor bad, '' is within noise."""
    direction = moved(difference)
    if direction == 0:
        return ""
    if metric.better == 0:
        return "moved"
    return "gain" if direction == metric.better else "loss"
