"""Exported candidates are what they were: the same logits, texts and ends, wherever they are loaded."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import byte_bpe
import tiny
from commands import refused, run
from truing.candidates import load_candidate, save_candidate
from truing.data.texts import Demonstration
from truing.models.language_model import LanguageModel
from truing.models.weights.catalogue import CATALOGUE
from truing.models.weights.resolving import portable_name
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Prompt
from truing.spec.run import AdapterSpec

PROMPT = Prompt("Be kind.", (Demonstration("who?", "me."),))
TEXTS = ["the 12 a's\n", "a  2 the", "<|im_start|>user\nhi<|im_end|>\n"]


def lora_candidate(folder: Path, base: Path, *, base_name: str) -> Path:
    """A run's candidate whose adapter does something."""
    model = LanguageModel.load(base)
    policy = LanguagePolicy(model, model, AdapterSpec(rank=2), "float32", 0)
    torch.manual_seed(1)
    for name, parameter in policy.parameters.items():
        if "lora_B" in name:
            parameter.data.normal_(std=0.5)
    save_candidate(
        folder,
        base=base,
        base_name=base_name,
        model=model,
        prompt=PROMPT,
        policy=policy,
        link=False,
        record={"model": str(base)},
        card="# card\n",
    )
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return byte_bpe.saved(tmp_path / "base")


@pytest.fixture
def candidate(tmp_path: Path, base: Path) -> Path:
    return lora_candidate(tmp_path / "candidate", base, base_name="org/base")


def logits(model: Any, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0]  # type: ignore[no-any-return]


