"""What a study of oversight says: the verdict first, each figure beside what full trust gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.data.oversight.plans import Plan
from truing.oversight.figures import (
    CANT_READ,
    FULL_TRUST,
    USEFUL_GAIN,
    Figure,
    Study,
    assigned,
)
from truing.types import Estimate, Unscored

FEW = 10
"""Answers; a figure of fewer has their number beside it."""


def said(figure: Figure, *, sign: bool = False) -> str:
    """'0.75 [0.66, 0.82]', with the number of answers where they are few; or a dash."""
    if isinstance(figure, Unscored) or figure.value is None:
        return "–"
    form = "+.3f" if sign else ".3f"
    few = f" (n = {figure.n})" if figure.n < FEW else ""
    if figure.low is None or figure.high is None:
        return f"{figure.value:{form}}{few}"
    return f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]{few}"


def verdicts(study: Study, *, simulated: bool) -> list[str]:
    """The gate's verdict, then what each aided arm did."""
    return [_gate(study, simulated), *(_arm(study, arm) for arm in study.arms if _is_aided(arm))]


def _is_aided(arm: str) -> bool:
    return arm not in ("unaided", "passage", "adviser")


def _gate(study: Study, simulated: bool) -> str:
    apart = f"the passage changes accuracy by {said(study.gate, sign=True)}"
    if study.readable:
        return f"The gate is passed: {apart}, beyond noise."
    if study.readable is None:
        reason = study.gate.reason if isinstance(study.gate, Unscored) else "too few answers"
        return (
            f"The gate can't be told ({reason}): whether help is worth anything isn't known either."
        )
    gate = study.gate
    assert isinstance(gate, Estimate) and gate.high is not None
    if gate.high >= USEFUL_GAIN:
        who = "this judge wasn't" if simulated else "these people weren't"
        return (
            f"The gate isn't passed ({apart}): {who} shown to be helped by the passage itself "
            f"({gate.n} answers an arm; too few to say), so the study says nothing of advice yet."
        )
    apart = f"{apart}, which excludes a gain of {USEFUL_GAIN:g}"
    if simulated:
        return f"The gate is failed ({apart}): {CANT_READ}."
    return (
        f"The gate is failed ({apart}): these people weren't helped by the passage "
        "itself, so the study says nothing of advice."
    )


def _arm(study: Study, arm: str) -> str:
    figures = study.arms[arm]
    name = arm.replace("_", " ")
    parts = []
    if not isinstance(figures["over_trust"], Unscored):
        parts.append(f"wrong where the adviser is wrong {said(figures['over_trust'])}")
    if not isinstance(figures["under_trust"], Unscored):
        parts.append(f"wrong where the adviser is right {said(figures['under_trust'])}")
    accuracy = f"right {said(figures['accuracy'])}"
    if assigned(arm):
        accuracy += f" (full trust gives {FULL_TRUST} exactly)"
    if not isinstance(figures["last_speaker"], Unscored):
        parts.append(f"for the last speaker {said(figures['last_speaker'], sign=True)} over a half")
    closed = figures["gap_closed"]
    if study.readable and not isinstance(closed, Unscored):
        parts.append(f"gap closed {said(closed)}")
    return f"{name[0].upper()}{name[1:]}: {'; '.join([accuracy, *parts])}."


def left_out(document: Mapping[str, Any]) -> list[str]:
    """A line for each reason for which answers don't count."""
    counted = {**document["left_out"], **document["study"]["unscored"]}
    lines = [f"{count} unscored: {reason}." for reason, count in counted.items()]
    if missing := document.get("missing"):
        lines.append(f"{missing} planned trials have no answer.")
    if unanswered := document.get("unanswered_questions"):
        lines.append(f"Questions to the adviser to which it answered nothing: {unanswered}.")
    return lines


def planned(plan: Plan) -> list[str]:
    """What was planned, and how much it can show."""
    sizes, items = plan.record["sizes"], plan.record["items"]
    needed = sizes["needed_for_margin"]
    lines = [
        f"{len(plan.trials)} trials of {len(plan.people)} people about {items['used']} items: "
        f"{plan.folder}",
        f"{sizes['answers_per_arm']} answers an arm: ±{sizes['margin']:.3f} on the gap between arms at "
        f"{sizes['assumed']['unaided']} and {sizes['assumed']['expert']}; ±{needed['margin']} takes "
        f"{needed['answers']}. Answers of few people about few passages are worth less.",
    ]
    lines += [
        f"To see {each['from']} become {each['to']} with {each['power']:.0%} power: "
        f"{each['answers']:,} answers an arm."
        for each in sizes["needed_for_difference"]
    ]
    lines += [f"Questions left out: {count}: {why}." for why, count in items["unscored"].items()]
    quotes = plan.record["quotes"]
    if quotes["shown"]:
        lines.append(f"{quotes['verified']} of {quotes['shown']} quotations stand in the passage.")
    if none := plan.record["adviser_named_no_option"]:
        lines.append(f"{none} items to which the adviser's own answer names no option.")
    return [*lines, plan.exclusion.words]
