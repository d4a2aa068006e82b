"""The documentation says what the program does."""

from __future__ import annotations

import importlib
import re
import textwrap
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typer.main import get_command

from paths import DOCS
from truing.cli.commands_page import commands_page, spec_fields
from truing.cli.main import app
from truing.learn.objectives.baselines import BASELINES
from truing.spec.objective import ObjectivePart, PairObjectivePart
from truing.spec.reading import make_spec


def test_the_commands_page_is_current() -> None:
    found = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert found == commands_page(), "run: python -m truing.cli.commands_page docs/commands.md"


def test_every_field_of_the_spec_is_on_the_page() -> None:
    def names(part: BaseModel, prefix: str = "") -> set[str]:
        found: set[str] = set()
        fields = type(part).model_fields
        unset = {key: None for key, each in fields.items() if each.exclude_if}
        for key, value in {**unset, **part.model_dump()}.items():
            inner = getattr(part, key, None)
            nested = isinstance(inner, BaseModel) and isinstance(value, dict)
            found |= names(inner, f"{prefix}{key}.") if nested else {f"{prefix}{key}"}
        return found

    # The values themselves, not the classes that the page reads; of each objective and baseline.
    every = names(make_spec({"reward_model": {"judgements": "judged.jsonl"}}))
    for name, kind in ObjectivePart.kinds().items():
        for baseline in BASELINES if "baseline" in kind.spec_keys() else [None]:
            chosen = {"name": name} | ({"baseline": baseline} if baseline else {})
            every |= names(make_spec({"rl": {"objective": chosen}}))
    for name in PairObjectivePart.kinds():
        every |= names(make_spec({"preference": {"objective": {"name": name}}}))
    every.discard("reward_model")  # a section that may be left out stands there by its keys
    assert {name for name, *_ in spec_fields()} == every
    page = commands_page()
    assert all(f"\n| `{name}` | " in page for name in every)


def test_tables_have_as_many_cells_as_columns() -> None:
    columns = 0
    for line in commands_page().splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        cells = line.replace("\\|", "").count("|")
        columns = columns or cells
        assert cells == columns, line


def test_code_quoted_in_the_docs_is_in_the_source() -> None:
    quotes = [
        (page.name, file, code)
        for page in sorted(DOCS.glob("*.md"))
        for file, code in re.findall(
            r"<!-- from (\S+) -->\n```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL
        )
    ]
    assert len(quotes) >= 7
    for page, file, code in quotes:
        source = (DOCS.parent / file).read_text("utf-8")
        wanted = textwrap.dedent(code)
        assert any(textwrap.indent(wanted, " " * n) in source for n in (0, 4, 8, 12)), (
            f"{page}: no longer in {file}:\n{code}"
        )


def test_every_page_stands_in_the_navigation() -> None:
    listed = re.findall(
        r"^ +- .+: (\S+\.md)$", (DOCS.parent / "mkdocs.yml").read_text("utf-8"), re.M
    )
    assert sorted(listed) == sorted(path.name for path in DOCS.glob("*.md"))


def test_every_command_has_an_entry_and_a_page_that_uses_it() -> None:
    pages = {path.name: path.read_text("utf-8") for path in DOCS.glob("*.md")}
    reference = pages.pop("commands.md")
    guides = "\n".join(pages.values())
    for name in _commands(get_command(app), "truing"):
        assert f"\n## {name}\n" in reference, f"commands.md says nothing of '{name}'"
        assert re.search(rf"\b{name}\b", guides), f"no page but commands.md shows '{name}'"


def _commands(command: Any, name: str) -> list[str]:
    inner = getattr(command, "commands", {})
    each = [_commands(inside, f"{name} {key}") for key, inside in inner.items()]
    return [*chain.from_iterable(each)] if inner else [name]


def test_every_public_name_has_an_entry() -> None:
    """What the package and its rooms export in `__all__` stands in the reference."""
    text = "".join((DOCS / page).read_text("utf-8") for page in ("api.md", "api_rooms.md"))
    entries = re.findall(r"^::: (\S+)", text, re.MULTILINE)
    assert len(entries) == len(set(entries))
    described = {id(_named(entry)) for entry in entries}
    exported = [
        f"{room}.{name}"
        for path in (DOCS.parent / "src").rglob("__init__.py")
        for room in [".".join(path.parent.relative_to(DOCS.parent / "src").parts)]
        for name in getattr(importlib.import_module(room), "__all__", ())
    ]
    assert len(exported) > 70
    missing = [
        name for name in exported if name not in entries and id(_named(name)) not in described
    ]
    assert not missing, "add '::: NAME' to docs/api_rooms.md"


def _named(path: str) -> object:
    """What a dotted name stands for: of `truing.evaluate` the function, in this package the room."""
    module, _, name = path.rpartition(".")
    if path == "truing.evaluate":
        module = "truing.recipes.evaluate"
    return getattr(importlib.import_module(module), name)


def test_the_messages_that_troubleshooting_explains_are_said() -> None:
    quoted = re.findall(
        r"^\*\*`(.+?)`.*\*\*$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(quoted) > 20
    said = "\n".join(_texts(path) for path in (DOCS.parent / "src").rglob("*.py"))
    for message in quoted:
        # What stands for something else may be text of its own: each part is looked for.
        lost = [part for part in message.split("…") if part.strip(" ;)(") not in said]
        assert not lost, f"no message has {lost} of {message!r}"


def _texts(path: Path) -> str:
    """A module's source, with texts joined that are split over lines."""
    return re.sub(r'"\s+f?"', "", path.read_text("utf-8"))


def test_pictures_are_small() -> None:
    pictures = [path for form in ("png", "svg", "jpg") for path in DOCS.rglob(f"*.{form}")]
    assert len(pictures) >= 5
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []


def test_commands_that_are_shown_are_commands_with_their_options() -> None:
    shown = [
        (page.name, command)
        for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]
        if page.name != "commands.md"
        for command in _shown(page.read_text("utf-8"))
    ]
    assert len(shown) > 200
    every = get_command(app)
    wrong = [f"{page}: {command}" for page, command in shown if not _is_known(command, every)]
    assert not wrong, "\n".join(wrong)


def _shown(text: str) -> list[str]:
    """Commands in blocks and in sentences, without comments and what follows a pipe."""
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^ *(?:\.venv/bin/)?(truing .+)$", text, re.MULTILINE)
    return [re.split(r" +# | \| |;|, or:", each)[0] for each in blocks] + re.findall(
        r"`(?:\.venv/bin/)?(truing [a-z-][^`]*)`", text
    )


def _is_known(command: str, every: Any) -> bool:
    """Whether it names a command of the program, and options that this command has."""
    words = command.split()[1:]
    found = every
    while words and (inner := getattr(found, "commands", {})) and words[0] in inner:
        found = inner[words.pop(0)]
    if words and getattr(found, "commands", {}) and not words[0].startswith("-"):
        return words[0] in ("NAME", "...")
    options = {name for each in found.params for name in (*each.opts, *each.secondary_opts)}
    known = {*options, "--help", "-h", "--install-completion"}
    return {word.split("=")[0] for word in words if word.startswith("--")} <= known
