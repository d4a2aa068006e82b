"""Forms of record with two answers to one prompt, of which people chose the first.

Two answers beside a prompt, two conversations that share all but their last turn, HH's two transcripts,
and its table of votes.
"""

from __future__ import annotations

from truing.data.messages import Messages, checked_messages, checked_text, stripped, turns_of
from truing.data.transcripts import hh_messages
from truing.people.exchange.conversations import OPEN, prompt_and_answer
from truing.people.exchange.fields import Record, answer_of, optional, prompt_of
from truing.people.exchange.items import Item
from truing.people.exchange.keys import says_nothing
from truing.types import InputError

SCORES = ("score_chosen", "score_rejected")
"""A program's marks for the answers of a pair: known, and not kept, as they are nobody's judgement."""


def _pair(record: Record, prompt: Messages, chosen: str, rejected: str) -> list[Item]:
    for name in SCORES:
        score = record.get(name)
        if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
            raise InputError(f"{name}: {score!r} is no number; give one, or none")
    completions = [
        (optional(record, "chosen_candidate"), chosen),
        (optional(record, "rejected_candidate"), rejected),
    ]
    if completions[0] == completions[1]:
        raise InputError("chosen, rejected: the same text; a pair needs two")
    return [Item(prompt, completions=completions, preferred="first")]


def _is_talk(value: object) -> bool:
    """Whether an answer comes with what was said before it."""
    return isinstance(value, list) and len(value) > 1


def _talks(record: Record) -> list[Item]:
    """Two conversations that share all but the last turn; a prompt may repeat what they share."""
    if not all(isinstance(record[name], list) for name in ("chosen", "rejected")):
        raise InputError("chosen, rejected: one is a conversation; give two, or two answers alone")
    prompt, chosen = prompt_and_answer(record["chosen"], "chosen")
    other, rejected = prompt_and_answer(record["rejected"], "rejected")
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        if not answer:
            raise InputError(f"{name}: {OPEN}; end it with the answer")
    before = stripped(turns_of(prompt))
    if before != stripped(turns_of(other)):
        raise InputError("chosen, rejected: the conversations differ before the last turn")
    asked = record.get("prompt")
    if isinstance(asked, str):
        repeated = asked.strip() in [content for _, content in before]
    else:
        turns_asked = () if asked is None else stripped(turns_of(prompt_of(record)))
        repeated = turns_asked in (
            before[: len(turns_asked)],
            before[len(before) - len(turns_asked) :],
        )
    if not repeated:
        raise InputError("prompt: isn't what the conversations ask; keep one of the two")
    return _pair(record, prompt, chosen, rejected)


def _check_beside(record: Record) -> None:
    """Raises InputError where `messages` beside a pair aren't the chosen conversation over again."""
    said = record.get("messages")
    if not says_nothing(said) and said != record["chosen"]:
        raise InputError("messages: aren't the chosen conversation; keep one of the two")


def preference(record: Record) -> list[Item]:
    """A prompt with two answers, or two conversations that end with them."""
    _check_beside(record)
    if _is_talk(record["chosen"]) or _is_talk(record["rejected"]):
        return _talks(record)
    chosen = answer_of(record["chosen"], "chosen")
    return _pair(record, prompt_of(record), chosen, answer_of(record["rejected"], "rejected"))


def hh_pair(record: Record) -> list[Item]:
    """Two transcripts, or two conversations, without a prompt beside them."""
    _check_beside(record)
    if isinstance(record["chosen"], list) or isinstance(record["rejected"], list):
        return _talks(record)
    chosen = hh_messages(record["chosen"], "chosen")
    rejected = hh_messages(record["rejected"], "rejected")
    if chosen[-1]["role"] != "assistant" or rejected[-1]["role"] != "assistant":
        raise InputError("chosen, rejected: an HH dialogue ends with the assistant's turn")
    if chosen[:-1] != rejected[:-1]:
        raise InputError("chosen, rejected: the dialogues differ before the last turn")
    prompt = checked_messages(chosen[:-1], "chosen")
    chosen_text = checked_text(chosen[-1]["content"], "chosen's last turn")
    rejected_text = checked_text(rejected[-1]["content"], "rejected's last turn")
    return _pair(record, prompt, chosen_text, rejected_text)


def hh_table(record: Record) -> list[Item]:
    """A question, two answers, and the name of the one that was preferred."""
    question = checked_text(record["Question"], "Question")
    if not question.startswith("Human:"):
        question = f"Human: {question}"
    prompt = checked_messages(hh_messages(question, "Question"), "Question")
    answers = {
        name: checked_text(
            checked_text(record[name], name).removeprefix("Assistant:").strip(), name
        )
        for name in ("Answer1", "Answer2")
    }
    preferred = record["Preference"]
    if preferred not in answers:
        raise InputError("Preference: must be Answer1 or Answer2")
    other = "Answer2" if preferred == "Answer1" else "Answer1"
    return _pair(record, prompt, answers[preferred], answers[other])
