"""A reward model in words and as a page: how well it agrees with people, beside what knows no language, how
well it is calibrated, and how the groups fare. All from the document alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.report.figures import Figure, both
from truing.report.html import render_page
from truing.report.metrics import DASH
from truing.report.svg import Canvas, Scale

Document = Mapping[str, Any]
OURS = "reward model"
_FIGURES = (
    ("accuracy", "Accuracy"),
    ("calibration_error", "Calibration error"),
    ("gain", "Nats over nothing"),
)
_GAINS = (("accuracy_gain", "Accuracy gained over it"), ("loss_gain", "Nats gained over it"))


def _value(estimate: Document, *, sign: bool = False) -> str:
    if estimate["value"] is None:
        return DASH
    return f"{estimate['value']:{'+' if sign else ''}.3f}".replace("-", "−")


def _interval(estimate: Document, *, sign: bool = False) -> str:
    if estimate["low"] is None:
        return ""
    form = "+.3f" if sign else ".3f"
    return f"[{estimate['low']:{form}}, {estimate['high']:{form}}]".replace("-", "−")


def _both(estimate: Document, *, sign: bool = False) -> str:
    return f"{_value(estimate, sign=sign)} {_interval(estimate, sign=sign)}".strip()


def _first(document: Document) -> tuple[str, Document]:
    """What the figures are of, and the strictest ones."""
    side = next(iter(document["held_out"]))
    return side, document["held_out"][side]


def verdicts(document: Document) -> list[str]:
    """What the figures say: against each baseline, of calibration, and of the group that fares worst."""
    side, own = _first(document)
    said = [
        f"Accuracy {_both(own['accuracy'])} on {own['judgements']} held-out judgements of {side}; "
        f"calibration error {_both(own['calibration_error'])}."
    ]
    for name, theirs in document["baselines"].items():
        gain = theirs["accuracy_gain"]
        said.append(
            f"Against {_BASELINES[name]} ({_value(theirs['accuracy'])}): {_both(gain, sign=True)}, "
            f"{_beyond(gain)}."
        )
    worst = (document["groups"] or {}).get("worst")
    if worst:
        said.append(f"Worst served: {worst['group']}, {_both(worst['accuracy'])}.")
    return said


_BASELINES = {
    "length": "length alone",
    "words": "a bag of words",
    "frozen": "a head on the frozen states",
}


def _beyond(gain: Document) -> str:
    if gain["low"] is None:
        return "too few prompts to tell"
    if gain["low"] > 0:
        return "better beyond noise"
    return "worse beyond noise" if gain["high"] < 0 else "within noise"


def lines(document: Document) -> list[str]:
    """For the terminal."""
    known, choice = document["learned_from"], document["chosen"]
    kinds = ", ".join(f"{count} {kind}s" for kind, count in known["kinds"].items())
    noun = "person" if known["people"] == 1 else "people"
    people = f", {known['people']} {noun}" if known["people"] else ""
    text = [
        f"Learned from {known['judgements']} judgements ({kinds}) of {known['prompts']} prompts{people}",
        f"Head: {choice['feature']}, ridge {choice['ridge']:g}, temperature {choice['temperature']:.2f}, "
        f"{choice['heads']} head(s), combined by {document['combine']}",
        *_adapter(choice),
        *verdicts(document),
    ]
    for name, row in (document["groups"] or {}).get("heads", {}).items():
        kept = "a head of its own" if row["asked_for"] else "shares the head of all"
        text.append(f"Group {name}: {kept} (gain {_both(row['gain'], sign=True)} nats a judgement)")
    text.append(f"Reward model: {document['reward_model']}")
    return text


def _adapter(choice: Document) -> list[str]:
    """What is said of an adapter, where there is one."""
    own = choice.get("adapter")
    if own is None:
        return []
    return [f"Adapter: rank {own['rank']}, {own['steps']} steps, loss {own['loss']:.3f} at the end"]


def _curve(document: Document) -> Figure | None:
    """What was stated against what people said, as lines from the diagonal; marks weigh as their bins."""
    bins = document["calibration"]
    if not bins:
        return None
    most = max(each["weight"] for each in bins)

    def draw(width: int, key: str) -> Canvas:
        side = min(width, 420)
        left, right, top, bottom = 52.0, side - 24.0, 24.0, side - 56.0
        about = (
            "How often people preferred an answer, against how probable the reward model called it."
        )
        canvas = Canvas(side, side, "Calibration", about, f"calibration-{key}")
        x, y = Scale(0, 1, left, right), Scale(0, 1, bottom, top)
        canvas.x_axis(x, top, bottom)
        canvas.y_axis(y, left, right)
        canvas.line(x(0), y(0), x(1), y(1), "curve dashed c-base")
        for each in bins:
            canvas.line(
                x(each["stated"]),
                y(each["stated"]),
                x(each["stated"]),
                y(each["observed"]),
                "range",
            )
            size = 2.5 + 4.5 * (each["weight"] / most) ** 0.5
            hint = f"stated {each['stated']:.2f}, observed {each['observed']:.2f}"
            canvas.marker(x(each["stated"]), y(each["observed"]), "c-sft", hint, size)
        canvas.text(left, 14, "preferred by people", "label")
        canvas.text(
            (left + right) / 2, side - 14, "probability of being preferred", "axis", "middle"
        )
        return canvas

    return both(draw)


def _figure_rows(document: Document) -> list[tuple[str, list[str]]]:
    """The reward model on each held-out side, then the baselines on the first."""
    rows = [
        (f"{OURS}, {side}", [*(_both(own[key]) for key, _ in _FIGURES), *("" for _ in _GAINS)])
        for side, own in document["held_out"].items()
    ]
    for name, own in document["baselines"].items():
        gains = [_both(own[key], sign=True) for key, _ in _GAINS]
        rows.append((_BASELINES[name], [*(_both(own[key]) for key, _ in _FIGURES), *gains]))
    return rows


def _group_table(document: Document) -> dict[str, Any] | None:
    groups = document["groups"]
    if not groups or not groups["accuracy"]:
        return None
    heads = list(next(iter(groups["accuracy"].values())))
    rows = [
        (name, [_both(row[head]) for head in heads], _asked(groups["heads"].get(name)))
        for name, row in groups["accuracy"].items()
    ]
    return {"dimension": groups["dimension"], "heads": heads, "rows": rows}


def _asked(head: Document | None) -> str:
    if head is None:
        return "too few judgements for one"
    gain = f"{_both(head['gain'], sign=True)} nats"
    return f"its own head ({gain})" if head["asked_for"] else f"the head of all ({gain})"


def page(document: Document) -> str:
    """The page. Equal documents give equal bytes."""
    context = {
        "document": document,
        "verdicts": verdicts(document),
        "figure": _curve(document),
        "titles": [title for _, title in (*_FIGURES, *_GAINS)],
        "rows": _figure_rows(document),
        "groups": _group_table(document),
        "tried": document["tried"],
        "left_out": document["left_out"],
    }
    return render_page("truing.recipes", "reward_page.html.j2", context)
