"""What methods share: saving a candidate, a policy, a checkpoint, a progress bar, the bill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from truing.candidates import save_candidate
from truing.learn.checkpoint import Checkpoint
from truing.learn.loop import LogRow
from truing.methods.model_card import model_card
from truing.methods.setup import Workshop
from truing.models.language_model import LanguageModel
from truing.models.precision import computed_in
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Prompt
from truing.runs.costs import Cost
from truing.spec.run import AdapterSpec


def save(
    shop: Workshop,
    name: str,
    seed: int,
    prompt: Prompt,
    policy: LanguagePolicy | None,
    facts: dict[str, Any],
) -> None:
    """Writes a candidate folder of this run, with its model card. Of several processes the first does."""
    if not shop.ranks.leads:
        return
    record = {
        "name": name,
        "seed": seed,
        "model": shop.spec.model,
        "weights_hash": shop.source.weights_hash,
        "spec_digest": shop.spec.digest(),
        **facts,
    }
    save_candidate(
        shop.candidate_folder(name, seed),
        base=shop.source.folder,
        model=shop.base.model,
        prompt=prompt,
        policy=policy,
        link=shop.source.kind == "catalogue",
        record=record,
        card=model_card(shop, name, seed, prompt, facts),
    )


def keep_base(shop: Workshop) -> None:
    """Saves the base as a candidate and notes what it is."""
    save(shop, "base", shop.spec.seeds[0], shop.base_prompt, None, {})
    model = shop.base.model.model
    shop.note(
        model={
            "name": shop.spec.model,
            "weights_hash": shop.source.weights_hash,
            "licence": shop.source.licence,
            "parameters": sum(p.numel() for p in model.parameters()),
            "chat_template": shop.renderer.chat,
            "precision": computed_in(shop.spec.dtype),
        },
        data={
            "questions": shop.spec.data.questions,
            "train": len(shop.train),
            "held_out": len(shop.held_out),
            "controls": len(shop.controls),
        },
    )


def new_policy(
    shop: Workshop, adapter: AdapterSpec, seed: int, temperature: float = 1.0
) -> LanguagePolicy:
    """A policy that starts from the base. Full weights are trained from their float32 values."""
    start = shop.base.model
    if adapter.kind == "full" and computed_in(shop.spec.dtype) != "float32":
        start = LanguageModel.load(shop.source.folder, "float32")
    return LanguagePolicy(shop.base.model, start, adapter, shop.spec.dtype, seed, temperature)


def checkpoint_of(shop: Workshop, way: str, seed: int) -> Checkpoint:
    """Where a training's state and log are kept."""
    name = f"{way}-seed{seed}"
    logs = shop.folder / "logs"
    return Checkpoint(
        shop.folder / "state" / name,
        logs / f"{name}.jsonl",
        identity=shop.spec.digest(),
        events=logs / "tensorboard" / name,
    )


@contextmanager
def show_progress(
    shop: Workshop, what: str, steps: int, shown: Mapping[str, str]
) -> Iterator[Callable[[int, LogRow], bool]]:
    """A bar over the steps; adds the step's processor seconds. `shown` maps the figures of a row that
    stand behind the bar to their names there."""
    with shop.progress.task(what, steps) as advance:
        spent = time.process_time()

        def after_step(step: int, row: LogRow) -> bool:
            nonlocal spent
            row["cpu_seconds"] = time.process_time() - spent
            spent = time.process_time()
            figures = [
                f"{name} {row[key]:.3g}" for key, name in shown.items() if row.get(key) is not None
            ]
            advance(step, ", ".join(figures))
            return True

        yield after_step


def say_samples(shop: Workshop, step: int, row: LogRow) -> None:
    """Shows the answers in a row of the log, each in one line; says so where none has a score."""
    if reason := row.get("unscored_because"):
        shop.progress.note(
            f"  step {step}: no answer has a score, so nothing is learned ({reason})"
        )
    for sample in row.get("samples", ()):
        prompt, answer = (" ".join(str(sample[key]).split()) for key in ("prompt", "answer"))
        reward = "unscored" if sample["reward"] is None else f"{sample['reward']:.2f}"
        shop.progress.note(
            f"  step {step} [{reward}] {prompt[-60:]} -> {answer[:200] or '(empty)'}"
        )


def trained_cost(cost: Cost, checkpoint: Checkpoint) -> None:
    """Adds what the log knows. Steps taken before an interruption count as well."""
    cost.tokens_trained = sum(int(row.get("tokens", 0)) for row in checkpoint.rows)
    resumed_at = checkpoint.restored_rows
    earlier = checkpoint.times[:resumed_at]
    cost.cpu_seconds += sum(row.get("cpu_seconds", 0.0) for row in earlier)
    cost.wall_seconds += sum(row.get("seconds", 0.0) for row in earlier)
