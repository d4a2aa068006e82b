"""Several processes that were started for one training: whether they are alike, and what they can do."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from truing.methods.setup import Setup, identity_of_run
from truing.methods.sharing_out import is_set, shares_out
from truing.progress import Progress
from truing.runs.ranks import Ranks
from truing.runs.run import IN_WORDS
from truing.spec.run import Spec
from truing.types import InputError
from truing.version import __version__

_UNKNOWN = {"ACCELERATE_USE_DEEPSPEED": "DeepSpeed", "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM"}
"""What `accelerate launch` sets for engines that this program doesn't learn with."""
_OTHERS = {
    "truing": "version of Truing",
    "torch": "version of PyTorch",
    "compute": "compute section",
}


def check_launch(spec: Spec, kind: str, ranks: Ranks, progress: Progress) -> None:
    """Raises InputError where processes aren't alike, some would have nothing to do, or they were started
    for an engine that isn't here; before there is any work behind it. Says what is not followed."""
    for name, engine in _UNKNOWN.items():
        if is_set(name):
            raise InputError(
                f"accelerate: its configuration asks for {engine}, which Truing doesn't learn with; start "
                "without it (compute.shard: full shares out the weights)"
            )
    if ranks.count == 1:
        _say_alone(progress)
        return
    compute = spec.compute.model_dump(mode="json", exclude={"device"})
    alike = {
        "kind": kind,
        "truing": __version__,
        "torch": torch.__version__,
        "spec_digest": spec.digest(),
        "compute": ", ".join(f"{name} {value}" for name, value in compute.items()),
    }
    ranks.check_alike(alike, _words())
    _check_steps(spec, ranks.count)
    held = "shared out" if shares_out(spec.compute) else "whole in each"
    progress.note(f"Processes: {ranks.count}, with the weights of the layers {held}")
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision != "no":
        progress.note(
            f"accelerate's mixed precision ({precision}) isn't followed: the spec's dtype is {spec.dtype}"
        )


def check_setup(setup: Setup, kind: str, ranks: Ranks) -> None:
    """Raises InputError where processes would learn from other texts or weights, or there are fewer texts
    than processes."""
    if ranks.count == 1:
        return
    ranks.check_alike(identity_of_run(setup, kind), _words())
    if "rl" in setup.spec.methods and setup.spec.rl.contrast is None:
        _check_rows("data", len(setup.rollout_prompts), "prompts", ranks.count)


def _words() -> Mapping[str, str]:
    named = {name: words.partition(":")[0] for name, words in IN_WORDS.items()}
    return {**named, **_OTHERS, "kind": "command", "weights_hash": "hash of the model's weights"}


def _check_steps(spec: Spec, count: int) -> None:
    """Each needs a row of a step."""
    steps = {
        "sft": ("sft.batch_size", spec.sft.batch_size, "demonstrations"),
        "preference": ("preference.prompts_per_step", spec.preference.prompts_per_step, "prompts"),
        "rl": ("rl.prompts_per_step", spec.rl.prompts_per_step, "prompts"),
    }
    for method in spec.methods:
        if method in steps:
            name, rows, what = steps[method]
            _check_rows(name, rows, f"{what} in a step", count)


def _check_rows(where: str, rows: int, what: str, count: int) -> None:
    if rows < count:
        raise InputError(
            f"{where}: {rows} {what} are fewer than the {count} processes that were started, so that some "
            f"would have nothing to do; start {rows} at most, or give more"
        )


def _say_alone(progress: Progress) -> None:
    """`accelerate launch --num_processes N` starts one process on a machine without cards, with --cpu or
    without, and sets these for it."""
    of_launch = "ACCELERATE_USE_CPU" in os.environ and "MASTER_ADDR" in os.environ
    if of_launch and "RANK" not in os.environ:
        progress.note(
            "accelerate launch has started one process, whatever --num_processes says: it does so on a "
            "processor; for several there use torchrun --nproc_per_node N, or add --multi_gpu in place of "
            "--cpu"
        )
