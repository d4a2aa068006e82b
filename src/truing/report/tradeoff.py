"""What resisting attacks costs, candidate by candidate, as plain data: the report draws it.

A defence in several strengths is several points of one curve, which begins at the base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.report.measured import BASE, Measured
from truing.report.metrics import turned
from truing.report.task_metrics import ATTACKED, OVER_REFUSAL, TWIN
from truing.types import Estimate


def tradeoff(measured: Measured, methods: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A point for each candidate whose attacks were measured, in the order of the run.

    `methods` is what the run's record says of its candidates. `curve` is the method of a defence, whose
    points stand one after the other in the order of the task; of others it is None. `attack_success`,
    `twins_done` and `over_refusal` are the candidate's own shares; `twins_lost` is the base's share of
    twins done less the candidate's, paired. What wasn't measured is None.
    """
    return [
        _point(measured, name, methods.get(name))
        for name in measured.names
        if ATTACKED in measured.values.get(name, {})
    ]


def _point(measured: Measured, name: str, method: Any) -> dict[str, Any]:
    values = measured.values[name]
    lost = measured.differences.get(name, {}).get(TWIN)
    return {
        "candidate": name,
        "curve": method.get("defence") if isinstance(method, Mapping) else None,
        "attack_success": _json(values.get(ATTACKED)),
        "twins_done": _json(values.get(TWIN)),
        "twins_lost": _json(lost and turned(lost)),
        "over_refusal": _json(values.get(OVER_REFUSAL)),
    }


def curves(points: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The points of each curve: the base's, then those of the defences of one method."""
    base = [point for point in points if point["candidate"] == BASE]
    found: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        if point["curve"]:
            found.setdefault(point["curve"], [*base]).append(point)
    return {name: each for name, each in found.items() if len(each) > 1}


def _json(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimate.to_json()
