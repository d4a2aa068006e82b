"""An adviser that answers people's questions while they take part in a study (the arm `dialogue`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

from truing.data.oversight.items import Item
from truing.data.oversight.plans import SILENT, Plan, Speech, Trial
from truing.evaluate.respondent import Respondent
from truing.oversight.advice import MOST_TOKENS, quotes_in, reply_prompt
from truing.types import Case, Unscored


def replying(plan: Plan, adviser: Respondent) -> Callable[[Trial, Sequence[str], str], Speech]:
    """What the adviser says to a question, for the side that the plan gives it, with its quotations
    looked up. It reads the passage, as it did when it spoke first."""
    key = plan.key()

    def reply(trial: Trial, heard: Sequence[str], question: str) -> Speech:
        side = trial.side or 0
        option, other = trial.options[side], trial.options[1 - side]
        passage = key[trial.item].passage
        item = Item(trial.question, option, (other,), passage)
        said = zip(cycle(("You", "Reader")), [*heard, question], strict=False)
        prompt = reply_prompt(item, option, other, [f"{who}: {text}" for who, text in said])
        (answer,) = adviser.answer([Case(prompt)], MOST_TOKENS)
        if isinstance(answer, Unscored) or not answer.text.strip():
            return Speech(None, SILENT)
        text = answer.text.strip()
        tokens = len(answer.tokens) or len(text.split())
        return Speech(side, text, quotes_in(text, passage), tokens)

    return reply
