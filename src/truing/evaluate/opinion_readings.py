"""What a respondent answers to a survey's questions, read in three ways.

`letters`: the probabilities of the letters that options stand behind, over those of all of them, in
balanced orders. `text`: how much likelier the question makes an option's text than it is without one,
log p(text | question) - log p(text | no question), as odds over the options; they aren't listed, so that
there is no order. `written`: an answer in the respondent's own words, read by a program.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.data.survey import SurveyQuestion
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.named_choice import LETTERS, named, whole_part
from truing.evaluate.opinion_prompts import (
    NEUTRAL,
    Orders,
    letter_texts,
    lettered,
    orders,
    spoken,
    unlettered,
)
from truing.evaluate.respondent import Advance, Continued, Respondent, silent
from truing.statistics.opinion_distances import Floats
from truing.types import Case, Completion, Unscored, split_key

_DENIED = re.compile(r"\b(?:not|never|neither|nor|cannot|none|rather than|instead of)\b|n['’]t\b")


@dataclass(frozen=True)
class Answered:
    """The distribution over a question's options.

    Of letters alone: the same in the `printed` order only, the probability `mass` of all letters, the share
    of the `first` letter, and that of `refusals` where they are listed behind the options. Of written
    answers: the share of replies that could be `read`.
    """

    shares: tuple[float, ...]
    printed: tuple[float, ...] | None = None
    mass: float | None = None
    first: float | None = None
    refusals: float | None = None
    read: float | None = None


def by_letters(
    respondent: Respondent,
    questions: Sequence[SurveyQuestion],
    which: Orders = "all",
    advance: Advance = silent,
    *,
    before: str = "",
) -> list[Answered | Unscored]:
    """The mean over orders of the letters' probabilities, each mapped back to its option.

    `before` is a text that stands in front of every question.
    """
    listed = [orders(len(each.options), which) for each in questions]
    asked = [
        _under_letters(before, each, [each.options[n] for n in order])
        for each, of_question in zip(questions, listed, strict=True)
        for order in of_question
    ]
    with_refusals = [
        each
        for each in questions
        if each.refusals and len(each.options) + len(each.refusals) <= len(LETTERS)
    ]
    behind = [_under_letters(before, q, (*q.options, *q.refusals)) for q in with_refusals]
    scored = respondent.continued([*asked, *behind], advance)
    refused = {
        each.id: _refused(scores, len(each.options))
        for each, scores in zip(with_refusals, scored[len(asked) :], strict=True)
    }
    rows = iter(scored)
    return [
        _of_orders(of_question, [next(rows) for _ in of_question], refused.get(each.id))
        for each, of_question in zip(questions, listed, strict=True)
    ]


def _under_letters(before: str, question: SurveyQuestion, options: Sequence[str]) -> Continued:
    return Continued(before + lettered(question.question, options), letter_texts(len(options)))


def letter_log_probs(scores: Sequence[float]) -> Floats:
    """(K,) of scores of `letter_texts`: the likelier of each letter's two forms."""
    return np.asarray(np.asarray(scores, dtype=np.float64).reshape(-1, 2).max(1))


def _of_orders(
    listed: Sequence[Sequence[int]],
    scored: Sequence[tuple[float, ...] | Unscored],
    refusals: float | None,
) -> Answered | Unscored:
    shares, masses, firsts = [], [], []
    for order, scores in zip(listed, scored, strict=True):
        if isinstance(scores, Unscored):
            return scores  # without one order, places are no longer balanced
        log_probs_K = letter_log_probs(scores)
        if not np.isfinite(log_probs_K).any() or np.isnan(log_probs_K).any():
            return Unscored("a letter's probability is undefined")
        by_letter = _normalised(log_probs_K)
        by_option = np.empty(len(order))
        by_option[list(order)] = by_letter
        shares.append(by_option)
        masses.append(float(np.exp(log_probs_K).sum()))
        firsts.append(float(by_letter[0]))
    mean = np.mean(shares, axis=0)
    return Answered(
        tuple(mean.tolist()),
        tuple(shares[0].tolist()),
        float(np.mean(masses)),
        float(np.mean(firsts)),
        refusals,
    )


def _refused(scores: tuple[float, ...] | Unscored, options: int) -> float | None:
    """The refusals' share of the letters' probability."""
    if isinstance(scores, Unscored):
        return None
    return float(_normalised(letter_log_probs(scores))[options:].sum())


