"""Preference optimisation: make what people preferred more likely than what they didn't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from truing.learn.loop import LogRow, Settings, train
from truing.learn.objectives.pairwise import Pairwise
from truing.learn.own_passes import log_probs_now
from truing.learn.sources.pairs import (
    Comparisons,
    Pairs,
    laid_out,
)
from truing.methods.common import (
    checkpoint_of,
    new_policy,
    save,
    show_progress,
    trained_cost,
    write_held_out,
)
from truing.methods.contrast import rules_of
from truing.methods.graders import Graders
from truing.methods.method import Method
from truing.methods.model_card import Made
from truing.methods.preferred_pairs import LearnedFrom, learned_from
from truing.methods.setup import Setup
from truing.policies.language import LanguagePolicy
from truing.progress import Progress
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.statistics.means import mean
from truing.types import InputError, stable_hash

LOGGED_KEYS = {
    "loss": "loss",
    "chosen_log_ratio": "chosen",
    "rejected_log_ratio": "rejected",
    "margin": "margin",
    "accuracy": "accuracy",
    "gradient_norm": "gradient",
    "tokens_per_second": "tokens/s",
}
"""Figures behind the progress bar, with their names there."""

LAST_STEPS = 5
"""Steps whose mean says how likely answers have become."""
DISPLACED = -0.1
"""Below this many nats against the reference they did, beyond rounding."""


def _mean_of(rows: Sequence[LogRow], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def say_displacement(progress: Progress, step: int, row: LogRow, earlier: Sequence[LogRow]) -> None:
    """Warns, the first time in a training, that what was preferred has become less likely too."""
    recent = [*earlier, row][-LAST_STEPS:]
    ratio = _mean_of(recent, "chosen_log_ratio")
    if len(recent) < LAST_STEPS or ratio >= DISPLACED:
        return
    row["displaced"] = ratio
    if not any("displaced" in each for each in earlier):
        progress.note(
            f"  step {step}: likelihood displacement: chosen answers are {-ratio:.2f} nats less likely "
            f"than under the reference, over {LAST_STEPS} steps; preference.objective.sft_weight "
            "holds them up"
        )


# --- Held-out pairs ---------------------------------------------------------------------------


def _totals(policy: LanguagePolicy, held_out: Sequence[Comparisons]) -> list[torch.Tensor]:
    """The log-probability of every answer, by prompt."""
    totals = []
    for each in held_out:
        rows = log_probs_now(policy, laid_out([each]))
        totals.append(torch.stack([row.sum() for row in rows]))
    return totals


def _shares_of_pairs(
    held_out: Sequence[Comparisons], values: Sequence[torch.Tensor]
) -> dict[str, float]:
    """How often the better answer has more, a tie being half, by prompt."""
    shares = {}
    for each, value in zip(held_out, values, strict=True):
        better, worse = value[torch.tensor(each.pairs)].unbind(1)
        prompt = stable_hash("prompt", str(each.prompt))[:16]
        shares[prompt] = float(((better - worse).sign() + 1).mean() / 2)
    return shares


def _held_out_shares(
    held_out: Sequence[Comparisons],
    before: Sequence[torch.Tensor],
    after: Sequence[torch.Tensor],
) -> dict[str, dict[str, float]]:
    gained = [now - then for now, then in zip(after, before, strict=True)]
    lengths = [torch.tensor([float(len(a)) for a in each.answers]) for each in held_out]
    return {
        "accuracy": _shares_of_pairs(held_out, gained),
        "longer_chosen": _shares_of_pairs(held_out, lengths),
    }


# --- The method -------------------------------------------------------------------------------


def describe(setup: Setup) -> str:
    """How it was made, for the model card."""
    objective = setup.spec.preference.objective.described(1)
    if setup.spec.preference.contrast is not None:
        return (
            f"Trained by {objective} on contrast examples: attacks on a rule and their twins, each with an "
            "answer that is right over one that is wrong."
        )
    if setup.texts.preferences:
        return f"Trained by {objective} on pairs of answers of which people preferred one."
    return f"Trained by {objective} on training questions, each true answer over each false one."


def check(setup: Setup) -> None:
    """Raises InputError where there are no pairs, before any time is spent."""
    if (contrast := setup.spec.preference.contrast) is not None:
        rules_of(contrast)
        return
    if setup.texts.preferences:
        return
    if not any(case.correct_answers and case.incorrect_answers for case in setup.train):
        raise InputError(
            f"preference: {setup.texts.task.source} has no training question with a true and a false "
            "answer; give such, or pairs as data.preferences"
        )


def check_texts(setup: Setup) -> None:
    """Raises InputError where no pair is left, or too few prompts for the objective."""
    objective = setup.spec.preference.objective
    prompts = len(learned_from(setup, setup.spec.seeds[0]).train)
    if isinstance(objective, Pairwise) and objective.needs_mismatched and prompts < 2:
        raise InputError(
            f"preference.objective: {objective.name} holds answers against those to other prompts and "
            f"needs pairs of two prompts or more, got {prompts}; give more, or another objective"
        )


def make(run: Run, setup: Setup, graders: Graders, seed: int) -> None:
    """The spec's objective on all pairs, for one seed."""
    name = setup.named("preference")
    run.stage(
        f"{name}-seed{seed}",
        f"{'Preference optimisation' if name == 'preference' else name}, seed {seed}",
        setup.account or name,
        lambda cost: _prefer(run, setup, seed, cost),
        together=True,
    )


