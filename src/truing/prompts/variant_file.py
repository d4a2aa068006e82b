"""Many wordings of one instruction, from a user's file.

- `.txt`: a wording on each line;
- `.json`: a list of texts, or of objects with `prompt` and perhaps `name`;
- `.jsonl`: such a text or object on each line.

A wording with {question} in it is the whole text before the answer; one without is an instruction, as
the built-in ones are. All wordings of a file are of one kind: a difference between the two kinds
would look like one between wordings.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from truing.data.drafts import check_names, mistake
from truing.data.question_json import elements, loads
from truing.files import numbered_lines, read_text
from truing.prompts.rendering import Prompt
from truing.prompts.variants import OWN, SLOT, PromptVariant, prompt_variants
from truing.types import InputError, answer_key

ENDINGS = (".txt", ".json", ".jsonl")
_RIGHT = 'give a text, or {"prompt": "...", "name": "..."}'
Entry = tuple[int, str, str]  # line, name or "", text


def named_prompts(
    names: Sequence[str], files: Sequence[Path], presets: Path | None = None
) -> list[PromptVariant]:
    """The prompts called `names` and those in `files`; the candidate's own where nothing is named.

    Raises InputError where a prompt is wrong, or two are called the same.
    """
    named = names or (() if files else (OWN,))
    prompts = [*prompt_variants(named, presets), *read_variants(files)]
    times = Counter(variant.name for variant in prompts)
    if twice := [name for name, number in times.items() if number > 1]:
        raise InputError(f"--prompts: two prompts are called {twice[0]!r}; give one another name")
    return prompts


def read_variants(paths: Sequence[Path]) -> list[PromptVariant]:
    """The wordings of each file, each file a family under its own name.

    Without a name of its own, a wording is called after the file and its place: `mine-1`, `mine-2`.
    Raises InputError naming file and line: text that can't be read, a wording without the slot where
    others have it, or with a slot of another name, the same text or name twice, fewer than two.
    """
    found: list[PromptVariant] = []
    for path in paths:
        family = path.stem
        if any(variant.family == family for variant in found):
            raise mistake(str(path), None, "", f"another file is called {family}", "rename one")
        found += [
            PromptVariant(name, template=text, family=family)
            if SLOT in text
            else PromptVariant(name, prompt=Prompt(text), family=family)
            for name, text in _checked(str(path), family, list(_entries(path)))
        ]
    return found


def _entries(path: Path) -> Iterator[Entry]:
    file = str(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        right = f"name it {', '.join(ENDINGS)} after its format"
        raise mistake(file, None, "", f"the ending {ending!r} is not known", right)
    text = read_text(path)
    if ending == ".json":
        value = loads(file, None, text, "give a list of texts")
        if not isinstance(value, list):
            raise mistake(file, 1, "", "no list", "give a list of texts (or one a line in .jsonl)")
        yield from (_entry(file, line, element) for line, element in elements(text))
        return
    for line, content in numbered_lines(text):
        value = content if ending == ".txt" else loads(file, line, content, _RIGHT)
        yield _entry(file, line, value)


def _entry(file: str, line: int, value: Any) -> Entry:
    if isinstance(value, str):
        value = {"prompt": value}
    if not isinstance(value, dict):
        raise mistake(file, line, "", f"{json.dumps(value)[:40]} stands here", _RIGHT)
    check_names(file, line, "key", value, ("prompt",), ("prompt", "name"))
    for key in ("prompt", "name"):
        text = value.get(key, "")
        if not isinstance(text, str) or (key in value and not text.strip()):
            raise mistake(file, line, key, "not a text with something in it", _RIGHT)
    return line, str(value.get("name", "")).strip(), value["prompt"].strip().replace("{0}", SLOT)


def _checked(file: str, family: str, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Names and texts, once all is right with them."""
    if len(entries) < 2:
        wrong = f"{len(entries)} wording{'s' * (len(entries) != 1)} in it"
        raise mistake(file, None, "", wrong, "a spread needs at least two")
    slotted = any(SLOT in text for _, _, text in entries)
    lines: dict[str, int] = {}
    for place, (line, given, text) in enumerate(entries, 1):
        if SLOT not in text:
            right = f"write {SLOT} where the question belongs"
            if other := re.search(r"\{\s*\w*\s*\}", text):
                raise mistake(file, line, "", f"{other[0]} is no slot that is known", right)
            if slotted:
                wrong = "no slot for the question, which other wordings of the file have"
                raise mistake(file, line, "", wrong, right)
        name = given or f"{family}-{place}"
        for what, said in (("name", name), ("wording", "\n" + answer_key(text))):
            if said in lines:
                wrong = f"the {what} of line {lines[said]} again"
                raise mistake(file, line, "", wrong, "give each once")
            lines[said] = line
        yield name, text
