"""Fitting what methods of a run follow: the probes, and a reward model of its own pairs."""

from __future__ import annotations

from truing.methods.setup import Setup
from truing.rewards.learned.of_pairs import Pair, fit_pair_reward, pairs_of
from truing.rewards.learned.saved import save
from truing.rewards.mixture import PROBE_FOLDER, needs_model, needs_pairs
from truing.rewards.truth_probe import fit_truth_probe, save_truth_probe
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.types import InputError

STAGE = "reward"


def fit_reward(run: Run, setup: Setup, account: str) -> None:
    """What the run's reward needs fitted, as a stage, its cost put down to `account`."""
    run.stage(STAGE, "Reward model", account, lambda cost: _fit(run, setup, cost))


def check_pairs(setup: Setup) -> None:
    """Raises InputError where the reward is to be fitted to pairs, and there are none."""
    if needs_pairs(setup.spec.reward) and not _pairs(setup):
        raise InputError(
            f"reward.parts: reward_model, from pairs: {setup.texts.task.source} has no training question "
            "with a true and a false answer; give such, pairs as data.preferences, or another reward"
        )


def _pairs(setup: Setup) -> list[Pair]:
    """People's, or those of the questions that reinforcement learning learns from."""
    if people := setup.texts.preferences:
        return [Pair(p.messages, p.chosen, p.rejected, p.source) for p in people.train]
    return pairs_of(setup.rl_train)


def _fit(run: Run, setup: Setup, cost: Cost) -> None:
    """Fits to labelled answers and keeps in the run what takes part in the reward."""
    if needs_model(setup.spec.reward):
        _fit_probe(run, setup, cost)
    if needs_pairs(setup.spec.reward):
        _fit_pairs(run, setup, cost)


def _fit_probe(run: Run, setup: Setup, cost: Cost) -> None:
    if len(setup.rl_train) < 2:
        raise InputError(
            f"{setup.spec.data.questions}: {len(setup.rl_train)} training question(s), but the reward "
            "model is fitted to some and tried on others; give more questions"
        )
    with run.progress.task("Labelled answers"):
        model = fit_truth_probe(
            setup.renderer, setup.base_prompt, setup.rl_train, setup.spec.reward
        )
    save_truth_probe(model, run.folder / PROBE_FOLDER)
    cost.labels = model.labels
    run.note(reward_model={name: a.to_json() for name, a in model.agreement.items()})


def _fit_pairs(run: Run, setup: Setup, cost: Cost) -> None:
    people, spec = setup.texts.preferences is not None, setup.spec
    source = spec.data.preferences if people else setup.texts.task.source
    with run.progress.task("Pairs of answers"):
        fitted = fit_pair_reward(
            setup.renderer, spec.model, setup.weights(), _pairs(setup), str(source), spec.seeds[0]
        )
    save(fitted.model, run.folder / PROBE_FOLDER)
    # The probe learns from the same labelled answers, which are counted once; people's pairs are others.
    cost.labels = cost.labels + fitted.pairs if people else max(cost.labels, fitted.answers)
    record = {"pairs": fitted.pairs, "left_out": dict(fitted.left_out)}
    run.note(pair_reward={**record, "accuracy": fitted.accuracy.to_json()})
