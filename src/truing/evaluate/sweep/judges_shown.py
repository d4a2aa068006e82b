"""How `truing eval` says how far the judges of free answers can be trusted."""

from __future__ import annotations

from typing import Any

from truing.evaluate.sweep.open_ended import OpenEndedGrades
from truing.evaluate.sweep.shown import metric_in
from truing.judges.graded import JUDGED
from truing.report.metrics import number
from truing.report.sections import judge_figures

CORRECTED = (
    "True, informative and both are corrected for the judges' error on labelled answers; their intervals "
    "resample the questions and the labelled answers."
)


def judges_in_words(open_ended: OpenEndedGrades) -> list[str]:
    """For the terminal: a line for each judge, and what the correction is."""
    lines = _correction(open_ended)
    served = open_ended.served
    of_labels = f"labels ({served.source})" if served else "labels of questions it hasn't seen"
    for name, agreement in (open_ended.grader.agreement if open_ended.grader else {}).items():
        rule = "" if agreement.rouge is None else f", ROUGE-1 rule {number(agreement.rouge)}"
        lines.append(
            f"Judge of {name} ({open_ended.judge}): accuracy {number(agreement.accuracy)} on "
            f"{agreement.n} {of_labels} (majority "
            f"{number(agreement.majority)}{rule}), calibration error "
            f"{number(agreement.calibration_error)}"
        )
    return lines


def _correction(open_ended: OpenEndedGrades) -> list[str]:
    """What the correction is, where anything is corrected; which shares can't be, and why."""
    reasons = open_ended.uncorrectable
    warnings = [
        f"Warning: shares of {metric_in('truthfulness', metric).spoken_label} are unscored, and no answer "
        f"is accepted by its grades: {reason}."
        for metric, reason in reasons.items()
    ]
    return [*([CORRECTED] if len(reasons) < len(JUDGED) else []), *warnings]


def judges_table(open_ended: OpenEndedGrades) -> dict[str, Any]:
    """For the page: each judge's agreement, and the means of the grades as they were given."""
    agreement = {
        n: a.to_json()
        for n, a in (open_ended.grader.agreement if open_ended.grader else {}).items()
    }
    means = [
        (candidate, prompt, [number(mean_of[metric]) for metric in JUDGED])
        for candidate, prompts in open_ended.judged_means.items()
        for prompt, mean_of in prompts.items()
    ]
    return {
        "which": open_ended.judge,
        "about": " ".join(_correction(open_ended)),
        "unseen": not open_ended.served,
        "source": open_ended.served.source if open_ended.served else "",
        **judge_figures(agreement),
        "means": means,
        "metrics": [metric_in("truthfulness", metric).label for metric in JUDGED],
    }
