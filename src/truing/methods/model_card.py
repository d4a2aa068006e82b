"""The model card that goes with every candidate: what it is, where it came from, what it cost."""

from __future__ import annotations

from typing import Any

import yaml

from truing.learn.from_spec import described as objective_in_words
from truing.methods.setup import Workshop
from truing.prompts.rendering import Prompt
from truing.rewards.mixture import described as reward_in_words

WAYS = {
    "base": "The base model, told the task and nothing more.",
    "prompt": "The base model with the prompt that did best on training questions.",
    "sft": "Fine-tuned on demonstrations: training questions with true answers.",
}
WRITTEN = "Fine-tuned on demonstrations that people wrote."


def _way(shop: Workshop, name: str) -> str:
    kind = name.split("-")[0]  # a point of a learning curve is called sft-100
    if kind == "sft" and shop.texts.written:
        return WRITTEN
    return WAYS.get(kind) or _reinforced(shop)


def _learned_from(shop: Workshop) -> list[str]:
    if (written := shop.texts.written) is None:
        return []
    sides = f"{len(written.train)} training, {len(written.held_out)} held out"
    return [f"- Demonstrations: {shop.spec.data.demonstrations} ({sides})"]


def _asked(shop: Workshop) -> str:
    if shop.texts.prompts and not shop.train:
        return f"- Prompts: {shop.spec.data.prompts} ({len(shop.texts.prompts)})"
    return (
        f"- Questions: {shop.spec.data.questions} ({len(shop.train)} training, "
        f"{len(shop.held_out)} held out)"
    )


def _reinforced(shop: Workshop) -> str:
    reward, objective = reward_in_words(shop.spec.reward), objective_in_words(shop.spec.rl)
    return f"Trained on {reward} by {objective}."


def model_card(shop: Workshop, name: str, seed: int, prompt: Prompt, facts: dict[str, Any]) -> str:
    """README.md of a candidate folder, with the front matter that model hubs read."""
    front = {
        "library_name": "peft" if facts.get("adapter") == "lora" else "transformers",
        "base_model": shop.spec.model,
        "license": shop.source.licence.lower(),
        "tags": ["truing", name],
    }
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).strip(),
        "---",
        f"# {shop.spec.model}, {name}",
        "",
        _way(shop, name),
        "",
        f"- Base weights: {shop.spec.model}, SHA-256 {shop.source.weights_hash}",
        f"- Licence of the base weights: {shop.source.licence}",
        f"- Spec digest: {shop.spec.digest()}; seed: {seed}",
        *(_learned_from(shop) if name.startswith("sft") else []),
        _asked(shop),
        f"- Instruction: {prompt.instruction or '(none)'}",
        f"- Few-shot examples: {len(prompt.shots)}",
        *(f"- {key.replace('_', ' ').capitalize()}: {value}" for key, value in facts.items()),
        "",
        "The chat template in this folder writes the instruction and examples in front of any "
        "conversation that has no system message of its own. How it measures up against the other "
        "ways is in the report that `truing align` writes.",
        "",
    ]
    return "\n".join(lines)
