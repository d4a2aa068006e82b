"""What one person said of one or several answers to one prompt, wherever it was written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from truing.data.left_out import LeftOutRows, with_place
from truing.data.messages import Turns, stripped
from truing.types import InputError, split_key, stable_hash

EMPTY = "an empty answer"
EQUAL = "answers that are the same"
REPEATED = "said before by the same person"
CONTRADICTED = "contradicted by the same person"
CONSTANT = "ratings that are all the same, which prefer nothing"


@dataclass(frozen=True)
class Judgement:
    """Messages up to the user's last one, and answers with a rank for each (1 the best, equal ones are
    ties), or one answer with a rating.

    `annotator` is a name or number, empty where nobody knows; `groups` are what that person says of
    itself, by dimension; `user` is whoever asked, `source` where it stands.
    """

    messages: Turns
    answers: tuple[str, ...]
    ranks: tuple[int, ...] = ()
    rating: int | None = None
    annotator: str = ""
    groups: Mapping[str, str] = field(default_factory=dict, hash=False)
    user: str = ""
    source: str = ""

    @property
    def kind(self) -> str:
        """comparison, ranking or rating."""
        if self.rating is not None:
            return "rating"
        return "comparison" if len(self.answers) == 2 else "ranking"

    @property
    def is_tie(self) -> bool:
        """Whether it prefers none of its answers."""
        return self.rating is None and len(set(self.ranks)) == 1

    @property
    def opening(self) -> str:
        """A key of how the conversation begins: what begins alike is one prompt, however far it goes."""
        first = next((text for role, text in self.messages if role == "user"), "")
        return stable_hash("opening", split_key(first))[:16]

    @property
    def about(self) -> str:
        """A key of the prompt and the answers, in whatever order they stand."""
        before = [part for turn in stripped(self.messages) for part in turn]
        return stable_hash("judged", *before, "", *sorted(self.answers))

    @property
    def verdict(self) -> tuple[int, ...]:
        """What it says of the answers in their alphabetical order."""
        if self.rating is not None:
            return (self.rating,)
        by_text = dict(zip(self.answers, self.ranks, strict=True))
        places = sorted(set(self.ranks))
        return tuple(places.index(by_text[text]) for text in sorted(self.answers))


@dataclass(frozen=True)
class Judgements:
    """Judgements in order; `left_out` counts what can teach nothing, by its reason, and `first` has the
    place of the first of these, where that is known; `remarks` are what the user is told of the rest."""

    judgements: tuple[Judgement, ...]
    left_out: Mapping[str, int]
    source: str
    remarks: tuple[str, ...] = ()
    first: Mapping[str, str] = field(default_factory=dict, hash=False)

    def without(
        self,
        left_out: Mapping[str, int],
        judgements: Sequence[Judgement],
        first: Mapping[str, str] | None = None,
    ) -> Judgements:
        """With fewer of them, why, and where the first of each reason stands."""
        counts = Counter(dict(self.left_out)) + Counter(dict(left_out))
        places = {**(first or {}), **self.first}
        return replace(self, judgements=tuple(judgements), left_out=dict(counts), first=places)

    @property
    def reasons(self) -> str:
        """What was left out, in words."""
        return "; ".join(
            f"{count} left out: {why}" for why, count in self.left_out_with_place.items()
        )

    @property
    def left_out_with_place(self) -> dict[str, int]:
        """What was left out, by its reason with the place of the first of them."""
        return with_place(self.left_out, self.first)


def usable(read: Judgements) -> Judgements:
    """Those that can teach something, and remarks on who judged.

    Raises InputError where none is left, or all are ties.
    """
    left_out = LeftOutRows()
    sound = [each for each in read.judgements if not _fault(each, left_out)]
    judgements = _consistent(sound, left_out)
    levels = {each.rating for each in judgements if each.rating is not None}
    if len(levels) == 1:
        for each in judgements:
            if each.rating is not None:
                left_out.add(CONSTANT, each.source)
        judgements = [each for each in judgements if each.rating is None]
    result = read.without(left_out.counts, judgements, left_out.first)
    if not judgements:
        why = result.reasons or "there is no row"
        right = "give comparisons, rankings or ratings"
        raise InputError(f"{read.source}: no judgement to learn from ({why}); {right}")
    if all(each.is_tie for each in judgements):
        raise InputError(
            f"{read.source}: all {len(judgements)} judgements are ties, so that nothing prefers an "
            "answer; give some in which one answer is better"
        )
    if _cancel_out(judgements):
        raise InputError(
            f"{read.source}: of the {len(judgements)} judgements each is cancelled out by another that "
            "says the opposite of the same answers, so that nothing prefers an answer; give some that agree"
        )
    remarks = (*read.remarks, *_remarks(judgements))
    return replace(result, remarks=remarks)


def _fault(judgement: Judgement, left_out: LeftOutRows) -> bool:
    """Whether the answers can teach nothing; counts why."""
    if not all(answer.strip() for answer in judgement.answers):
        left_out.add(EMPTY, judgement.source)
        return True
    if len({answer.strip() for answer in judgement.answers}) < len(judgement.answers):
        left_out.add(EQUAL, judgement.source)
        return True
    return False


def _consistent(judgements: Sequence[Judgement], left_out: LeftOutRows) -> list[Judgement]:
    """Of what a known person said twice of the same answers, once; nothing where the two disagree."""
    verdicts: dict[tuple[str, str, str], set[tuple[int, ...]]] = {}
    for each in judgements:
        verdicts.setdefault(_by_whom(each), set()).add(each.verdict)
    result, seen = [], set()
    for each in judgements:
        key = _by_whom(each)
        if not each.annotator:
            result.append(each)
        elif len(verdicts[key]) > 1:
            left_out.add(CONTRADICTED, each.source)
        elif key in seen:
            left_out.add(REPEATED, each.source)
        else:
            seen.add(key)
            result.append(each)
    return result


def _cancel_out(judgements: Sequence[Judgement]) -> bool:
    """Whether every two answers are preferred to each other equally often by people without a name, and
    nothing is rated. Of people with one, groups may have heads of their own."""
    ahead: Counter[tuple[str, int, int]] = Counter()
    for each in judgements:
        if each.rating is not None or each.annotator:
            return False
        places = each.verdict
        for one, other in combinations(range(len(places)), 2):
            sign = (places[one] < places[other]) - (places[one] > places[other])
            ahead[each.about, one, other] += sign
    return not any(ahead.values())


def _by_whom(judgement: Judgement) -> tuple[str, str, str]:
    return (judgement.annotator, judgement.kind, judgement.about)


def _remarks(judgements: Sequence[Judgement]) -> list[str]:
    people = {each.annotator for each in judgements if each.annotator}
    unknown = sum(not each.annotator for each in judgements)
    remarks = []
    if unknown == len(judgements):
        remarks.append("nobody says who judged: intervals know prompts alone")
    elif len(people) == 1 and not unknown:
        remarks.append("one person judged: what is learned is that person's taste")
    verdicts: dict[str, set[tuple[int, ...]]] = {}
    for each in judgements:
        if not each.annotator and each.rating is None:
            verdicts.setdefault(each.about, set()).add(each.verdict)
    if opposed := sum(len(each) > 1 for each in verdicts.values()):
        remarks.append(
            f"{opposed} set(s) of answers with judgements that differ, by people without a name: kept, as "
            "a disagreement"
        )
    return remarks
