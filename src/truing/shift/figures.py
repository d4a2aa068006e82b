"""Pictures of a comparison: scores, map, use cases, lengths, coverage, remedies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from truing.people.vocabulary import METADATA, USE_CASES
from truing.report.figures import WIDE, Figure, both
from truing.report.svg import Canvas, Scale
from truing.shift.study import Study
from truing.shift.two_sample import Auc
from truing.shift.use_cases import INSTRUCTGPT
from truing.terminal.text import shortly
from truing.types import Estimate, Unscored

Floats = NDArray[np.float64]

TRAIN, TARGET, REFERENCE = "c-prompt", "c-sft", "c-other1"
_POINTS = 300
_BINS = 25


def _mirrored(
    titles: tuple[str, str],
    colours: tuple[str, str],
    values: tuple[Floats, Floats],
    x_marks: Mapping[float, str],
    span: tuple[float, float],
    about: str,
    name: str,
    axis: str,
    threshold: tuple[float, str] | None = None,
) -> Figure:
    """Two histograms of shares back to back: the first one up, the second one down."""
    edges = np.linspace(span[0], span[1], _BINS + 1)
    shares = [np.histogram(np.clip(v, *span), edges)[0] / max(1, len(v)) for v in values]
    tallest = max(float(share.max()) for share in shares) or 1.0

    def draw(width: int, key: str) -> Canvas:
        height = 270
        canvas = Canvas(width, height, f"{titles[0]} and {titles[1]}", about, f"{name}-{key}")
        left, right, top, middle, bottom = 16.0, width - 16.0, 26.0, 126.0, 226.0
        x = Scale(span[0], span[1], left, right)
        for mark, text in x_marks.items():
            canvas.line(x(mark), top, x(mark), bottom, "grid")
            canvas.text(x(mark), bottom + 15, text, "tick", "middle")
        for place, (share, colour) in enumerate(zip(shares, colours, strict=True)):
            for number, value in enumerate(share.tolist()):
                tall = value / tallest * (middle - top - 4)
                start, stop = x(float(edges[number])), x(float(edges[number + 1]))
                y = middle - tall if place == 0 else middle
                canvas.rect(start + 0.5, y, stop - start - 1, tall, f"bar {colour}")
        canvas.line(left, middle, right, middle, "zero")
        canvas.text(left, 16, titles[0], f"name {colours[0]}")
        canvas.text(left, bottom - 4, titles[1], f"name {colours[1]}")
        if threshold:
            at = x(threshold[0])
            canvas.line(at, top - 6, at, bottom, "limit")
            anchor, step = ("end", -5) if at > width * 0.6 else ("start", 5)
            canvas.text(at + step, top + 2, threshold[1], "tick warn", anchor)
        canvas.text((left + right) / 2, height - 8, axis, "axis", "middle")
        return canvas

    return both(draw)


def score_figure(study: Study) -> Figure:
    """How sure the classifier is of each prompt, on a side each."""
    probability_N = 1 / (1 + np.exp(-study.score_N))
    about = f"Probability of being a target prompt by side; AUC {study.auc.value:.3f}."
    return _mirrored(
        ("Training prompts", "Target prompts"),
        (TRAIN, TARGET),
        (probability_N[~study.target_N], probability_N[study.target_N]),
        {0.0: "0", 0.25: "0.25", 0.5: "0.5", 0.75: "0.75", 1.0: "1"},
        (0.0, 1.0),
        about,
        "scores",
        "probability of being a target prompt",
    )


def length_figure(study: Study) -> Figure:
    """Words in a prompt, on a logarithmic axis."""
    train, target = (np.log2(np.maximum(1, np.array(side.lengths))) for side in study.sides)
    most = max(4.0, math.ceil(max(float(train.max()), float(target.max()))))
    marks = {float(power): f"{2**power:,}" for power in range(0, int(most) + 1, 2)}
    return _mirrored(
        ("Training prompts", "Target prompts"),
        (TRAIN, TARGET),
        (train, target),
        marks,
        (0.0, most),
        "Words in a prompt by side; the quantiles stand in the table.",
        "lengths",
        "words",
    )


def coverage_figure(study: Study) -> Figure:
    """How near the nearest prompt is: in training, and among the other target prompts."""
    c = study.coverage
    about = f"{c.uncovered:.0%} of the target prompts lie below the threshold {c.threshold:.2f}."
    return _mirrored(
        ("Nearest in training", "Nearest among other target prompts"),
        (TRAIN, TARGET),
        (c.to_train_M, np.maximum(0.0, c.within_M)),
        {0.0: "0", 0.25: "0.25", 0.5: "0.5", 0.75: "0.75", 1.0: "1"},
        (0.0, 1.0),
        about,
        "coverage",
        "similarity of a target prompt's nearest neighbour",
        (c.threshold, "near enough from here"),
    )


def map_figure(study: Study) -> Figure:
    """Every prompt as a point, near to prompts with like words."""
    rows = [
        np.flatnonzero(side)[:: max(1, math.ceil(side.sum() / _POINTS))]
        for side in (~study.target_N, study.target_N)
    ]

    def draw(width: int, key: str) -> Canvas:
        height = 420 if width == WIDE else 330
        about = "Prompts by their words; points that are near have words in common."
        canvas = Canvas(width, height, "Map of the prompts", about, f"map-{key}")
        x_low, y_low = study.plane_N2.min(axis=0).tolist()
        x_high, y_high = study.plane_N2.max(axis=0).tolist()
        x = Scale(x_low, max(x_high, x_low + 1e-9), 12, width - 12)
        y = Scale(y_low, max(y_high, y_low + 1e-9), height - 12, 12)
        for side, colour in zip(rows, (TRAIN, TARGET), strict=True):
            for row in side.tolist():
                hint = shortly(study.asked[row].text)
                px, py = study.plane_N2[row].tolist()
                canvas.marker(x(px), y(py), colour, hint, 3.2)
        return canvas

    return both(draw)


def use_case_figure(study: Study) -> Figure:
    """Shares of use cases: training, target, and what InstructGPT's users asked."""
    train, target = (described.use_cases for described in study.described)
    names = {name: title.split(" (")[0] for name, title in USE_CASES.items()}
    reference = {name: Estimate(INSTRUCTGPT[name], None, None, 0) for name in USE_CASES}
    series = [(TRAIN, train), (TARGET, target), (REFERENCE, reference)]
    return _bars(names, series, "Use cases", "use-cases")