def by_text(
    respondent: Respondent, questions: Sequence[SurveyQuestion], advance: Advance = silent
) -> list[Answered | Unscored]:
    """Odds of the options' texts with the question, over those without it."""
    texts = [tuple(f" {option}" for option in each.options) for each in questions]
    asked = [
        Continued(unlettered(each.question), behind)
        for each, behind in zip(questions, texts, strict=True)
    ]
    every = tuple(dict.fromkeys(text for behind in texts for text in behind))
    scored = respondent.continued([*asked, Continued(NEUTRAL, every)], advance)
    neutral = scored[-1]
    if isinstance(neutral, Unscored):
        return [neutral] * len(questions)
    known = dict(zip(every, neutral, strict=True))
    return [
        scores if isinstance(scores, Unscored) else _of_text(scores, [known[t] for t in behind])
        for scores, behind in zip(scored[:-1], texts, strict=True)
    ]


def _of_text(scores: Sequence[float], neutral: Sequence[float]) -> Answered | Unscored:
    gained = np.asarray(scores) - np.asarray(neutral)
    if not np.isfinite(gained).all():
        return Unscored("an option's likelihood is undefined (no token, or NaN) or 0")
    return Answered(tuple(_normalised(gained).tolist()))


def _normalised(logits: Floats) -> Floats:
    odds = np.exp(logits - logits.max())
    return np.asarray(odds / odds.sum())


def by_writing(
    context: EvalContext, respondent: Respondent, questions: Sequence[SurveyQuestion]
) -> list[Answered | Unscored]:
    """The options that written answers choose, asked in the printed order and in its reverse.

    A question is unscored where one of its replies can't be read: its places would no longer be balanced.
    """
    listed = [
        (each, order)
        for each in questions
        for order in (tuple(range(len(each.options))), tuple(range(len(each.options)))[::-1])
    ]
    cases = [
        Case(spoken(each.question, [each.options[n] for n in order]), distinction=each.id[:16])
        for each, order in listed
    ]
    answers = context.answer(respondent, cases)
    taken = iter(
        [
            _chosen(answer, [each.options[n] for n in order], order)
            for answer, (each, order) in zip(answers, listed, strict=True)
        ]
    )
    return [_of_replies([next(taken), next(taken)], len(each.options)) for each in questions]


def _chosen(
    answer: Completion | Unscored, options: Sequence[str], order: Sequence[int]
) -> int | Unscored:
    if isinstance(answer, Unscored):
        return answer
    place = option_named(answer.text, options)
    if isinstance(place, Unscored):
        return place
    if not answer.finished and option_named(whole_part(answer.text), options) != place:
        return Unscored("the length limit cut the answer off where it names an option")
    return order[place]


def _of_replies(taken: Sequence[int | Unscored], options: int) -> Answered | Unscored:
    for each in taken:
        if isinstance(each, Unscored):
            return each
    counts = np.bincount([each for each in taken if isinstance(each, int)], minlength=options)
    return Answered(tuple((counts / len(taken)).tolist()), read=1.0)


def option_named(reply: str, options: Sequence[str]) -> int | Unscored:
    """The option that a reply chooses: its letter, its text, or the only one that it quotes.

    Unscored, with the reason, where it quotes none, more than one, or denies what it quotes.
    """
    if not reply.strip():
        return Unscored("the answer is empty")
    place = named(reply, options)
    if place is not None:
        return place
    text = split_key(reply)
    quoted = _quoted(text, options)
    if len(quoted) != 1:
        return Unscored(f"the answer quotes {'no option' if not quoted else 'several options'}")
    if _DENIED.search(_without(text, options[quoted[0]])):
        return Unscored("the answer denies something, perhaps the option that it quotes")
    return quoted[0]


def _quoted(text: str, options: Sequence[str]) -> list[int]:
    """The options that stand in a text; one that is part of another's quote counts for itself only."""
    quoted = []
    for place in sorted(range(len(options)), key=lambda n: -len(options[n])):
        pattern = _pattern(options[place])
        if pattern and pattern.search(text):
            quoted.append(place)
            text = pattern.sub(" … ", text)
    return sorted(quoted)


def _without(text: str, option: str) -> str:
    pattern = _pattern(option)
    return pattern.sub(" ", text) if pattern else text


def _pattern(option: str) -> re.Pattern[str] | None:
    key = split_key(option).strip(" .")
    return re.compile(rf"(?<!\w){re.escape(key)}(?!\w)") if key else None
