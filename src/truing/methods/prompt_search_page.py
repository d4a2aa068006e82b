"""A search for a prompt as a picture: every trial of the log by the questions spent, and the last round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from truing.methods.prompt_measure import Named
from truing.report.figures import Figure, both
from truing.report.html import render_page
from truing.report.quantities import quantity
from truing.report.svg import Canvas, Scale, domain

ORIGINS = {
    "named": "c-base",
    "slots": "c-prompt",
    "paraphrases": "c-other1",
    "examples": "c-sft",
    "model": "c-rl",
}
"""Where prompts come from, and each origin's colour."""
BAR = 20  # characters for a whole score
Log = Sequence[Mapping[str, Any]]


def _origin(entry: Mapping[str, Any]) -> str:
    return str(entry["origin"]).partition(":")[0]


def last_round(log: Log) -> list[Mapping[str, Any]]:
    """The finalists, best first."""
    last = (log[-1]["generation"], log[-1]["round"])
    return [entry for entry in log if (entry["generation"], entry["round"]) == last]


def race_table(log: Log, by: Named) -> list[str]:
    """The last round in lines for a terminal: figure and bar, examples, origin, instruction."""
    finalists = last_round(log)
    lines = [f"Last round, {finalists[0]['questions']} questions each ({by['label']}):"]
    for entry in finalists:
        score = entry[by["name"]]
        bar = "█" * round(BAR * (score or 0.0))
        told = " ".join((entry["instruction"] or "(none)").split())
        shown = told if len(told) <= 60 else told[:59] + "…"
        shots = f"{len(entry['shots'])} shots" if entry["shots"] else "no shots"
        figure = "unscored" if score is None else f"{score:.3f}"
        lines.append(f"  {figure:8} {bar:{BAR}} {shots:8} {entry['origin']:16} {shown}")
    return lines


def race_page(log: Log, by: Named) -> str:
    """The page. Equal logs give equal bytes."""
    rows = [
        (
            quantity(entry[by["name"]]),
            str(entry["questions"]),
            str(len(entry["shots"])),
            entry["origin"],
            entry["instruction"] or "(none)",
        )
        for entry in last_round(log)
    ]
    context = {
        "tried": len({entry["id"] for entry in log}),
        "spent": log[-1]["spent"],
        "figure": _figure(log, by),
        "label": by["label"],
        "origins": [name for name in ORIGINS if any(_origin(e) == name for e in log)],
        "colour_of": ORIGINS.__getitem__,
        "rows": rows,
    }
    return render_page("truing.methods", "prompt_search_page.html.j2", context)


def _figure(log: Log, by: Named) -> Figure | None:
    """A mark for every trial: across, the questions spent by then; up, its mean. None without one."""
    scored = [entry for entry in log if entry[by["name"]] is not None]
    if not scored:
        return None
    low, high = domain([entry[by["name"]] for entry in scored])

    def draw(width: int, key: str) -> Canvas:
        height = 300
        about = (
            f"Mean {by['label']} of every trial by the questions spent; the last round stands in the "
            "table."
        )
        canvas = Canvas(width, height, "The race", about, f"race-{key}")
        x = Scale(0.0, float(log[-1]["spent"]), 52.0, width - 20.0)
        y = Scale(low, high, height - 44.0, 14.0)
        canvas.y_axis(y, x.start, x.stop)
        canvas.x_axis(x, 14.0, height - 44.0)
        canvas.text(x.stop, height - 8, "questions spent", "tick", "end")
        for entry in scored:
            told = f"{entry[by['name']]:.3f} on {entry['questions']}: {entry['instruction']}"
            size = 4.6 if entry["kept"] else 2.8
            canvas.marker(
                x(entry["spent"]), y(entry[by["name"]]), ORIGINS[_origin(entry)], told, size
            )
        return canvas

    return both(draw)
