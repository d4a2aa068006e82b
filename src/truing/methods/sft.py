"""Supervised fine-tuning: show the model what people would answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from truing.data.dialogues import Dialogue, groups_of
from truing.learn import Distillation, Supervised
from truing.learn.loop import LogRow, Settings, train
from truing.learn.sources.demonstrations import Demonstrations
from truing.methods.common import (
    checkpoint_of,
    new_policy,
    save,
    show_progress,
    trained_cost,
    write_held_out,
)
from truing.methods.contrast import NEUTRAL, demonstrations_of, rules_of
from truing.methods.graders import Graders
from truing.methods.method import Method
from truing.methods.model_card import Made
from truing.methods.setup import Setup
from truing.models.language_model import LanguageModel
from truing.policies.language import LanguagePolicy, PromptCompletion, requests_of
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.spec.contrast import ContrastSpec
from truing.spec.methods import SftSpec
from truing.statistics.means import mean, paired_difference
from truing.types import Case, Estimate, InputError, stable_hash

LOGGED_KEYS = {"loss": "loss", "gradient_norm": "gradient", "tokens_per_second": "tokens/s"}
"""Figures behind the progress bar, with their names there."""


@dataclass(frozen=True)
class TokenizedDemonstration:
    """A demonstration as tokens, end token included; `group` is its prompt, and its user's others.

    `id` depends on the texts alone. With `reward` 0 its answer isn't learned, but held to what the base
    would answer.
    """

    id: str
    group: str
    action: PromptCompletion
    reward: float = 1.0


def tokenized_answers(setup: Setup, cases: Sequence[Case]) -> list[TokenizedDemonstration]:
    """(question, true answer) for every true answer of the questions."""
    renderer, prompt = setup.renderer, setup.base_prompt
    return [
        TokenizedDemonstration(
            stable_hash("answer", case.prompt, answer),
            case.id,
            PromptCompletion(tokens, tuple(renderer.answer_tokens(answer, end=True))),
        )
        for case in cases
        for tokens in [tuple(renderer.case_tokens(prompt, case))]
        for answer in case.correct_answers
    ]


def tokenized_dialogues(
    setup: Setup, dialogues: Sequence[Dialogue]
) -> list[TokenizedDemonstration]:
    """Demonstrations that people wrote; those above `sft.max_tokens` are left out, with a note.

    Raises InputError naming the place of a conversation that the chat template refuses.
    """
    most = min(setup.spec.sft.max_tokens, setup.base.model.context_length)
    tokenized: list[TokenizedDemonstration] = []
    for each, group in zip(dialogues, groups_of(dialogues), strict=True):
        try:
            turns = [{"role": role, "content": content} for role, content in each.messages]
            tokens = setup.renderer.conversation(setup.base_prompt, turns)
        except InputError as error:
            raise InputError(f"{each.source}: {error}") from None
        action = PromptCompletion(
            tuple(tokens), tuple(setup.renderer.answer_tokens(each.answer, end=True))
        )
        if len(action.prompt) + len(action.tokens) <= most:
            tokenized.append(TokenizedDemonstration(each.id, group, action))
    if left_out := len(dialogues) - len(tokenized):
        setup.progress.note(f"Left out: {left_out} demonstration(s) longer than {most} tokens")
    return tokenized


def tokenized_contrast(
    setup: Setup, contrast: ContrastSpec, seed: int
) -> list[TokenizedDemonstration]:
    """Right answers to attacks and their twins, and the base's own to neutral questions."""
    neutral_reward = 0.0 if contrast.kl_weight else 1.0
    return [
        TokenizedDemonstration(
            stable_hash("contrast", str(action)),
            group,
            action,
            neutral_reward if group.startswith(NEUTRAL) else 1.0,
        )
        for group, action in demonstrations_of(setup, contrast, seed)
    ]


