"""Prompting: leave the weights alone and choose what the model is told."""

from __future__ import annotations

from truing.methods.graders import Graders
from truing.methods.method import Method
from truing.methods.prompt_choice import DESCRIPTION, choose_prompt
from truing.methods.prompt_search import find_prompt, search_prompt
from truing.methods.reminding import describe as in_words
from truing.methods.reminding import remind, told_rules
from truing.methods.setup import Setup
from truing.runs.run import Run
from truing.types import InputError


def make(run: Run, setup: Setup, graders: Graders, seed: int) -> None:
    """Chooses a prompt for a comparison; alone (`truing train prompt`) searches one for each seed."""
    if run.kind != "align":
        find_prompt(run, setup, seed)
        return
    name = setup.named("prompt")
    if (spec := setup.spec.prompt.remind) is not None:
        run.stage(name, f"{name}: telling the rules", name, lambda _: remind(run, setup, spec))
        return
    choose = search_prompt if setup.spec.prompt.search.in_align else choose_prompt
    what = "Prompt: choosing" if name == "prompt" else f"{name}: choosing a prompt"
    run.stage(name, what, name, lambda cost: choose(run, setup, cost))


def check(setup: Setup) -> None:
    """Raises InputError where a rule that is to be told isn't there."""
    if (spec := setup.spec.prompt.remind) is not None:
        told_rules(setup, spec)
    elif setup.candidate and setup.spec.prompt.search.in_align:
        raise InputError(
            "prompt.search.in_align: a run searches once, for its method prompt; give 'remind', or "
            "search: {in_align: false}"
        )


def describe(setup: Setup) -> str:
    """How it came about, for the model card."""
    spec = setup.spec.prompt.remind
    return DESCRIPTION if spec is None else in_words(spec)


PROMPT = Method(
    name="prompt",
    title="the prompt that does best on training questions, weights unchanged",
    describe=describe,
    make=make,
    check=check,
    needs_seeds=False,
)
