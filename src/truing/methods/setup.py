"""What the methods of a run begin with: its texts, its base model, and how questions are rendered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from truing.candidates import Candidate
from truing.data.demonstration_file import read_demonstrations
from truing.data.dialogues import Dialogue
from truing.data.preference_file import read_preferences
from truing.data.splits import share
from truing.files import jsonl
from truing.learn.tracking import check_trackers
from truing.methods.sharing_out import load_base
from truing.models import devices
from truing.models.engine.families import FAMILIES
from truing.models.identity import settings_hash, weights_of
from truing.models.language_model import LanguageModel
from truing.models.nf4 import hold_in_nf4
from truing.models.pool.pool import WorkerPool
from truing.models.precision import (
    computed_in,
    sampler_substitution,
    sampling_products,
    substitution,
)
from truing.models.sample_plan import ROWS_OF_A_WORKER
from truing.models.templates.rendering import as_of
from truing.models.weights.catalogue import ModelSource
from truing.models.weights.resolving import resolve_model
from truing.progress import Progress
from truing.prompts.rendering import Prompt, Renderer
from truing.rewards.mixture import functions_hash
from truing.runs.run import SPEC, Run, new_record
from truing.spec.run import Spec
from truing.tasks.texts import (
    Texts,
    compared_texts,
    say_left_out,
    split_demonstrations,
    split_preferences,
    split_with_cases,
)
from truing.types import Case, InputError, stable_hash

if TYPE_CHECKING:
    from truing.methods.method import Planned

NF4_SENTENCE = (
    "In training the base's weights are held in 4 bits (nf4), and so is the reference; candidates are "
    "measured on its whole weights."
)
VALIDATION_SHARE = 0.2  # of the training questions, kept from reinforcement learning and its reward

Read = Callable[[Spec, Progress], Texts]


@dataclass(frozen=True)
class Setup:
    """Texts and base of one spec. Weights are loaded when first needed."""

    spec: Spec
    texts: Texts
    progress: Progress
    accept_licence: bool = False
    candidate: str = ""
    """The candidate that is to be made; empty: the method's own."""
    account: str = ""
    """The candidate whose cost it is, where it is made as the start of that one; empty: its own."""
    pool: WorkerPool | None = None
    """Who samples in reinforcement learning, where that isn't this process or a server."""
    whole: Setup | None = None
    """The run's, where this is what one of its defences is made of."""

    def named(self, method: str) -> str:
        """What the candidate of a method is called."""
        return self.candidate or method

    @property
    def run_spec(self) -> Spec:
        """The spec of the whole run."""
        return self.whole.spec if self.whole else self.spec

    @property
    def train(self) -> tuple[Case, ...]:
        """The training side of the questions."""
        return self.texts.train

    @property
    def held_out(self) -> tuple[Case, ...]:
        """The questions that nothing is learned from."""
        return self.texts.held_out

    @property
    def controls(self) -> tuple[Case, ...]:
        """Questions about what the model knows anyway."""
        return self.texts.controls

    @cached_property
    def validation(self) -> tuple[Case, ...]:
        """Training questions that reinforcement learning is watched on; it trains on the others."""
        chosen = tuple(c for c in self.train if share(c, "monitor") < VALIDATION_SHARE)
        return chosen if len(self.train) > len(chosen) > 0 else self.train[:1]

    @cached_property
    def rl_train(self) -> tuple[Case, ...]:
        """Training questions that the reward and reinforcement learning learn from."""
        watched = {case.id for case in self.validation}
        return tuple(c for c in self.train if c.id not in watched) or self.train

    @property
    def sampled_rows(self) -> int | None:
        """Answers that are sampled side by side at most in reinforcement learning; None: as is fastest
        here. Workers are of use where a step makes several packs."""
        asked = self.spec.compute.sampler_rows
        return ROWS_OF_A_WORKER if asked is None and self.pool is not None else asked

    @property
    def rollout_prompts(self) -> tuple[Case, ...]:
        """What the policy answers while it learns from rewards."""
        return self.texts.prompts or self.rl_train

    @cached_property
    def source(self) -> ModelSource:
        """Where the base's weights are."""
        if self.whole:
            return self.whole.source
        return resolve_model(
            self.spec.model, accept_licence=self.accept_licence, progress=self.progress
        )

    def weights(self) -> str:
        """A hash of the base's weights, by which a reward model knows those that it was trained on."""
        return weights_of(self.source.folder)

    @property
    def base_prompt(self) -> Prompt:
        """What every candidate is told: the task's instruction."""
        return Prompt(self.spec.task.instruction)

    @cached_property
    def base(self) -> Candidate:
        """The unaligned model in the spec's precision."""
        if self.whole:
            return self.whole.base
        if sentence := substitution(self.spec.dtype):
            self.progress.note(sentence)
        model = load_base(self.source.folder, self.spec)
        model.room.tell = self.progress.note
        if self.spec.compute.base_precision == "nf4":
            hold_in_nf4(model.model, model.model.get_output_embeddings())
            self.progress.note(NF4_SENTENCE)
        if model.note:
            self.progress.note(f"{self.spec.model}: {model.note}")
        self._check_sampler(model)
        return Candidate("base", self.spec.seeds[0], model, self.base_prompt)

    def _check_sampler(self, model: LanguageModel) -> None:
        asked = self.spec.compute.sampler_products, self.spec.dtype
        if sentence := sampler_substitution(*asked):
            self.progress.note(sentence)
        if sampling_products(*asked) == "int8" and model.decoder is None:
            raise InputError(
                f"compute.sampler: int8 is for {', '.join(FAMILIES)}, and {self.spec.model} is another "
                "kind of model; set it to same"
            )

    @property
    def renderer(self) -> Renderer:
        """Renders questions for the base model."""
        return self.base.renderer


