"""Prompting: leave the weights alone and choose what the model is told."""

from __future__ import annotations

from truing.methods.graders import Graders
from truing.methods.method import Method
from truing.methods.prompt_choice import DESCRIPTION, choose_prompt
from truing.methods.prompt_search import find_prompt, search_prompt
from truing.methods.setup import Setup
from truing.runs.run import Run


def make(run: Run, setup: Setup, graders: Graders, seed: int) -> None:
    """Chooses a prompt for a comparison; alone (`truing train prompt`) searches one for each seed."""
    if run.kind != "align":
        find_prompt(run, setup, seed)
        return
    choose = search_prompt if setup.spec.prompt.search.in_align else choose_prompt
    run.stage("prompt", "Prompt: choosing", "prompt", lambda cost: choose(run, setup, cost))


PROMPT = Method(
    name="prompt",
    title="the prompt that does best on training questions, weights unchanged",
    describe=lambda setup: DESCRIPTION,
    make=make,
    needs_seeds=False,
)
