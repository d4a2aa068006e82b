"""From answers and references to what trained judges see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from truing.judges.features import comparison
from truing.judges.grading import normalised_answer
from truing.judges.similarity import Text, leave_out, rouge_rule
from truing.judges.stacked import Answers
from truing.models.features import Embed, Features
from truing.progress import Progress
from truing.types import Case, answer_key


@dataclass(frozen=True)
class Prepared:
    """Answers that can be judged: their `place` in what was asked for, whether each is one of its
    question's `references`, and the verdicts of the ROUGE-1 `rule`; each (B,)."""

    answers: Answers
    place: list[int]
    reference: list[bool]
    rule: list[bool]


@dataclass
class References:
    """The references of questions as prepared texts: true ones, false ones, and the question.

    Vectors are centred and scaled by `center` and `scale` (2 E,), which hold for every question.
    """

    read: Embed
    progress: Progress
    center: Features
    scale: Features
    _known: dict[str, tuple[list[Text], list[Text], Text]] = field(default_factory=dict)

    @staticmethod
    def of(cases: Sequence[Case], read: Embed, progress: Progress) -> References:
        """With center and scale from the references themselves."""
        vectors = read(_pairs(cases))
        center = vectors.mean(0, dtype=np.float64).astype(np.float32)
        scale = vectors.std(0, dtype=np.float64).astype(np.float32) + np.float32(1e-6)
        made = References(read, progress, center, scale)
        made._keep(cases, vectors)
        return made

    def _texts(self, answers: Sequence[str], vectors: Features) -> list[Text]:
        scaled = (vectors - self.center) / self.scale
        scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
        return [Text(answer, vector) for answer, vector in zip(answers, scaled, strict=True)]

    def _keep(self, cases: Sequence[Case], vectors: Features) -> None:
        pairs = _pairs(cases)
        texts = iter(self._texts([answer for _, answer in pairs], vectors))
        for case in cases:
            true = [next(texts) for _ in case.correct_answers]
            false = [next(texts) for _ in case.incorrect_answers]
            # A question is compared by its words alone.
            self._known[case.id] = (true, false, Text(case.prompt, np.zeros(1)))

    def prepared(self, answers: Sequence[tuple[Case, str]], *, learning: bool) -> Prepared:
        """What judges see of (case, answer) pairs. Left out are those whose question has no reference
        on one side.

        While `learning`, an answer that is one of its question's references is compared with the
        others, without its mirror image (see `leave_out`); otherwise with all.
        """
        new = {case.id: case for case, _ in answers if case.id not in self._known}
        if new:
            self._keep(list(new.values()), self.read(_pairs(list(new.values()))))
        vectors = self.read([(case.prompt, answer) for case, answer in answers])
        texts = self._texts([answer for _, answer in answers], vectors)
        compared, place, reference, rule = [], [], [], []
        with self.progress.task("Comparing answers", total=len(answers)) as advance:
            for number, (text, (case, _)) in enumerate(zip(texts, answers, strict=True)):
                advance(number)
                true, false, question = self._known[case.id]
                rest_true, rest_false, own = _without(text, true, false)
                if learning:
                    true, false = rest_true, rest_false
                if not true or not false:
                    continue
                compared.append(comparison(text, question, true, false))
                place.append(number)
                reference.append(own)
                rule.append(rouge_rule(text, true, false))
        return Prepared(Answers(vectors[place], np.array(compared)), place, reference, rule)


def _pairs(cases: Sequence[Case]) -> list[tuple[str, str]]:
    return [
        (case.prompt, answer)
        for case in cases
        for answer in (*case.correct_answers, *case.incorrect_answers)
    ]


def _without(
    text: Text, true: list[Text], false: list[Text]
) -> tuple[list[Text], list[Text], bool]:
    """References to compare an answer with, and whether it is one of them itself."""
    sides = ((true, false, False), (false, true, True))
    # Exactly first: where mW is true, MW is the false reference.
    for key, (own, other, flip) in product((answer_key, normalised_answer), sides):
        for place, reference in enumerate(own):
            if key(reference.text) == key(text.text):
                rest, rest_other = leave_out(place, own, other) if other else ([], [])
                return (rest_other, rest, True) if flip else (rest, rest_other, True)
    return true, false, False
