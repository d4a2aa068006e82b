"""Label Studio: tasks in its JSON form, with data and annotations, and the labelling configuration."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

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

_TYPES = {WRITTEN: "textarea", "rating": "rating"}
_SEVERAL = ("metadata", "unsure")
_CONTROLS = {name: f"flag_{name}" for name in FLAGS}  # "true" would be read as a truth value
_NAMES = {control: name for name, control in _CONTROLS.items()}


def control_of(name: str) -> str:
    """What an answer is called in the configuration and in results."""
    return _CONTROLS.get(name, name)


def _options(name: str) -> dict[str, str]:
    """Values of a choice with what the page calls them."""
    if name in FLAGS:
        return {value: value for value in FLAG_VALUES}
    if name == "preferred":
        return {value: value for value in PREFERENCES}
    return USE_CASES if name == "use_case" else METADATA


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, dict(attributes))


def _ask(view: ElementTree.Element, kind: str, name: str) -> None:
    """The control of one answer under its heading."""
    _add(view, "Header", value=FLAGS.get(name, name.replace("_", " ")))
    about = {"name": control_of(name), "toName": (*TEXTS[kind], "prompt")[0]}
    if name == ANSWERS[kind][0]:
        about["required"] = "true"
    if name == WRITTEN:
        _add(view, "TextArea", rows="8", maxSubmissions="1", **about)
    elif name == "rating":
        _add(view, "Rating", maxRating=str(max(RATINGS)), **about)
    else:
        choice = "multiple" if name in _SEVERAL else "single"
        part = _add(view, "Choices", choice=choice, **about)
        for value, text in _options(name).items():
            # The alias is what stands in the export, the value what is shown.
            _add(part, "Choice", alias=value, value=text)


def config(kind: str) -> str:
    """The labelling configuration (XML) of a kind."""
    view = ElementTree.Element("View")
    _add(view, "Header", value=KIND_NAMES[kind])
    roles = {"nameKey": "role", "textKey": "content"}
    _add(view, "Paragraphs", name="prompt", value="$prompt", layout="dialogue", **roles)
    for name in TEXTS[kind]:
        _add(view, "Header", value=name.capitalize())
        _add(view, "Text", name=name, value=f"${name}")
    for name in ANSWERS[kind]:
        _ask(view, kind, name)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _result(shown: Shown, name: str, value: Any) -> dict[str, Any]:
    target = (*TEXTS[shown.kind], "prompt")[0]
    type_ = _TYPES.get(name, "choices")
    held = {"textarea": {"text": [value]}, "rating": {"rating": value}}.get(
        type_, {"choices": value if isinstance(value, list) else [value]}
    )
    return {
        "id": f"{shown.id[:8]}{name}",
        "from_name": control_of(name),
        "to_name": target,
        "type": type_,
        "value": held,
    }


def task_of(shown: Shown) -> dict[str, Any]:
    """A task as Label Studio imports it. `meta` holds what annotators shouldn't see."""
    return {
        "data": {"prompt": shown.messages, **shown.texts},
        "meta": {
            "id": shown.id,
            "kind": shown.kind,
            "source": shown.source,
            **({"user": shown.user} if shown.user else {}),
            "candidates": shown.candidates,
            "annotators": [said.annotator for said in shown.said],
        },
        "annotations": [
            {
                "result": [
                    _result(shown, name, value)
                    for name, value in said.answers.items()
                    if value or name not in _SEVERAL
                ],
                **({} if said.seconds is None else {"lead_time": said.seconds}),
            }
            for said in shown.said
        ],
        "predictions": [],
    }


def _value(result: dict[str, Any]) -> Any:
    """What one control says, whichever its type."""
    value = result.get("value")
    if not isinstance(value, dict):
        raise InputError("annotations: a result has no value")
    if "rating" in value:
        return value["rating"]
    values = value.get("text") if "text" in value else value.get("choices")
    listed = values if isinstance(values, list) else [values]
    if result.get("from_name") in _SEVERAL:
        return listed
    return listed[0] if len(listed) == 1 else "\n".join(map(str, listed))


def _person(annotation: dict[str, Any], given: list[Any], place: int) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    if by is None and place < len(given):
        by = given[place]
    return "" if by is None else str(by)


def _said(task: dict[str, Any], meta: dict[str, Any]) -> list[Said]:
    judgements = []
    for place, annotation in enumerate(task.get("annotations") or []):
        results = annotation.get("result") if isinstance(annotation, dict) else None
        if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
            raise InputError("annotations: must be objects with a list named result")
        if annotation.get("was_cancelled") or not results:  # skipped
            continue
        named = [(str(each.get("from_name")), _value(each)) for each in results]
        answers = {_NAMES.get(name, name): value for name, value in named}
        seconds = annotation.get("lead_time")
        known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        person = _person(annotation, meta.get("annotators") or [], place)
        judgements.append(Said(person, answers, float(seconds) if known else None))
    return judgements


def read_task(task: dict[str, Any]) -> Shown:
    """A task of Label Studio's JSON export. Raises InputError naming what is wrong in it."""
    data, meta = task["data"], task.get("meta") or {}
    if not isinstance(data, dict) or not isinstance(meta, dict):
        raise InputError("data, meta: must be objects")
    if "prompt" not in data:
        raise InputError(f"data: has no 'prompt', only {', '.join(map(repr, data)) or 'nothing'}")
    judgements = _said(task, meta)
    texts = {name: text for name, text in data.items() if name != "prompt"}
    candidates = meta.get("candidates")
    asked = {name for each in judgements for name in each.answers}
    return Shown(
        str(meta.get("id") or task.get("id") or ""),
        meta["kind"] if meta.get("kind") in ANSWERS else kind_of(texts, asked),
        messages_of(data["prompt"]),
        texts,
        {k: str(v) for k, v in candidates.items()} if isinstance(candidates, dict) else {},
        "",
        str(meta.get("user") or ""),
        judgements,
    )


MIN_KEYS = frozenset(
    (
        "prompt", "annotation_id", "lead_time", "agreement",
        *(name for names in TEXTS.values() for name in names),
        *(control_of(name) for names in ANSWERS.values() for name in names),
    )
)  # fmt: skip
"""What a record of the JSON-MIN export may have: the task's data and its controls, by name."""


def _plain(name: str, value: Any) -> Any:
    """What JSON-MIN has under a control's name: a value, a list of one, or an object around choices."""
    if isinstance(value, dict) and "choices" in value:
        value = value["choices"]
    listed = value if isinstance(value, list) else [value]
    if name in _SEVERAL:
        return listed
    if name == WRITTEN:
        return "\n".join(map(str, listed))
    return listed[0] if len(listed) == 1 else listed


def read_min(record: dict[str, Any]) -> Shown:
    """A record of Label Studio's JSON-MIN or CSV export: an annotation, its task's data beside it."""
    texts = {name: record[name] for names in TEXTS.values() for name in names if name in record}
    answers = {
        name: _plain(name, record[control_of(name)])
        for names in ANSWERS.values()
        for name in names
        if record.get(control_of(name)) is not None
    }
    person = record.get("annotator")
    return Shown(
        str(record.get("id") or ""),
        kind_of(texts, answers),
        messages_of(record["prompt"]),
        texts,
        {},
        "",
        str(record.get("user") or ""),
        [Said("" if person is None else str(person), answers)] if answers else [],
    )
