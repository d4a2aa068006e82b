"""What a training was measured on that it hadn't learned from: by prompt where rows were kept, else as its
record has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from truing.report.task_metrics import Key
from truing.runs.folder import HELD_OUT, RunFolder
from truing.types import Estimate, Metric, Row

REWARD_MODEL = "reward model"
"""Under which a reward's own figures stand beside those of candidates."""
HELD_OUT_METRICS = (
    Metric(
        HELD_OUT, "loss", "Held-out loss", -1, "nats/token",
        "nats per token of demonstrations that it did not learn from",
    ),
    Metric(
        HELD_OUT, "loss_over_base", "Held-out loss over base’s", -1, "nats/token",
        "the same less that of the base, demonstration by demonstration",
    ),
    Metric(
        HELD_OUT, "accuracy", "Held-out pairs", 1, "share",
        "pairs that it did not learn from whose better answer gained more than the other",
    ),
    Metric(
        HELD_OUT, "longer_chosen", "Longer answer better", 0, "share",
        "held-out pairs in which the better answer is the longer one",
    ),
    Metric(REWARD_MODEL, "pairs", "Pairs", 1, "share", "held-out pairs in which the better answer wins"),
)  # fmt: skip


def metric_of(key: Key) -> Metric:
    """The metric of a held-out figure. A probe of a reward, and what a search for a prompt was confirmed
    by, go by their own names: more is better."""
    declared = {(metric.evaluation, metric.name): metric for metric in HELD_OUT_METRICS}
    evaluation, name = key
    if evaluation == REWARD_MODEL:
        note = "balanced accuracy on labels that it was not fitted to"
        undeclared = Metric(evaluation, name, name.capitalize(), 1, "share", note)
    else:
        label = f"{name.replace('_', ' ').upper()}, held out"
        undeclared = Metric(evaluation, name, label, 1, "share", "on questions not searched with")
    return declared.get(key) or undeclared


HELD_OUT_TITLES = {HELD_OUT: "What was held out of training", REWARD_MODEL: "The reward model"}
_RECORDED = {
    "held_out_loss": "loss",
    "held_out_loss_difference": "loss_over_base",
    "held_out_accuracy": "accuracy",
    "held_out_longer_chosen": "longer_chosen",
}
"""Names in run.json, and those of the metrics."""


def estimate_of(data: Any) -> Estimate | None:
    """The estimate in a JSON object; None where it is none."""
    if not isinstance(data, Mapping) or "value" not in data:
        return None
    value, low, high = (_number(data.get(key)) for key in ("value", "low", "high"))
    return Estimate(value, low, high, _count(data.get("n")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def estimates_of(run: RunFolder, rows: Sequence[Row]) -> dict[str, dict[Key, Estimate]]:
    """Figures by candidate whose rows weren't kept: of runs of before, of prompts, of rewards."""
    found: dict[str, dict[Key, Estimate]] = {}
    with_rows = {row.candidate for row in rows if row.evaluation == HELD_OUT}
    for name in run.record["candidates"]:
        if name in with_rows:
            continue
        if figures := _of_first_seed(run, name) | _of_prompt(run, name):
            found[name] = figures
    if figures := _of_reward(run):
        found[REWARD_MODEL] = figures
    return found


def _of_first_seed(run: RunFolder, name: str) -> dict[Key, Estimate]:
    seeds = list(run.part(f"{name}_held_out").values())
    first = seeds[0] if seeds and isinstance(seeds[0], dict) else {}
    return {
        (HELD_OUT, metric): estimate
        for key, metric in _RECORDED.items()
        if (estimate := estimate_of(first.get(key)))
    }


def _of_prompt(run: RunFolder, name: str) -> dict[Key, Estimate]:
    """What a search for a prompt was confirmed by."""
    noted = run.part("prompts").get(name)
    sides = noted.get("held_out") if isinstance(noted, dict) else None
    return {
        (HELD_OUT, metric): estimate
        for metric, of in (sides.items() if isinstance(sides, dict) else ())
        if isinstance(of, dict) and (estimate := estimate_of(of.get("prompt")))
    }


def _of_reward(run: RunFolder) -> dict[Key, Estimate]:
    figures: dict[Key, Estimate] = {}
    for name, of in run.part("reward_model").items():
        value = _number(of.get("balanced_accuracy")) if isinstance(of, dict) else None
        if value is not None:
            figures[REWARD_MODEL, name] = Estimate(value, None, None, _count(of.get("n")))
    if estimate := estimate_of(run.part("pair_reward").get("accuracy")):
        figures[REWARD_MODEL, "pairs"] = estimate
    return figures