def expected(
    candidate: Path, tokens: list[int], dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Logits of the candidate as Truing has it, its weights rounded."""
    model = load_candidate(candidate, "c", 0, "float32").model
    model.model.to(dtype).float()  # type: ignore[arg-type]  # as transformers declares it
    loaded = AutoModelForCausalLM.from_pretrained(Path(model.tokenizer.name_or_path))
    loaded.load_state_dict(model.model.state_dict())
    return logits(loaded, tokens)


def test_a_merged_export_is_the_candidate_with_its_prompt_and_its_end_token(
    candidate: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("export", candidate, out, "--merged").exit_code == 0
    texts = AutoTokenizer.from_pretrained(out)
    tokens = texts.encode(TEXTS[0])
    torch.testing.assert_close(
        logits(AutoModelForCausalLM.from_pretrained(out), tokens), expected(candidate, tokens)
    )
    text = texts.apply_chat_template([{"role": "user", "content": "why?"}], tokenize=False)
    assert text.startswith("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nwho?")
    settings = json.loads((out / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [0, byte_bpe.TURN_END]
    assert not (out / "adapter_config.json").exists()
    for path in set(out.iterdir()) - {out / "README.md"}:
        assert str(tmp_path).encode() not in path.read_bytes(), path
    assert str(tmp_path / "base") in (out / "README.md").read_text()  # as it was given


def test_an_adapters_export_names_a_base_that_another_machine_knows(
    candidate: Path, tmp_path: Path
) -> None:
    record = json.loads((candidate / "candidate.json").read_text())
    (candidate / "candidate.json").write_text(json.dumps({**record, "model": "smollm2-135m"}))
    assert run("export", candidate, tmp_path / "out").exit_code == 0
    settings = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == CATALOGUE["smollm2-135m"].hub
    assert not (tmp_path / "out" / "candidate.json").exists()
    weights = "adapter_model.safetensors"
    assert (tmp_path / "out" / weights).read_bytes() == (candidate / weights).read_bytes()
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path / "base").encode() not in path.read_bytes(), path


def test_a_saved_adapter_names_its_base_as_it_was_given(candidate: Path, base: Path) -> None:
    settings = json.loads((candidate / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "org/base"
    assert portable_name("org/base") == "org/base"
    assert portable_name(str(base)) == str(base.resolve())
    assert all("/" in portable_name(name) for name in CATALOGUE)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gguf_file_is_read_back_with_the_same_logits_and_tokens(
    family: str, dtype: str, tmp_path: Path
) -> None:
    base = byte_bpe.saved(tmp_path / "base", family, digits_apart=False)
    candidate = lora_candidate(tmp_path / "candidate", base, base_name="org/base")
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "model.gguf"
    assert run("export", candidate, file, "--gguf", "--dtype", dtype).exit_code == 0
    texts = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    ours = LanguageModel.load(base)
    for text in TEXTS:
        assert texts.encode(text, add_special_tokens=False) == ours.encode(text)
    # Of Qwen 3, transformers doesn't read the size of a head.
    known = {"config": AutoConfig.from_pretrained(base)} if family == "qwen3" else {}
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, **known
    )
    tokens = ours.encode(TEXTS[0])
    rounded = expected(candidate, tokens, getattr(torch, dtype))
    torch.testing.assert_close(logits(model, tokens), rounded, atol=1e-4, rtol=1e-4)
    assert texts.eos_token_id == byte_bpe.TURN_END
    assert "Be kind." in texts.chat_template


def test_llama_cpp_writes_what_the_candidate_writes(tmp_path: Path) -> None:
    """With a wheel of it (pip install xllamacpp); skipped without."""
    llama = pytest.importorskip("xllamacpp")
    base = byte_bpe.saved(tmp_path / "base")
    candidate = lora_candidate(tmp_path / "candidate", base, base_name="org/base")
    file = tmp_path / "model.gguf"
    assert run("export", candidate, file, "--gguf").exit_code == 0
    settings = llama.CommonParams()
    settings.model.path, settings.n_ctx, settings.warmup = str(file), 128, False
    request = {"prompt": "the 12", "max_tokens": 8, "temperature": 0, "top_k": 1, "n_probs": 1}
    answer = llama.Server(settings).handle_completions(request)
    model = load_candidate(candidate, "c", 0, "float32").model
    tokens = model.encode("the 12")
    for _ in range(8):
        tokens.append(int(expected(candidate, tokens)[-1].argmax()))
    assert answer["choices"][0]["text"] == model.decode(tokens[len(model.encode("the 12")) :])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--gguf"], "OUT: .*ending in .gguf"),
        (["--gguf", "--merged"], "give one of them"),
        (["--merged", "--dtype", "int4"], "give float32 or bfloat16"),
        (["--merged", "--push", "nobody"], "named org/name"),
    ],
)
def test_a_wrong_wish_is_refused_and_nothing_is_written(
    arguments: list[str], reason: str, candidate: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    message = refused(run("export", candidate, tmp_path / "out", *arguments))
    assert re.search(reason, message), message
    assert sorted(tmp_path.rglob("*")) == before


def test_whatever_cannot_be_exported_is_said(candidate: Path, tmp_path: Path, base: Path) -> None:
    taken = refused(run("export", candidate, base, "--merged"))
    assert "is there already" in taken
    assert "holds no adapter" in refused(run("export", base, tmp_path / "out"))
    assert "endpoint" in refused(
        run("export", "endpoint:http://127.0.0.1#m", tmp_path / "out", "--merged")
    )
    letters = tiny.saved(tmp_path / "letters")
    assert "isn't byte-level BPE" in refused(
        run("export", letters, tmp_path / "out.gguf", "--gguf")
    )
    settings = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**settings, "model_type": "stablelm"}))
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.gguf").exists()


class _Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload needs."""

    asked: list[str]
    files: dict[str, bytes]
    status = 200

    def _answer(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.asked.append(f"GET {self.path}")
        self._answer({"id": "org/name", "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"POST {self.path} {body[:300]!r}")
        if self.status != 200:
            self._answer({"error": "no"})
        elif self.path == "/api/repos/create":
            self._answer({"url": f"http://{self.headers['Host']}/org/name"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            listed = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
            self._answer({"files": listed})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.files[value["path"]] = base64.b64decode(value["content"])
            address = f"http://{self.headers['Host']}/org/name/commit/1"
            self._answer({"commitUrl": address, "commitOid": "1" * 40})
        else:
            self._answer({})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    handler = type("Hub", (_Hub,), {"asked": [], "files": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield handler
    server.shutdown()
    server.server_close()


def test_what_is_pushed_is_what_was_written(
    hub: type[_Hub], candidate: Path, tmp_path: Path
) -> None:
    result = run("export", candidate, tmp_path / "out", "--push", "org/name", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["pushed"].endswith("/org/name")
    assert hub.files == {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    [created] = [line for line in hub.asked if "repos/create" in line]
    assert '"visibility":"private"' in created.replace(" ", "")


def test_without_push_nothing_is_sent(hub: type[_Hub], candidate: Path, tmp_path: Path) -> None:
    assert run("export", candidate, tmp_path / "out").exit_code == 0
    assert hub.asked == []


def test_a_push_that_is_refused_keeps_what_was_written(
    hub: type[_Hub], candidate: Path, tmp_path: Path
) -> None:
    hub.status = 403
    message = refused(run("export", candidate, tmp_path / "out", "--push", "org/name"))
    assert "the hub refuses it (403)" in message and "is written and stays" in message
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
