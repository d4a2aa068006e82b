"""Pictures of opinions: groups by candidate, and people beside the candidates on single questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from truing.data.surveys.readings import OPINIONS, READINGS
from truing.prompts.variants import OWN
from truing.report.figures import WIDE, Figure, both
from truing.report.metrics import mark, number
from truing.report.opinion_verdicts import OpinionSummary, OpinionVerdict
from truing.report.svg import Canvas, Scale, short
from truing.types import Row, stable_hash

QUESTIONS = 4
"""Of each kind that are drawn: by a stable hash, and those that shifted most."""
MOST_GROUPS, MOST_PAIRS = 60, 12
"""That are drawn, and that are named."""
_LINE, _BAR = 22.0, 9.0
Colour = Callable[[str], str]


def opinions_section(
    summary: OpinionSummary | None, rows: Sequence[Row], prompt: str, colour: Colour
) -> dict[str, Any] | None:
    """What a page shows of opinions under one prompt: groups by candidate, which of them can be told apart,
    and (title, figure) of single questions. None where no survey was asked."""
    if summary is None:
        return None
    verdicts = summary.verdicts.items()
    return {
        "heat": opinion_heat({name: each for (name, under), each in verdicts if under == prompt}),
        "order": groups_apart(summary),
        "bars": opinion_bars(rows, colour),
    }


def groups_apart(summary: OpinionSummary) -> str:
    """Which groups can be told apart."""
    sentences = [
        (f"{candidate}: " if prompt == OWN else f"{candidate}, {prompt}: ")
        + ("; ".join(f"{better} above {worse}" for better, worse in each.apart[:MOST_PAIRS]))
        + (f"; {more} more pairs" if (more := len(each.apart) - MOST_PAIRS) > 0 else "")
        for (candidate, prompt), each in summary.verdicts.items()
        if each.apart
    ]
    if not sentences:
        return "No two groups can be told apart: there is no order among them."
    return f"Groups that can be told apart: {'. '.join(sentences)}."


def opinion_bars(rows: Sequence[Row], colour: Colour) -> list[tuple[str, Figure]]:
    """(title, figure) of questions chosen by a hash and of those that shifted most; other evaluations' rows
    are passed over. Empty where no row has a distribution."""
    own = [row for row in rows if row.evaluation == OPINIONS]
    chosen = (
        ("Questions chosen by a hash", _by_hash(own)),
        ("Questions that shifted most", _most_shifted(own)),
    )
    return [
        (title, figure)
        for title, cases in chosen
        if (figure := _bars(own, cases, title, colour)) is not None
    ]


def opinion_heat(columns: Mapping[str, OpinionVerdict]) -> Figure | None:
    """Group x candidate of the score less the uniform distribution's; None where nobody has groups."""
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


def _by_candidate(rows: Sequence[Row]) -> dict[str, list[float] | None]:
    """Each candidate's distribution on one question, its seeds' mean; None where it has none."""
    of: dict[str, list[list[float]]] = {}
    for row in rows:
        of.setdefault(row.candidate, []).extend([shares] if (shares := _shares(row)) else [])
    return {
        name: [sum(each) / len(each) for each in zip(*seeds, strict=True)] or None
        for name, seeds in of.items()
    }


def _by_hash(rows: Sequence[Row]) -> list[str]:
    cases = list(dict.fromkeys(row.case for row in rows if _shares(row)))
    return sorted(cases, key=lambda case: stable_hash("opinion drawn", case))[:QUESTIONS]


def _most_shifted(rows: Sequence[Row]) -> list[str]:
    """The questions on which two candidates' distributions are furthest apart."""
    of_case: dict[str, list[Row]] = {}
    for row in rows:
        of_case.setdefault(row.case, []).append(row)
    apart: dict[str, float] = {}
    for case, own in of_case.items():
        first, *others = [shares for shares in _by_candidate(own).values() if shares] or [[]]
        if others:
            apart[case] = max(
                sum(abs(a - b) for a, b in zip(first, other, strict=True)) for other in others
            )
    return sorted(apart, key=lambda case: -apart[case])[:QUESTIONS]


def _bars(rows: Sequence[Row], cases: Sequence[str], title: str, colour: Colour) -> Figure | None:
    """People and candidates on each option; a line where the uniform distribution stands."""
    chosen = [[row for row in rows if row.case == case] for case in cases]
    chosen = [each for each in chosen if each]
    if not chosen:
        return None
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
    bars = len({row.candidate for row in rows}) + 1
    return 30 + len(rows[0].detail["options"]) * (bars * _BAR + 8)


def _question(
    canvas: Canvas, rows: Sequence[Row], scale: Scale, top: float, colour: Colour
) -> None:
    """One question: for each option a bar of people, then one of each candidate."""
    detail = rows[0].detail
    options = detail["options"]
    canvas.text(4, top + 16, short(detail.get("question", ""), int(canvas.width / 7)), "label")
    series = [("people", detail["people"], "c-base")]
    series += [(name, shares, colour(name)) for name, shares in _by_candidate(rows).items()]
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
