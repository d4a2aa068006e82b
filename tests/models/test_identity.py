"""What is computed with a model is filed under all that decides it, and under nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny import saved
from truing.candidates import open_candidate
from truing.models.identity import ModelIdentity, settings_hash
from truing.models.weights.adapter_folders import merged_folder
from truing.progress import SilentProgress
from truing.runs.run import Run, new_record
from truing.types import InputError


def _set(name: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(content | values))

    return change


def _vocabulary(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"a":4', '"a":40').replace('"a": 4,', '"a": 40,'))


def _template(folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("<end>", "<end><end>"))


DECIDING = {
    "the generation settings' end tokens": _set("generation_config.json", eos_token_id=[0, 2]),
    "the configuration": _set("config.json", rms_norm_eps=0.5),
    "the tokenizer's settings": _set("tokenizer_config.json", eos_token="<bot>"),
    "special tokens": _set("special_tokens_map.json", bos_token="<user>"),
    "added tokens": _set("added_tokens.json", **{"<think>": 40}),
    "the vocabulary": _vocabulary,
    "the chat template": _template,
}
ORIGINS = {
    "a version": _set("config.json", transformers_version="0.1"),
    "a version there too": _set("generation_config.json", transformers_version="0.1"),
    "a name": _set("tokenizer_config.json", name_or_path="elsewhere"),
    "a readme": lambda folder: (folder / "README.md").write_text("hello"),
}


def identity_of(folder: Path) -> ModelIdentity:
    return open_candidate(str(folder), 0, "float32")[1]


@pytest.mark.parametrize("what", DECIDING)
def test_whatever_decides_an_answer_changes_the_identity(what: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    before = settings_hash(folder, folder)
    merged = merged_folder(folder, folder, folder, SilentProgress())
    DECIDING[what](folder)
    assert settings_hash(folder, folder) != before
    assert merged_folder(folder, folder, folder, SilentProgress()) != merged


def test_a_changed_end_token_is_another_model_whose_kept_answers_are_not_taken(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path / "model")
    before = identity_of(folder)
    DECIDING["the generation settings' end tokens"](folder)
    after = identity_of(folder)
    assert after.hash != before.hash and after.weights == before.weights


@pytest.mark.parametrize("what", ORIGINS)
def test_names_places_and_versions_do_not(what: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    before = identity_of(folder)
    ORIGINS[what](folder)
    shutil.move(folder, tmp_path / "moved")
    assert identity_of(tmp_path / "moved") == before


def test_a_run_is_not_gone_on_with_under_another_template_but_one_of_before_is(
    tmp_path: Path,
) -> None:
    identity = {"spec_digest": "a", "kind": "align"}
    changed = identity | {"settings_hash": "2"}
    for name, recorded in (("new", identity | {"settings_hash": "1"}), ("old", identity)):
        run = Run(tmp_path / name, SilentProgress())
        with run.opened(recorded, new_record(recorded)):
            pass
    with pytest.raises(
        InputError, match=r"another model: its tokenizer, chat template, .*--overwr"
    ):
        Run(tmp_path / "new", SilentProgress()).check(changed)
    Run(tmp_path / "new", SilentProgress()).check(identity | {"settings_hash": "1"})
    Run(tmp_path / "old", SilentProgress()).check(changed)
