"""The page of commands and spec fields, written from the program itself so that it can't go stale.

python -m truing.cli.commands_page docs/commands.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from typer.main import get_command

from truing.cli.main import app
from truing.evaluate import EVALUATIONS
from truing.evaluate.evaluation import NEEDS
from truing.files import write_text_atomically
from truing.rewards.program import REWARDS
from truing.spec.kinds import KindPart, default_of
from truing.spec.reading import PROFILES
from truing.spec.registries import registry
from truing.spec.run import Spec

_HEAD = """# Commands

Results go to standard output, progress and messages to standard error. Exit codes: 0 done; 1 the
machine or the network failed; 2 the input is wrong, and one message says what would be right; 130
interrupted.

Lists are given alike everywhere: an option that takes several values can be repeated, several can stand
behind it, and names and numbers can have commas between them. `--seed 0 --seed 1`, `--seed 0 1` and
`--seed 0,1` are the same. `-h` behind any command shows its help; `truing --install-completion` sets up
completion in bash, zsh, fish or PowerShell.

What comes from files, models and servers does nothing to a terminal: escape sequences and marks that turn
the reading direction are spelled out (`\\x1b`, `\\u202e`). A terminal that lacks a character shows one
that is alike, or its number.
"""

_EVALUATIONS_HEAD = """## Evaluations

What `truing align` and `truing eval` measure. Where a respondent or its surroundings can't give what a
metric needs, the metric is unscored, with the reason. `+`: more is better, `-`: less is better.
"""

_REWARDS_HEAD = """## Rewards

