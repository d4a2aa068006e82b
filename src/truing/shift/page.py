"""One self-contained page about a comparison: no network request, no script, everything escaped."""

from __future__ import annotations

from typing import Any

from truing.people.vocabulary import METADATA, USE_CASES
from truing.report.html import render_page
from truing.report.metrics import DASH
from truing.shift import figures
from truing.shift.results import findings, verdict
from truing.shift.study import Study
from truing.shift.two_sample import Auc
from truing.shift.use_cases import INSTRUCTGPT, total_variation
from truing.shift.wording import QUANTILES
from truing.terminal.text import shortly
from truing.types import Estimate

_SHOWN = 280
_NEAREST = 140
_UNCOVERED = 12


def percent(value: float | None) -> str:
    """A share in percent with one decimal, or a dash."""
    return DASH if value is None else f"{100 * value:.1f}"


def _share(estimate: Estimate) -> tuple[str, str]:
    range_ = (
        ""
        if estimate.low is None or estimate.high is None
        else f"[{percent(estimate.low)}, {percent(estimate.high)}]"
    )
    return percent(estimate.value), range_


def interval(auc: Auc) -> str:
    """The interval in brackets."""
    return f"[{auc.low:.3f}, {auc.high:.3f}]"


def _auc_row(name: str, auc: object) -> tuple[str, str, str]:
    if isinstance(auc, Auc):
        return name, f"{auc.value:.3f}", interval(auc)
    return name, DASH, getattr(auc, "reason", "")


def _table(study: Study, kind: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Rows of the use cases or of the metadata: name, and cells of value and interval."""
    train, target = (getattr(described, kind) for described in study.described)
    rows = []
    for name, title in (USE_CASES if kind == "use_cases" else METADATA).items():
        cells = [_share(train[name]), _share(target[name])]
        if kind == "use_cases":
            cells.append((percent(INSTRUCTGPT[name]), ""))
        rows.append((title, cells))
    return rows


def _lengths(study: Study) -> list[tuple[str, str, str]]:
    train, target = study.sides
    rows = [
        (f"words in a prompt, {100 * q:.0f} % quantile", f"{a:,.0f}", f"{b:,.0f}")
        for q, a, b in zip(QUANTILES, train.words, target.words, strict=True)
    ]
    return [
        ("prompts", f"{train.prompts:,}", f"{target.prompts:,}"),
        *rows,
        ("words in a prompt, mean", f"{train.mean_words:,.1f}", f"{target.mean_words:,.1f}"),
        ("distinct words", f"{train.distinct:,}", f"{target.distinct:,}"),
        (
            "words that the other side never uses, %",
            percent(train.unknown),
            percent(target.unknown),
        ),
    ]


def _cards(study: Study) -> list[tuple[str, list[tuple[str, str]]]]:
    auc, d = study.auc, study.distance
    train, target = study.described
    return [
        (
            "Told apart",
            [
                ("AUC", f"{auc.value:.3f}"),
                ("95 % interval", interval(auc)),
                ("independent groups", f"{auc.groups_train:,} and {auc.groups_target:,}"),
            ],
        ),
        (
            "Distance",
            [
                ("MMD²", f"{d.mmd2:.4f}"),
                ("permutation p", f"{d.p_value:.3f}"),
                ("use cases", f"{total_variation(train.use_cases, target.use_cases):.2f}"),
            ],
        ),
        (
            "Coverage",
            [
                ("target prompts with nothing near", f"{study.coverage.uncovered:.0%}"),
                ("words unknown to training", f"{study.sides[1].unknown:.0%}"),
                ("weighted prompts count as", f"{study.remedy.effective:,.0f}"),
            ],
        ),
    ]


def _remedies(study: Study) -> list[tuple[str, str, str]]:
    r = study.remedy
    rows = [_auc_row("as it is", r.before), _auc_row("weighted", r.weighted)]
    if r.selected is not None:
        rows.append(_auc_row(f"{len(r.selected):,} selected", r.selected_auc))
    return rows


def page(study: Study, names: tuple[str, str], command: str) -> str:
    """The page. Equal studies give equal bytes: nothing here reads a clock."""
    context: dict[str, Any] = {
        "names": names,
        "verdict": verdict(study),
        "findings": findings(study),
        "cards": _cards(study),
        "apart": ", ".join(study.grouping.apart),
        "colours": (figures.TRAIN, figures.TARGET, figures.REFERENCE),
        "scores": figures.score_figure(study),
        "map": figures.map_figure(study),
        "use_cases": figures.use_case_figure(study),
        "use_case_rows": _table(study, "use_cases"),
        "metadata": figures.metadata_figure(study),
        "metadata_rows": _table(study, "metadata"),
        "said": [(d.use_cases_said, d.metadata_said) for d in study.described],
        "lengths": figures.length_figure(study),
        "length_rows": _lengths(study),
        "telling": study.telling,
        "coverage": figures.coverage_figure(study),
        "threshold": f"{study.coverage.threshold:.2f}",
        "typical": [
            [
                (study.asked[row].place, shortly(study.asked[row].text, _SHOWN))
                for row in study.typical(target)
            ]
            for target in (False, True)
        ],
        "uncovered": [
            (
                shortly(study.asked[row].text, _SHOWN),
                shortly(study.asked[near].text, _NEAREST),
                f"{likeness:.2f}",
            )
            for row, near, likeness in study.uncovered()[:_UNCOVERED]
        ],
        "uncovered_count": len(study.uncovered()),
        "remedy": figures.remedy_figure(study),
        "remedy_rows": _remedies(study),
        "effective": f"{study.remedy.effective:,.0f}",
        "clipped": study.remedy.clipped,
        "command": command,
    }
    return render_page("truing.shift", "page.html.j2", context)
