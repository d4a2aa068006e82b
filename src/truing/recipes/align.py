"""The main job: align one model by several methods and measure what each did.

The base, the reward, each method, the comparison: `_stages` below is the whole story in order.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.data.answer_only_baseline import answer_only_baseline
from truing.evaluate.preferences import NAME as PREFERENCES
from truing.methods import chosen
from truing.methods.common import keep_base
from truing.methods.graders import Graders
from truing.methods.reward import STAGE as REWARD_STAGE
from truing.methods.reward import fit_reward
from truing.methods.setup import (
    Setup,
    make_setup,
    opened,
    with_demonstrations,
    with_preferences,
)
from truing.models.pool.pool import WorkerPool
from truing.progress import Progress, StderrProgress
from truing.recipes.compare import compare, comparing_stages
from truing.recipes.lengths import check_lengths
from truing.recipes.report import rebuild
from truing.report.html import framed
from truing.report.summary import Summary
from truing.rewards.mixture import needs_model, needs_pairs
from truing.runs.ranks import check_alone
from truing.runs.run import Run, default_folder, now
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.spec.sampler import WORKERS
from truing.tasks.texts import compared_texts
from truing.types import InputError


@dataclass(frozen=True)
class Aligned:
    """A finished run: its folder and its summary."""

    folder: Path
    summary: Summary

    @property
    def report(self) -> Path:
        """The page to read."""
        return self.folder / "report.html"

    def to_json(self) -> dict[str, Any]:
        """The document of `truing align --json`."""
        return self.summary.to_json()

    def _repr_html_(self) -> str:
        """In a notebook, the report in a frame of its own."""
        return framed(self.report.read_text(encoding="utf-8"))


def align(
    spec: Spec | None = None,
    out: Path | str | None = None,
    *,
    progress: Progress | None = None,
    profile: str = "default",
    command: str = "truing align",
    overwrite: bool = False,
    accept_licence: bool = False,
    pool: WorkerPool | None = None,
) -> Aligned:
    """Runs the spec in the folder `out`, going on from whatever is already done there.

    Without a spec, what the profile says.
    A finished run is only read. `overwrite` begins anew. With a `pool` its workers score and sample where
    candidates are measured, and in reinforcement learning where compute.sampler says so. Raises InputError
    where spec, questions, model or folder are wrong, before anything is written.
    """
    check_alone("align")
    spec = spec or make_spec({}, profile=profile)
    folder = Path(out) if out is not None else default_folder(spec)
    run = Run(folder, progress or StderrProgress())
    learns = any(method.trained_on_demonstrations for method in chosen(spec))
    read = with_demonstrations(compared_texts) if learns else compared_texts
    rewarded = any(method.trained_on_reward for method in chosen(spec))
    measured = PREFERENCES in spec.task.evaluations
    learned = any(method.trained_on_preferences for method in chosen(spec))
    if measured or learned or (rewarded and needs_pairs(spec.reward)):
        read = with_preferences(read)
    samples = pool if spec.compute.sampler == WORKERS else None
    setup = make_setup(spec, run.progress, read=read, accept_licence=accept_licence, pool=samples)
    if overwrite or not run.is_begun:
        check_lengths(run, setup)
    if overwrite:
        _clear(folder)
    with opened(run, setup, profile=profile, command=command):
        if run.record().get("finished"):
            run.progress.note(f"{folder} is finished; --overwrite would begin anew")
        else:
            _stages(run, setup, pool)
            run.note(finished=now())
        return Aligned(folder, rebuild(folder))


def _stages(run: Run, setup: Setup, pool: WorkerPool | None) -> None:
    """Everything, in order. Each stage is skipped where it is already done."""
    methods, graders = chosen(setup.spec), Graders(setup, run.folder)
    run.plan(_planned(setup.spec))
    run.stage("base", "Base model", "base", lambda cost: keep_base(run, setup))
    if followers := _followers(setup.spec):
        fit_reward(run, setup, account=followers[-1])
    for method in methods:
        if not method.needs_seeds:
            method.make(run, setup, graders, setup.spec.seeds[0])
    for seed in setup.spec.seeds:
        for method in methods:
            if method.needs_seeds:
                method.make(run, setup, graders, seed)
    if pool is None:
        compare(run, setup, graders)
    else:
        with pool:
            compare(run, setup, graders, pool)
            run.note(pool=pool.record())
    labelled = [case for case in (*setup.train, *setup.held_out) if case.incorrect_answers]
    # Of pairs nothing is true or false, and what length tells of them is measured.
    if len(labelled) > 1 and not setup.texts.task.asks_pairs:
        figures = answer_only_baseline(labelled)
        run.note(data={"give_away": dict(figures.__dict__)})


def _followers(spec: Spec) -> list[str]:
    """The methods that follow a reward of which something is fitted in the run."""
    followers = [method.name for method in chosen(spec) if method.trained_on_reward]
    return followers if needs_model(spec.reward) or needs_pairs(spec.reward) else []


def _planned(spec: Spec) -> list[str]:
    """The stages of `_stages`, by name and in order."""
    methods = chosen(spec)
    once = [name for method in methods if not method.needs_seeds for name in method.stages(spec)]
    by_seed = zip(*(method.stages(spec) for method in methods if method.needs_seeds), strict=True)
    seeded = [name for names in by_seed for name in names]
    reward = [REWARD_STAGE] if _followers(spec) else []
    return ["base", *reward, *once, *seeded, *comparing_stages(spec)]


def _clear(folder: Path) -> None:
    """Removes an earlier run. Raises InputError where the folder isn't one: nothing else is deleted."""
    if not folder.exists():
        return
    if not (folder / "run.json").is_file():
        raise InputError(
            f"{folder}: not a run, so --overwrite leaves it alone; give another folder"
        )
    shutil.rmtree(folder)


__all__ = ["Aligned", "align"]
