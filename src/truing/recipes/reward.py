"""`truing train reward`: a reward model from people's comparisons, rankings and ratings.

Reading the answers with the spec's model takes minutes, once: their vectors stay in the user's cache, so
that an interrupted training goes on and another one begins where this ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from truing.candidates import open_candidate
from truing.data.contamination import Contamination
from truing.files import write_text_atomically
from truing.learn.checkpoint import Checkpoint
from truing.learn.reward_adapter import AdapterTraining
from truing.learn.tracking import check_trackers
from truing.methods.common import show_progress, tracking_in, trained_cost
from truing.models import devices
from truing.models.memo.features import FeatureStore
from truing.models.precision import numerics
from truing.progress import Progress
from truing.recipes.once import once
from truing.recipes.reward_page import lines, page
from truing.rewards.learned.adapter import RewardAdapter
from truing.rewards.learned.group_table import rule_of
from truing.rewards.learned.head import Rule
from truing.rewards.learned.judgements import Judgement, Judgements
from truing.rewards.learned.reader import StateReader, layers_of
from truing.rewards.learned.reading import read_judgements
from truing.rewards.learned.report import answers_of, chosen, counts, measured, tried
from truing.rewards.learned.sample import Said, Sample, readable
from truing.rewards.learned.saved import RewardModel, save
from truing.rewards.learned.sides import Sides, looked_through, split_judgements
from truing.rewards.learned.stated import with_groups
from truing.rewards.learned.training import (
    Learned,
    LearningSide,
    States,
    check_adapter,
    learned,
)
from truing.runs.costs import measured as costed
from truing.runs.run import Run, default_folder
from truing.spec.reward_model import RewardModelSpec
from truing.spec.run import Spec
from truing.tasks.texts import read_texts, say_left_out
from truing.types import stable_hash

LOGGED_KEYS = {"loss": "loss", "gradient_norm": "gradient", "tokens_per_second": "tokens/s"}
"""Figures behind the progress bar of an adapter's training, with their names there."""
LAST_STEPS = 5
"""Steps whose mean loss is said."""
RECORD, MODEL, PAGE = "reward_training.json", "reward_model", "reward.html"


@dataclass(frozen=True)
class TrainedReward:
    """A finished training: its folder, and what `truing train reward --json` prints."""

    folder: Path
    document: dict[str, Any]

    def lines(self) -> list[str]:
        """The same for a person."""
        return [*lines(self.document), f"Page: {self.folder / PAGE}"]


def train_reward(
    spec: Spec,
    out: Path | str | None,
    *,
    resume: bool,
    progress: Progress,
    command: str,
    accept_licence: bool = False,
) -> TrainedReward:
    """Trains the reward model of the spec's `reward_model`, in the folder `out`.

    A folder with an unfinished training is gone on with where `resume` is set and refused otherwise; a
    finished one is only read. Raises InputError where spec, judgements, model or folder are wrong, before
    anything is written.
    """
    section = spec.reward_model
    assert section is not None, "the caller has seen that it is there"
    devices.choose(spec.compute.device)
    check_trackers(spec.tracking)
    read, contamination = _judgements(spec, section, progress)
    reader = _reader(spec, section, progress, accept_licence)
    read = readable(read, reader.renderer, section.max_tokens)
    read = with_groups(read, section)
    say_left_out(read.source, "judgement(s)", read.left_out_with_place, progress, read.remarks)
    sides = split_judgements(read, section.held_out, section.held_out_people)
    train = Sample.of(sides.train, section.groups)
    check_adapter(train, section)
    usual = default_folder(spec)
    folder = Path(out) if out is not None else usual.with_name(f"reward-{usual.name}")
    run = Run(folder, progress, kind="train reward", record=RECORD)
    document = once(
        run,
        spec,
        _digest(spec, reader, read.judgements),
        lambda: _trained(run, spec, section, reader, read, sides, train, contamination),
        record=RECORD,
        resume=resume,
        command=command,
    )
    return TrainedReward(folder, document)


def _judgements(
    spec: Spec, section: RewardModelSpec, progress: Progress
) -> tuple[Judgements, Contamination]:
    """Those of the source, looked through for the task's questions, all of which are measured on."""
    texts = read_texts(spec, progress)
    read = read_judgements(section.judgements, section.consent)
    questions = (*texts.train, *texts.held_out, *texts.controls)
    read, found = looked_through(read, questions, dropped=spec.data.contaminated == "drop")
    progress.note(f"Contamination: {found.sentence()}")
    return read, found


def _digest(spec: Spec, reader: StateReader, judgements: Sequence[Judgement]) -> str:
    return stable_hash(
        "train reward",
        spec.digest(),
        reader.filed_under,
        *(part for each in judgements for part in _parts(each)),
        *([kind] if (kind := devices.device().type) != "cpu" else []),
    )


def _parts(judgement: Judgement) -> list[str]:
    groups = [text for pair in sorted(judgement.groups.items()) for text in pair]
    turns = [text for turn in judgement.messages for text in turn]
    said = [*map(str, judgement.ranks), str(judgement.rating)]
    return [*turns, *judgement.answers, *said, judgement.annotator, judgement.user, *groups]


