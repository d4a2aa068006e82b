"""A study as one JSON document, and what it comes to in sentences."""

from __future__ import annotations

from typing import Any

from truing.shift.coverage import FAR
from truing.shift.remedy import Remedy
from truing.shift.study import Study
from truing.shift.two_sample import Auc
from truing.shift.use_cases import INSTRUCTGPT, Described, total_variation
from truing.types import Estimate, Unscored

_GRADES = (
    (0.6, "differ a little"),
    (0.8, "differ clearly"),
    (0.95, "differ strongly"),
    (1.01, "have almost nothing in common"),
)


def grade(auc: float) -> str:
    """What an AUC above chance means in words."""
    return next(words for upto, words in _GRADES if auc < upto)


def verdict(study: Study) -> str:
    """The comparison in one or two sentences."""
    auc = study.auc
    figure = f"AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
    if auc.low > 0.5:
        return (
            f"Training and target prompts {grade(auc.value)}: a classifier tells them apart with "
            f"{figure}, where 0.5 is chance and 1 is always."
        )
    if auc.high < 0.5:
        return (
            f"Training and target prompts are more alike than chance allows ({figure}): look for "
            "prompts on one side that were made from those on the other."
        )
    return (
        f"No difference is seen between training and target prompts: 0.5 lies in the interval ({figure}). "
        f"A difference smaller than the interval would not be seen with so few prompts."
    )


def findings(study: Study) -> list[str]:
    """What else is worth a sentence, beginning with what limits the figures."""
    sentences = [note[0].upper() + note[1:] + "." for note in study.grouping.notes]
    for name, count in zip(("training", "target"), study.left_out, strict=True):
        if count:
            sentences.append(
                f"{count:,} {name} prompts beyond the limit were left out, drawn by the seed."
            )
    share = study.coverage.uncovered
    sentences.append(
        f"{share:.0%} of the target prompts have nothing near them in training; among the target prompts "
        f"themselves it is {FAR:.0%}."
    )
    sentences += _remedies(study)
    return sentences


def _remedies(study: Study) -> list[str]:
    r = study.remedy
    train = len(r.weight_K)
    if isinstance(r.before, Unscored):
        return [f"What weights would change can't be measured: {r.before.reason}."]
    lines = []
    if not isinstance(r.weighted, Unscored):
        lines.append(
            f"With weights the AUC goes from {_brief(r.before)} to {_brief(r.weighted)}, on target prompts "
            f"that weren't used to find them; {train:,} weighted prompts count as {r.effective:,.0f}."
        )
    if r.selected is not None and isinstance(r.selected_auc, Auc):
        lines.append(
            f"The {len(r.selected):,} selected prompts have AUC {_brief(r.selected_auc)}, all of them "
            f"{_brief(r.before)}, on target prompts that weren't used to choose them."
        )
    return lines


def _brief(auc: Auc) -> str:
    return f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"


def to_json(study: Study) -> dict[str, Any]:
    """The object that `--json` prints and shift.json holds."""
    train, target = study.described
    return {
        "auc": study.auc.to_json(),
        "verdict": verdict(study),
        "findings": findings(study),
        "kept_apart": list(study.grouping.apart),
        "left_out": dict(zip(("train", "target"), study.left_out, strict=True)),
        "distance": study.distance.to_json(),
        "train": _side(study, 0),
        "target": _side(study, 1),
        "instructgpt_use_cases": INSTRUCTGPT,
        "use_case_distance": {
            "train_target": round(total_variation(train.use_cases, target.use_cases), 6),
            "train_instructgpt": round(total_variation(train.use_cases, INSTRUCTGPT), 6),
            "target_instructgpt": round(total_variation(target.use_cases, INSTRUCTGPT), 6),
        },
        "coverage": {
            "threshold": study.coverage.threshold,
            "uncovered": round(study.coverage.uncovered, 6),
            "uncovered_by_definition": FAR,
            "prompts": [
                {
                    "place": study.asked[row].place,
                    "prompt": study.asked[row].text,
                    "nearest": study.asked[near].place,
                    "similarity": round(likeness, 6),
                }
                for row, near, likeness in study.uncovered()
            ],
        },
        "remedy": _remedy(study.remedy),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        key: round(value, 6) if isinstance(value, float) else value
        for key, value in estimate.to_json().items()
    }


def _side(study: Study, place: int) -> dict[str, Any]:
    described: Described = study.described[place]
    return {
        **study.sides[place].to_json(),
        "use_cases": {name: _estimate(e) for name, e in described.use_cases.items()},
        "use_cases_said_by_people": described.use_cases_said,
        "metadata": {name: _estimate(e) for name, e in described.metadata.items()},
        "metadata_said_by_people": described.metadata_said,
        "typical_words": [{"word": w, "z": round(z, 4)} for w, z in study.telling[place]],
        "typical_prompts": [
            {
                "place": study.asked[row].place,
                "prompt": study.asked[row].text,
                "log_odds_of_target": round(float(study.score_N[row]), 6),
            }
            for row in study.typical(bool(place))
        ],
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    document = {
        "effective_sample_size": round(remedy.effective, 6),
        "weights_cut_down": remedy.clipped,
        "auc_before": _auc(remedy.before),
        "auc_weighted": _auc(remedy.weighted),
    }
    if remedy.selected is not None:
        document["selected"] = len(remedy.selected)
        document["auc_selected"] = _auc(remedy.selected_auc)
    return document


def _auc(auc: Auc | Unscored | None) -> dict[str, Any] | None:
    if auc is None:
        return None
    return {"unscored": auc.reason} if isinstance(auc, Unscored) else auc.to_json()
