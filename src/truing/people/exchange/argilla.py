"""Argilla 2: records as `dataset.records.from_json` and `to_json` have them, and settings for them.

The prompt is a chat field, texts are text fields, and candidates stand in metadata that annotators
don't see.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from truing.people.exchange.keys import ABOUT, says_nothing
from truing.people.exchange.tasks import (
    ANSWERS,
    PREFERENCES,
    TEXTS,
    WRITTEN,
    Said,
    Shown,
    kind_of,
    messages_of,
)
from truing.people.vocabulary import FLAG_VALUES, FLAGS, KIND_NAMES, METADATA, RATINGS, USE_CASES
from truing.types import InputError

_HIDDEN = ("source", "user")


def _options(values: Any) -> list[dict[str, Any]]:
    pairs = values.items() if isinstance(values, dict) else [(each, str(each)) for each in values]
    return [{"value": value, "text": text} for value, text in pairs]


def _question(name: str, kind: str) -> dict[str, Any]:
    labels = {"type": "label_selection"}
    several = {"type": "multi_label_selection", "options": _options(METADATA)}
    settings: dict[str, dict[str, Any]] = {
        WRITTEN: {"type": "text", "use_markdown": False},
        "rating": {"type": "rating", "options": [{"value": value} for value in RATINGS]},
        "preferred": {**labels, "options": _options(PREFERENCES)},
        "use_case": {**labels, "options": _options(USE_CASES)},
        "metadata": several,
        "unsure": several,
        **{name: {**labels, "options": _options(FLAG_VALUES)} for name in FLAGS},
    }
    titles = {WRITTEN: "The answer that you would like to get", **FLAGS}
    return {
        "name": name,
        "title": titles.get(name, name.replace("_", " ").capitalize()),
        "required": name == ANSWERS[kind][0],
        "settings": settings[name],
    }


def settings(kind: str) -> dict[str, Any]:
    """What `argilla.Settings.from_json` reads: fields, questions and hidden metadata of a kind."""
    texts = [("prompt", "chat"), *((name, "text") for name in TEXTS[kind])]
    hidden = [*_HIDDEN, *(f"{name}_candidate" for name in TEXTS[kind])]
    return {
        "guidelines": KIND_NAMES[kind],
        "allow_extra_metadata": True,
        "fields": [
            {
                "name": name,
                "title": name.capitalize(),
                "required": True,
                "settings": {"type": type_, "use_markdown": False},
            }
            for name, type_ in texts
        ],
        "questions": [_question(name, kind) for name in ANSWERS[kind]],
        "metadata": [
            {
                "name": name,
                "title": name.replace("_", " ").capitalize(),
                "settings": {"type": "terms"},
                "visible_for_annotators": False,
            }
            for name in hidden
        ],
        "vectors": [],
    }


def record_of(shown: Shown) -> dict[str, Any]:
    """A task as a record. Argilla names people by UUID: one is made of each annotator's name."""
    responses: dict[str, list[dict[str, str]]] = {}
    before: Counter[str] = Counter()
    for judgement in shown.said:
        # Argilla has one response of a user to a record; a source may have said several things.
        again = before[judgement.annotator]
        before[judgement.annotator] += 1
        name = f"{judgement.annotator} {again + 1}" if again else judgement.annotator
        user = str(uuid.uuid5(uuid.NAMESPACE_URL, f"truing:{name}"))
        for name, value in judgement.answers.items():
            responses.setdefault(name, []).append({"value": value, "user_id": user})
    metadata = {f"{name}_candidate": each for name, each in shown.candidates.items()}
    metadata |= {"source": shown.source, **({"user": shown.user} if shown.user else {})}
    return {
        "id": shown.id,
        "fields": {"prompt": shown.messages, **shown.texts},
        "metadata": metadata,
        "suggestions": {},
        "responses": responses,
        "vectors": {},
    }


def _said(responses: dict[str, Any]) -> list[Said]:
    """Responses by question as responses by person."""
    people: dict[str, dict[str, Any]] = {}
    for name, given in responses.items():
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise InputError(f"responses.{name}: must be a list of objects with value and user_id")
        for each in given:
            # Drafts and discarded records aren't judgements.
            if each.get("status") in (None, "submitted"):
                answers = people.setdefault(str(each.get("user_id") or ""), {})
                if name in answers:
                    raise InputError(f"responses.{name}: two by one user; give one of each")
                answers[name] = each.get("value")
    return [Said(user, answers) for user, answers in people.items()]


def read_record(record: dict[str, Any]) -> Shown:
    """A record of Argilla's export as a task. Raises InputError naming what is wrong in it."""
    fields, responses = record["fields"], record.get("responses") or {}
    metadata = record.get("metadata") or {}
    if not all(isinstance(part, dict) for part in (fields, responses, metadata)):
        raise InputError("fields, responses, metadata: must be objects")
    if "prompt" not in fields:
        raise InputError(
            f"fields: has no 'prompt', only {', '.join(map(repr, fields)) or 'nothing'}"
        )
    texts = {name: text for name, text in fields.items() if name != "prompt"}
    return Shown(
        str(record.get("id") or ""),
        kind_of(texts, responses),
        messages_of(fields["prompt"]),
        texts,
        {name: str(metadata.get(f"{name}_candidate") or "") for name in texts},
        "",
        str(metadata.get("user") or ""),
        _said(responses),
    )


def is_flat(record: dict[str, Any]) -> bool:
    """Whether it is a row of `to_datasets`, with a column for each question's responses."""
    return any(key.endswith(".responses") for key in record)


_TEXTS = frozenset({"prompt", *(name for names in TEXTS.values() for name in names)})
_BOOKKEEPING = frozenset({"status", "_server_id", "external_id", "inserted_at"})


def _check_columns(row: dict[str, Any]) -> None:
    """Raises InputError for a column that nobody reads."""
    known = _TEXTS | _BOOKKEEPING | ABOUT | {f"{name}_candidate" for name in _TEXTS}
    for key, value in row.items():
        if key not in known and "." not in key and not says_nothing(value):
            raise InputError(
                f"unknown column {key!r}: rows of Argilla have {', '.join(sorted(_TEXTS))} and what "
                "was asked; leave it out"
            )


def flat_record(row: dict[str, Any]) -> dict[str, Any]:
    """Such a row as a record. Raises InputError where the columns of a question don't fit together."""
    _check_columns(row)
    responses: dict[str, list[dict[str, Any]]] = {}
    for key, values in row.items():
        if not key.endswith(".responses"):
            continue
        name = key.removesuffix(".responses")
        columns = [values, row.get(f"{key}.users"), row.get(f"{key}.status")]
        values, users, states = (each if isinstance(each, list) else [] for each in columns)
        if len(users) != len(values) or len(states) not in (0, len(values)):
            raise InputError(f"{key}: has {len(values)} responses by {len(users)} people")
        states = states or [None] * len(values)
        responses[name] = [
            {"value": value, "user_id": user, "status": status}
            for value, user, status in zip(values, users, states, strict=True)
        ]
    if not any(responses.values()):
        responses = {name: [] for name in responses}
    fields = {name: row[name] for name in _TEXTS if row.get(name) is not None}
    metadata = {key: value for key, value in row.items() if key.endswith("_candidate")}
    metadata["user"] = row.get("user")
    return {"id": row.get("id"), "fields": fields, "metadata": metadata, "responses": responses}