def _trained(
    run: Run,
    spec: Spec,
    section: RewardModelSpec,
    reader: StateReader,
    read: Judgements,
    sides: Sides,
    train: Sample,
    contamination: Contamination,
) -> dict[str, Any]:
    """Reads, fits, measures and writes; returns what is said of it."""
    held_out = {name: Sample.of(part, section.groups) for name, part in sides.measured.items()}
    with costed() as cost:
        answers = answers_of([train, *held_out.values()])
        states: States = {
            layer: dict(zip(answers, reader(answers, layer), strict=True))
            for layer in reader.layers
        }
        with run.progress.task("Fitting the heads", total=section.tried(len(states))) as advance:
            found = learned(train, states, section, spec.seeds[0], lambda done: advance(done))
        frozen = adapted = None
        if section.adapter is not None:
            frozen = states, found
            asked = answers_of(list(held_out.values()))
            adapted = _with_adapter(run, spec, reader, train, asked, states, found)
            found, states = adapted.learned, adapted.states
            trained_cost(cost, adapted.checkpoint)
        with run.progress.task("Measuring on held-out judgements"):
            everyone = Sample.of(sides.held_out, section.groups)
            rule = rule_of(train, found, section)
            figures = measured(train, held_out, states, found, section, (everyone, rule), frozen)
        cost.labels = len(train)
    document = {
        **_about(run, spec, reader, read, sides, train),
        "contamination": contamination.to_json(),
        "chosen": {**chosen(found), **({"adapter": adapted.facts} if adapted else {})},
        "tried": tried(found),
        "combine": section.combine,
        "aggregate": section.aggregate,
        **figures,
        "costs": {"reward": cost.to_json(), "total": cost.to_json()},
    }
    facts = {key: document[key] for key in ("source", "learned_from", "chosen", "held_out")}
    model = _model(spec, rule, reader, found, facts)
    save(replace(model, adapter=adapted.adapter if adapted else None), run.folder / MODEL)
    write_text_atomically(run.folder / PAGE, page(document))
    return document


def _about(
    run: Run, spec: Spec, reader: StateReader, read: Judgements, sides: Sides, train: Sample
) -> dict[str, Any]:
    """What is known before anything is fitted: where it lies, and what it learns from."""
    return {
        "kind": "reward",
        "folder": str(run.folder),
        "reward_model": str(run.folder / MODEL),
        "model": spec.model,
        "spec_digest": spec.digest(),
        "weights": reader.weights,
        "source": read.source,
        "learned_from": counts(train),
        "left_out": dict(read.left_out),
        "of_held_out_people": sides.neither,
        "remarks": list(read.remarks),
    }


@dataclass(frozen=True)
class _Adapted:
    """An adapter with its head, scaled, and the states under it of all answers that nothing is learned
    from."""

    adapter: RewardAdapter
    learned: Learned
    states: States
    checkpoint: Checkpoint

    @property
    def facts(self) -> dict[str, Any]:
        """For the document."""
        last = self.checkpoint.rows[-LAST_STEPS:]
        loss = sum(row["loss"] for row in last) / len(last)
        return {"rank": self.adapter.rank, "steps": self.checkpoint.rows[-1]["step"], "loss": loss}


def _with_adapter(
    run: Run,
    spec: Spec,
    reader: StateReader,
    train: Sample,
    held_out: Sequence[Said],
    states: States,
    frozen: Learned,
) -> _Adapted:
    section, seed = spec.reward_model, spec.seeds[0]
    assert section is not None and section.adapter is not None, (
        "the caller has seen that it is there"
    )
    side = LearningSide.of(train, states, frozen, section)
    training = AdapterTraining(reader.renderer, train, side, frozen, section, seed)
    identity = stable_hash(spec.digest(), reader.weights)
    checkpoint = Checkpoint(
        run.folder / "state" / "reward",
        run.folder / "logs" / "reward.jsonl",
        identity=identity,
        tracking=tracking_in(run, spec, "reward"),
    )
    with show_progress(run.progress, "Adapter", training.steps, LOGGED_KEYS, checkpoint) as advance:
        made = training(checkpoint, advance)
    answers = sorted({*held_out, *side.left_out})
    under = reader.under(made.adapter, answers, frozen.layer)
    states = {frozen.layer: dict(zip(answers, under, strict=True))}
    return _Adapted(made.adapter, side.scaled(states, frozen, made.head), states, checkpoint)


def _model(
    spec: Spec, rule: Rule, reader: StateReader, found: Learned, facts: dict[str, Any]
) -> RewardModel:
    return RewardModel(found.heads, found.layer, spec.model, reader.weights, rule, facts)


def _reader(
    spec: Spec, section: RewardModelSpec, progress: Progress, accept_licence: bool
) -> StateReader:
    """The spec's model with what decides its states. Raises InputError where it lacks a layer."""
    candidate, identity = open_candidate(
        spec.model, 0, section.dtype, accept_licence=accept_licence
    )
    return StateReader(
        candidate.renderer,
        identity.weights,
        identity.hash,
        numerics(section.dtype),
        layers_of(candidate.model, section.layers),
        progress,
        FeatureStore(),
    )
