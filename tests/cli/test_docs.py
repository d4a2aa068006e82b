"""The documentation says what the program does."""

from __future__ import annotations

import re
import textwrap

from pydantic import BaseModel

from paths import DOCS
from truing.cli.commands_page import commands_page, spec_fields
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
