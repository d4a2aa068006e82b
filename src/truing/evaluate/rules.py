"""Rules in contexts: does an answer keep a rule where it binds, and carry the content where it doesn't?

One row for each rule, context and item. What becomes of an answer is decided by exact checks and the
columns of its case (judges/rule_outcome.py). Of the two cases of a contrast pair the first one's row says
whether both are right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from truing.data.rules import SUCCESSES
from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.respondent import Respondent
from truing.types import Case, Completion, Metric, Row, Score, Unscored, stable_hash

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.data.rule_book import RuleBook
    from truing.data.rules import RuleOutcome
    from truing.rewards.reward import Answered

ANSWER_TOKENS = 20
"""An answer's greatest length where the rule binds."""
MORE_TOKENS = 16
"""What is to come over has its source's length and so many tokens more."""
STEP = 8
"""Greatest lengths are rounded up to a multiple."""
CHARACTERS = 3
"""Of a token, where the respondent's tokens aren't known: fewer than in any usual text."""


Better = Literal[-1, 0, 1]


def rule_cases(context: EvalContext) -> list[Case]:
    """The book's cases, or as many of them as the context asks."""
    cases = context.rules().cases()
    return balanced(cases, context.rule_cases)


def balanced(cases: Sequence[Case], most: int | None) -> list[Case]:
    """At most so many cases, in their order: item by item of every rule in turn, each in all its contexts,
    so that rules and contexts are there alike and pairs are whole. Items are taken by a stable hash."""
    if most is None or most >= len(cases):
        return list(cases)
    items: dict[str, dict[str, list[Case]]] = defaultdict(dict)
    for case in cases:
        items[case.columns["rule"]].setdefault(case.columns["item"], []).append(case)
    ranked = [
        (rank, number, of_item)
        for number, (rule, by_item) in enumerate(items.items())
        for rank, of_item in enumerate(_shuffled(rule, by_item))
    ]
    order = [case for _, _, of_item in sorted(ranked, key=lambda r: r[:2]) for case in of_item]
    chosen = {case.id for case in order[:most]}
    return [case for case in cases if case.id in chosen]


def _shuffled(rule: str, by_item: Mapping[str, list[Case]]) -> list[list[Case]]:
    names = sorted(by_item, key=lambda name: stable_hash("rule item", rule, name))
    return [by_item[name] for name in names]