def metadata_figure(study: Study) -> Figure:
    """Shares of prompts with each metadatum."""
    train, target = (described.metadata for described in study.described)
    names = {name: title.split(":")[0] for name, title in METADATA.items()}
    return _bars(names, [(TRAIN, train), (TARGET, target)], "Metadata", "metadata")


def _bars(
    names: Mapping[str, str],
    series: Sequence[tuple[str, Mapping[str, Estimate]]],
    title: str,
    key_name: str,
) -> Figure:
    """A group of bars for each name, with intervals."""
    most = max((e.high or e.value or 0.0) for _, shares in series for e in shares.values())
    bar, air = 11, 14

    def draw(width: int, key: str) -> Canvas:
        wide = width == WIDE
        head, left = (0, 250.0) if wide else (14, 18.0)
        step = len(series) * bar + air + head
        height = int(34 + len(names) * step + 22)
        about = f"{title} by side; the figures stand in the table."
        canvas = Canvas(width, height, title, about, f"{key_name}-{key}")
        x = Scale(0.0, max(0.05, min(1.0, most * 1.05)), left, width - 24.0)
        canvas.text(left, 16, "share of prompts", "label")
        canvas.x_axis(x, 26, height - 24, 4)
        y = 34.0
        for name, shown in names.items():
            if wide:
                canvas.text(left - 12, y + len(series) * bar / 2 + 4, shown, "cat", "end")
            else:
                canvas.text(left, y + 10, shown, "cat")
            top = y + head
            for colour, shares in series:
                _one_bar(canvas, x, shares[name], top, bar - 2, colour)
                top += bar
            y += step
        return canvas

    return both(draw)


def _one_bar(
    canvas: Canvas, x: Scale, share: Estimate, y: float, height: float, colour: str
) -> None:
    if share.value is None:
        canvas.text(x.start + 4, y + height, "nobody has said", "tick")
        return
    canvas.rect(x.start, y, x(share.value) - x.start, height, f"bar {colour}")
    if share.low is not None and share.high is not None:
        canvas.line(x(share.low), y + height / 2, x(share.high), y + height / 2, "range")


def remedy_figure(study: Study) -> Figure | None:
    """The AUC as it is, with weights, and of the selection, all on the same half of the target."""
    r = study.remedy
    lines: list[tuple[str, Auc | Unscored | None]] = [
        ("as it is", r.before),
        ("weighted", r.weighted),
        ("selected", r.selected_auc),
    ]
    known = [(name, auc) for name, auc in lines if isinstance(auc, Auc)]
    if not known:
        return None
    low = min(0.45, *(auc.low for _, auc in known))

    def draw(width: int, key: str) -> Canvas:
        height = 58 + 34 * len(known)
        about = "; ".join(f"{name} {auc.value:.3f}" for name, auc in known)
        canvas = Canvas(width, height, "AUC before and after", about, f"remedy-{key}")
        x = Scale(low, 1.0, 80, width - 20)
        canvas.x_axis(x, 14, height - 34, 5)
        canvas.line(x(0.5), 8, x(0.5), height - 34, "limit")
        canvas.text(x(0.5) + 4, 18, "chance", "tick warn")
        canvas.text((x.start + x.stop) / 2, height - 4, "AUC", "axis", "middle")
        for place, (name, auc) in enumerate(known):
            y = 40.0 + 34 * place
            canvas.text(72, y + 4, name, "cat", "end")
            canvas.line(x(auc.low), y, x(auc.high), y, f"whisker {TRAIN}")
            canvas.marker(x(auc.value), y, TRAIN, f"{name}: {auc.value:.3f}")
        return canvas

    return both(draw)
