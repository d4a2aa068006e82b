"""Tasks in Truing's template form: slots and the columns that fill them, wordings, verbalisers.

The form is described in docs/data.md. Every mistake is named with its line in the YAML file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from truing.data.conversion.slots import SlotText, parse_slots
from truing.data.drafts import mistake
from truing.files import read_text
from truing.spec.yaml_text import yaml_node, yaml_value
from truing.types import InputError, did_you_mean, normalised

LABEL = "label"
"""The slot that holds the label, where a task has one."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_as_list)]


class Template(BaseModel):
    """One wording: a prompt with slots, and what is answered, by label or always in the same form."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    answers: dict[str, str] = Field(default_factory=dict)
    completion: str = ""
    use_case: str = ""

    @property
    def asked(self) -> SlotText:
        """The prompt with its slots."""
        return parse_slots(self.prompt)

    def covers(self, labels: Sequence[str]) -> bool:
        """Whether it has an answer for each of the labels."""
        return not self.answers or set(labels) <= self.answers.keys()

    def answer_to(self, label: str) -> SlotText:
        """The answer where the row has this label."""
        return parse_slots(self.answers[label] if self.answers else self.completion)

    def read_back(self, completion: str) -> list[tuple[str, dict[str, str]]]:
        """Labels and what their slots held that give this completion; one, where it is certain.

        Answers without a slot come first: 'Not in the text.' is that answer, and not whatever a bare
        {answer} could hold. They are compared without case, spacing and a last full stop.
        """
        if not self.answers:
            return [("", values) for values in parse_slots(self.completion).readings(completion)]
        texts = {label: parse_slots(answer) for label, answer in self.answers.items()}
        plain = [
            (label, dict[str, str]())
            for label, text in texts.items()
            if not text.slots and _key(text.fill({})) == _key(completion)
        ]
        return plain or [
            (label, values)
            for label, text in texts.items()
            if text.slots
            for values in text.readings(completion)
        ]


def _key(answer: str) -> str:
    return normalised(answer).rstrip(". ")


class Task(BaseModel):
    """What a file's rows are about, and the wordings that turn them into instructions."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str = Field(min_length=1)
    columns: dict[str, Names] = Field(min_length=1)
    label: Names = Field(default_factory=list)
    group: str = ""
    use_case: str = ""
    splits: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    source: str = ""
    licence: str = ""
    templates: list[Template] = Field(min_length=1)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names that may stand in braces."""
        return (*self.columns, *([LABEL] if self.label else []))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that some template has an answer for; none where answers don't go by label."""
        return tuple(
            dict.fromkeys(label for template in self.templates for label in template.answers)
        )

    @classmethod
    def read(cls, name: str) -> Self:
        """The built-in task of this name, or the task in a YAML file. Raises InputError."""
        if name in built_in():
            where = f"{name}.yaml"
            text = files("truing.data.conversion").joinpath("built_in", where).read_text("utf-8")
        elif Path(name).suffix.lower() in (".yaml", ".yml"):
            where, text = name, read_text(Path(name))
        else:
            raise InputError(
                f"--task: no {name!r}; {did_you_mean(name, built_in())}"
                f"give {', '.join(built_in())}, or the path of a YAML file"
            )
        return cls._from_yaml(where, text)

    @classmethod
    def _from_yaml(cls, file: str, text: str) -> Self:
        node = yaml_node(text, file)
        # As text alone: a label may be 0, yes or null, and stays what was written.
        data = yaml_value(text, file, as_text=True)
        if not isinstance(data, dict):
            raise InputError(f"{file}: a task is a mapping of keys to values; see docs/data.md")
        try:
            task = cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = tuple(first["loc"])
            known = f"the keys here are {', '.join(_keys_at(place))}"
            right = known if first["type"] in ("extra_forbidden", "missing") else "see docs/data.md"
            raise mistake(file, _line(node, place), _dotted(place), first["msg"], right) from None
        for place, wrong, right in _mistakes(task):
            raise mistake(file, _line(node, place), _dotted(place), wrong, right)
        return task


