"""`truing train`: one thing trained by itself, without the comparison.

A training is a run folder like any other, with the stages it needs and no more; what it leaves is what
`truing align` would leave of the same thing. Only the choice of the step that reinforcement learning
keeps differs: no judge looks on here, so it is the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.files import read_json, read_jsonl
from truing.methods import METHODS, chosen
from truing.methods.common import candidate_folder
from truing.methods.graders import Graders
from truing.methods.prompt_search import check_search, found_prompt, search_lines
from truing.methods.reward import STAGE as REWARD_STAGE
from truing.methods.reward import fit_reward
from truing.methods.setup import (
    Read,
    Setup,
    make_setup,
    opened,
    with_demonstrations,
    with_preferences,
)
from truing.methods.sharing_out import shares_out
from truing.models.pool.pool import WorkerPool
from truing.progress import Progress, SilentProgress, StderrProgress
from truing.recipes.curve import learning_curve
from truing.recipes.judge import TrainedJudge, train_judge
from truing.recipes.launched import check_launch, check_setup
from truing.recipes.lengths import check_lengths
from truing.recipes.reward import TrainedReward, train_reward
from truing.recipes.training_page import PAGE, page_as_it_goes, write_training_page
from truing.rewards.mixture import needs_model, needs_pairs
from truing.runs.entries import is_file
from truing.runs.ranks import Ranks, check_alone
from truing.runs.run import Run, default_folder, now
from truing.spec.run import BASE_START, Spec
from truing.tasks.texts import prompts_alone, read_texts, training_texts
from truing.types import InputError, did_you_mean

REWARD = "reward"


@dataclass(frozen=True)
class Trained:
    """A finished training: its folder, and what `truing train --json` prints."""

    folder: Path
    document: dict[str, Any]

    def lines(self) -> list[str]:
        """The same for a person: a line for each thing that was trained."""
        text: list[str] = []
        if written := self.document["demonstrations"]:
            text.append(
                f"Demonstrations: {written['trained_on']} of {written['source']} trained on, "
                f"{written['measured_on']} held out"
            )
            text.append(f"Contamination: {written['contamination']['sentence']}")
        if pairs := self.document["preferences"]:
            text += _pairs_in_words(pairs)
        for name, agreement in (self.document["reward_model"] or {}).items():
            text.append(
                f"Truth probe, {name}: balanced accuracy {agreement['balanced_accuracy']:.3f} on "
                f"{agreement['n']} held-out labels"
            )
        if fit := self.document.get("pair_reward"):
            text.append(_pair_reward_in_words(fit))
        for candidate in self.document["candidates"]:
            if candidate["name"] == "prompt":
                text += search_lines(candidate)
                continue
            figures = ", ".join(f"{key} {value:.3g}" for key, value in candidate["last"].items())
            text.append(
                f"{candidate['name']}, seed {candidate['seed']}: {candidate['steps']} steps ({figures})"
            )
            if loss := candidate.get("held_out_loss"):
                text.append(f"Held-out loss: {_loss_in_words(candidate, loss)}")
            if accuracy := candidate.get("held_out_accuracy"):
                text.append(f"Held-out pairs: {_accuracy_in_words(candidate, accuracy)}")
            text.append(f"Candidate: {candidate['folder']}")
        if is_file(self.folder / PAGE):
            text.append(f"Page: {self.folder / PAGE}")
        return text


def _pairs_in_words(pairs: dict[str, Any]) -> list[str]:
    counts = f"{pairs['trained_on']} of {pairs['source']} trained on"
    text = [f"Pairs: {counts}, {pairs['measured_on']} held out"]
    if "contamination" in pairs:
        text.append(f"Contamination: {pairs['contamination']['sentence']}")
    return text


def _pair_reward_in_words(fit: dict[str, Any]) -> str:
    accuracy = fit["accuracy"]
    within = "" if accuracy["low"] is None else f" [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
    return (
        f"Reward model from {fit['pairs']} pair(s): prefers the better answer in "
        f"{accuracy['value']:.3f}{within} of the pairs of a prompt that it didn't see"
    )


def _accuracy_in_words(candidate: dict[str, Any], accuracy: dict[str, Any]) -> str:
    if accuracy["value"] is None:
        return "none, so that nothing is known of others than those that were learned from"
    within = "" if accuracy["low"] is None else f" [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
    longer = candidate["held_out_longer_chosen"]["value"]
    return (
        f"the chosen answer gained more than the other in {accuracy['value']:.3f}{within} over "
        f"{accuracy['n']} prompt(s); the longer one was chosen in {longer:.3f}"
    )


def _loss_in_words(candidate: dict[str, Any], loss: dict[str, Any]) -> str:
    if loss["value"] is None:
        return "unknown, because no demonstration could be held out"
    before, gap = candidate["base_held_out_loss"], candidate["held_out_loss_difference"]
    within = "" if gap["low"] is None else f" [{gap['low']:+.3f}, {gap['high']:+.3f}]"
    return (
        f"{loss['value']:.3f} nats per token, the base {before['value']:.3f}; "
        f"difference {gap['value']:+.3f}{within} (prompts or users: {gap['n']})"
    )


def train(
    spec: Spec,
    kind: str,
    out: Path | str | None = None,
    *,
    resume: bool = False,
    command: str = "truing train",
    accept_licence: bool = False,
    pool: WorkerPool | None = None,
) -> Trained | TrainedJudge | TrainedReward:
    """Trains whatever `kind` names: see `train_one`, `train_reward` for a reward model from judgements, and
    `train_judge` for judges of free answers."""
    if pool is not None and kind != "rl":
        raise InputError(
            f"--workers: sample for 'train rl', and 'train {kind}' samples nothing; leave it out"
        )
    if kind != "sft" and spec.sft.curve:
        raise InputError(f"sft.curve: 'train {kind}' draws none; give it to 'train sft'")
    if kind == "judge" or (kind == REWARD and spec.reward_model is not None):
        check_alone(f"train {kind}")
        apart: Callable[..., TrainedJudge | TrainedReward]
        apart = train_judge if kind == "judge" else train_reward
        return apart(
            spec,
            out,
            resume=resume,
            progress=StderrProgress(),
            command=command,
            accept_licence=accept_licence,
        )
    return train_one(
        spec, kind, out, resume=resume, command=command, accept_licence=accept_licence, pool=pool
    )


def train_one(
    spec: Spec,
    kind: str,
    out: Path | str | None = None,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    command: str = "truing train",
    accept_licence: bool = False,
    pool: WorkerPool | None = None,
) -> Trained:
    """Trains `kind` (a method, or the truth probe) as the spec says, in the folder `out`. With a `pool` its
    workers sample for reinforcement learning.

    A folder with an unfinished training is gone on with where `resume` is set and refused otherwise;
    a finished one is only read. Of several processes (see learn.ranks), all call this alike. Raises
    InputError where spec, texts, reward, model or folder are wrong, before anything is written.
    """
    if kind not in (*METHODS, REWARD):
        known = (*METHODS, REWARD, "judge")
        hint = did_you_mean(kind, known)
        raise InputError(f"train: {kind!r} can't be trained; {hint}give {', '.join(known)}")
    if pool is not None:
        check_alone("train rl --workers")
    if kind not in ("sft", "preference", "rl"):
        check_alone(f"train {kind}")
    spec = _narrowed(spec, kind)
    if kind == "prompt":
        check_search(spec)
    folder = Path(out) if out is not None else _folder(spec, kind)
    ranks = Ranks()
    progress = progress or (StderrProgress() if ranks.leads else SilentProgress())
    run = ranks.together(lambda: Run(folder, progress, kind=f"train {kind}", ranks=ranks))
    shared_out = ranks.together(lambda: shares_out(spec.compute))
    check_launch(spec, kind, ranks, progress)
    if shared_out:
        ranks.lend_weights()
    read = _texts_for(spec, kind)
    setup = ranks.together(
        lambda: make_setup(spec, progress, read=read, accept_licence=accept_licence, pool=pool)
    )
    check_setup(setup, kind, ranks)
    begun = ranks.from_first(lambda: run.is_begun)
    if shared_out:
        _ = setup.base  # all of them hold a part of it, also where the first alone computes
    if not begun:
        ranks.from_first(lambda: check_lengths(run, setup))
        if resume:
            run.progress.note(f"{folder} holds nothing to resume; beginning")
    with opened(run, setup, profile="default", command=command):
        if ranks.from_first(lambda: bool(run.record().get("finished"))):
            run.progress.note(f"{folder} is finished; another folder for --out would begin anew")
        elif begun and not resume:
            raise InputError(
                f"{folder}: holds an unfinished training; add --resume to go on with it, or give "
                "another folder for --out"
            )
        else:
            if ranks.leads:
                run.after_checkpoint = page_as_it_goes(folder)
            _stages(run, setup, kind)
            run.note(finished=now(), costs=run.costs())
            if pool is not None:
                run.note(pool=pool.record())
            ranks.from_first(lambda: write_training_page(folder))
        return Trained(folder, ranks.from_first(lambda: _document(run, setup, kind)))


def _narrowed(spec: Spec, kind: str) -> Spec:
    """The spec with the methods that this training takes. Checked anew."""
    if kind == REWARD and not _fits(spec):
        raise InputError(
            "reward.parts: has neither truth_probe nor a reward_model from pairs, so there is nothing to "
            "fit; a reward model learns from reward_model.judgements"
        )
    if kind != "rl" and spec.data.prompts is not None:
        raise InputError(f"data.prompts: prompts have no answers, which 'train {kind}' learns from")
    methods = [] if kind == REWARD else [kind]
    if start := _start(spec, kind):
        methods = [start, "rl"]
    task = {**spec.task.model_dump(), "defences": []}  # they belong to a comparison
    return Spec.model_validate({**spec.model_dump(), "methods": methods, "task": task})


def _folder(spec: Spec, kind: str) -> Path:
    usual = default_folder(spec)
    return usual.with_name(f"{kind}-{usual.name}")


def _texts_for(spec: Spec, kind: str) -> Read:
    """Who reads the texts: questions aren't needed where prompts and programs are enough."""
    if kind == "sft":
        return with_demonstrations(read_texts, train_on_questions=False)
    if kind == "preference":
        return with_preferences(read_texts, train_on_questions=False)
    start = _start(spec, kind)
    read: Read = read_texts
    if spec.data.prompts is not None:
        read = training_texts if _fits(spec) or start else prompts_alone
    if start == "preference" or needs_pairs(spec.reward):
        read = with_preferences(read)
    return with_demonstrations(read) if start == "sft" else read


