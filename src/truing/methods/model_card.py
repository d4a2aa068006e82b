"""The model card that goes with every candidate: what it is, where it came from, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from truing.methods.setup import Setup
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Prompt

BASE = "The base model, told the task and nothing more."


@dataclass(frozen=True)
class Made:
    """A candidate that is to be saved: what was trained (None: the base's weights), what it is told, and
    how it came about, in a `sentence` and in `facts`. `record` joins candidate.json, `files` its folder
    (by their names there)."""

    name: str
    seed: int
    prompt: Prompt
    sentence: str
    policy: LanguagePolicy | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


def _learned_from(setup: Setup) -> list[str]:
    if (people := setup.texts.demonstrations) is None:
        return []
    sides = f"{len(people.train)} training, {len(people.held_out)} held out"
    return [f"- Demonstrations: {setup.spec.data.demonstrations} ({sides})"]


def _compared(setup: Setup) -> list[str]:
    if (people := setup.texts.preferences) is None:
        return []
    sides = f"{len(people.train)} training, {len(people.held_out)} held out"
    return [f"- Preferences: {setup.spec.data.preferences} ({sides})"]


def _asked(setup: Setup) -> str:
    if setup.texts.prompts and not setup.train:
        return f"- Prompts: {setup.spec.data.prompts} ({len(setup.texts.prompts)})"
    return (
        f"- Questions: {setup.spec.data.questions} ({len(setup.train)} training, "
        f"{len(setup.held_out)} held out)"
    )


def _not_adapted(policy: LanguagePolicy) -> list[str]:
    names = policy.not_adapted
    return [f"- Left as they are by the adapter: {', '.join(names)}"] if names else []


def model_card(setup: Setup, made: Made) -> str:
    """README.md of a candidate folder, with the front matter that model hubs read."""
    prompt, facts = made.prompt, made.facts
    front = {
        "library_name": "peft" if facts.get("adapter") == "lora" else "transformers",
        "base_model": setup.spec.model,
        "license": setup.source.licence.lower(),
        "tags": ["truing", made.name],
    }
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).strip(),
        "---",
        f"# {setup.spec.model}, {made.name}",
        "",
        made.sentence,
        "",
        f"- Base weights: {setup.spec.model}, SHA-256 {setup.source.weights_hash}",
        f"- Licence of the base weights: {setup.source.licence}",
        f"- Spec digest: {setup.run_spec.digest()}; seed: {made.seed}",
        *(_learned_from(setup) if "demonstrations" in facts else []),
        *(_compared(setup) if "pairs" in facts else []),
        _asked(setup),
        f"- Instruction: {prompt.instruction or '(none)'}",
        f"- Few-shot examples: {len(prompt.shots)}",
        *(f"- {key.replace('_', ' ').capitalize()}: {value}" for key, value in facts.items()),
        *(_not_adapted(made.policy) if made.policy else []),
        "",
        "The chat template in this folder writes the instruction and examples in front of any "
        "conversation that has no system message of its own. How it measures up against the other "
        "methods is in the report that `truing align` writes.",
        "",
    ]
    return "\n".join(lines)
