"""First way: leave the weights alone and choose what the model is told."""

from __future__ import annotations

from collections.abc import Sequence

from truing.data.texts import instructions
from truing.evaluate.multiple_choice import score_choices
from truing.methods.common import save
from truing.methods.setup import Workshop
from truing.prompts.rendering import Prompt
from truing.prompts.search import search
from truing.runs.costs import Cost
from truing.types import Case, Score


def named_instructions(shop: Workshop) -> list[str]:
    """The task's instruction, the spec's own and the built-in ones."""
    spec = shop.spec.prompt
    texts = [shop.spec.task.instruction, *spec.instructions]
    return [*texts, *instructions("helpful")[: spec.built_in]]


def mc2_of(shop: Workshop, prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
    """What prompts are compared by: MC2 of each case."""
    return [choices.mc2 for choices in score_choices(shop.renderer, prompt, cases)]


def choose_prompt(shop: Workshop, cost: Cost) -> None:
    """Races what `named_instructions` gives on training questions."""
    spec = shop.spec.prompt
    looked_at: set[str] = set()

    def measure(prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
        looked_at.update(case.id for case in cases)
        return mc2_of(shop, prompt, cases)

    seed = shop.spec.seeds[0]
    with shop.progress.task("Trying prompts") as advance:
        tried = iter(range(1, 10**6))
        found = search(
            named_instructions(shop),
            spec.shots,
            shop.train,
            measure,
            questions=spec.questions,
            seed=seed,
            progress=lambda: advance(next(tried)),
        )
    cost.labels = len(looked_at) + len(found.best.prompt.shots)
    shop.note(
        prompts={
            "prompt": {
                "instruction": found.best.prompt.instruction,
                "shots": len(found.best.prompt.shots),
                "tried": [trial.to_json() for trial in found.trials],
            }
        }
    )
    facts = {"prompts_tried": len(found.trials), "labels_used": cost.labels}
    save(shop, "prompt", seed, found.best.prompt, None, facts)
