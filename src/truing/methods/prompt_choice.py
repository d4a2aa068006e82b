"""Choosing among prompts that stand in a list, by a race on training questions."""

from __future__ import annotations

from collections.abc import Sequence

from truing.data.texts import instructions
from truing.methods.common import save
from truing.methods.model_card import Made
from truing.methods.prompt_measure import prompt_measure
from truing.methods.setup import Setup
from truing.prompts.rendering import Prompt
from truing.prompts.search import search
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.tasks.texts import JUDGED_EVALUATION
from truing.types import Case, Score

DESCRIPTION = "The base model with the prompt that did best on training questions."


ENDINGS = (
    "Reply with the answer alone.",
    "Keep exactly to the form that is asked for.",
    "Leave out whatever was not asked for.",
    "Look at the examples and do the same.",
)
"""What is tried behind a task's own instruction, where the built-in instructions are for another."""


def named_instructions(setup: Setup) -> list[str]:
    """The task's instruction, the spec's own and the built-in ones (the same with endings)."""
    spec, own = setup.spec.prompt, setup.spec.task.instruction
    if JUDGED_EVALUATION in setup.spec.task.evaluations:
        built_in = instructions("helpful")
    else:
        built_in = tuple(f"{own} {ending}" for ending in ENDINGS)
    return [own, *spec.instructions, *built_in[: spec.built_in]]


def choose_prompt(run: Run, setup: Setup, cost: Cost) -> None:
    """Races what `named_instructions` gives on training questions."""
    spec = setup.spec.prompt
    by = prompt_measure(setup)
    looked_at: set[str] = set()

    def measure(prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
        looked_at.update(case.id for case in cases)
        return by(prompt, cases)

    seed, name = setup.spec.seeds[0], setup.named("prompt")
    with run.progress.task("Trying prompts") as advance:
        tried = iter(range(1, 10**6))
        found = search(
            named_instructions(setup),
            spec.shots,
            setup.train,
            measure,
            questions=spec.questions,
            seed=seed,
            progress=lambda: advance(next(tried)),
        )
    cost.labels = len(looked_at) + len(found.best.prompt.shots)
    run.note(
        prompts={
            name: {
                "instruction": found.best.prompt.instruction,
                "shots": len(found.best.prompt.shots),
                "tried": [trial.to_json(by.name) for trial in found.trials],
            }
        }
    )
    facts = {"prompts_tried": len(found.trials), "labels_used": cost.labels}
    save(run, setup, Made(name, seed, found.best.prompt, DESCRIPTION, facts=facts))