The options of each reward that can stand under `reward.parts`, beside `name` and `weight`; see
[training](training.md#rewards).
"""

_SPEC_HEAD = """## The spec

`truing align SPEC` reads a YAML file of these keys, nested at the dots: `rl.steps` is the key `steps`
under `rl`. Keys that are left out have the default; unknown keys are refused. `truing init` writes one with
every key and its default as a comment. Editors complete and check keys by its JSON schema,
[spec.schema.json](spec.schema.json); that of task files is [task.schema.json](task.schema.json).
"""

_PROFILES_HEAD = """## Profiles

`truing align --profile` lays one of these under the spec file, `default` where none is named; `truing
train` none.
"""


def _cell(text: str) -> str:
    """Text that can stand in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _metavar(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    return str(parameter.metavar or parameter.name.upper().replace("_", "-"))


def _option_row(option: Any) -> list[str]:
    default = option.default
    shown = "" if default is None or isinstance(default, bool) else f"`{default}`"
    usage = f"{option.opts[0]} {_metavar(option)}".strip()
    return [f"`{usage}`", shown, option.help or ""]


def _usage(name: str, command: Any) -> str:
    parts = [f"truing {name}"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = _metavar(parameter)
            parts.append(name if parameter.required else f"[{name}]")
        else:
            repeated = " ..." if parameter.multiple else ""
            parts.append(f"[{f'{parameter.opts[0]} {_metavar(parameter)}'.strip()}{repeated}]")
    return " ".join(parts)


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Commands with their full names, those of groups within groups included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    listed = "".join(f"- `{_metavar(a)}`: {a.help}\n" for a in arguments)
    parts = [
        f"## truing {name}\n",
        f"```\n{_usage(name, command)}\n```\n",
        f"{command.help.strip()}\n",
        *([listed] if listed else []),
        _table(["Option", "Default", "What it does"], [_option_row(o) for o in options]),
    ]
    return "\n".join(parts)


def spec_fields(
    part: type[BaseModel] = Spec, prefix: str = ""
) -> Iterator[tuple[str, FieldInfo, str]]:
    """Dotted names of all fields that hold a value, the field, and who has a use for it if not all."""
    for name, field in part.model_fields.items():
        inner = field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            yield f"{prefix}{name}", field, ""
        elif issubclass(inner, KindPart):
            yield f"{prefix}{name}.name", field, ""
            yield from _fields_of_kinds(inner.kinds(), f"{prefix}{name}.")
        else:
            yield from spec_fields(inner, f"{prefix}{name}.")


def _fields_of_kinds(
    kinds: Mapping[str, type[KindPart]], prefix: str
) -> Iterator[tuple[str, FieldInfo, str]]:
    every: dict[str, dict[str, list[tuple[str, FieldInfo]]]] = {}
    for name, kind in kinds.items():
        for key, field in kind.spec_keys().items():
            by_default = every.setdefault(key, {})
            by_default.setdefault(repr(default_of(field)), []).append((name, field))
    for key, by_default in every.items():
        for users in by_default.values():
            names = [name for name, _ in users]
            yield (
                f"{prefix}{key}",
                users[-1][1],
                "" if len(names) == len(kinds) else ", ".join(names),
            )


_SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
}


def _allowed(schema: dict[str, Any]) -> str:
    """What may stand there, from the field's JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_allowed(choice) for choice in schema["anyOf"])
    if "registry" in schema:
        return ", ".join(f"`{name}`" for name in registry(schema["registry"]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema:
        return "mapping"
    if schema.get("type") == "array":
        return f"list of: {_allowed(schema['items'])}"
    word = _WORDS.get(schema.get("type", ""), "")
    limits = [f"{sign} {schema[key]:g}" for key, sign in _SIGNS.items() if key in schema]
    return f"{word} {', '.join(limits)}".strip()


def _allowed_in(field: FieldInfo) -> str:
    inner: Any = field.annotation
    if isinstance(inner, type) and issubclass(inner, KindPart):
        return ", ".join(f"`{name}`" for name in inner.kinds())
    return _allowed(TypeAdapter(Annotated[inner, field]).json_schema())


def _field_row(name: str, field: FieldInfo, users: str) -> list[str]:
    default = json.dumps(default_of(field), ensure_ascii=False)
    used_by = f"; used by {users}" if users else ""
    return [
        f"`{name}`",
        f"`{default}`",
        _allowed_in(field),
        f"{field.description or ''}{used_by}",
    ]


def _spec_table() -> str:
    rows = [_field_row(*field) for field in spec_fields()]
    return _table(["Key", "Default", "Allowed", "Description"], rows)


def _evaluations_table() -> str:
    signs = {1: "+", -1: "-", 0: ""}
    rows = [
        [
            f"`{metric.key}`",
            f"{metric.label}: {metric.note}",
            metric.unit,
            signs[metric.better],
            "; ".join(NEEDS[need] for need, names in each.needs.items() if metric.name in names),
        ]
        for each in EVALUATIONS.values()
        for metric in each.metrics
    ]
    return _table(["Metric", "What it is", "Unit", "Better", "Needs"], rows)


def _rewards_table() -> str:
    rows = [
        [f"`{name}`", f"`{key}`", _default(schema), _allowed(schema), schema["description"]]
        for name, reward in REWARDS.items()
        for key, schema in reward.model_json_schema().get("properties", {}).items()
    ]
    return _table(["Reward", "Option", "Default", "Allowed", "Description"], rows)


def _default(schema: Mapping[str, Any]) -> str:
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def _flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _profiles_table() -> str:
    rows = [
        [f"`{profile}`", f"`{name}`", f"`{json.dumps(value)}`"]
        for profile, data in PROFILES.items()
        for name, value in _flat(data)
    ]
    return _table(["Profile", "Key", "Value"], rows)


def commands_page() -> str:
    """The page as Markdown, the same on every machine."""
    group: Any = get_command(app)
    parts = [_HEAD, *(_command(name, command) for name, command in _commands(group))]
    parts += [_EVALUATIONS_HEAD, _evaluations_table(), _REWARDS_HEAD, _rewards_table()]
    return "\n".join([*parts, _SPEC_HEAD, _spec_table(), _PROFILES_HEAD, _profiles_table()])


if __name__ == "__main__":
    write_text_atomically(Path(sys.argv[1]), commands_page())