Place = tuple[int | str, ...]
Mistake = tuple[Place, str, str]


def _keys_at(place: Place) -> list[str]:
    return list((Template if place[0] == "templates" and len(place) > 1 else Task).model_fields)


def built_in() -> list[str]:
    """Names of the tasks that come with the program."""
    folder = files("truing.data.conversion").joinpath("built_in")
    return sorted(
        each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml")
    )


def _dotted(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")


def _line(node: Any, place: Place) -> int:
    """The line that a value begins on, or that of the nearest thing around it."""
    for step in place:
        below = None
        if isinstance(node, yaml.MappingNode):
            below = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            below = node.value[step] if step < len(node.value) else None
        if below is None:
            break
        node = below
    return int(node.start_mark.line) + 1


def _mistakes(task: Task) -> Iterator[Mistake]:
    """What pydantic can't see, in the order in which it stands in the file."""
    if LABEL in task.columns:
        yield ("columns", LABEL), "this slot is the label's own", "name its column under 'label'"
    if bad := [name for name in task.columns if not name.isidentifier()]:
        yield ("columns", bad[0]), "no name for a slot", "use letters, digits and underscores"
    if task.group and task.group not in task.columns:
        yield ("group",), f"no slot {task.group!r}", f"the slots are {', '.join(task.columns)}"
    if task.splits and abs(sum(task.splits.values()) - 1) > 1e-6:
        total = sum(task.splits.values())
        yield ("splits",), f"the shares add up to {total:g}", "make them add up to 1"
    names = [template.name for template in task.templates]
    for number, template in enumerate(task.templates):
        at: Place = ("templates", number)
        if names.index(template.name) != number:
            yield (*at, "name"), f"{template.name!r} stands twice", "give each its own name"
        yield from _wrong_with(task, template, at)


def _wrong_with(task: Task, template: Template, at: Place) -> Iterator[Mistake]:
    yield from _wrong_slots(task, template.prompt, (*at, "prompt"))
    asked = parse_slots(template.prompt)
    if not asked.slots:
        yield (*at, "prompt"), "has no slot, so that all prompts would be the same", "give it one"
    if LABEL in asked.slots:
        yield (*at, "prompt"), "gives the label away", "keep {label} to the completion"
    if bool(template.answers) == bool(template.completion.strip()):
        yield at, "needs either answers (by label) or a completion", "give one of the two"
    if template.answers and not task.label:
        yield (*at, "answers"), "answers by label, but the task has no label", "name its column"
    for label, answer in template.answers.items():
        yield from _wrong_answer(task, answer, (*at, "answers", label))
    if template.completion:
        yield from _wrong_answer(task, template.completion, (*at, "completion"))
        if not parse_slots(template.completion).slots:
            yield (*at, "completion"), "has no slot", "say what is answered, or use 'answers'"
    seen: dict[str, str] = {}
    for label, answer in template.answers.items():
        # Slots look alike whatever they are called: what fills them is unknown when reading back.
        parsed = parse_slots(answer)
        form = "\0".join([_key(fixed) + "\1" * bool(slot) for fixed, slot in parsed.parts])
        if form in seen:
            wrong = f"ambiguous: {seen[form]!r} and {label!r} are both written {answer!r}"
            yield (*at, "answers", label), wrong, "write each label in its own way"
        seen[form] = label


def _wrong_answer(task: Task, answer: str, at: Place) -> Iterator[Mistake]:
    yield from _wrong_slots(task, answer, at)
    parts = parse_slots(answer).parts
    if not answer.strip():
        yield at, "empty", "say what is answered"
    if any(slot and not fixed for fixed, slot in parts[1:]):
        yield at, "ambiguous: two slots with nothing between them", "put something between them"


def _wrong_slots(task: Task, text: str, at: Place) -> Iterator[Mistake]:
    known = f"the slots are {', '.join(task.slots)}"
    try:
        slots = parse_slots(text).slots
    except ValueError as error:
        yield at, str(error), known
        return
    for slot in slots:
        if slot not in task.slots:
            yield at, f"no slot {{{slot}}}", known
