"""Second way: show the model what people would answer."""

from __future__ import annotations

from truing.approaches.base import save
from truing.approaches.training import checkpoint_of, new_policy, show_progress, trained_cost
from truing.costs import Cost
from truing.learn import Supervised
from truing.learn.demonstrations import Demonstrations
from truing.learn.loop import Settings, train
from truing.policies.language import TextAction
from truing.workshop import Workshop

SHOWN = {"loss": "loss", "gradient_norm": "gradient", "tokens_per_second": "tokens/s"}
"""Figures behind the progress bar, with their names there."""


def demonstrations(shop: Workshop) -> list[TextAction]:
    """(question, true answer) for every true answer of the training split, end token included."""
    renderer, prompt = shop.renderer, shop.base_prompt
    return [
        TextAction(tokens, tuple(renderer.answer_tokens(answer, end=True)))
        for case in shop.train
        for tokens in [tuple(renderer.tokens(prompt, case.prompt))]
        for answer in case.correct_answers
    ]


def demonstrate(shop: Workshop, seed: int) -> None:
    """Supervised fine-tuning of the base, for one seed."""
    shop.stage(
        f"sft-seed{seed}",
        f"Supervised fine-tuning, seed {seed}",
        "sft",
        lambda cost: _demonstrate(shop, seed, cost),
    )


def _demonstrate(shop: Workshop, seed: int, cost: Cost) -> None:
    spec = shop.spec.sft
    actions = demonstrations(shop)
    source = Demonstrations(actions, spec.batch_size, seed)
    steps = spec.epochs * source.steps_per_epoch
    settings = Settings(
        steps=steps,
        learning_rate=spec.learning_rate,
        max_grad_norm=spec.max_grad_norm,
        warmup=round(spec.warmup * steps),
    )
    policy = new_policy(shop, spec.adapter, seed)
    checkpoint = checkpoint_of(shop, "sft", seed)
    with show_progress(shop, "Demonstrations", steps, SHOWN) as after_step:
        train(policy, source, Supervised(), settings, checkpoint, after_step)
    trained_cost(cost, checkpoint)
    cost.labels = len(actions)
    facts = {
        "adapter": spec.adapter.kind,
        "steps": steps,
        "demonstrations": len(actions),
        "learning_rate": spec.learning_rate,
    }
    save(shop, "sft", seed, shop.base_prompt, policy, facts)
