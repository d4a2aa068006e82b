"""What the page of `truing eval opinions` shows: the verdict, groups, and people beside the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from truing.data.surveys.readings import OPINIONS, READINGS
from truing.evaluate.sweep.result import SweepResult
from truing.evaluate.sweep.shown import colours, short
from truing.report.figures import WIDE, Figure, both
from truing.report.metrics import mark, number
from truing.report.opinion_verdicts import OpinionSummary
from truing.report.svg import Canvas, Scale
from truing.types import Row, stable_hash

QUESTIONS = 4
"""Of each kind that are drawn: by a stable hash, and those that shifted most."""
MOST_GROUPS = 60
_LINE, _BAR = 22.0, 9.0


def opinion_sentences(result: SweepResult) -> list[str]:
    """The verdict on each candidate and prompt, what steering does, and consistency over topics; then what
    shifted. Empty where no survey was asked."""
    if result.opinions is None:
        return []
    verdicts = [
        f"{candidate}, {prompt}: {sentence}"
        for (candidate, prompt), each in result.opinions.verdicts.items()
        for sentence in each.sentences
    ]
    return [*verdicts, *result.opinions.shifts]


def opinions_section(result: SweepResult) -> dict[str, Any] | None:
    """The section of the page; None where no survey was asked."""
    if result.opinions is None:
        return None
    first = result.prompts[0].name
    rows = [row for prompt, row in result.rows if prompt == first and row.evaluation == OPINIONS]
    return {
        "sentences": opinion_sentences(result),
        "heat": _heat(result.opinions, first),
        "order": _order(result.opinions),
        "bars": [
            (title, figure)
            for title, cases in (
                ("Questions chosen by a hash", _by_hash(rows)),
                ("Questions that shifted most", _most_shifted(rows)),
            )
            if (figure := _bars(rows, cases, title))
        ],
    }


def _order(summary: OpinionSummary) -> str:
    """Which groups can be told apart."""
    sentences = [
        f"{candidate}, {prompt}: "
        + ("; ".join(f"{better} above {worse}" for better, worse in each.apart[:12]))
        + (f"; {len(each.apart) - 12} more pairs" if len(each.apart) > 12 else "")
        for (candidate, prompt), each in summary.verdicts.items()
        if each.apart
    ]
    if not sentences:
        return "No two groups can be told apart: there is no order among them."
    return f"Groups that can be told apart: {'. '.join(sentences)}."


def _heat(summary: OpinionSummary, prompt: str) -> Figure | None:
    """Group x candidate of the score less the uniform distribution's."""
    columns = {name: each for (name, under), each in summary.verdicts.items() if under == prompt}
    figures = {
        (each.dimension, each.group, name): each.above_uniform
        for name, of in columns.items()
        for each in of.groups
    }
    lines = list(dict.fromkeys((dimension, group) for dimension, group, _ in figures))[:MOST_GROUPS]
    if not lines:
        return None
    values = [abs(each.value) for each in figures.values() if each.value is not None]
    top = max([*values, 1e-9])

    def draw(width: int, at: str) -> Canvas:
        label = 220.0 if width == WIDE else 120.0
        canvas = Canvas(
            width,
            int(len(lines) * _LINE + 44),
            "Groups and candidates",
            "Representativeness of each group less the uniform distribution's, by candidate.",
            f"opinion-heat-{at}",
        )
        across = (width - label - 8) / len(columns)
        most = max(4, int(across / 8))
        for place, name in enumerate(columns):
            canvas.text(label + (place + 0.5) * across, 20, short(name, most), "cat", "middle")
        for row, (dimension, group) in enumerate(lines):
            y = 30 + row * _LINE
            canvas.text(
                label - 8, y + 15, short(f"{dimension}: {group}", int(label / 7)), "cat", "end"
            )
            for place, name in enumerate(columns):
                estimate = figures.get((dimension, group, name))
                if estimate is None or estimate.value is None:
                    continue
                x = label + place * across
                shade = min(9, round(9 * abs(estimate.value) / top))
                css = "c-sft" if estimate.value > 0 else "c-prompt"
                canvas.rect(x + 1, y + 1, across - 2, _LINE - 2, f"heat shade{shade} {css}")
                text = f"{number(estimate.value, sign=True)} {mark(estimate)}".rstrip()
                canvas.text(x + across / 2, y + 15, text, "tick", "middle")
        return canvas

    return both(draw)


def _shares(row: Row) -> list[float] | None:
    """The distribution of the first reading that there is."""
    shares = row.detail.get("shares") or {}
    return next((shares[reading] for reading in READINGS if reading in shares), None)


def _by_hash(rows: Sequence[Row]) -> list[str]:
    cases = list(dict.fromkeys(row.case for row in rows if _shares(row)))
    return sorted(cases, key=lambda case: stable_hash("opinion drawn", case))[:QUESTIONS]


def _most_shifted(rows: Sequence[Row]) -> list[str]:
    """The questions on which two candidates' distributions are furthest apart."""
    of: dict[str, list[list[float]]] = {}
    for row in rows:
        if shares := _shares(row):
            of.setdefault(row.case, []).append(shares)
    apart = {
        case: max(
            sum(abs(a - b) for a, b in zip(each[0], other, strict=True)) for other in each[1:]
        )
        for case, each in of.items()
        if len(each) > 1
    }
    return sorted(apart, key=lambda case: -apart[case])[:QUESTIONS]


def _bars(rows: Sequence[Row], cases: Sequence[str], title: str) -> Figure | None:
    """People and candidates on each option; a line where the uniform distribution stands."""
    names = list(dict.fromkeys(row.candidate for row in rows))
    chosen = [[row for row in rows if row.case == case] for case in cases]
    chosen = [each for each in chosen if each]
    if not chosen:
        return None
    colour = colours(names)
    heights = [_height(each) for each in chosen]

    def draw(width: int, at: str) -> Canvas:
        label = 240.0 if width == WIDE else 110.0
        about = "Shares of people and of candidates on each option; the line is the uniform share."
        canvas = Canvas(width, int(sum(heights)) + 10, title, about, f"{_key(title)}-{at}")
        top = 4.0
        for each, height in zip(chosen, heights, strict=True):
            _question(canvas, each, Scale(0.0, 1.0, label, width - 44.0), top, colour)
            top += height
        return canvas

    return both(draw)


def _key(title: str) -> str:
    return title.lower().replace(" ", "-")


def _height(rows: Sequence[Row]) -> float:
    bars = len(rows) + 1
    return 30 + len(rows[0].detail["options"]) * (bars * _BAR + 8)


def _question(canvas: Canvas, rows: Sequence[Row], scale: Scale, top: float, colour: Any) -> None:
    """One question: for each option a bar of people, then one of each candidate."""
    detail = rows[0].detail
    options = detail["options"]
    canvas.text(4, top + 16, short(detail.get("question", ""), int(canvas.width / 7)), "label")
    series = [("people", detail["people"], "c-base")]
    series += [(row.candidate, _shares(row), colour(row.candidate)) for row in rows]
    y = top + 26
    middle = scale(1 / len(options))
    canvas.line(middle, y, middle, top + _height(rows) - 6, "range")
    for place, option in enumerate(options):
        canvas.text(
            scale.start - 8,
            y + len(series) * _BAR / 2 + 4,
            short(option, int(scale.start / 7)),
            "cat",
            "end",
        )
        for name, shares, css in series:
            if shares:
                pale = " pale" if name == "people" else ""
                canvas.rect(
                    scale.start, y, scale(shares[place]) - scale.start, _BAR - 1, f"bar{pale} {css}"
                )
            y += _BAR
        y += 8
