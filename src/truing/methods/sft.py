"""Second way: show the model what people would answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from truing.data.dialogues import Dialogue, groups_of
from truing.learn import Supervised
from truing.learn.loop import LogRow, Settings, train
from truing.learn.sources.demonstrations import Demonstrations
from truing.methods.common import checkpoint_of, new_policy, save, show_progress, trained_cost
from truing.methods.setup import Workshop
from truing.models.language_model import LanguageModel
from truing.policies.language import LanguagePolicy, TextAction, branches_of
from truing.runs.costs import Cost
from truing.statistics.means import mean, paired_difference
from truing.types import Case, Estimate, InputError, stable_hash

SHOWN = {"loss": "loss", "gradient_norm": "gradient", "tokens_per_second": "tokens/s"}
"""Figures behind the progress bar, with their names there."""


@dataclass(frozen=True)
class Shown:
    """A demonstration as tokens, end token included; `group` is its prompt, and its user's others.

    `id` depends on the texts alone.
    """

    id: str
    group: str
    action: TextAction


def answered(shop: Workshop, cases: Sequence[Case]) -> list[Shown]:
    """(question, true answer) for every true answer of the questions."""
    renderer, prompt = shop.renderer, shop.base_prompt
    return [
        Shown(
            stable_hash("answer", case.prompt, answer),
            case.id,
            TextAction(tokens, tuple(renderer.answer_tokens(answer, end=True))),
        )
        for case in cases
        for tokens in [tuple(renderer.case_tokens(prompt, case))]
        for answer in case.correct_answers
    ]


def dialogues_shown(shop: Workshop, dialogues: Sequence[Dialogue]) -> list[Shown]:
    """Demonstrations that people wrote; those above `sft.max_tokens` are left out, with a note.

    Raises InputError naming the place of a conversation that the chat template refuses.
    """
    most = min(shop.spec.sft.max_tokens, shop.base.model.context_length)
    shown: list[Shown] = []
    for each, group in zip(dialogues, groups_of(dialogues), strict=True):
        try:
            turns = [{"role": role, "content": content} for role, content in each.messages]
            tokens = shop.renderer.conversation(shop.base_prompt, turns)
        except InputError as error:
            raise InputError(f"{each.source}: {error}") from None
        action = TextAction(
            tuple(tokens), tuple(shop.renderer.answer_tokens(each.answer, end=True))
        )
        if len(action.prompt) + len(action.tokens) <= most:
            shown.append(Shown(each.id, group, action))
    if left_out := len(dialogues) - len(shown):
        shop.progress.note(f"Left out: {left_out} demonstration(s) longer than {most} tokens")
    return shown


def demonstrations(shop: Workshop) -> list[Shown]:
    """What is learned from: people's demonstrations, or the training questions' true answers.

    Raises InputError where every demonstration is too long.
    """
    if (written := shop.texts.written) is None:
        return answered(shop, shop.train)
    shown = dialogues_shown(shop, written.train)
    if not shown:
        raise InputError(
            "data.demonstrations: every one of the training side is longer than sft.max_tokens "
            f"({shop.spec.sft.max_tokens}); raise it, or give shorter ones"
        )
    return shown


Losses = dict[str, float]
"""Nats per token by group of held-out demonstrations."""


def held_out_losses(model: LanguageModel, shown: Sequence[Shown]) -> Losses:
    """The mean over each group's answers of their own nats per token, end token included."""
    scored = [row for rows in model.score(branches_of([s.action for s in shown])) for row in rows]
    losses: dict[str, list[float]] = {}
    for each, answer in zip(shown, scored, strict=True):
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
    shop: Workshop,
    name: str,
    seed: int,
    shown: Sequence[Shown],
    held_out: Sequence[Shown],
    cost: Cost,
) -> Fitted:
    """Fine-tunes on `shown` as the spec says; the log has the held-out loss after every epoch."""
    spec = shop.spec.sft
    source = Demonstrations([each.action for each in shown], spec.batch_size, seed)
    steps = max(spec.min_steps, spec.epochs * source.steps_per_epoch)
    settings = Settings(
        steps=steps,
        learning_rate=spec.learning_rate,
        max_grad_norm=spec.max_grad_norm,
        warmup=round(spec.warmup * steps),
    )
    policy = new_policy(shop, spec.adapter, seed)
    checkpoint = checkpoint_of(shop, name, seed)
    with show_progress(shop, "Demonstrations", steps, SHOWN) as advance:

        def after_step(step: int, row: LogRow) -> bool:
            row["loss_per_token"] = row["loss"] * row["taught"] / row["tokens"]
            if held_out and (step == steps or step % source.steps_per_epoch == 0):
                losses = held_out_losses(policy.trained, held_out)
                row["held_out_loss"] = mean_loss(losses).value
            return advance(step, row)

        train(policy, source, Supervised(), settings, checkpoint, after_step)
    trained_cost(cost, checkpoint)
    cost.labels = len(shown)
    return Fitted(policy, steps, held_out_losses(policy.trained, held_out))


def facts_of(shop: Workshop, shown: Sequence[Shown], steps: int) -> dict[str, Any]:
    """What the model card and the candidate's record say of a fine-tuning."""
    facts: dict[str, Any] = {
        "adapter": shop.spec.sft.adapter.kind,
        "steps": steps,
        "demonstrations": len(shown),
        "learning_rate": shop.spec.sft.learning_rate,
    }
    if written := shop.texts.written:
        facts["contamination"] = written.contamination.sentence()
    return facts


def demonstrate(shop: Workshop, seed: int) -> None:
    """Supervised fine-tuning of the base, for one seed."""
    shop.stage(
        f"sft-seed{seed}",
        f"Supervised fine-tuning, seed {seed}",
        "sft",
        lambda cost: _demonstrate(shop, seed, cost),
        together=True,
    )


def note_written(shop: Workshop, shown: Sequence[Shown], held_out: Sequence[Shown]) -> None:
    """Writes into the run's record what people's demonstrations came to, where there are any."""
    if written := shop.texts.written:
        shop.note(
            demonstrations={
                "source": shop.spec.data.demonstrations,
                "train": len(written.train),
                "held_out": len(written.held_out),
                "trained_on": len(shown),
                "measured_on": len(held_out),
                "contamination": written.contamination.to_json(),
            }
        )


def _note_losses(shop: Workshop, seed: int, before: Losses, after: Losses) -> dict[str, float]:
    """Writes the held-out losses into the run's record; the same in brief for the model card."""
    figures = {
        "held_out_loss": mean_loss(after),
        "base_held_out_loss": mean_loss(before),
        "held_out_loss_difference": paired_difference(after, before),
    }
    shop.note(sft_held_out={f"seed{seed}": {name: e.to_json() for name, e in figures.items()}})
    names = {
        "held_out_loss": "held_out_nats_per_token",
        "base_held_out_loss": "the_same_of_the_base",
    }
    found = {new: figures[name].value for name, new in names.items()}
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def _demonstrate(shop: Workshop, seed: int, cost: Cost) -> None:
    shown = demonstrations(shop)
    written = shop.texts.written
    held_out = dialogues_shown(shop, written.held_out) if written else []
    before = held_out_losses(shop.base.model, held_out)
    fitted = fit(shop, "sft", seed, shown, held_out, cost)
    facts = facts_of(shop, shown, fitted.steps)
    note_written(shop, shown, held_out)
    if written:
        facts |= _note_losses(shop, seed, before, fitted.losses)
    save(shop, "sft", seed, shop.base_prompt, fitted.policy, facts)
