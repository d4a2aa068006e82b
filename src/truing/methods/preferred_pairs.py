"""The pairs, as tokens, that are learned from: people's, a defence's, or the training questions' own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from truing.learn.sources.pairs import Comparisons, Tokens, at_most, compared
from truing.methods.contrast import rows_of
from truing.methods.setup import Setup
from truing.types import InputError


@dataclass(frozen=True)
class LearnedFrom:
    """Pairs as tokens: those that are trained on, those held out, and how many of neither, by reason."""

    train: tuple[Comparisons, ...]
    held_out: tuple[Comparisons, ...]
    left_out: Mapping[str, int]

    @property
    def pairs(self) -> int:
        """How many are trained on."""
        return sum(len(each.pairs) for each in self.train)


def _rows_of_questions(setup: Setup) -> list[tuple[Tokens, Tokens, Tokens]]:
    """Every (question, true answer, false answer) of the training side."""
    renderer, prompt = setup.renderer, setup.base_prompt
    rows = []
    for case in setup.train:
        tokens = tuple(renderer.case_tokens(prompt, case))
        true, false = (
            [tuple(renderer.answer_tokens(answer, end=True)) for answer in answers]
            for answers in (case.correct_answers, case.incorrect_answers)
        )
        rows += [(tokens, better, worse) for better in true for worse in false]
    return rows


def _rows_of_people(setup: Setup, held_out: bool) -> list[tuple[Tokens, Tokens, Tokens]]:
    """Every (prompt, chosen, rejected) of a side of `data.preferences`.

    Raises InputError naming the place of a conversation that the chat template refuses.
    """
    people, renderer = setup.texts.preferences, setup.renderer
    assert people is not None
    rows = []
    for each in people.held_out if held_out else people.train:
        turns = [{"role": role, "content": content} for role, content in each.messages]
        try:
            prompt = tuple(renderer.conversation(setup.base_prompt, turns))
        except InputError as error:
            raise InputError(f"{each.source}: {error}") from None
        chosen = tuple(renderer.answer_tokens(each.chosen, end=True))
        rows.append((prompt, chosen, tuple(renderer.answer_tokens(each.rejected, end=True))))
    return rows


def _train_rows(setup: Setup, seed: int) -> list[tuple[Tokens, Tokens, Tokens]]:
    if (contrast := setup.spec.preference.contrast) is not None:
        return rows_of(setup, contrast, seed)
    return _rows_of_people(setup, False) if setup.texts.preferences else _rows_of_questions(setup)


def learned_from(setup: Setup, seed: int) -> LearnedFrom:
    """The pairs of `data.preferences`, or of the training questions' answers, that can be learned from.

    Raises InputError, with what was left out and why, where none is left.
    """
    spec, people = setup.spec.preference, setup.texts.preferences
    if spec.contrast is not None:
        people = None
    most = min(spec.max_tokens, setup.base.model.context_length)
    left_out = Counter(dict(people.left_out) if people else {})

    def within(rows: Sequence[tuple[Tokens, Tokens, Tokens]]) -> list[Comparisons]:
        short = [row for row in rows if len(row[0]) + max(map(len, row[1:])) <= most]
        left_out[f"longer than {most} tokens"] += len(rows) - len(short)
        found, reasons = compared(short)
        left_out.update(reasons)
        return found

    train_side = within(_train_rows(setup, seed))
    held_out = within(_rows_of_people(setup, True)) if people else []
    if spec.max_pairs is not None:
        train_side = at_most(train_side, spec.max_pairs, seed)
    counts = {reason: count for reason, count in left_out.items() if count}
    if not train_side:
        reasons = "; ".join(f"{count} left out: {reason}" for reason, count in counts.items())
        raise InputError(
            f"{setup.spec.data.preferences or 'preference'}: no pair to learn from"
            f"{f' ({reasons})' if reasons else ''}; give others, or raise preference.max_tokens"
        )
    return LearnedFrom(tuple(train_side), tuple(held_out), counts)
