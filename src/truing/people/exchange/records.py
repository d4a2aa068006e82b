"""What one record of a data file says, in any of the field's forms, as items of one shape.

A form is recognised by its keys, and refuses those that it doesn't know: a key that is passed over may be
what people said of the answer. Adding a form is a function and a line in `FORMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from truing.data.messages import Messages, checked_messages, checked_text
from truing.people.content import check_consents
from truing.people.exchange import pairs
from truing.people.exchange.argilla import flat_record, is_flat, read_record
from truing.people.exchange.conversations import OPEN, answered, check_weight, prompt_and_answer
from truing.people.exchange.fields import Record, answer_of, optional, prompt_of
from truing.people.exchange.items import Item
from truing.people.exchange.keys import Form, check_keys, check_whole, says_nothing
from truing.people.exchange.label_studio import MIN_KEYS, read_min, read_task
from truing.people.exchange.oasst import oasst_nodes
from truing.people.exchange.tasks import items_from
from truing.people.vocabulary import FLAG_VALUES, FLAGS, METADATA, RATINGS, THUMBS, USE_CASES
from truing.types import InputError

PROMPT_ALONE = f"kept as a prompt alone: {OPEN}"
REPEATED = "left out: an answer that stands among the completions of its record already"
_ANSWERS = ("completion", "response", "answer", "output")
"""What an answer beside a prompt is called; the first is the name that forms have."""


def _wanted(record: Record) -> bool | None:
    """What `label` says of the answer. In rows made from templates it names the class of the row."""
    label = record.get("label")
    if label is None or isinstance(label, bool):
        return label
    if "template" in record:
        return None
    raise InputError(
        f"label: {label!r} is neither true (wanted) nor false (unwanted); a class of your own belongs "
        "into 'category'"
    )


def _messages(record: Record) -> list[Item]:
    prompt, answer = prompt_and_answer(record["messages"], "messages")
    asked = record.get("prompt")
    if asked is not None and asked not in [each["content"] for each in prompt]:
        raise InputError("prompt: isn't what the messages ask; keep one of the two")
    if not answer:
        return _unanswered(prompt)
    return answered(prompt, answer, optional(record, "candidate"), _wanted(record))


def _unanswered(prompt: Messages) -> list[Item]:
    """A prompt alone: said where an answer was given before, so that one may be missing."""
    broken_off = any(message["role"] == "assistant" for message in prompt)
    return [Item(prompt, remarks=(PROMPT_ALONE,) if broken_off else ())]


def _sharegpt(record: Record) -> list[Item]:
    prompt, answer = prompt_and_answer(record["conversations"], "conversations")
    if system := optional(record, "system"):
        prompt = [{"role": "system", "content": system}, *prompt]
    return answered(prompt, answer, "", _wanted(record)) if answer else _unanswered(prompt)


def _instructed(instruction: str, record: Record) -> Messages:
    """An instruction as the user's message, with the record's input behind it where it has one."""
    given = optional(record, "input") if record.get("input") else ""
    return [{"role": "user", "content": f"{instruction}\n\n{given}" if given else instruction}]


def _alpaca(record: Record) -> list[Item]:
    prompt = _instructed(checked_text(record["instruction"], "instruction"), record)
    if system := optional(record, "system") if record.get("system") else "":
        prompt = [{"role": "system", "content": system}, *prompt]
    return answered(prompt, checked_text(record["output"], "output"), "", _wanted(record))


def _prompt_completion(record: Record) -> list[Item]:
    answer = answer_of(record["completion"], "completion")
    return answered(prompt_of(record), answer, optional(record, "candidate"), _wanted(record))


def _completions(record: Record) -> list[Item]:
    listed = record["completions"]
    if not isinstance(listed, list) or not listed:
        raise InputError("completions: must be a list of texts, or of objects with text, candidate")
    item = Item(prompt_of(record))
    answers = []
    for number, each in enumerate(listed):
        where = f"completions[{number}]"
        if isinstance(each, dict):
            _check_inside(each, ("text", "candidate"), where)
            text = checked_text(each.get("text"), f"{where}.text")
            answers.append((optional(each, "candidate"), text))
        else:
            answers.append(("", checked_text(each, where)))
    item.completions = list(dict.fromkeys(answers))
    item.remarks = (REPEATED,) * (len(answers) - len(item.completions))
    return [item]


def _comparison(record: Record) -> list[Item]:
    """Two answers and which is better, or that neither is."""
    item = _to_judge(record)
    if len(item.completions) != 2:
        raise InputError("preferred: is of two completions; give two that differ")
    if record["preferred"] not in ("first", "second", "tie"):
        raise InputError("preferred: must be first, second or tie")
    item.preferred = record["preferred"]
    return [item]


def _ranking(record: Record) -> list[Item]:
    """Answers and a rank for each, 1 the best; equal ranks are ties."""
    item, ranks = _to_judge(record), record["ranks"]
    if len(item.completions) < 2:
        raise InputError("ranks: are of two completions or more; give some that differ")
    whole = isinstance(ranks, list) and all(type(rank) is int and rank > 0 for rank in ranks)
    if not whole or len(ranks) != len(item.completions):
        raise InputError("ranks: must be a whole number from 1 for each of the completions")
    item.ranks = dict(enumerate(ranks))
    return [item]


def _to_judge(record: Record) -> Item:
    """Answers of which none stands twice."""
    [item] = _completions(record)
    if item.remarks:
        raise InputError("completions: the same text twice; give answers that differ")
    return item


def _check_inside(value: Record, known: Collection[str], where: str) -> None:
    """Raises InputError for a key of an object inside a record that nobody reads."""
    for key, each in value.items():
        if key not in known and not says_nothing(each):
            raise InputError(f"{where}: unknown key {key!r}; it may have {', '.join(known)}")


def _check_flags(flags: Record, within: str = "") -> None:
    """Raises InputError for a value that no flag has; `within` stands before its name."""
    for name, value in flags.items():
        if value not in FLAG_VALUES:
            raise InputError(f"{within}{name}: must be one of {', '.join(FLAG_VALUES)}")


def _rating(record: Record) -> list[Item]:
    value = record["rating"]
    if type(value) is not int or value not in RATINGS:
        raise InputError("rating: must be a whole number from 1 to 7")
    flags = {name: record[name] for name in FLAGS if record.get(name) is not None}
    _check_flags(flags)
    answer = answer_of(record["completion"], "completion")
    completions = [(optional(record, "candidate"), answer)]
    return [Item(prompt_of(record), completions=completions, rating=value, flags=flags)]


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
        _check_inside(instance, ("input", "output"), where)
        prompt = _instructed(instruction, instance)
        output = checked_text(instance.get("output"), f"{where}.output")
        items.append(Item(prompt, demonstration=output))
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


def _label_studio_min(record: Record) -> list[Item]:
    return items_from(read_min(record))


def _annotation(record: Record) -> list[Item]:
    """What an annotator said of a prompt; use cases and metadata with other words are the file's own."""
    use_case, flags = record["use_case"], record["metadata"]
    if (
        use_case not in USE_CASES
        or not isinstance(flags, dict)
        or not flags.keys() <= METADATA.keys()
    ):
        return [Item(prompt_of(record))]
    _check_flags(flags, "metadata.")
    return [Item(prompt_of(record), use_case=use_case, flags=flags)]


