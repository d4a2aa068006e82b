"""Where new prompts come from: a grammar with slots, paraphrases by rule, rules that choose examples.

All of it is ours, needs no model and is drawn from a generator that is handed in, so that the same seed
proposes the same prompts. What a model proposes is in rewriting.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from truing.data.splits import content_words
from truing.data.texts import Demonstration
from truing.prompts.rendering import Prompt
from truing.types import Case, normalised

ATTEMPTS = 20  # draws for one new text before the source counts as dry


@dataclass(frozen=True)
class Proposal:
    """A prompt and where it comes from: its origin, and the id of the prompt it was made from."""

    prompt: Prompt
    origin: str
    parent: str = ""

    @property
    def key(self) -> str:
        """Equal for prompts that differ in case and white space alone."""
        shots = [normalised(shot.question) for shot in self.prompt.shots]
        return "\n".join([normalised(self.prompt.instruction), *shots])


def fresh(proposals: Sequence[Proposal], known: set[str]) -> list[Proposal]:
    """Those that are neither known nor twice in the list; `known` learns them."""
    new = []
    for proposal in proposals:
        if proposal.key not in known:
            known.add(proposal.key)
            new.append(proposal)
    return new


def in_turn(sources: Sequence[Sequence[Proposal]], count: int) -> list[Proposal]:
    """At most `count`, one from each source in turn, so that no source crowds out another."""
    rows = max(map(len, sources), default=0)
    taken = [source[row] for row in range(rows) for source in sources if row < len(source)]
    return taken[:count]


@cache
def _grammar() -> dict[str, Any]:
    text = files("truing.data").joinpath("built_in", "prompt_grammar.json").read_text("utf-8")
    grammar: dict[str, Any] = json.loads(text)
    return grammar


# --- Slots -------------------------------------------------------------------------------------


def _filled(order: Sequence[str], choices: Mapping[str, int]) -> str:
    slots = _grammar()["slots"]
    return " ".join(part for slot in order if (part := slots[slot][choices[slot]]))


@cache
def _by_text() -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Every text of the grammar, with its order and its choices."""
    slots = _grammar()["slots"]
    by_text: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {}
    names = tuple(slots)
    for order in _grammar()["orders"]:
        for place in np.ndindex(*(len(slots[name]) for name in names)):
            choices = tuple(int(n) for n in place)
            by_text.setdefault(
                normalised(_filled(order, dict(zip(names, choices, strict=True)))),
                (tuple(order), choices),
            )
    return by_text


def slot_proposals(best: Sequence[Prompt], count: int, rng: np.random.Generator) -> list[Proposal]:
    """Texts of the grammar: where a good prompt is one, it with another choice in one slot, else any."""
    slots = _grammar()["slots"]
    names, orders = tuple(slots), _grammar()["orders"]
    grown = [prompt for prompt in best if normalised(prompt.instruction) in _by_text()]

    def draw() -> Proposal:
        if grown and rng.random() < 0.5:
            parent = grown[int(rng.integers(len(grown)))]
            order, held = _by_text()[normalised(parent.instruction)]
            choices = dict(zip(names, held, strict=True))
            slot = names[int(rng.integers(len(names)))]
            choices[slot] = int(rng.integers(len(slots[slot])))
            return Proposal(Prompt(_filled(order, choices), parent.shots), "slots", parent.id)
        order = orders[int(rng.integers(len(orders)))]
        choices = {name: int(rng.integers(len(slots[name]))) for name in names}
        return Proposal(Prompt(_filled(order, choices)), "slots")

    return _several(draw, count, best)


# --- Paraphrases -------------------------------------------------------------------------------


def paraphrased(text: str, rng: np.random.Generator) -> str:
    """The text with one to three phrases put in other words, and perhaps its sentences reordered."""
    rules: dict[str, list[str]] = _grammar()["paraphrases"]
    changes = int(rng.integers(1, 4))
    for phrase in [list(rules)[int(n)] for n in rng.permutation(len(rules))]:
        pattern = re.compile(rf"\b{re.escape(phrase)}\b", re.IGNORECASE)
        instead = rules[phrase][int(rng.integers(len(rules[phrase])))]
        text, count = pattern.subn(lambda m, put=instead: _cased(put, m[0]), text, count=1)  # type: ignore[misc]
        changes -= count
        if changes == 0:
            break
    sentences = re.split(r"(?<=[.!?])\s+", text)
    if len(sentences) > 1 and rng.random() < 0.3:
        turn = int(rng.integers(1, len(sentences)))
        text = " ".join(sentences[turn:] + sentences[:turn])
    return text


