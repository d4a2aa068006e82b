"""Counts that add up: which rows and questions are in no figure, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from truing.report.measured import Measured
from truing.report.sentences import Finding, Tone, joined
from truing.types import Estimate, Metric


def on_counts(measured: Measured) -> list[Finding]:
    """What was left out of each candidate's figures, and of its differences to base; candidates of which
    the same is to be said stand together."""
    about: dict[tuple[str, Tone], list[str]] = defaultdict(list)
    for part in (_unscored, _one_side, _repeated):
        for name in measured.names:
            if text := part(measured, name):
                about[text, "warning" if part is _repeated else "note"].append(name)
    return [
        Finding(f"{joined(names)}: {text}", tone, names[0] if len(names) == 1 else "")
        for (text, tone), names in about.items()
    ]


def _unscored(measured: Measured, name: str) -> str:
    """'2 of MC1 and MC2 (no tokens)', metrics with the same reasons together."""
    counts = measured.counts[name]
    alike: dict[tuple[int, str], list[str]] = defaultdict(list)
    for key, estimate in measured.values.get(name, {}).items():
        if estimate.unscored:
            why = _reasons(counts.reasons.get(key, {}))
            alike[estimate.unscored, why].append(measured.task.metric_of(*key).label)
    if not alike:
        return ""
    parts = [
        f"{count} of {joined(labels)}{f' ({why})' if why else ''}"
        for (count, why), labels in alike.items()
    ]
    return f"rows that could not be scored were left out: {'; '.join(parts)}."


def _reasons(reasons: Mapping[str, int]) -> str:
    """'no tokens', or 'no tokens: 3, empty answer: 1' of several, the commonest first."""
    ordered = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    if len(ordered) == 1:
        return ordered[0][0]
    return ", ".join(f"{reason}: {count}" for reason, count in ordered)


def _one_side(measured: Measured, name: str) -> str:
    """Questions that only one of candidate and base has a score for: no difference has them."""
    alike: dict[tuple[int, int], list[str]] = defaultdict(list)
    for key, difference in measured.differences.get(name, {}).items():
        if difference.unscored:
            label = measured.task.metric_of(*key).label
            alike[difference.n, difference.unscored].append(label)
    if not alike:
        return ""
    cases = measured.task.words.cases
    parts = [
        f"{joined(labels)} on {both} of {both + one_side} {cases}"
        for (both, one_side), labels in alike.items()
    ]
    return (
        f"compared with base where both have a score: {'; '.join(parts)}. The others have it on one "
        "side only."
    )


def _repeated(measured: Measured, name: str) -> str:
    repeated = measured.counts[name].repeated
    if not repeated:
        return ""
    rows = "1 row stands" if repeated == 1 else f"{repeated} rows stand"
    case = measured.task.words.case
    return f"{rows} there more than once; what is counted of such a {case} is the mean."


def fewer(measured: Measured, name: str, metric: Metric, estimate: Estimate) -> str:
    """'48 of 85' where a metric was measured on some of its evaluation's cases by plan, not for want of
    a score, and could have been on all."""
    if metric.of_some:
        return ""
    asked = measured.counts[name].cases.get(metric.evaluation, 0)
    return f"{estimate.n} of {asked}" if not estimate.unscored and estimate.n < asked else ""


def on_constant_rewards(logs: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[Finding]:
    """Steps of reinforcement learning in which every answer got the same reward."""
    lines = [line for log in logs.values() for line in log]
    constant = [line for line in lines if "constant_reward" in line]
    if not constant:
        return []
    which = (
        "every step" if len(constant) == len(lines) else f"{len(constant)} of {len(lines)} steps"
    )
    text = (
        f"In {which} of reinforcement learning all answers got the same reward, so that it said "
        "nothing about which of them was better."
    )
    return [Finding(text, "warning")]
