"""The page of trained judges: how far each agrees with labelled answers, beside cheap rivals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.report.findings import WEAK_JUDGE
from truing.report.html import render_page
from truing.report.metrics import number
from truing.report.sections import judge_figures
from truing.report.sentences import Finding

_FACTS = (
    ("model", "Reads answers with"),
    ("layer", "Layer"),
    ("dtype", "Precision"),
    ("questions", "Questions"),
    ("folds", "Folds"),
)


def findings(document: Mapping[str, Any]) -> list[Finding]:
    """For each judge whether it is worth having: beyond the commoner label, beyond ROUGE, strong enough."""
    return [_finding(name, of) for name, of in document["agreement"].items()]


def _finding(name: str, agreement: Mapping[str, Any]) -> Finding:
    balanced = agreement["balanced_accuracy"]
    rivals = {"always the commoner label": agreement["majority"], "ROUGE alone": agreement["rouge"]}
    beaten_by = [
        rival
        for rival, accuracy in rivals.items()
        if accuracy is not None and accuracy >= agreement["accuracy"]
    ]
    text = f"{name}: balanced accuracy {number(balanced)} on {agreement['n']} labels of questions not seen"
    if beaten_by:
        return Finding(f"{text}: no better than {' and '.join(beaten_by)}.", "warning")
    if balanced < WEAK_JUDGE:
        return Finding(f"{text}: a weak judge; chance is 0.500.", "warning")
    rouge = "" if agreement["rouge"] is None else " and ROUGE"
    return Finding(f"{text}, better than the commoner label{rouge}.", "note")


def page(document: Mapping[str, Any]) -> str:
    """The page. Equal documents give equal bytes."""
    tables = {
        "Labelled answers that are no references": document["agreement"],
        "All labelled answers": document["agreement_on_all"],
    }
    context = {
        "document": document,
        "findings": findings(document),
        "tables": [(title, judge_figures(of)) for title, of in tables.items()],
        "facts": [(label, document[key]) for key, label in _FACTS if document.get(key) is not None],
        "labels": document["labels"],
        "left_out": {reason: count for reason, count in document["left_out"].items() if count},
    }
    return render_page("truing.recipes", "judge_page.html.j2", context)
