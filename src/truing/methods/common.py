"""What methods share: saving a candidate, a policy, a checkpoint, a progress bar, the bill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from truing.candidates import save_candidate
from truing.files import write_jsonl_atomically
from truing.learn.checkpoint import Checkpoint
from truing.learn.loop import LogRow
from truing.learn.tracking import Training, tracking_of
from truing.learn.tracking.tracking import Tracking
from truing.methods.model_card import BASE, Made, model_card
from truing.methods.setup import Setup
from truing.models.engine.sharding import shards_of
from truing.models.language_model import LanguageModel
from truing.models.precision import computed_in, sampling_products
from truing.models.weights.resolving import portable_name
from truing.policies.language import LanguagePolicy
from truing.progress import Progress
from truing.runs import folder
from truing.runs.costs import Cost
from truing.runs.folder import HELD_OUT
from truing.runs.ranks import Ranks
from truing.runs.run import Run
from truing.spec.run import AdapterSpec, Spec
from truing.terminal.text import shortly
from truing.types import Row, stable_hash

_PROMPT, _ANSWER = 60, 200
"""Characters of a sample that are shown."""


def candidate_folder(run: Run, setup: Setup, name: str, seed: int) -> Path:
    """See runs.folder."""
    return folder.candidate_folder(run.folder, name, seed, setup.spec.seeds[0])


def save(run: Run, setup: Setup, made: Made) -> None:
    """Writes a candidate folder of this run, with its model card. Of several processes the first does.

    What is made as the start of another candidate is none of the run's, and isn't saved.
    """
    if setup.account or not run.ranks.leads:
        return
    record = {
        "name": made.name,
        "seed": made.seed,
        "model": setup.spec.model,
        "weights_hash": setup.source.weights_hash,
        "spec_digest": run.spec_digest,
        **made.facts,
        **made.record,
    }
    save_candidate(
        candidate_folder(run, setup, made.name, made.seed),
        base=setup.source.folder,
        model=setup.base.model,
        prompt=made.prompt,
        policy=made.policy,
        base_name=portable_name(setup.source.name),
        link=setup.source.kind == "catalogue",
        record=record,
        files=made.files,
        card=model_card(setup, made),
    )


def keep_base(run: Run, setup: Setup) -> None:
    """Saves the base as a candidate and notes what it is."""
    save(run, setup, Made("base", setup.spec.seeds[0], setup.base_prompt, BASE))
    model = setup.base.model.model
    run.note(
        model={
            "name": setup.spec.model,
            "weights_hash": setup.source.weights_hash,
            "licence": setup.source.licence,
            "parameters": sum(p.numel() for p in model.parameters()),
            "chat_template": setup.renderer.chat,
            "precision": computed_in(setup.spec.dtype),
        },
        data={
            "questions": setup.spec.data.questions,
            "train": len(setup.train),
            "held_out": len(setup.held_out),
            "controls": len(setup.controls),
        },
    )


def new_policy(
    setup: Setup, adapter: AdapterSpec, seed: int, temperature: float = 1.0
) -> LanguagePolicy:
    """A policy that starts from the base. Full weights are trained from their float32 values."""
    shared_out = bool(shards_of(setup.base.model.model))

    def made() -> LanguagePolicy:
        start = setup.base.model
        if adapter.kind == "full" and (shared_out or computed_in(setup.spec.dtype) != "float32"):
            start = LanguageModel.load(setup.source.folder, "float32", to_share_out=shared_out)
        return LanguagePolicy(
            setup.base.model,
            start,
            adapter,
            setup.spec.dtype,
            seed,
            temperature,
            setup.spec.compute.checkpointing,
            sampling_products(setup.spec.compute.sampler_products, setup.spec.dtype),
        )

    policy = Ranks().in_turn(made) if shared_out else made()
    policy.sampler.most_rows = setup.sampled_rows
    if names := policy.not_adapted:
        setup.progress.note(f"The adapter leaves as they are: {', '.join(names)}")
    return policy


def checkpoint_of(run: Run, setup: Setup, method: str, seed: int) -> Checkpoint:
    """Where a training's state and log are kept, and who is shown it."""
    name = f"{method}-seed{seed}"
    logs = run.folder / "logs"
    return Checkpoint(
        run.folder / "state" / name,
        logs / f"{name}.jsonl",
        identity=run.spec_digest,
        tracking=tracking_in(run, setup.run_spec, name),
        after_save=run.after_checkpoint,
    )


