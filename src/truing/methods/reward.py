"""Fitting the probes that methods of a run follow."""

from __future__ import annotations

from truing.methods.setup import Setup
from truing.rewards.mixture import PROBE_FOLDER
from truing.rewards.truth_probe import fit_truth_probe, save_truth_probe
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.types import InputError

STAGE = "reward"


def fit_reward(run: Run, setup: Setup, account: str) -> None:
    """The reward model as a stage of the run, its cost put down to `account`."""
    run.stage(STAGE, "Reward model", account, lambda cost: _fit(run, setup, cost))


def _fit(run: Run, setup: Setup, cost: Cost) -> None:
    """Fits it to labelled answers and keeps it in the run."""
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
