"""Which figures of a log are drawn over its steps, and under what titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from truing.report.curves import Log
from truing.report.figures import Figure
from truing.report.step_curves import Learned, step_figure


@dataclass(frozen=True)
class Part:
    """One line of a panel: where it stands in a log, and what it is called where a panel has several."""

    key: str
    label: str = ""
    css: str = "c-sft"
    looks: bool = False


@dataclass(frozen=True)
class Panel:
    """A figure over the steps. `instead` names a figure in whose presence it isn't drawn."""

    title: str
    parts: tuple[Part, ...]
    instead: str = ""


PANELS = (
    Panel("Reward", (Part("reward", css="c-reward"),)),
    Panel(
        "Loss (nats per token)",
        (
            Part("loss_per_token", "learned from"),
            Part("held_out_loss", "held out", "c-ink", looks=True),
        ),
    ),
    Panel("Accuracy on pairs (share)", (Part("accuracy", css="c-informative"),)),
    Panel(
        "Log ratio (nats)",
        (
            Part("chosen_log_ratio", "better answers", "c-both"),
            Part("rejected_log_ratio", "worse answers", "c-true"),
        ),
    ),
    Panel("Margin (nats)", (Part("margin", css="c-both"),)),
    Panel("KL to the reference (nats an answer)", (Part("kl", css="c-other1"),)),
    Panel("Length of answers (tokens)", (Part("length", css="c-other2"),)),
    Panel("Entropy (nats a token)", (Part("entropy", css="c-other3"),)),
    Panel("Loss", (Part("loss"),), instead="loss_per_token"),
    Panel("Clipped tokens (share)", (Part("clip_fraction", css="c-other4"),)),
    Panel("Loss of the value", (Part("value_loss", css="c-other5"),)),
    Panel("Gradient norm", (Part("gradient_norm", css="c-base"),)),
    Panel("Learning rate", (Part("learning_rate", css="c-base"),)),
)


def _keys(logs: Mapping[int, Log]) -> set[str]:
    return {key for log in logs.values() for line in log for key in line}


@dataclass(frozen=True)
class Drawn:
    """A panel's figure, and its legend: (colour, name) where it has several lines."""

    title: str
    figure: Figure
    legend: tuple[tuple[str, str], ...]


def panels_of(name: str, logs: Mapping[int, Log]) -> list[Drawn]:
    """Every figure that the logs of one candidate, by seed, have."""
    keys = _keys(logs)
    drawn = []
    for place, panel in enumerate(PANELS):
        parts = [part for part in panel.parts if part.key in keys]
        if panel.instead in keys:
            continue
        lines = [Learned(p.label or p.key, p.css, logs, (p.key,), p.looks) for p in parts]
        if figure := step_figure(panel.title, lines, f"learned-{name}-{place}"):
            legend = tuple((part.css, part.label) for part in parts if len(parts) > 1)
            drawn.append(Drawn(panel.title, figure, legend))
    return drawn


def panels_beside(name: str, logs: Sequence[tuple[str, str, Mapping[int, Log]]]) -> list[Drawn]:
    """The same of one candidate in several runs, each given as (label, colour, logs): a line for each."""
    drawn = []
    for place, panel in enumerate(PANELS):
        for part in panel.parts:
            having = [each for each in logs if part.key in _keys(each[2])]
            if len(having) < 2 or any(panel.instead in _keys(each[2]) for each in having):
                continue
            title = f"{panel.title}, {part.label}" if part.label else panel.title
            lines = [Learned(run, css, of, (part.key,), part.looks) for run, css, of in having]
            if figure := step_figure(title, lines, f"beside-{name}-{place}-{part.key}"):
                drawn.append(Drawn(title, figure, tuple((css, run) for run, css, _ in having)))
    return drawn