def _cased(put: str, instead_of: str) -> str:
    return put[0].upper() + put[1:] if instead_of[0].isupper() else put


def paraphrase_proposals(
    best: Sequence[Prompt], count: int, rng: np.random.Generator
) -> list[Proposal]:
    """Good prompts in other words, their examples kept."""
    parents = [prompt for prompt in best if prompt.instruction]
    if not parents:
        return []

    def draw() -> Proposal:
        parent = parents[int(rng.integers(len(parents)))]
        text = paraphrased(parent.instruction, rng)
        return Proposal(Prompt(text, parent.shots), "paraphrases", parent.id)

    return _several(draw, count, best)


def _several(draw: Callable[[], Proposal], count: int, best: Sequence[Prompt]) -> list[Proposal]:
    """Up to `count` that differ, from each other and from the best."""
    known = {Proposal(prompt, "").key for prompt in best}
    drawn: list[Proposal] = []
    for _ in range(count * ATTEMPTS):
        if len(drawn) == count:
            break
        drawn += fresh([draw()], known)
    return drawn


# --- Examples ----------------------------------------------------------------------------------


def _random(cases: Sequence[Case], rng: np.random.Generator) -> Iterator[Case]:
    return (cases[int(n)] for n in rng.permutation(len(cases)))


def _short(cases: Sequence[Case], rng: np.random.Generator) -> Iterator[Case]:
    """Shortest best answers first, in blocks of a few words, shuffled within."""
    shuffled = list(_random(cases, rng))
    return iter(sorted(shuffled, key=lambda case: len(case.correct_answers[0].split()) // 4))


def _spread(cases: Sequence[Case], rng: np.random.Generator) -> Iterator[Case]:
    """One of each category before a second of any."""
    seen: dict[str, int] = {}
    ranked = []
    for case in _random(cases, rng):
        ranked.append((seen.get(case.category, 0), case))
        seen[case.category] = seen.get(case.category, 0) + 1
    return (case for _, case in sorted(ranked, key=lambda pair: pair[0]))


def _varied(cases: Sequence[Case], rng: np.random.Generator) -> Iterator[Case]:
    """Each next question shares the fewest content words with those before."""
    left = list(_random(cases, rng))
    used: set[str] = set()
    while left:
        chosen = min(left, key=lambda case: len(content_words(case.prompt) & used))
        left.remove(chosen)
        used |= content_words(chosen.prompt)
        yield chosen


EXAMPLE_RULES: dict[str, Callable[[Sequence[Case], np.random.Generator], Iterator[Case]]] = {
    "random": _random,
    "short": _short,
    "spread": _spread,
    "varied": _varied,
}
"""How few-shot sets are chosen: by chance, short answers, all categories, unlike questions."""


def example_set(
    rule: str, cases: Sequence[Case], size: int, rng: np.random.Generator
) -> tuple[Demonstration, ...]:
    """`size` questions with their best answers, fewer where there are fewer cases."""
    chosen = EXAMPLE_RULES[rule]([case for case in cases if case.correct_answers], rng)
    taken = [case for case, _ in zip(chosen, range(size), strict=False)]
    return tuple(Demonstration(case.prompt, case.correct_answers[0]) for case in taken)


def example_proposals(
    best: Sequence[Prompt],
    spare: Sequence[Case],
    sizes: Sequence[int],
    count: int,
    rng: np.random.Generator,
) -> list[Proposal]:
    """Good instructions with few-shot sets of the given sizes from `spare` cases, by every rule in turn."""
    sizes = [size for size in sizes if size > 0]
    if not (best and spare and sizes):
        return []
    turns = (
        (parent, rule, size) for size in sizes for rule in EXAMPLE_RULES for parent in best[:2]
    )
    return [
        Proposal(
            Prompt(parent.instruction, example_set(rule, spare, size, rng)),
            f"examples: {rule}",
            parent.id,
        )
        for (parent, rule, size), _ in zip(turns, range(count), strict=False)
    ]