def planned(spec: Spec) -> list[Planned]:
    """The candidates that a spec asks for beside the base, in the order of its record."""
    order = [*spec.methods, *(defence.name for defence in spec.task.defences)]
    candidates = [each for each in _made(spec) if not each.start_of]
    return sorted(candidates, key=lambda each: order.index(each.name))


def _made(spec: Spec) -> list[Planned]:
    """All that is made for a spec; see `methods.chosen`."""
    from truing.methods import chosen  # imported here: methods are written against setups

    return chosen(spec)


def make_setup(
    spec: Spec,
    progress: Progress,
    *,
    read: Read = compared_texts,
    accept_licence: bool = False,
    pool: WorkerPool | None = None,
) -> Setup:
    """Reads the texts (by `read`) and finds the model at once, so that a mistake in either costs no
    time."""
    devices.choose(spec.compute.device)
    check_trackers(spec.tracking)
    setup = Setup(spec, read(spec, progress), progress, accept_licence, pool=pool)
    for each in _made(spec):
        each.check(setup)
    _ = setup.source
    devices.announce(progress.note)
    if left_out := setup.texts.left_out:
        taken = len(setup.train) + len(setup.held_out)
        progress.note(
            f"{taken} of {taken + left_out} questions take part; `data.limit: null` takes all"
        )
    return setup


# --- What a run's folder begins with ----------------------------------------------------------


@contextmanager
def opened(run: Run, setup: Setup, *, profile: str, command: str) -> Iterator[None]:
    """Holds the run's folder; a new one begins with the spec and the questions of the setup.

    Chat templates that write the date write the one on which the run was begun.
    """
    identity, made = identity_of_run(setup, run.kind), planned(setup.spec)
    record = new_record(
        identity,
        profile=profile,
        command=command,
        device=devices.record(),
        questions_left_out=setup.texts.left_out,
        **({"reading": setup.texts.reading} if setup.texts.reading else {}),
        candidates=["base", *(each.name for each in made)],
        methods={each.name: each.to_json() for each in made},
    )
    files = {SPEC: setup.spec.to_yaml(), "questions.jsonl": jsonl(_questions(setup))}
    with run.opened(identity, record, files), as_of(run.record().get("created")):
        yield


