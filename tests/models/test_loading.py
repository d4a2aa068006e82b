"""Folders give numbers and texts; code that lies beside them is never run, whoever says yes."""

from __future__ import annotations

import ast
import json
import os
import pty
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM

import truing
from tiny import saved
from truing.models.loading import read_tokenizer, read_weights
from truing.types import InputError

SOURCE = Path(truing.__file__).parent
LOADERS = {"from_pretrained", "from_config"}
CODE = "import pathlib\npathlib.Path({mark!r}).write_text('ran')\n"
CLASSES = """
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class OwnConfig(LlamaConfig): model_type = "own"
class OwnModel(LlamaForCausalLM): config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast): pass
"""
LOAD = """
import sys
from pathlib import Path
from truing.models.loading import read_tokenizer, read_weights
from truing.types import InputError
for folder in sys.argv[1:]:
    for read in (read_tokenizer, lambda folder: read_weights(folder, "float32")):
        try:
            read(Path(folder))
            print("READ", folder)
        except InputError as error:
            print("refused:", folder, error)
"""


def calls() -> list[tuple[str, ast.Call]]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(name in text for name in LOADERS):
            continue  # as most files: reading their syntax takes seconds
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = ast.unparse(node.func.value)
                # peft's and alembic's know no such word; they are given objects, not folders of code.
                if node.func.attr in LOADERS and of not in ("PeftModel", "ScriptDirectory"):
                    found.append((f"{path.relative_to(SOURCE)}:{node.lineno}", node))
    return found


def test_every_loading_says_that_no_code_is_run() -> None:
    found = calls()
    assert len(found) >= 5
    for where, call in found:
        keywords = {each.arg: ast.unparse(each.value) for each in call.keywords}
        text = (SOURCE / where.partition(":")[0]).read_text(encoding="utf-8")
        spread = None in keywords and '"trust_remote_code": False' in text
        assert spread or keywords.get("trust_remote_code") == "False", where


def foreign(folder: Path, part: str, mark: Path) -> Path:
    """A model folder of which one part is code of its own."""
    saved(folder)
    (folder / "own.py").write_text(CODE.format(mark=str(mark)) + CLASSES)
    config = json.loads((folder / "config.json").read_text())
    if part in ("config", "model"):
        config["auto_map"] = {"AutoModelForCausalLM": "own.OwnModel"}
    if part == "config":
        config |= {"model_type": "own"}
        config["auto_map"]["AutoConfig"] = "own.OwnConfig"
    (folder / "config.json").write_text(json.dumps(config))
    if part == "tokenizer":
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        settings["tokenizer_class"] = "OwnTokenizer"
        settings["auto_map"] = {"AutoTokenizer": [None, "own.OwnTokenizer"]}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_a_folders_code_is_not_run_and_nobody_is_asked(tmp_path: Path) -> None:
    """On a terminal, where somebody says yes to everything. One process reads a folder of each kind."""
    parts = ("config", "model", "tokenizer")
    marks = {part: tmp_path / f"mark-{part}" for part in parts}
    folders = [foreign(tmp_path / part, part, marks[part]) for part in parts]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", LOAD, *map(str, folders)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent), "HF_HOME": str(tmp_path / "hf")}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        os.write(ours, b"y\n" * 12)
        written = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            written += piece
        process.wait()
    os.close(ours)
    text = written.decode()
    assert not any(mark.exists() for mark in marks.values()) and "[y/N]" not in text, text
    for folder in folders:
        assert text.count(f"READ {folder}") + text.count(f"refused: {folder}") == 2, text


@pytest.mark.parametrize("part", ["config", "tokenizer"])
def test_a_folder_that_needs_its_code_is_refused_in_one_line(part: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    folder = foreign(tmp_path / "model", part, mark)
    with pytest.raises(InputError) as refusal:
        read_tokenizer(folder) if part == "tokenizer" else read_weights(folder, "float32")
    assert "\n" not in str(refusal.value) and str(folder) in str(refusal.value)
    assert not mark.exists()


def test_a_configuration_that_names_a_repository_of_kernels_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        (folder / "config.json").write_text(json.dumps({**config, key: "somebody/attention"}))
        with pytest.raises(InputError, match=f"config.json: {key}: 'somebody/attention' is code"):
            read_weights(folder, "float32")


def test_threads_make_one_model_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that overlap would leave weights untied in whatever is made later."""
    folder = saved(tmp_path / "model")
    make, inside, together = LlamaForCausalLM.__init__, [0], threading.Barrier(2)
    most = 0

    def watched(model: LlamaForCausalLM, *given: Any, **named: Any) -> None:
        nonlocal most
        inside[0] += 1
        most = max(most, inside[0])
        with suppress(threading.BrokenBarrierError):
            together.wait(0.3)
        make(model, *given, **named)
        inside[0] -= 1

    monkeypatch.setattr(LlamaForCausalLM, "__init__", watched)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: read_weights(folder, "float32"), range(2)))
    assert most == 1
