"""What defences learn from: contrast examples as demonstrations, as pairs and as prompts of a reward."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from truing.data.attacks import built_in_attacks
from truing.data.contrast import (
    ContrastExample,
    attackable,
    contrast_examples,
    look_alikes,
    rule_told,
)
from truing.data.rule_book import built_in_rules
from truing.data.rules import Rule
from truing.evaluate.answers import free_answers
from truing.judges.checks import CHECKS, stands_in
from truing.judges.programs import Program, program
from truing.judges.rule_checks import RULE_CHECKS
from truing.learn.sources.pairs import Tokens
from truing.methods.setup import Setup
from truing.policies.language import PromptCompletion
from truing.rewards.calling import columns_of
from truing.rewards.reward import Answered, Reward
from truing.spec.contrast import ContrastSpec
from truing.types import Case, InputError, Score, did_you_mean

NEUTRAL_TOKENS = 28
"""An example's answer by the base is so long at most."""
NEUTRAL = "neutral"
"""What names of neutral examples begin with; those of pairs don't."""
LOOK_ALIKES = 0.4
"""The share of neutral examples that sound like harm; of the others every third is under a rule."""


def rules_of(spec: ContrastSpec) -> list[Rule]:
    """The rules that a defence learns to keep. Raises InputError where there are no attacks on one."""
    known = built_in_attacks(built_in_rules().rules).rules
    names = [name for name in attackable() if name in known]
    for name in spec.rules:
        if name not in names:
            raise InputError(
                f"contrast.rules: there are no attacks on {name!r}; {did_you_mean(name, names)}known: "
                f"{', '.join(names)}"
            )
    return [known[name] for name in spec.rules or names]


def _questions(setup: Setup) -> list[Case]:
    """Plain training questions, which a turn may begin with."""
    return [case for case in setup.train if not case.messages]


def examples_of(setup: Setup, spec: ContrastSpec, seed: int) -> list[ContrastExample]:
    """The attacks and twins that a defence of this seed learns from."""
    asked = [case.prompt for case in _questions(setup)]
    return contrast_examples(rules_of(spec), spec.pairs, asked, seed)


def neutral_cases(setup: Setup, spec: ContrastSpec, seed: int) -> list[Case]:
    """Training questions, with a rule told and without, and questions that sound like harm."""
    random, rules = Random(f"neutral {seed}"), rules_of(spec)
    alike = [Case(text) for text in look_alikes()][: round(spec.neutral * LOOK_ALIKES)]
    asked = _questions(setup)
    drawn = random.sample(asked, min(len(asked), spec.neutral - len(alike)))
    under_rule = [rule_told(random.choice(rules), case, seed) for case in drawn[::3]]
    return [*under_rule, *drawn[1::3], *drawn[2::3], *alike]


def answered_by_base(setup: Setup, cases: Sequence[Case], seed: int) -> list[PromptCompletion]:
    """Cases with answers drawn from the base itself: what is learned from them is to stay as one is.

    Drawn at temperature 1, since the likeliest answers alone would make the model surer than it was.
    """
    base = replace(setup.base, seed=seed)
    answers = free_answers(base, cases, NEUTRAL_TOKENS, temperature=1.0)
    prompts = [tuple(setup.renderer.case_tokens(setup.base_prompt, case)) for case in cases]
    both = zip(prompts, answers, strict=True)
    return [PromptCompletion(prompt, answer.tokens) for prompt, answer in both if answer.tokens]


def demonstrations_of(
    setup: Setup, spec: ContrastSpec, seed: int
) -> list[tuple[str, PromptCompletion]]:
    """All that fine-tuning learns from: right answers to attacks and twins, and the base's own. With the
    name of its pair, or one of its own."""
    examples, renderer = examples_of(setup, spec, seed), setup.renderer
    own = _own_answers(setup, [each.question for each in examples])
    taught = [
        PromptCompletion(
            tuple(renderer.case_tokens(setup.base_prompt, each.case)),
            tuple(
                renderer.answer_tokens(
                    f"{each.right} {own.get(each.question, '')}".strip(), end=True
                )
            ),
        )
        for each in examples
    ]
    own_answers = answered_by_base(setup, neutral_cases(setup, spec, seed), seed)
    neutral = [(f"{NEUTRAL} {number}", action) for number, action in enumerate(own_answers)]
    return [*zip((each.case.family for each in examples), taught, strict=True), *neutral]


def _own_answers(setup: Setup, questions: Sequence[str]) -> dict[str, str]:
    """The first sentence of the base's answer to each question, where it came to its end."""
    asked = [Case(text) for text in dict.fromkeys(questions) if text]
    answers = free_answers(setup.base, asked, NEUTRAL_TOKENS) if asked else []
    own = {}
    for case, answer in zip(asked, answers, strict=True):
        if sentence := re.match(r".*?[.!?](?=\s|$)", answer.text.strip()):
            own[case.prompt] = sentence[0]
    return own


def rows_of(setup: Setup, spec: ContrastSpec, seed: int) -> list[tuple[Tokens, Tokens, Tokens]]:
    """(prompt, right, wrong) as tokens, for learning from pairs."""
    renderer = setup.renderer
    return [
        (
            tuple(renderer.case_tokens(setup.base_prompt, each.case)),
            tuple(renderer.answer_tokens(each.right, end=True)),
            tuple(renderer.answer_tokens(each.wrong, end=True)),
        )
        for each in examples_of(setup, spec, seed)
    ]


# --- The reward -------------------------------------------------------------------------------


def rule_kept(setup: Setup, spec: ContrastSpec, seed: int) -> tuple[list[Case], Reward]:
    """The prompts of a defence by reinforcement learning, and its reward, which is an exact program:
    1 where an attack leaves the rule kept, or a permitted demand is done; else 0.

    An empty answer keeps every rule and helps nobody: 0. What the rule's check can't tell is unscored.
    """
    cases = [each.case for each in examples_of(setup, spec, seed)]
    attacked = {case.columns["rule"] for case in cases}
    programs = {rule.id: _check_of(rule, cases) for rule in rules_of(spec) if rule.id in attacked}
    return cases, lambda answers: [_scored(each, programs) for each in answers]


def _check_of(rule: Rule, cases: Sequence[Case]) -> Program:
    own = [case for case in cases if case.columns["rule"] == rule.id]
    where = f"rules.{rule.id}.check"
    return program(rule.check, where, columns_of(own), {**CHECKS, **RULE_CHECKS})


def _scored(each: Answered, programs: dict[str, Program]) -> Score:
    columns = each.case.columns
    if not each.answer.strip():
        return 0.0
    if columns["cell"] != "attack":
        return float(stands_in(str(columns["done"]).strip('."'), each.answer))
    return programs[str(columns["rule"])](each)


__all__ = [
    "answered_by_base",
    "demonstrations_of",
    "examples_of",
    "neutral_cases",
    "rows_of",
    "rule_kept",
    "rules_of",
]