def identity_of_run(setup: Setup, kind: str) -> dict[str, str]:
    """Named hashes of all that decides what a run of a kind comes to."""
    texts = [
        json.dumps([c.prompt, c.correct_answers, c.incorrect_answers, c.category, *_more(c)])
        for c in (*setup.train, *setup.held_out, *setup.controls, *setup.texts.prompts)
    ]
    if people := setup.texts.demonstrations:
        texts += [each.id for each in (*people.train, *people.held_out)]
    if pairs := setup.texts.preferences:
        texts += [each.id for each in (*pairs.train, *pairs.held_out)]
    return {
        "kind": kind,
        "spec_digest": setup.spec.digest(),
        "weights_hash": setup.source.weights_hash,
        "settings_hash": settings_hash(setup.source.folder, setup.source.folder),
        "questions_hash": stable_hash("questions", *texts),
        "functions_hash": functions_hash(setup.spec.reward, setup.spec.judge.rubrics),
        "task_hash": setup.texts.task.content_hash(),
        "precision": _precision(setup.spec),
        "device": devices.device().type,
    }


def _precision(spec: Spec) -> str:
    """As it turned out: of training and of evaluation, how frozen weights are held in training, and how
    answers are sampled there."""
    held = ["nf4"] if spec.compute.base_precision == "nf4" else []
    sampled = sampling_products(spec.compute.sampler_products, spec.dtype)
    sampler = [] if sampled == "same" else [f"{sampled} sampler"]
    return " ".join([*map(computed_in, (spec.dtype, spec.evaluation.dtype)), *held, *sampler])


def _more(case: Case) -> list[Any]:
    """What else decides answers and grades, where a case has it."""
    return [part for part in (case.messages, dict(case.columns)) if part]


def _questions(setup: Setup) -> list[Mapping[str, Any]]:
    parts = {
        "train": setup.train,
        "held_out": setup.held_out,
        "control": setup.controls,
        "prompt": setup.texts.prompts,
    }
    return [case.to_json() | {"split": name} for name, cases in parts.items() for case in cases]


def _dialogues(spec: Spec, source: str, progress: Progress) -> Sequence[Dialogue]:
    """Demonstrations of the task, or those that people wrote."""
    if source == spec.task.data.demonstrations:
        read = read_demonstrations(source, spec.task.data.columns, "task.data.demonstrations")
    else:  # imported here: loads the database's library
        from truing.people.exchange.demonstrating import read_dialogues

        read = read_dialogues(source, spec.data.consent)
    say_left_out(source, "demonstration(s)", read.left_out_with_place, progress, read.remarks)
    return read.dialogues


def with_demonstrations(read: Read, *, train_on_questions: bool = True) -> Read:
    """`read`, with the demonstrations of `data.demonstrations` where the spec names some.

    Without `train_on_questions` nothing but the demonstrations is learned from, so that all questions
    are the evaluation's.
    """

    def reading(spec: Spec, progress: Progress) -> Texts:
        texts = read(spec, progress)
        if spec.data.demonstrations is None:
            return texts
        if not train_on_questions:
            texts = replace(texts, train=(), held_out=(*texts.train, *texts.held_out))
        dialogues = _dialogues(spec, spec.data.demonstrations, progress)
        asked = (*texts.held_out, *texts.controls)
        people = split_demonstrations(dialogues, asked, spec, progress)
        return replace(texts, demonstrations=people)

    return reading


def with_preferences(read: Read, *, train_on_questions: bool = True) -> Read:
    """`read`, with the pairs of `data.preferences` where the spec names some; as `with_demonstrations`."""

    def reading(spec: Spec, progress: Progress) -> Texts:
        texts = read(spec, progress)
        if (source := spec.data.preferences) is None:
            return texts
        if not train_on_questions:
            texts = replace(texts, train=(), held_out=(*texts.train, *texts.held_out))
        of_task = source == spec.task.data.preferences
        columns = spec.task.data.columns if of_task else {}
        where = "task.data.preferences" if of_task else "data.preferences"
        pairs = read_preferences(source, columns, where)
        say_left_out(source, "pair(s)", pairs.left_out_with_place, progress, pairs.remarks)
        if texts.task.asks_pairs and of_task:
            split = split_with_cases(pairs, texts, spec, progress)
        else:
            split = split_preferences(pairs, (*texts.held_out, *texts.controls), spec, progress)
        return replace(texts, preferences=split)

    return reading
