"""A study of oversight as a page and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from truing.data.oversight.plans import ABOUT as ARM_ABOUT
from truing.oversight.figures import ABOUT, LABELS, Study
from truing.oversight.words import left_out, said, verdicts
from truing.report.figures import Figure, both
from truing.report.html import render_page
from truing.report.svg import Canvas, Scale
from truing.types import Estimate, Unscored

SIGNED = ("gap", "last_speaker", "overconfidence_before", "overconfidence", "learning")
_PRINTED = ("accuracy_before", "accuracy", "over_trust", "under_trust")


def show(study: Study, document: Mapping[str, Any], console: Console) -> None:
    """Print the verdict, and a table that fits 80 columns; the rest is on the page."""
    for sentence in verdicts(study, simulated=document["simulated"]):
        console.print(Text(sentence))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("arm")
    for name in _PRINTED:
        table.add_column(LABELS[name])
    for arm, figures in study.arms.items():
        cells = [said(figures[name]).replace(" [", "\n[").replace(" (", "\n(") for name in _PRINTED]
        table.add_row(arm.replace("_", " "), *(Text(cell) for cell in cells))
    console.print(table)
    console.print(Text("[95 % interval, people and passages redrawn]", style="dim"))
    for line in left_out(document):
        console.print(Text(line, style="dim"))


def page(study: Study, document: Mapping[str, Any]) -> str:
    """The page. Equal documents give equal bytes."""
    simulated = document["simulated"]
    arms = list(study.arms)
    rows = [
        (LABELS[name], ABOUT[name], [_cell(study, arm, name) for arm in arms]) for name in LABELS
    ]
    return render_page(
        "truing.oversight",
        "page.html.j2",
        {
            "document": document,
            "verdicts": verdicts(study, simulated=simulated),
            "arms": [(arm.replace("_", " "), ARM_ABOUT[arm]) for arm in arms],  # type: ignore[index]
            "rows": rows,
            "figures": [_accuracies(study), *_calibrations(study)],
            "left_out": left_out(document),
            "sizes": document.get("sizes"),
        },
    )


def _cell(study: Study, arm: str, name: str) -> tuple[str, str]:
    """The figure, and why there is none."""
    figure = study.arms[arm][name]
    if isinstance(figure, Unscored):
        return "–", figure.reason
    note = f"{figure.n} answers" + (f", {figure.unscored} unscored" if figure.unscored else "")
    return said(figure, sign=name in SIGNED), note


def _accuracies(study: Study) -> Figure:
    """Accuracy before and after, with intervals, an arm a line."""
    arms = list(study.arms)

    def draw(width: int, key: str) -> Canvas:
        height = 56 + 34 * len(arms)
        canvas = Canvas(
            width, height, "Accuracy by arm", "The figures stand in the table.", f"arms-{key}"
        )
        x = Scale(0.0, 1.0, 130, width - 24)
        canvas.x_axis(x, 12, height - 34)
        canvas.line(x(0.5), 12, x(0.5), height - 34, "curve dashed c-base")
        for place, arm in enumerate(arms):
            y = 30 + 34 * place
            canvas.text(122, y + 4, arm.replace("_", " "), "label", "end")
            _range(canvas, x, y - 6, study.arms[arm]["accuracy_before"], "c-base", "before")
            _range(canvas, x, y + 6, study.arms[arm]["accuracy"], "c-sft", "after")
        note = "share right (upper mark: before advice)"
        canvas.text((106 + width) / 2, height - 4, note, "axis", "middle")
        return canvas

    return both(draw)


def _range(
    canvas: Canvas, x: Scale, y: float, figure: Estimate | Unscored, css: str, what: str
) -> None:
    if isinstance(figure, Unscored) or figure.value is None:
        return
    if figure.low is not None and figure.high is not None:
        canvas.line(x(figure.low), y, x(figure.high), y, "range")
    canvas.marker(x(figure.value), y, css, f"{what}: {said(figure)}", 4.5)


def _calibrations(study: Study) -> list[Figure]:
    """Confidence against accuracy with advice; arms without confidences have none."""
    found = {arm: bins["after"] for arm, bins in study.calibration.items() if arm != "adviser"}

    def draw(width: int, key: str) -> Canvas:
        canvas = Canvas(
            width, 300, "Calibration", "On the line, confidence is accuracy.", f"sure-{key}"
        )
        x, y = Scale(0.5, 1.0, 52, width - 24), Scale(0.0, 1.0, 250, 24)
        canvas.x_axis(x, 24, 250)
        canvas.y_axis(y, 52, width - 24)
        canvas.line(x(0.5), y(0.5), x(1.0), y(1.0), "curve dashed c-base")
        for place, (arm, bins) in enumerate(found.items()):
            for each in bins:
                hint = f"{arm}: {each['n']} answers, {each['accuracy']:.2f} right"
                css = f"c-other{place % 3 + 1}"
                canvas.marker(x(each["confidence"]), y(each["accuracy"]), css, hint, 4)
        note = "confidence with advice (up: share right)"
        canvas.text((28 + width) / 2, 292, note, "axis", "middle")
        return canvas

    return [both(draw)] if any(found.values()) else []
