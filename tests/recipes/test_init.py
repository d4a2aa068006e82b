"""A spec to begin with: runs as it is, and its comments say what holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from truing.recipes.init import init, spec_text
from truing.spec.reading import make_spec
from truing.tasks import TASKS
from truing.types import InputError


def uncommented(text: str) -> str:
    """With the # of every commented key removed."""
    key = re.compile(r"#( *(?:[a-z_]+:|# ))")
    return "\n".join(key.sub(r"\1", line, count=1) for line in text.split("\n"))


@pytest.mark.parametrize("task", [None, *TASKS])
def test_it_means_the_default_whether_or_not_it_is_uncommented(task: str | None) -> None:
    text = spec_text(task, "spec.yaml")
    default = make_spec({"task": task} if task else {})
    assert make_spec(yaml.safe_load(text)) == default
    whole = yaml.safe_load(uncommented(text))
    assert make_spec(whole) == default
    assert set(whole) == set(default.model_dump())
    assert max(map(len, text.splitlines())) <= 101


def test_a_commented_key_can_be_changed() -> None:
    text = spec_text(None, "spec.yaml").replace("#rl:", "rl:").replace("#  steps: 10", "  steps: 3")
    assert make_spec(yaml.safe_load(text)).rl.steps == 3


def test_an_editor_finds_the_schema() -> None:
    first = spec_text(None, "spec.yaml").splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=file://(/\S+)", first)
    assert match and Path(match[1]).is_file()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "spec.yaml"
    assert init(None, file) == file
    file.write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        init(None, file)
    assert file.read_text() == "mine"
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is there already"):
        init(None, link)
    with pytest.raises(InputError, match="did you mean 'format'"):
        init("formt", tmp_path / "other.yaml")
    assert not (tmp_path / "other.yaml").exists()
    with pytest.raises(InputError, match="can't be written"):
        init(None, file / "below.yaml")
