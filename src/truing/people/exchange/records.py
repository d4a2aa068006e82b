"""What one line of a data file says, in any of the field's forms, as items of one shape.

A form is recognised by its keys. Adding one is a function and a line in `FORMS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from truing.data.messages import Messages, checked_messages, checked_text
from truing.data.transcripts import hh_messages
from truing.people.exchange.argilla import flat_record, is_flat, read_record
from truing.people.exchange.items import Item
from truing.people.exchange.label_studio import read_task
from truing.people.exchange.oasst import oasst_nodes
from truing.people.exchange.tasks import items_from
from truing.people.vocabulary import FLAG_VALUES, FLAGS, RATINGS
from truing.types import InputError

Record = dict[str, Any]


def _prompt(record: Record) -> Messages:
    prompt = record["prompt"]
    if isinstance(prompt, list):
        return checked_messages(prompt, "prompt")
    return [{"role": "user", "content": checked_text(prompt, "prompt")}]


def _answer(value: object, what: str) -> str:
    """An answer's text: a string, or a list that holds one message of the assistant."""
    if isinstance(value, list):
        last = value[-1] if value else None
        if len(value) != 1 or not isinstance(last, dict) or last.get("role") != "assistant":
            raise InputError(f"{what}: must be text or one message of the assistant")
        value = last.get("content")
    return checked_text(value, what)


def _optional(record: Record, name: str) -> str:
    """Optional text; absent and null are empty."""
    value = record.get(name)
    return "" if value is None else checked_text(value, name)


def _messages(record: Record) -> list[Item]:
    messages = record["messages"]
    if not isinstance(messages, list) or not messages:
        raise InputError("messages: must be a list of messages with role and content")
    last = messages[-1]
    if isinstance(last, dict) and last.get("role") == "assistant":
        answer = checked_text(last.get("content"), f"messages[{len(messages) - 1}].content")
        prompt = checked_messages(messages[:-1], "messages")
        return [Item(prompt, demonstration=answer)]
    return [Item(checked_messages(messages, "messages"))]


def _prompt_completion(record: Record) -> list[Item]:
    answer = _answer(record["completion"], "completion")
    candidate = _optional(record, "candidate")
    if candidate:
        return [Item(_prompt(record), completions=[(candidate, answer)])]
    return [Item(_prompt(record), demonstration=answer)]


def _completions(record: Record) -> list[Item]:
    listed = record["completions"]
    if not isinstance(listed, list) or not listed:
        raise InputError("completions: must be a list of texts, or of objects with text, candidate")
    item = Item(_prompt(record))
    for number, each in enumerate(listed):
        where = f"completions[{number}]"
        if isinstance(each, dict):
            text = checked_text(each.get("text"), f"{where}.text")
            item.completions.append((_optional(each, "candidate"), text))
        else:
            item.completions.append(("", checked_text(each, where)))
    return [item]


def _pair(record: Record, prompt: Messages, chosen: str, rejected: str) -> list[Item]:
    if chosen == rejected:
        raise InputError("chosen, rejected: the same text; a pair needs two")
    completions = [
        (_optional(record, "chosen_candidate"), chosen),
        (_optional(record, "rejected_candidate"), rejected),
    ]
    return [Item(prompt, completions=completions, preferred="first")]


def _preference(record: Record) -> list[Item]:
    chosen = _answer(record["chosen"], "chosen")
    return _pair(record, _prompt(record), chosen, _answer(record["rejected"], "rejected"))


def _hh(record: Record) -> list[Item]:
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


def _hh_table(record: Record) -> list[Item]:
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


def _rating(record: Record) -> list[Item]:
    value = record["rating"]
    if type(value) is not int or value not in RATINGS:
        raise InputError("rating: must be a whole number from 1 to 7")
    flags = {name: record[name] for name in FLAGS if record.get(name) is not None}
    for name, flag in flags.items():
        if flag not in FLAG_VALUES:
            raise InputError(f"{name}: must be one of {', '.join(FLAG_VALUES)}")
    answer = _answer(record["completion"], "completion")
    completions = [(_optional(record, "candidate"), answer)]
    return [Item(_prompt(record), completions=completions, rating=value, flags=flags)]


def _self_instruct(record: Record) -> list[Item]:
    instruction = checked_text(record["instruction"], "instruction")
    instances = record["instances"]
    if not isinstance(instances, list) or not instances:
        raise InputError("instances: must be a list of objects with input and output")
    items = []
    for number, instance in enumerate(instances):
        where = f"instances[{number}]"
        if not isinstance(instance, dict):
            raise InputError(f"{where}: must be an object with input and output")
        given = _optional(instance, "input") if instance.get("input") else ""
        text = f"{instruction}\n\n{given}" if given else instruction
        output = checked_text(instance.get("output"), f"{where}.output")
        items.append(Item([{"role": "user", "content": text}], demonstration=output))
    return items


def _oasst(record: Record) -> list[Item]:
    items = []
    for node in oasst_nodes(record):
        completions = [(reply.candidate, reply.text) for reply in node.replies]
        ranked = {place: r.rank for place, r in enumerate(node.replies) if r.rank is not None}
        items.append(
            Item(
                checked_messages(node.messages, "prompt"),
                completions=completions,
                demonstration=node.demonstration,
                ranks=ranked if len(ranked) > 1 else {},
            )
        )
    return items


def _argilla(record: Record) -> list[Item]:
    return items_from(read_record(record))


def _label_studio(record: Record) -> list[Item]:
    return items_from(read_task(record))


def _prompt_only(record: Record) -> list[Item]:
    return [Item(_prompt(record))]


FORMS: tuple[tuple[str, frozenset[str], Callable[[Record], list[Item]]], ...] = (
    ("Argilla", frozenset({"fields", "responses"}), _argilla),
    ("Label Studio", frozenset({"data", "annotations"}), _label_studio),
    ("OASST tree", frozenset({"message_tree_id", "prompt"}), _oasst),
    ("messages", frozenset({"messages"}), _messages),
    ("rating", frozenset({"prompt", "completion", "rating"}), _rating),
    ("preference", frozenset({"prompt", "chosen", "rejected"}), _preference),
    ("HH pair", frozenset({"chosen", "rejected"}), _hh),
    ("HH table", frozenset({"Question", "Answer1", "Answer2", "Preference"}), _hh_table),
    ("completions", frozenset({"prompt", "completions"}), _completions),
    ("prompt and completion", frozenset({"prompt", "completion"}), _prompt_completion),
    ("Self-Instruct", frozenset({"instruction", "instances"}), _self_instruct),
    ("prompt", frozenset({"prompt"}), _prompt_only),
)
"""The forms by the keys that they need; the first whose keys are all there is meant."""


def items_of(record: object) -> list[Item]:
    """The items of one record. Raises InputError naming the field that is wrong."""
    if not isinstance(record, dict):
        raise InputError(f"each line is a JSON object, not {type(record).__name__}")
    if is_flat(record):
        record = flat_record(record)
    for _, keys, read in FORMS:
        if keys <= record.keys():
            items = read(record)
            for item in items:
                item.user = item.user or _optional(record, "user")
                item.judge = item.judge or _optional(record, "annotator")
            return items
    known = "; ".join(f"{name}: {', '.join(sorted(keys))}" for name, keys, _ in FORMS)
    raise InputError(f"no form that is known has these keys; the forms and their keys: {known}")
