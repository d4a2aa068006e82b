"""A reward model in words and as a page: how well it agrees with people, beside what knows no language, how
well it is calibrated, and how the groups fare. All from the document alone."""

from __future__ import annotations

from truing.recipes.reward_groups import group_rows, group_sentences, head_lines
from truing.recipes.reward_words import Document, in_words, value_in_words
from truing.report.figures import Figure, both
from truing.report.html import render_page
from truing.report.svg import Canvas, Scale
from truing.rewards.learned.measuring import LEAST_PROMPTS

OURS = "reward model"
_FIGURES = (
    ("accuracy", "Accuracy"),
    ("calibration_error", "Calibration error"),
    ("rating_order", "Ratings in order"),
    ("gain", "Nats over nothing"),
)
_BASELINES = {
    "length": "length alone",
    "words": "a bag of words",
    "frozen": "a head on the frozen states",
}
_GAINS = (("accuracy_gain", "Accuracy gained over it"), ("loss_gain", "Nats gained over it"))


def _first(document: Document) -> tuple[str, Document]:
    """What the figures are of, and the strictest ones."""
    side = next(iter(document["held_out"]))
    return side, document["held_out"][side]


def verdicts(document: Document) -> list[str]:
    """What the figures say: of accuracy and calibration, against each baseline, and of the groups."""
    return [*_accuracy(document), *_against(document), *group_sentences(document)]


def _accuracy(document: Document) -> list[str]:
    side, own = _first(document)
    decided = own.get("decided", own["judgements"])
    what = f"{own['judgements']} held-out judgements of {side}"
    if own["accuracy"]["value"] is None:
        said = [
            f"No accuracy: none of the {what} prefers one of several answers{_undecided(own)}; nats over "
            f"nothing {in_words(own['gain'], sign=True)}."
        ]
    else:
        of = what if decided == own["judgements"] else f"{decided} of the {what}"
        said = [
            f"Accuracy {in_words(own['accuracy'])} on {of}{_undecided(own)}; "
            f"calibration error {in_words(own['calibration_error'])}."
        ]
    order = own.get("rating_order", {"value": None})
    if order["value"] is not None:
        said.append(
            "Of two answers that one person rated apart, the higher rated one has the higher score in "
            f"{in_words(order)}."
        )
    if own["gain"]["n"] < LEAST_PROMPTS:
        said.append(
            f"Too few to tell: {own['gain']['n']} prompt(s) held out, and figures of fewer than "
            f"{LEAST_PROMPTS} may be chance; give judgements of more prompts."
        )
    return said


def _undecided(own: Document) -> str:
    """Why judgements are in no accuracy."""
    kinds = [f"{own[kind]} {kind}" for kind in ("ratings", "ties") if own.get(kind)]
    return f" (without {' and '.join(kinds)}, which prefer neither)" if kinds else ""


def _against(document: Document) -> list[str]:
    """What is gained over each baseline: accuracy, or nats where there is none."""
    said = []
    for name, theirs in document["baselines"].items():
        gain, value = theirs["accuracy_gain"], f" ({value_in_words(theirs['accuracy'])})"
        if gain["value"] is None:
            gain, value = theirs["loss_gain"], ", nats gained"
        said.append(
            f"Against {_BASELINES[name]}{value}: {in_words(gain, sign=True)}, {_beyond(gain)}."
        )
    return said


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
    text += head_lines(document)
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
    rows = []
    for side, own in document["held_out"].items():
        figures = [in_words(own[key]) for key, _ in _FIGURES]
        rows.append((f"{OURS}, {side}", [_of_how_many(own), *figures, *("" for _ in _GAINS)]))
    for name, own in document["baselines"].items():
        figures = [in_words(own[key]) for key, _ in _FIGURES]
        gains = [in_words(own[key], sign=True) for key, _ in _GAINS]
        rows.append((_BASELINES[name], ["", *figures, *gains]))
    return rows


def _of_how_many(own: Document) -> str:
    """How many judgements accuracy is of, of all."""
    decided, of_all = own["decided"], own["judgements"]
    return f"{decided:,}" if decided == of_all else f"{decided:,} of {of_all:,}"


def page(document: Document) -> str:
    """The page. Equal documents give equal bytes."""
    context = {
        "document": document,
        "verdicts": verdicts(document),
        "figure": _curve(document),
        "titles": ["Judgements", *[title for _, title in (*_FIGURES, *_GAINS)]],
        "rows": _figure_rows(document),
        "groups": group_rows(document),
        "tried": document["tried"],
        "left_out": document["left_out"],
    }
    return render_page("truing.recipes", "reward_page.html.j2", context)
