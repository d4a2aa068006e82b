"""Lists are given alike to every command: repeated, one behind the other, with commas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from truing.cli.lists import spread
from truing.cli.main import app


def command(*names: str) -> Any:
    found: Any = get_command(app)
    for name in names:
        found = found.commands[name]
    return found


def understood(names: str, words: str) -> list[str]:
    each = command(*names.split())
    return spread(words.split(), each.params, each.ends)


def times(option: str, *values: str) -> list[str]:
    return [word for value in values for word in (option, value)]


@pytest.mark.parametrize(
    ("names", "words", "result"),
    [
        ("align", "--seed 0 1 2", times("--seed", *"012")),
        ("align", "--seed 0,1 2", times("--seed", *"012")),
        ("align", "--seed=0,1", times("--seed", *"01")),
        ("align", "--seed 4 spec.yaml", ["--seed", "4", "spec.yaml"]),
        ("align", "--seed 1 --seed 2", times("--seed", "1", "2")),
        ("align", "--seed 1 --json 7", ["--seed", "1", "--json", "7"]),
        ("align", "--method prompt sft s.yaml", [*times("--method", "prompt", "sft"), "s.yaml"]),
        ("align", "--method prompt,best-of-n", times("--method", "prompt", "best-of-n")),
        ("align", "--model a,b --out=--seed", ["--model", "a,b", "--out=--seed"]),
        ("align", "--seed", ["--seed"]),
        ("train", "sft s.yaml --curve 10 30", ["sft", "s.yaml", *times("--curve", "10", "30")]),
        ("report", "1 2 a,b", ["1", "2", "a,b"]),
        (
            "eval",
            "--candidate a b/c answers drift --prompt own helpful --limit 3",
            [
                *times("--candidate", "a", "b/c"),
                "answers",
                "drift",
                *times("--prompt", "own", "helpful"),
                "--limit",
                "3",
            ],
        ),
        ("eval", "answers,drift --candidate a,b", ["answers", "drift", "--candidate", "a,b"]),
        ("eval", "--export parquet,inspect", times("--export", "parquet", "inspect")),
        (
            "data import",
            "--ask rating comparison x.jsonl",
            [*times("--ask", "rating", "comparison"), "x.jsonl"],
        ),
        (
            "data export",
            "--consent given public out.parquet",
            [*times("--consent", "given", "public"), "out.parquet"],
        ),
        (
            "data shift",
            "--select 20 some.jsonl a.txt b.txt",
            ["--select", "20", "some.jsonl", "a.txt", "b.txt"],
        ),
        ("align", "--seed 1 -- --seed 2", ["--seed", "1", "--", "--seed", "2"]),
    ],
)
def test_lists(names: str, words: str, result: list[str]) -> None:
    assert understood(names, words) == result
    assert understood(names, " ".join(result)) == result


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("eval", "refusals --candidate answers:a.csv --refusals --out x"),
        ("eval", "refusals --out --json"),
        ("eval", "refusals --limit -h"),
        ("align", "--seed --out x"),
        ("align", "--model m --out --no-such"),
        ("data import", "--ask --out x"),
    ],
)
def test_no_option_is_another_ones_value(names: str, words: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"it needs a value, and '-.+' is an option"):
        understood(names, words)


def test_an_option_without_its_value_ends_the_command_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["eval", "refusals", "--candidate", "answers:a.csv", "--refusals", "--out", "x"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "Usage" in result.output
    assert not list(tmp_path.iterdir())


def test_a_comma_that_belongs_to_a_name_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b").write_text("{question}")
    assert understood("eval", "answers --prompt a,b c,d") == [
        "answers", *times("--prompt", "a,b", "c", "d")
    ]  # fmt: skip
    each = command("data", "sample")
    assert spread(["--source", "Ann, 2020"], each.params) == ["--source", "Ann, 2020"]


def test_every_command_takes_lists_so() -> None:
    def commands(group: Any) -> list[Any]:
        inner = [each for one in getattr(group, "commands", {}).values() for each in commands(one)]
        return inner or [group]

    for each in commands(command()):
        for option in each.params:
            if option.param_type_name == "option" and option.multiple:
                name = option.opts[0]
                values = ("1", "2") if option.metavar == "N" else ("a", "b")
                assert spread([name, *values], each.params, each.ends) == times(name, *values)
