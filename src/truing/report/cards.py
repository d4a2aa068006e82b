"""The cards below the title: for each method what it gained, what it cost and what it broke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.report.effects import effect, loss, why_not
from truing.report.metrics import interval, mark, number
from truing.report.quantities import COST_COLUMNS, cost_cells
from truing.report.sentences import Finding, RewardVerdict, Tone
from truing.report.summary import Summary
from truing.report.task_metrics import DRIFT
from truing.types import Metric

_VERDICTS: dict[Tone, str] = {
    "gain": "helped",
    "mixed": "helped, at a price",
    "none": "did not help",
    "loss": "did harm",
    "warning": "not measured",
}
_COSTS = ("cpu_seconds", "labels", "tokens_sampled", "tokens_trained")


@dataclass(frozen=True)
class CardRow:
    """A line on a card: what, how much with its interval, what it means (a class), a remark on it."""

    label: str
    value: str
    interval: str = ""
    effect: str = ""
    mark: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Card:
    """A method's verdict in a word and in a sentence, and its rows under 'Gain', 'Damage' and 'Cost'."""

    name: str
    tone: Tone
    text: str
    reward: RewardVerdict
    groups: tuple[tuple[str, tuple[CardRow, ...]], ...]

    @property
    def verdict(self) -> str:
        """In a word."""
        return _VERDICTS[self.tone]

    @property
    def sentence(self) -> str:
        """What it says of the candidate, whose name stands before it."""
        return self.text.removeprefix(self.name)


def cards_of(summary: Summary) -> list[Card]:
    """One for each method, in the order of their verdicts."""
    return [
        _card(summary, finding)
        for finding in summary.findings
        if finding.is_verdict or _is_first_about(finding, summary.findings)
    ]


def _is_first_about(finding: Finding, findings: Sequence[Finding]) -> bool:
    """A candidate without figures has a warning where others have their verdict."""
    about = [other for other in findings if other.candidate == finding.candidate != ""]
    return finding.tone == "warning" and bool(about) and about[0] is finding


def _card(summary: Summary, finding: Finding) -> Card:
    name = finding.candidate
    about = [other.reward for other in summary.findings if other.candidate == name]
    groups = {
        "Gain": _gains(summary, name),
        "Damage": _damages(summary, name),
        "Cost": _costs(summary, name),
    }
    return Card(
        name,
        finding.tone,
        finding.text,
        next((verdict for verdict in about if verdict), ""),
        tuple((title, tuple(rows)) for title, rows in groups.items() if rows),
    )


def _gains(summary: Summary, name: str) -> list[CardRow]:
    """The headline's differences to base, and whether each counts."""
    measured = summary.measured
    rows = []
    for metric in measured.task.of(measured.task.headline):
        kind = effect(measured, name, metric)
        counted = kind if kind in ("gain", "loss") else ""
        rows += _change(summary, name, metric, counted, why_not(measured, name, metric))
    return rows


def _damages(summary: Summary, name: str) -> list[CardRow]:
    """What must not get worse, with the loss that is allowed, and the distance from base."""
    measured = summary.measured
    rows = []
    for key, limit in measured.task.must_not_fall.items():
        metric = measured.task.metric_of(*key)
        kind = loss(measured, name, metric, limit)
        remarks = {
            "damage": f"damage: {limit:g} or more",
            "not excluded": f"more than {limit:g} lost isn’t excluded",
            "little": f"less than {limit:g}",
        }
        rows += _change(
            summary, name, metric, "loss" if kind == "damage" else "", remarks.get(kind, "")
        )
    distance = measured.value(name, *DRIFT)
    if distance is not None and distance.value is not None:
        metric = measured.task.metric_of(*DRIFT)
        value = number(distance.value, metric.unit)
        rows.append(CardRow(metric.label, value, interval(distance, metric.unit)))
    return rows


def _change(summary: Summary, name: str, metric: Metric, kind: str, remark: str) -> list[CardRow]:
    difference = summary.measured.defined_difference(name, metric)
    if difference is None:
        return []
    value = number(difference.value, metric.unit, sign=True)
    limits = interval(difference, metric.unit)
    return [CardRow(metric.label, value, limits, kind, mark(difference), remark)]


def _costs(summary: Summary, name: str) -> list[CardRow]:
    """What making it took; what it took nothing of is left out."""
    costs = summary.run.part("costs").get(name)
    if not isinstance(costs, dict):
        return []
    cells = zip(COST_COLUMNS, cost_cells(costs), strict=True)
    return [
        CardRow(title, cell) for (key, title), cell in cells if key in _COSTS and costs.get(key)
    ]