def _source(run: Run, setup: Setup, policy: LanguagePolicy, pairs: LearnedFrom, seed: int) -> Pairs:
    spec = setup.spec.preference
    assert isinstance(spec.objective, Pairwise), "preference.objective takes those of pairs"
    return Pairs(
        policy,
        pairs.train,
        spec.prompts_per_step,
        seed,
        mismatched=spec.objective.needs_mismatched,
        ranks=run.ranks,
    )


def _remember(run: Run, source: Pairs, steps: int) -> None:
    batches = min(steps, source.steps_per_epoch)
    with run.progress.task("Reference", batches) as advance:
        for number in source.remember_reference(steps):
            advance(number)


def _prefer(run: Run, setup: Setup, seed: int, cost: Cost) -> None:
    spec, pairs, name = setup.spec.preference, learned_from(setup, seed), setup.named("preference")
    policy = new_policy(setup, spec.adapter, seed)
    source = _source(run, setup, policy, pairs, seed)
    steps = spec.steps or spec.epochs * source.steps_per_epoch
    settings = Settings(
        steps, spec.learning_rate, spec.max_grad_norm, warmup=round(spec.warmup * steps)
    )
    _note_pairs(run, setup, pairs)
    before = _totals(policy, pairs.held_out)
    _remember(run, source, steps)
    checkpoint = checkpoint_of(run, setup, name, seed)
    with show_progress(run.progress, "Pairs", steps, LOGGED_KEYS, checkpoint) as advance:

        def after_step(step: int, row: LogRow) -> bool:
            say_displacement(run.progress, step, row, checkpoint.rows)
            return advance(step, row)

        objective = spec.objective
        assert isinstance(objective, Pairwise)
        train(policy, source, objective, settings, checkpoint, after_step, ranks=run.ranks)
    trained_cost(cost, checkpoint)
    people = setup.texts.preferences is not None
    cost.labels = pairs.pairs if people else sum(len(each.answers) for each in pairs.train)
    facts = _facts(setup, pairs, steps, checkpoint.rows[-LAST_STEPS:])
    if people:
        shares = _held_out_shares(pairs.held_out, before, _totals(policy, pairs.held_out))
        _note_held_out(run, name, seed, shares)
        facts["held_out_accuracy"] = mean(list(shares["accuracy"].values())).value
    save(run, setup, Made(name, seed, setup.base_prompt, describe(setup), policy, facts))


def _facts(setup: Setup, pairs: LearnedFrom, steps: int, last: Sequence[LogRow]) -> dict[str, Any]:
    """What the model card and the candidate's record say of it; log ratios are means of the `last`."""
    spec = setup.spec.preference
    facts: dict[str, Any] = {
        "adapter": spec.adapter.kind,
        "steps": steps,
        "objective": spec.objective.name,
        **{key: value for key, value in spec.objective.model_dump().items() if key != "name"},
        "pairs": pairs.pairs,
        "prompts": len(pairs.train),
        "learning_rate": spec.learning_rate,
        **{
            key: round(_mean_of(last, key), 4) for key in ("chosen_log_ratio", "rejected_log_ratio")
        },
    }
    if people := setup.texts.preferences:
        facts["contamination"] = people.contamination.sentence()
    return facts


def _note_pairs(run: Run, setup: Setup, pairs: LearnedFrom) -> None:
    """Writes into the run's record what the pairs came to, and says what was left out."""
    people = setup.texts.preferences
    for reason, count in pairs.left_out.items():
        if people is None or reason not in people.left_out:
            run.progress.note(f"Left out: {count} pair(s): {reason}")
    if setup.spec.preference.contrast is not None:
        return  # its numbers stand on its card; the record's are of the task's pairs
    source = setup.spec.data.preferences if people else f"{setup.spec.data.questions} questions"
    record = {
        "source": source,
        "trained_on": pairs.pairs,
        "prompts": len(pairs.train),
        "measured_on": sum(len(each.pairs) for each in pairs.held_out),
        "left_out": dict(pairs.left_out),
    }
    if people:
        record["contamination"] = people.contamination.to_json()
    run.note(preferences=record)


def _note_held_out(
    run: Run, name: str, seed: int, shares: Mapping[str, Mapping[str, float]]
) -> None:
    """Writes the means over prompts into the run's record, and the shares by prompt."""
    prompts = list(next(iter(shares.values())))
    rows = {prompt: {of: each[prompt] for of, each in shares.items()} for prompt in prompts}
    write_held_out(run, name, seed, rows)
    noted = {f"held_out_{of}": mean(list(each.values())).to_json() for of, each in shares.items()}
    run.note(**{f"{name}_held_out": {f"seed{seed}": noted}})


PREFERENCE = Method(
    name="preference",
    title="preference optimisation on pairs of answers",
    describe=describe,
    make=make,
    check=check,
    check_texts=check_texts,
    trained_on_preferences=True,
    logged_keys=LOGGED_KEYS,
)
