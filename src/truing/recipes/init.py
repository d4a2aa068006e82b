"""`truing init`: a spec to begin with, every key of it there with what it does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from truing.files import write_text_atomically
from truing.methods import METHODS
from truing.spec.kinds import KindPart
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.spec.schema import installed_schema
from truing.tasks import TASKS
from truing.types import InputError

_SET = ("model", "task", "methods", "seeds")
"""Keys that the file sets; the others are there as comments, so that profiles can still say them."""
_WIDTH = 100
_HEAD = """\
# yaml-language-server: $schema={schema}
# A spec of Truing. As it stands it does what '{command}' does by itself:
#
#     truing align {file}
#
# Commented keys show what holds without them. To change one, remove the # in front of it and of
# the keys above it that it stands under. A --profile changes what holds; what is set here wins.
"""


def spec_text(task: str | None, file: str) -> str:
    """A commented spec that means what its comments say, whether or not they are uncommented.

    Raises InputError where there is no such task.
    """
    spec = make_spec({"task": task} if task else {})
    values = spec.model_dump(mode="json") | {"task": task or spec.task.name}
    command = f"truing align --task {task}" if task else "truing align"
    head = _HEAD.format(schema=installed_schema().as_uri(), command=command, file=file)
    lines = [head]
    for key in _SET:
        description = f"{Spec.model_fields[key].description}{_choices(key)}"
        lines += [*_entry(key, values[key], description), ""]
    for key, field in Spec.model_fields.items():
        if key not in _SET and key in values:  # some stand in a spec only where they are set
            lines += [*(f"#{line}" for line in _part(key, values[key], field)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _choices(key: str) -> str:
    """What there is to choose from, where that is more than the description says."""
    named: dict[str, Iterable[str]] = {"methods": METHODS, "task": TASKS}
    return f": {', '.join(named[key])}" if key in named else ""


def _part(key: str, value: Any, field: FieldInfo, depth: int = 0) -> Iterator[str]:
    """A key with its value, or with those under it."""
    inner = field.annotation
    if not (isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, dict)):
        yield from _entry(key, value, field.description, depth)
        return
    yield f"{'  ' * depth}{key}:  # {field.description}"
    for name, below in _fields(inner, value).items():
        if name in value:
            yield from _part(name, value[name], below, depth + 1)


def _fields(part: type[BaseModel], value: Mapping[str, Any]) -> Mapping[str, FieldInfo]:
    if not issubclass(part, KindPart):
        return part.model_fields
    return {"name": part.model_fields["name"], **part.kinds()[value["name"]].spec_keys()}


def _entry(key: str, value: Any, description: str | None, depth: int = 0) -> Iterator[str]:
    """The key's line, its description behind it or, where that is long, above it."""
    indent = "  " * depth
    written = f"{indent}{key}: {_flow(value)}"
    if not description:
        yield written
    elif len(written) + len(description) + 5 <= _WIDTH:
        yield f"{written}  # {description}"
    else:
        lead = f"{indent}# "
        yield from textwrap.wrap(
            description, _WIDTH - 1, initial_indent=lead, subsequent_indent=lead
        )
        yield written


def _flow(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def init(task: str | None, file: Path) -> Path:
    """Writes a commented spec into `file`, which mustn't be there yet.

    Raises InputError where it is, where it can't be written, or where there is no such task.
    """
    if file.exists() or file.is_symlink():
        raise InputError(f"{file}: is there already, and is left as it is; give another FILE")
    text = spec_text(task, str(file))
    try:
        write_text_atomically(file, text)
    except OSError as error:
        raise InputError(f"{file}: can't be written ({error.strerror})") from None
    return file
