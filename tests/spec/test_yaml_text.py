"""YAML that is small in a file and large in memory, and other YAML that ends as one line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from commands import refused, run
from truing.data.conversion.task_file import Task
from truing.runs.folder import RunFolder
from truing.spec.reading import read_mapping
from truing.spec.yaml_text import LONGEST, MOST_VALUES, yaml_value
from truing.types import InputError

NAMES = "abcdefghij"
SEQUENCES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise(NAMES)
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}], {name}: 1}}\n"
    for before, name in pairwise(NAMES)
)

WRONG = {
    "aliases that multiply": (SEQUENCES, r"f\.yaml:6: stands for more than 100,000 values"),
    "merges that multiply": (MERGES, r"f\.yaml:6: stands for more than 100,000 values"),
    "itself": ("a: &a [*a]", r"f\.yaml:1: refers to itself"),
    "deep lists": ("[" * 3_000, r"f\.yaml: not valid YAML \(nests more than 100 levels"),
    "deep mappings": ("{a: " * 3_000, "nests more than 100 levels"),
    "deep blocks": ("- " * 3_000, "nests more than 100 levels"),
    "deep through aliases": (
        "\n".join(f"- &a{n} [*a{n - 1}]" if n else "- &a0 [x]" for n in range(150)),
        "nests more than 100 levels",
    ),
    "a huge integer": ("a: " + "9" * 5_000, "not valid YAML"),
    "a list as a key": ("? [a, b]\n: c", r"a key that isn't a text, in line 1"),
    "a day that isn't": ("a: 2024-13-45", "not valid YAML"),
    "half a character": ('a: "\\ud800"', r"f\.yaml:1: half of a surrogate pair"),
    "a tag that runs code": ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
    "an empty integer": ("a: !!int ''", "not valid YAML"),
    "a text without its quotes": ("- {ask: Why?, of: x}", "in quotes"),
    "a text of many characters": ("#" * (LONGEST + 1), r"f\.yaml: 5,000,001 characters long"),
    "a key twice": ("a: 1\nb: 2\na: 3", "a: given twice, in lines 1 and 3"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_wrong_yaml_is_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        yaml_value(text, "f.yaml")
    assert "\n" not in str(caught.value)


def test_many_values_are_told_before_all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("truing.spec.yaml_text.MOST_VALUES", 10)
    # Were the rest read, its last line would be what is wrong.
    with pytest.raises(InputError, match="more than 10 values by line 11; write fewer"):
        yaml_value("- x\n" * 20 + "}", "f.yaml")


def test_aliases_within_reason_are_read() -> None:
    text = "base: &base {rate: 1, list: [1, 2]}\nmore: {<<: *base, rate: 2}\nagain: *base\n"
    base = {"rate": 1, "list": [1, 2]}
    assert yaml_value(text, "f.yaml") == {"base": base, "more": {**base, "rate": 2}, "again": base}
    most = MOST_VALUES // 10
    assert len(yaml_value("\n".join(["- x"] * most), "f.yaml")) == most


def test_every_reader_of_yaml_bounds_it(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(SEQUENCES)
    (tmp_path / "spec.yaml").write_text(SEQUENCES)
    for read in (read_mapping, lambda path: Task.read(str(path))):
        with pytest.raises(InputError, match=r"task\.yaml:6: stands for more than"):
            read(path)
    with pytest.raises(InputError, match=r"spec\.yaml:6: stands for more than"):
        RunFolder(tmp_path, {}).spec()


def test_commands_end_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(MERGES)
    for command in (("align", str(path)), ("tasks", str(path)), ("train", "rl", str(path))):
        assert "bomb.yaml:6: stands for more than 100,000 values" in refused(run(*command))


def test_a_byte_order_mark_and_line_ends_of_any_kind_are_read(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes("\ufeffmodel: m\rseeds: [1]\r\n".encode())
    assert read_mapping(path) == {"model": "m", "seeds": [1]}