def _prompt_only(record: Record) -> list[Item]:
    return [Item(prompt_of(record))]


_Reader = Callable[[Record], list[Item]]


def _form(
    name: str, needs: str, may: str, read: _Reader, *, any_key: bool = False
) -> Form[_Reader]:
    return Form(name, frozenset(needs.split()), frozenset(may.split()), read, any_key)


_PAIR = f"chosen_candidate rejected_candidate messages {' '.join(pairs.SCORES)}"
FORMS: tuple[Form[_Reader], ...] = (
    _form("Argilla", "fields responses", "", _argilla, any_key=True),
    _form("Label Studio", "data annotations", "", _label_studio, any_key=True),
    _form("Label Studio JSON-MIN", "prompt annotation_id", " ".join(MIN_KEYS), _label_studio_min),
    _form("OASST tree", "message_tree_id prompt", "", _oasst, any_key=True),
    _form("preference", "prompt chosen rejected", _PAIR, pairs.preference),
    _form("HH pair", "chosen rejected", _PAIR, pairs.hh_pair),
    _form("messages", "messages", "prompt candidate label weight", _messages),
    _form("ShareGPT", "conversations", "system label weight", _sharegpt),
    _form("rating", "prompt completion rating", f"candidate {' '.join(FLAGS)}", _rating),
    _form("HH table", "Question Answer1 Answer2 Preference", "", pairs.hh_table),
    _form("comparison", "prompt completions preferred", "", _comparison),
    _form("ranking", "prompt completions ranks", "", _ranking),
    _form("completions", "prompt completions", "", _completions),
    _form("KTO", "prompt completion label", "candidate weight", _prompt_completion),
    _form("prompt and completion", "prompt completion", "candidate weight", _prompt_completion),
    _form(
        "Self-Instruct",
        "instruction instances",
        "name is_classification motivation_app",
        _self_instruct,
    ),
    _form("Alpaca", "instruction output", "input system text label weight", _alpaca),
    _form("annotation", "prompt use_case metadata", "", _annotation),
    _form("prompt", "prompt", "", _prompt_only),
)
"""The forms by the keys that they need; the first whose keys are all there is meant."""


def items_of(record: object, ignore: Collection[str] = ()) -> list[Item]:
    """The items of one record, without the keys to `ignore`.

    Raises InputError naming the field that is wrong, and LeftOut where nobody is to learn from it.
    """
    if not isinstance(record, dict):
        raise InputError(f"each line is a JSON object, not {type(record).__name__}")
    record = {key: value for key, value in record.items() if key not in ignore}
    if is_flat(record):
        record = flat_record(record)
    record = _renamed(record)
    form = next((form for form in FORMS if form.needs <= record.keys()), None)
    if form is None:
        check_whole(record.keys(), record, FORMS)
        known = "; ".join(f"{form.name}: {', '.join(sorted(form.needs))}" for form in FORMS)
        raise InputError(f"no form that is known has these keys; the forms and their keys: {known}")
    check_keys(record, form, FORMS)
    if "weight" in form.may:
        check_weight(record.get("weight"), "weight")
    return [_completed(item, record) for item in form.read(record)]


def _renamed(record: Record) -> Record:
    """With the answer beside a prompt under the name that forms have."""
    if "prompt" not in record or "annotation_id" in record:
        return record
    name = next((name for name in _ANSWERS if name in record), _ANSWERS[0])
    return {_ANSWERS[0] if key == name else key: value for key, value in record.items()}


def _completed(item: Item, record: Record) -> Item:
    """With what any form may say: who asked, who judged, and whether the asker agreed."""
    item.user = item.user or optional(record, "user")
    judge = record.get("annotator")
    item.judge = item.judge or (str(judge) if type(judge) is int else optional(record, "annotator"))
    if consent := optional(record, "consent"):
        check_consents([consent])
        item.consent = consent
    if item.wanted is not None:
        item.rating = THUMBS["up" if item.wanted else "down"]
    return item