def tracking_in(run: Run, spec: Spec, name: str) -> Tracking | None:
    """Who is shown a training of a run, as its spec says; None where nobody is."""
    asked, begun = spec.tracking, str(run.record().get("created"))
    training = Training(
        id=stable_hash("tracking", run.spec_digest, begun, name)[:16],
        name=name,
        group=run.folder.resolve().name,
        project=asked.project,
        folder=run.folder / "logs",
        config=spec.model_dump(mode="json"),
        online=asked.online,
    )
    return tracking_of(asked, training, run.progress.note)


@contextmanager
def show_progress(
    progress: Progress,
    what: str,
    steps: int,
    logged_keys: Mapping[str, str],
    checkpoint: Checkpoint,
) -> Iterator[Callable[[int, LogRow], bool]]:
    """A bar over the steps, from where the checkpoint is, and the trackers told when it ends; adds the
    step's processor seconds.

    `logged_keys` maps the figures of a row that stand behind the bar to their names there.
    """
    with progress.task(what, steps) as advance, checkpoint.tracked():
        advance(checkpoint.saved_step)
        spent = time.process_time()

        def after_step(step: int, row: LogRow) -> bool:
            nonlocal spent
            row["cpu_seconds"] = time.process_time() - spent
            spent = time.process_time()
            figures = [
                f"{name} {row[key]:.3g}"
                for key, name in logged_keys.items()
                if row.get(key) is not None
            ]
            advance(step, ", ".join(figures))
            return True

        yield after_step


def say_constant_reward(
    progress: Progress, step: int, row: LogRow, earlier: Sequence[LogRow]
) -> None:
    """Warns, the first time in a training, that a reward told no answer from another."""
    if "constant_reward" in row and not any("constant_reward" in other for other in earlier):
        progress.note(
            f"  step {step}: all answers got the same reward ({row['constant_reward']:.2f}), so it says "
            "nothing about which is better; the report counts such steps"
        )


def say_samples(progress: Progress, step: int, row: LogRow) -> None:
    """Shows the answers in a row of the log, each in one line; says so where none has a score."""
    if reason := row.get("unscored_because"):
        progress.note(f"  step {step}: no answer has a score, so nothing is learned ({reason})")
    for sample in row.get("samples", ()):
        prompt, answer = (" ".join(str(sample[key]).split()) for key in ("prompt", "answer"))
        reward = "unscored" if sample["reward"] is None else f"{sample['reward']:.2f}"
        shown = shortly(answer, _ANSWER) or "(empty)"
        progress.note(f"  step {step} [{reward}] {shortly(prompt, _PROMPT)} -> {shown}")


def write_held_out(
    run: Run, name: str, seed: int, figures: Mapping[str, Mapping[str, float]]
) -> None:
    """Keeps a candidate's figures on what it did not learn from, by case. Of several processes the first
    does."""
    if not run.ranks.leads or not figures:
        return
    rows = [Row(name, seed, HELD_OUT, case, dict(of)) for case, of in figures.items()]
    path = run.folder / HELD_OUT / f"{name}-seed{seed}.jsonl"
    write_jsonl_atomically(path, [row.to_json() for row in rows])


def trained_cost(cost: Cost, checkpoint: Checkpoint) -> None:
    """Adds what the log knows. Steps taken before an interruption count as well."""
    cost.tokens_trained = sum(int(row.get("tokens", 0)) for row in checkpoint.rows)
    resumed_at = checkpoint.restored_rows
    earlier = checkpoint.times[:resumed_at]
    cost.cpu_seconds += sum(row.get("cpu_seconds", 0.0) for row in earlier)
    cost.wall_seconds += sum(row.get("seconds", 0.0) for row in earlier)
