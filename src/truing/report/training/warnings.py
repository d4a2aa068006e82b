"""What to beware of in a training, from its logs and its held-out figures; the weightiest first.

No judge looks on in `truing train`, so whether a reward was gamed can't be told from its log. Signs can:
answers that became much longer or shorter, much less varied, or the same to every prompt while the
reward rose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from truing.report.counts import on_constant_rewards
from truing.report.curves import Log, captions, series
from truing.report.metrics import number
from truing.report.sentences import Finding, joined
from truing.report.task_metrics import TaskMetrics
from truing.report.training.last import ends
from truing.types import Estimate

_LONGER, _VARIED = 1.5, 0.5
"""How much longer (or shorter) answers, and how much less entropy, are a sign."""
_RISEN = 1e-9
_MANY = 0.1
"""From this share of steps on, rewards that say nothing are worth a warning."""

Logs = Mapping[int, Log]


def warnings_of(
    name: str, logs: Logs, held_out: Mapping[str, Estimate], task: TaskMetrics
) -> list[Finding]:
    """All that is to be said of one candidate."""
    return [
        *_on_displacement(name, logs),
        *_on_signs(name, logs),
        *_on_judges(name, logs, task),
        *_on_constant_rewards(logs),
        *_on_unscored(name, logs),
        *_on_stops(name, logs),
        *_on_overfitting(name, logs),
        *_on_held_out(name, held_out),
    ]


def _named(name: str, seed: int, logs: Logs) -> str:
    return f"{name}, seed {seed}" if len(logs) > 1 else name


def _on_displacement(name: str, logs: Logs) -> list[Finding]:
    found = []
    for seed, log in logs.items():
        displaced = series(log, "displaced")
        if not displaced:
            continue
        step, ratio = displaced[-1]
        still = "" if step == log[-1]["step"] else " (by the end no longer)"
        text = (
            f"Likelihood displacement: {_named(name, seed, logs)}: from step {displaced[0][0]} on what was "
            f"preferred became less likely too, by {number(-ratio, 'nats')} nats against the "
            f"reference at step {step}{still}. preference.objective.sft_weight holds it up."
        )
        found.append(Finding(text, "warning", name))
    return found


def _on_signs(name: str, logs: Logs) -> list[Finding]:
    """Signs that a reward is gamed; none where the reward didn't rise."""
    found = []
    for seed, log in logs.items():
        reward = ends(log, "reward")
        if reward is None or reward[1] - reward[0] <= _RISEN:
            continue
        if signs := _signs(log):
            text = (
                f"Reward hacking? {_named(name, seed, logs)}: while the reward rose from "
                f"{number(reward[0], 'reward')} to {number(reward[1], 'reward')}, {joined(signs)}. "
                "That is a sign, no verdict: read the answers, and measure what the reward stands for."
            )
            found.append(Finding(text, "warning", name))
    return found


def _signs(log: Log) -> list[str]:
    signs = []
    length, entropy = ends(log, "length"), ends(log, "entropy")
    if length and length[0] > 0 and not 1 / _LONGER < length[1] / length[0] < _LONGER:
        how = "longer" if length[1] > length[0] else "shorter"
        signs.append(
            f"answers became {how}, from {number(length[0], 'tokens')} to "
            f"{number(length[1], 'tokens')} tokens"
        )
    if entropy and entropy[0] > 0 and entropy[1] < _VARIED * entropy[0]:
        signs.append(
            f"they became less varied (entropy from {number(entropy[0], 'nats')} to "
            f"{number(entropy[1], 'nats')} nats a token)"
        )
    if same := _same_answer(log):
        signs.append(f"at the end different prompts got the same answer (“{same}”)")
    return signs


def _same_answer(log: Log) -> str:
    """What all of the last samples' prompts were answered with; empty where answers differ."""
    samples: Sequence[Any] = next(
        (line["samples"] for line in reversed(log) if line.get("samples")), []
    )
    known = [each for each in samples if isinstance(each, Mapping)]
    prompts = {str(each.get("prompt")) for each in known}
    answers = {" ".join(str(each.get("answer", "")).split()) for each in known}
    if len(prompts) < 2 or len(answers) > 1:
        return ""
    answer = next(iter(answers))
    return answer[:80] or "nothing"


def _on_judges(name: str, logs: Logs, task: TaskMetrics) -> list[Finding]:
    """Where judges looked on, whether reward and judges part; else that nobody did."""
    if any(series(log, "monitor", "reward") for log in logs.values()):
        return [Finding(text, "note", name) for text in captions(logs, task)]
    if not any(series(log, "reward") for log in logs.values()):
        return []
    text = (
        f"{name}: no judge looked on, so nothing here says whether the reward stands for what it should. "
        "truing eval on the candidate does, and truing align watches from the start."
    )
    return [Finding(text, "note", name)]


def _on_constant_rewards(logs: Logs) -> list[Finding]:
    """A warning where they are many, else a note."""
    lines = [line for log in logs.values() for line in log]
    few = sum("constant_reward" in line for line in lines) < _MANY * len(lines)
    return [replace(each, tone="note" if few else each.tone) for each in on_constant_rewards(logs)]


def _on_unscored(name: str, logs: Logs) -> list[Finding]:
    lines = [line for log in logs.values() for line in log]
    empty = [line for line in lines if line.get("unscored_because")]
    if not empty:
        return []
    text = (
        f"{name}: in {len(empty)} of {len(lines)} steps no answer had a score, so nothing was learned "
        f"({empty[-1]['unscored_because']})."
    )
    return [Finding(text, "warning", name)]


def _on_stops(name: str, logs: Logs) -> list[Finding]:
    return [
        Finding(
            f"{_named(name, seed, logs)} ended at step {log[-1]['step']}: {stop}.", "note", name
        )
        for seed, log in logs.items()
        if log and (stop := str(log[-1].get("stop") or ""))
    ]


def _on_overfitting(name: str, logs: Logs) -> list[Finding]:
    found = []
    for seed, log in logs.items():
        losses = series(log, "held_out_loss")
        if len(losses) < 2:
            continue
        step, least = min(losses, key=lambda loss: loss[1])
        if losses[-1][1] <= least:
            continue
        text = (
            f"{_named(name, seed, logs)}: the held-out loss was lowest at step {step} "
            f"({number(least, 'nats/token')}) and is {number(losses[-1][1], 'nats/token')} at the end: "
            "later passes overfit. Fewer epochs, or a lower learning rate, may do better."
        )
        found.append(Finding(text, "warning", name))
    return found


def _on_held_out(name: str, held_out: Mapping[str, Estimate]) -> list[Finding]:
    """Held-out figures that say that training did harm, or nothing."""
    found = []
    gap = held_out.get("loss_over_base")
    if gap and gap.low is not None and gap.low > 0:
        text = (
            f"{name}: answers that people wrote and that it didn’t learn from are less likely than under "
            "the base."
        )
        found.append(Finding(text, "warning", name))
    accuracy = held_out.get("accuracy")
    if accuracy and _has(accuracy, 0.5):
        text = f"{name}: on pairs that it didn’t learn from it can’t be told from a coin (0.5)."
        found.append(Finding(text, "warning", name))
    return found


def _has(estimate: Estimate, value: float) -> bool:
    """Whether a value lies in the interval."""
    low, high = estimate.low, estimate.high
    return low is not None and high is not None and low <= value <= high