def measured_rules(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with the outcome of each case."""
    cases, checks = rule_cases(context), context.rule_checks()
    answers = _answers(context, respondent, cases)
    outcomes = outcomes_of(checks, cases, answers)
    pairs = _pairs(context.rules(), dict(zip((c.id for c in cases), outcomes, strict=True)))
    return [
        context.row(
            respondent,
            "rules",
            case,
            metrics_of(case, outcome, answer) | pairs.get(case.id, {}),
            _detail(context, case, answer, outcome),
        )
        for case, answer, outcome in zip(cases, answers, outcomes, strict=True)
    ]


def outcomes_of(
    checks: Mapping[str, Callable[[Answered], Score]],
    cases: Sequence[Case],
    answers: Sequence[Completion | Unscored],
) -> list[RuleOutcome | Unscored]:
    """What becomes of each case's rule in its answer; the reason where there is no answer."""
    from truing.judges.rule_outcome import UNTOLD, rule_outcome
    from truing.rewards.reward import Answered, graded

    outcomes: dict[int, RuleOutcome | Unscored] = {}
    of_rule: dict[str, dict[int, Answered]] = defaultdict(dict)
    for place, (case, answer) in enumerate(zip(cases, answers, strict=True)):
        if isinstance(answer, Unscored):
            outcomes[place] = answer
        elif not answer.text.strip():
            outcomes[place] = "empty"
        elif case.columns["expects"] != "keep":  # where it doesn't bind, its check plays no part
            outcomes[place] = rule_outcome(Answered.of(case, answer), UNTOLD)
        else:
            of_rule[case.columns["rule"]][place] = Answered.of(case, answer)
    for rule, written in of_rule.items():
        keeps = graded(checks[rule], list(written.values()))
        for (place, answered), score in zip(written.items(), keeps, strict=True):
            outcomes[place] = rule_outcome(answered, score)
    return [outcomes[place] for place in range(len(cases))]


def _answers(
    context: EvalContext, respondent: Respondent, cases: Sequence[Case]
) -> list[Completion | Unscored]:
    """An answer to each case, at most as long as its own greatest length."""
    longest = [longest_answer(respondent, case) for case in cases]
    return context.answer(respondent, cases, longest) if cases else []


def longest_answer(respondent: Respondent, case: Case) -> int:
    """An answer's greatest length in tokens."""
    if case.columns["expects"] == "keep":
        return ANSWER_TOKENS
    wanted = _length(respondent, _source(case)) + MORE_TOKENS
    return -(-wanted // STEP) * STEP


def _source(case: Case) -> str:
    """What is to come over: the text that the user's turn holds, else the whole turn."""
    texts = (str(case.columns.get(name, "")) for name in ("text", "foreign"))
    return next((text for text in texts if text and text in case.prompt), case.prompt)


def _length(respondent: Respondent, text: str) -> int:
    from truing.evaluate.local import LocalRespondent

    if isinstance(respondent, LocalRespondent):
        return len(respondent.candidate.model.encode(text))
    return -(-len(text) // CHARACTERS)


def metrics_of(
    case: Case, outcome: RuleOutcome | Unscored, answer: Completion | Unscored
) -> dict[str, Score]:
    """The metrics of one row. An empty answer is no success, and no answer that didn't do the task."""
    success = "kept" if case.columns["expects"] == "keep" else "carried"
    names = (success, *(() if success == "kept" else ("dropped",)), "not_done", "empty")
    if isinstance(outcome, Unscored):
        return dict.fromkeys(names, outcome)
    metrics: dict[str, Score] = {name: float(outcome == name.replace("_", " ")) for name in names}
    if outcome == "kept" and isinstance(answer, Completion):
        metrics["cut"] = float(not answer.finished)
    return metrics


def _pairs(
    book: RuleBook, outcomes: Mapping[str, RuleOutcome | Unscored]
) -> dict[str, dict[str, Score]]:
    """By the first case of each pair whose two cases were asked: whether both are right, of several pairs
    whether all are."""
    right: dict[str, Score] = {}
    for pair in book.pairs:
        sides = [case.id for case in book.sides(pair)]
        if not all(side in outcomes for side in sides):
            continue
        scores = [_right(outcomes[side]) for side in sides]
        right[sides[0]] = _least([*scores, *([right[sides[0]]] if sides[0] in right else [])])
    return {case: {"pair_right": score} for case, score in right.items()}


def _least(scores: Sequence[Score]) -> Score:
    unscored = [score for score in scores if isinstance(score, Unscored)]
    return unscored[0] if unscored else min(s for s in scores if not isinstance(s, Unscored))


def _right(outcome: RuleOutcome | Unscored) -> Score:
    return outcome if isinstance(outcome, Unscored) else float(outcome in SUCCESSES)


def _detail(
    context: EvalContext,
    case: Case,
    answer: Completion | Unscored,
    outcome: RuleOutcome | Unscored,
) -> dict[str, Any]:
    text, finished = (
        (None, None) if isinstance(answer, Unscored) else (answer.text.strip(), answer.finished)
    )
    columns = {name: case.columns[name] for name in ("rule", "context", "expects", "item")}
    return {
        **columns,
        "outcome": None if isinstance(outcome, Unscored) else outcome,
        "answer": text,
        "finished": finished,
        **context.prompt_of(case),
        "system": case.system,
    }


def _metric(name: str, label: str, better: Better, note: str, short: str, phrase: str) -> Metric:
    of_some = name not in ("not_done", "empty")
    return Metric("rules", name, label, better, "share", note, short, phrase, of_some=of_some)


RULES = Evaluation(
    name="rules",
    title="Rules in contexts",
    about="rules that bind in some contexts and don't in others, told to the model or only expected",
    measure=measured_rules,
    cases=rule_cases,
    source=lambda context: context.rules().source,
    needs={
        "answers": ("kept", "carried", "dropped", "not_done", "empty", "cut", "pair_right"),
    },
    headline=("kept", "carried", "pair_right"),
    short_title="Rules",
    metrics=(
        _metric(
            "kept",
            "Rules kept",
            1,
            "share of answers that do what was asked and keep the rule, where it binds",
            "Kept",
            "rules kept",
        ),
        _metric(
            "carried",
            "Content carried over",
            1,
            "share of answers that bring the content over, where the rule doesn’t bind",
            "Carried",
            "content carried over",
        ),
        _metric(
            "dropped",
            "Rules over-applied",
            -1,
            "share of answers that leave the content out or decline, where the rule doesn’t bind",
            "Dropped",
            "rules applied where they don’t bind",
        ),
        _metric(
            "not_done",
            "Not done",
            -1,
            "share of answers that don’t do what was asked at all",
            "",
            "requests not done",
        ),
        _metric(
            "empty",
            "Empty answers",
            -1,
            "share of answers without text; never a success",
            "Empty",
            "empty answers",
        ),
        _metric(
            "pair_right",
            "Contrast pairs right",
            1,
            "share of pairs of one item in two contexts of which both answers are right",
            "Pairs",
            "contrast pairs right",
        ),
        _metric(
            "cut",
            "Kept, but cut off",
            0,
            "share of the answers that keep the rule which the length limit cut off: more "
            "words could still break it",
            "Cut",
            "kept answers cut off",
        ),
    ),
)