def training_demonstrations(setup: Setup, seed: int) -> list[TokenizedDemonstration]:
    """What is learned from: contrast examples, people's demonstrations, or the training questions' true
    answers.

    Raises InputError where every demonstration is too long.
    """
    if (contrast := setup.spec.sft.contrast) is not None:
        return tokenized_contrast(setup, contrast, seed)
    if (people := setup.texts.demonstrations) is None:
        return tokenized_answers(setup, setup.train)
    tokenized = tokenized_dialogues(setup, people.train)
    if not tokenized:
        raise InputError(
            "data.demonstrations: every one of the training side is longer than sft.max_tokens "
            f"({setup.spec.sft.max_tokens}); raise it, or give shorter ones"
        )
    return tokenized


Losses = dict[str, float]
"""Nats per token by group of held-out demonstrations."""


def held_out_losses(model: LanguageModel, tokenized: Sequence[TokenizedDemonstration]) -> Losses:
    """The mean over each group's answers of their own nats per token, end token included."""
    scored = [
        row for rows in model.score(requests_of([s.action for s in tokenized])) for row in rows
    ]
    losses: dict[str, list[float]] = {}
    for each, answer in zip(tokenized, scored, strict=True):
        losses.setdefault(each.group, []).append(-answer.total / len(each.action.tokens))
    return {group: sum(values) / len(values) for group, values in losses.items()}


def mean_loss(losses: Losses) -> Estimate:
    """The mean over groups (prompts, or all prompts of a user) with its interval."""
    return mean(list(losses.values()))


@dataclass(frozen=True)
class Fitted:
    """A policy fine-tuned on demonstrations, its number of updates, and its held-out losses."""

    policy: LanguagePolicy
    steps: int
    losses: Losses


def fit(
    run: Run,
    setup: Setup,
    name: str,
    seed: int,
    tokenized: Sequence[TokenizedDemonstration],
    held_out: Sequence[TokenizedDemonstration],
    cost: Cost,
) -> Fitted:
    """Fine-tunes on `tokenized` as the spec says; the log has the held-out loss after every epoch."""
    spec = setup.spec.sft
    # An attack and its twin in one batch: what both have in common, the trick, cancels out.
    together = [each.group for each in tokenized] if spec.contrast is not None else ()
    learned = 1 - (spec.distillation or 0.0)
    rewards = [learned * each.reward for each in tokenized]
    actions = [each.action for each in tokenized]
    source = Demonstrations(actions, spec.batch_size, seed, together, rewards)
    steps = max(spec.min_steps, spec.epochs * source.steps_per_epoch)
    settings = Settings(
        steps=steps,
        learning_rate=spec.learning_rate,
        max_grad_norm=spec.max_grad_norm,
        warmup=round(spec.warmup * steps),
    )
    policy = new_policy(setup, spec.adapter, seed)
    policy.hold_to_reference([a for a, reward in zip(actions, rewards, strict=True) if reward < 1])
    checkpoint = checkpoint_of(run, setup, name, seed)
    with show_progress(run.progress, "Demonstrations", steps, LOGGED_KEYS, checkpoint) as advance:

        def after_step(step: int, row: LogRow) -> bool:
            row["loss_per_token"] = row["loss"] * row["taught"] / row["tokens"]
            if held_out and (step == steps or step % source.steps_per_epoch == 0):
                losses = held_out_losses(policy.trained, held_out)
                row["held_out_loss"] = mean_loss(losses).value
            return advance(step, row)

        train(policy, source, _objective(spec), settings, checkpoint, after_step)
    trained_cost(cost, checkpoint)
    cost.labels = len(tokenized)
    return Fitted(policy, steps, held_out_losses(policy.trained, held_out))


def _objective(spec: SftSpec) -> Supervised:
    """Distillation where something is to be held to the base."""
    if spec.contrast is not None and spec.contrast.kl_weight:
        return Distillation(kl_weight=spec.contrast.kl_weight)
    return Distillation() if spec.distillation else Supervised()


