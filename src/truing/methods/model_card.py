"""The model card that goes with every candidate: what it is, where it came from, what it cost."""

from __future__ import annotations

from typing import Any

import yaml

from truing.learn.from_spec import described as objective_in_words
from truing.methods.setup import Setup
from truing.prompts.rendering import Prompt
from truing.rewards.mixture import described as reward_in_words

WAYS = {
    "base": "The base model, told the task and nothing more.",
    "prompt": "The base model with the prompt that did best on training questions.",
    "sft": "Fine-tuned on demonstrations: training questions with true answers.",
}
WRITTEN = "Fine-tuned on demonstrations that people wrote."


def _way(setup: Setup, name: str) -> str:
    kind = name.split("-")[0]  # a point of a learning curve is called sft-100
    if kind == "sft" and setup.texts.demonstrations:
        return WRITTEN
    return WAYS.get(kind) or _reinforced(setup)


def _learned_from(setup: Setup) -> list[str]:
    if (written := setup.texts.demonstrations) is None:
        return []
    sides = f"{len(written.train)} training, {len(written.held_out)} held out"
    return [f"- Demonstrations: {setup.spec.data.demonstrations} ({sides})"]


def _asked(setup: Setup) -> str:
    if setup.texts.prompts and not setup.train:
        return f"- Prompts: {setup.spec.data.prompts} ({len(setup.texts.prompts)})"
    return (
        f"- Questions: {setup.spec.data.questions} ({len(setup.train)} training, "
        f"{len(setup.held_out)} held out)"
    )


def _reinforced(setup: Setup) -> str:
    reward, objective = reward_in_words(setup.spec.reward), objective_in_words(setup.spec.rl)
    return f"Trained on {reward} by {objective}."


def model_card(setup: Setup, name: str, seed: int, prompt: Prompt, facts: dict[str, Any]) -> str:
    """README.md of a candidate folder, with the front matter that model hubs read."""
    front = {
        "library_name": "peft" if facts.get("adapter") == "lora" else "transformers",
        "base_model": setup.spec.model,
        "license": setup.source.licence.lower(),
        "tags": ["truing", name],
    }
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).strip(),
        "---",
        f"# {setup.spec.model}, {name}",
        "",
        _way(setup, name),
        "",
        f"- Base weights: {setup.spec.model}, SHA-256 {setup.source.weights_hash}",
        f"- Licence of the base weights: {setup.source.licence}",
        f"- Spec digest: {setup.spec.digest()}; seed: {seed}",
        *(_learned_from(setup) if name.startswith("sft") else []),
        _asked(setup),
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
