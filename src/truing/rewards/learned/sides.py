"""Which judgements are learned from and which are held out: by prompt, by who asked, and by who judged.

Conversations that begin alike, and all that one user asked, lie on one side. Where enough people judged,
some of them are held out as well: the figures are then of other prompts and other people at once, and
those of other prompts alone stand beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.data.contamination import Contamination, contamination
from truing.data.dialogues import Dialogue, split_dialogues
from truing.rewards.learned.judgements import Judgement, Judgements
from truing.types import Case, InputError, stable_hash

PROMPTS, PROMPTS_AND_PEOPLE = "other prompts", "other prompts and people"
LEAST_PEOPLE = 5
"""With fewer, nobody is held out: too little would be left to learn from."""


@dataclass(frozen=True)
class Sides:
    """`held_out` are of prompts that nothing was learned from, by people who may be `strangers` (nobody of
    them was learned from); `neither`: of training prompts, by held-out people."""

    train: tuple[Judgement, ...]
    held_out: tuple[Judgement, ...]
    strangers: frozenset[str]
    neither: int

    @property
    def measured(self) -> dict[str, tuple[Judgement, ...]]:
        """What figures are of, by what it is called, the strictest first."""
        of_strangers = tuple(each for each in self.held_out if each.annotator in self.strangers)
        known = tuple(each for each in self.held_out if each.annotator not in self.strangers)
        if not self.strangers:
            return {PROMPTS: self.held_out}
        parts = {PROMPTS_AND_PEOPLE: of_strangers, PROMPTS: known}
        return {name: part for name, part in parts.items() if part}


def split_judgements(read: Judgements, held_out: float, people: float) -> Sides:
    """Both sides; `held_out` and `people` are the expected shares of prompts and of people held out.

    Raises InputError where a side is left empty, or nothing that is learned from prefers an answer.
    """
    dialogues = [_asked(each) for each in read.judgements]
    by_dialogue = {id(d): each for d, each in zip(dialogues, read.judgements, strict=True)}
    train, held = (
        [by_dialogue[id(dialogue)] for dialogue in side]
        for side in split_dialogues(dialogues, held_out)
    )
    strangers = _held_out_people(read.judgements, people)
    own = tuple(each for each in train if each.annotator not in strangers)
    for side, name in ((own, "learn from"), (held, "hold out")):
        if not side:
            raise InputError(
                f"{read.source}: no judgement to {name}: all {len(read.judgements)} are linked by one "
                "prompt or user; give judgements of several prompts"
            )
    if not _prefers(own):
        raise InputError(
            f"{read.source}: none of the {len(own)} judgements to learn from prefers an answer (ties, or "
            "ratings that are all the same; the others are held out); give more judgements, or a smaller "
            "reward_model.held_out"
        )
    return Sides(own, tuple(held), strangers, len(train) - len(own))


def _prefers(judgements: Sequence[Judgement]) -> bool:
    """Whether any of them says that an answer is better than another."""
    levels = {each.rating for each in judgements if each.rating is not None}
    return len(levels) > 1 or any(each.rating is None and not each.is_tie for each in judgements)


def _asked(judgement: Judgement) -> Dialogue:
    """How its conversation begins, as the splitting of demonstrations knows it."""
    begun = next((turn for turn in judgement.messages if turn[0] == "user"), ("user", ""))
    return Dialogue((begun,), "", user=judgement.user)


def _held_out_people(judgements: Sequence[Judgement], share: float) -> frozenset[str]:
    people = sorted({each.annotator for each in judgements if each.annotator})
    if len(people) < LEAST_PEOPLE or not share:
        return frozenset()
    drawn = sorted(people, key=lambda name: (stable_hash("held out person", _own_name(name)), name))
    count = min(max(1, round(share * len(people))), len(people) - 1)
    return frozenset(drawn[:count])


def _own_name(name: str) -> str:
    """Without the source that a store writes before it, so that a file and the store that it was imported
    into hold the same people out."""
    return name.rpartition("/")[2]


def looked_through(
    read: Judgements, questions: Sequence[Case], *, dropped: bool
) -> tuple[Judgements, Contamination]:
    """The judgements, looked through for the questions that candidates are measured on, and without those
    that hold one where they are `dropped`. Raises InputError where none is left."""
    dialogues = [
        Dialogue(each.messages, "\n\n".join(each.answers), source=each.source)
        for each in read.judgements
    ]
    found = contamination(dialogues, questions, dropped=dropped, what="judgements")
    if not dropped or not found.findings:
        return read, found
    bad = {id(finding.dialogue) for finding in found.findings}
    clean = [j for d, j in zip(dialogues, read.judgements, strict=True) if id(d) not in bad]
    if not clean:
        raise InputError(
            f"{read.source}: all {len(dialogues)} judgements hold an evaluation question; give others, "
            "or set data.contaminated to keep"
        )
    counts = {"holds an evaluation question": len(dialogues) - len(clean)}
    return read.without(counts, clean), found