def _fits(spec: Spec) -> bool:
    """Whether something of the reward is fitted first."""
    return needs_model(spec.reward) or needs_pairs(spec.reward)


def _start(spec: Spec, kind: str) -> str:
    """The method that reinforcement learning goes on from and that is trained first; empty: none."""
    begins = spec.rl.start if kind == "rl" else None
    return "" if begins in (None, BASE_START) else str(begins)


def _stages(run: Run, setup: Setup, kind: str) -> None:
    """Everything, in order. Each stage is skipped where it is already done."""
    spec, methods = setup.spec, chosen(setup.spec)
    followed = any(method.trained_on_reward for method in methods)
    fits_reward = kind == REWARD or (followed and _fits(spec))
    makes = [f"{method.name}-seed{seed}" for seed in spec.seeds for method in methods]
    run.plan([*([REWARD_STAGE] if fits_reward else []), *makes])
    if fits_reward:
        fit_reward(run, setup, account=REWARD)
    graders = Graders(setup, run.folder)
    if kind == "sft" and spec.sft.curve:
        learning_curve(run, setup)
        return
    for seed in spec.seeds:
        for method in methods:
            method.make(run, setup, graders, seed)


def _document(run: Run, setup: Setup, kind: str) -> dict[str, Any]:
    record = run.record()
    curve = read_json(run.folder / "curve.json") if kind == "sft" and setup.spec.sft.curve else None
    names = [f"sft-{point['n']}" for point in curve["points"]] if curve else setup.spec.methods
    return {
        "kind": kind,
        "folder": str(run.folder),
        "model": setup.spec.model,
        "spec_digest": setup.spec.digest(),
        "reward_model": record.get("reward_model"),
        "demonstrations": record.get("demonstrations"),
        "preferences": record.get("preferences"),
        "candidates": [
            _candidate(run, setup, name, seed) for seed in setup.spec.seeds for name in names
        ],
        **({"curve": curve} if curve else {}),
        **({"pair_reward": fit} if (fit := record.get("pair_reward")) else {}),
        "costs": record["costs"],
        "page": str(run.folder / PAGE),
    }


def _candidate(run: Run, setup: Setup, name: str, seed: int) -> dict[str, Any]:
    """What became of one candidate: where it is, how many steps, and the last step's figures."""
    if name == "prompt":
        return found_prompt(run, setup, seed)
    log = run.folder / "logs" / f"{name}-seed{seed}.jsonl"
    last = read_jsonl(log)[-1]
    keys = METHODS[name.split("-")[0]].logged_keys  # a point of a learning curve is called sft-100
    held_out = run.record().get(f"{name}_held_out", {}).get(f"seed{seed}", {})
    return {
        "name": name,
        "seed": seed,
        "folder": str(candidate_folder(run, setup, name, seed)),
        "log": str(log),
        "steps": last["step"],
        "stop": last.get("stop"),
        "last": {key: last[key] for key in ("loss", *keys) if last.get(key) is not None},
        **held_out,
    }


__all__ = ["Trained", "train", "train_one"]