def facts_of(
    setup: Setup, tokenized: Sequence[TokenizedDemonstration], steps: int
) -> dict[str, Any]:
    """What the model card and the candidate's record say of a fine-tuning."""
    facts: dict[str, Any] = {
        "adapter": setup.spec.sft.adapter.kind,
        "steps": steps,
        "demonstrations": len(tokenized),
        "learning_rate": setup.spec.sft.learning_rate,
    }
    if people := setup.texts.demonstrations:
        facts["contamination"] = people.contamination.sentence()
    return facts


def describe(setup: Setup) -> str:
    """How it was made, for the model card."""
    if (contrast := setup.spec.sft.contrast) is not None:
        return (
            "Fine-tuned on contrast examples: attacks on a rule with answers that keep it, the same with "
            "permitted demands that are done, and questions answered as the base does"
            + (", held to its whole distribution." if contrast.kl_weight else ".")
        )
    if setup.texts.demonstrations:
        return "Fine-tuned on demonstrations that people wrote."
    return "Fine-tuned on demonstrations: training questions with true answers."


def make(run: Run, setup: Setup, graders: Graders, seed: int) -> None:
    """Supervised fine-tuning of the base, for one seed."""
    name = setup.named("sft")
    run.stage(
        f"{name}-seed{seed}",
        f"{'Supervised fine-tuning' if name == 'sft' else name}, seed {seed}",
        setup.account or name,
        lambda cost: _demonstrate(run, setup, seed, cost),
        together=True,
    )


def note_demonstrations(
    run: Run,
    setup: Setup,
    tokenized: Sequence[TokenizedDemonstration],
    held_out: Sequence[TokenizedDemonstration],
) -> None:
    """Writes into the run's record what people's demonstrations came to, where there are any."""
    if people := setup.texts.demonstrations:
        run.note(
            demonstrations={
                "source": setup.spec.data.demonstrations,
                "train": len(people.train),
                "held_out": len(people.held_out),
                "trained_on": len(tokenized),
                "measured_on": len(held_out),
                "contamination": people.contamination.to_json(),
            }
        )


def _note_losses(run: Run, name: str, seed: int, before: Losses, after: Losses) -> dict[str, float]:
    """Writes the held-out losses into the run's record, and by group; in brief for the model card."""
    rows = {
        group: {"loss": loss, "loss_over_base": loss - before[group]}
        for group, loss in after.items()
    }
    write_held_out(run, name, seed, rows)
    figures = {
        "held_out_loss": mean_loss(after),
        "base_held_out_loss": mean_loss(before),
        "held_out_loss_difference": paired_difference(after, before),
    }
    run.note(
        **{f"{name}_held_out": {f"seed{seed}": {name: e.to_json() for name, e in figures.items()}}}
    )
    names = {
        "held_out_loss": "held_out_nats_per_token",
        "base_held_out_loss": "the_same_of_the_base",
    }
    found = {new: figures[name].value for name, new in names.items()}
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def _demonstrate(run: Run, setup: Setup, seed: int, cost: Cost) -> None:
    tokenized, name = training_demonstrations(setup, seed), setup.named("sft")
    people = setup.texts.demonstrations
    held_out = tokenized_dialogues(setup, people.held_out) if people else []
    before = held_out_losses(setup.base.model, held_out)
    fitted = fit(run, setup, name, seed, tokenized, held_out, cost)
    facts = facts_of(setup, tokenized, fitted.steps)
    note_demonstrations(run, setup, tokenized, held_out)
    if people:
        facts |= _note_losses(run, name, seed, before, fitted.losses)
    save(run, setup, Made(name, seed, setup.base_prompt, describe(setup), fitted.policy, facts))


def check(setup: Setup) -> None:
    """Raises InputError where a rule that is to be learned can't be attacked."""
    if (contrast := setup.spec.sft.contrast) is not None:
        rules_of(contrast)


SFT = Method(
    name="sft",
    title="supervised fine-tuning on demonstrations",
    describe=describe,
    make=make,
    check=check,
    trained_on_demonstrations=True,
    logged_keys=LOGGED_KEYS,
)
