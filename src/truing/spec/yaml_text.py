"""The one door for YAML: texts that are small in the file and large in memory are refused."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from truing.types import InputError

MOST_VALUES = 100_000
"""Values of one file, counted as often as aliases repeat them."""
DEEPEST = 100
"""Levels that values may nest."""
LONGEST = 5_000_000
"""Characters of one file: they are read at about a million a second."""
_UNQUOTED = re.compile(
    r"expected ',' or '[}\]]'|mapping values are not allowed|cannot start any token"
)


class _Once(yaml.SafeLoader):
    """YAML in which no key may stand twice: the last would win without a word."""

    levels = 0
    values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """See yaml.SafeLoader."""
        self.levels += 1
        if self.levels > DEEPEST:
            line = self.get_mark().line + 1
            raise yaml.YAMLError(f"nests more than {DEEPEST} levels, in line {line}")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.levels -= 1
        self.values += 1
        if node is not None and self.values > MOST_VALUES:  # before minutes are spent on the rest
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"more than {MOST_VALUES:,} values by line {line}; write fewer")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """See yaml.SafeLoader."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"a key that isn't a text, in line {line}")
            if key.tag != "tag:yaml.org,2002:merge" and key.value in lines:
                raise yaml.YAMLError(
                    f"{key.value}: given twice, in lines {lines[key.value]} and {line}"
                )
            lines[str(key.value)] = line
        return super().construct_mapping(node, deep)


def yaml_value(text: str, where: str, *, as_text: bool = False) -> Any:
    """The value of a YAML text; `as_text` leaves every scalar as it is written.

    Raises InputError naming `where`, in one line, for what isn't YAML, a key that stands twice, what
    nests too deeply or refers to itself, and aliases that stand for too much.
    """
    node = yaml_node(text, where)
    if node is None:
        return None
    loader = yaml.BaseLoader("") if as_text else _Once("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise _bad(where, error) from None
    finally:
        loader.dispose()


def yaml_node(text: str, where: str) -> yaml.Node | None:
    """The tree of a YAML text, each value with its place; None where there is none. Raises as above.

    Scalars are as they are written: their tags are those of YAML's core types.
    """
    if len(text) > LONGEST:
        raise InputError(f"{where}: {len(text):,} characters long; at most {LONGEST:,} are read")
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Once)
    except (yaml.YAMLError, ValueError) as error:
        raise _bad(where, error) from None
    if node is not None:
        _check(node, where)
    return node


def _bad(where: str, error: Exception) -> InputError:
    # PyYAML calls a text that it is given so; the file has been named already.
    said = " ".join(str(error).split()).replace('in "<unicode string>", line', "in line")
    right = "; put texts with ? : , or other signs in quotes" if _UNQUOTED.search(said) else ""
    return InputError(f"{where}: not valid YAML ({said}){right}")


def _check(root: yaml.Node, where: str) -> None:
    """Counts values and levels as aliases repeat them, each node of the tree looked at once."""
    known: dict[int, tuple[int, int]] = {}
    above: set[int] = set()

    def measured(node: yaml.Node) -> tuple[int, int]:
        line, me = node.start_mark.line + 1, id(node)
        if me in above:
            raise InputError(f"{where}:{line}: refers to itself; write out what is meant")
        if me in known:
            return known[me]
        if isinstance(node, yaml.ScalarNode) and not _is_whole(node.value):
            raise InputError(f"{where}:{line}: half of a surrogate pair; write whole characters")
        above.add(me)
        below = [measured(each) for each in _children(node)]
        above.remove(me)
        values = 1 + sum(count for count, _ in below)
        levels = 1 + max((level for _, level in below), default=0)
        if values > MOST_VALUES:
            raise InputError(
                f"{where}:{line}: stands for more than {MOST_VALUES:,} values; use fewer aliases"
            )
        if levels > DEEPEST:
            raise InputError(f"{where}:{line}: nests more than {DEEPEST} levels; make it flatter")
        known[me] = (values, levels)
        return known[me]

    measured(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        return []
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value)


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
