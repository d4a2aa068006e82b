"""`truing train rl` with servers that sample: the same learning as here, whatever becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from endpoints import Answer, Server, serving
from launching import launched
from tiny import saved
from truing.cli.main import app
from truing.files import read_jsonl
from truing.learn import loop
from truing.learn.checkpoint import Checkpoint
from truing.methods import sampling
from truing.models.language_model import LanguageModel
from vllm_server import FakeVllm, step_seeds

PROMPTS = ["why is the sky blue?", "what is a fish?", "who are you?"]
STEPS = 4
RL = {
    "steps": STEPS, "prompts_per_step": 2, "samples_per_prompt": 3, "max_new_tokens": 6,
    "evaluate_every": 2, "adapter": {"rank": 2}, "max_kl": 1000.0, "learning_rate": 0.02,
}  # fmt: skip
Spec = dict[str, Any]
Begin = Callable[..., tuple[str, FakeVllm]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sampling, "FIRST_WAIT", 0.01)
    Path("prompts.txt").write_text("\n".join(PROMPTS))


@pytest.fixture
def begin(model: Path) -> Iterator[Begin]:
    """Begins a server; returns its name in a spec, and what it does."""
    with ExitStack() as stack:

        def begun(**how: Any) -> tuple[str, FakeVllm]:
            fake = FakeVllm(LanguageModel.load(model, "float32"), step_seeds(0, STEPS), **how)
            server: Server = stack.enter_context(serving(fake))
            return f"vllm:http://127.0.0.1:{server.http.server_port}#tiny", fake

        yield begun


def spec(model: Path, *servers: str, compute: Spec | None = None, **rl: Any) -> Spec:
    apart = {"sampler": servers[0] if len(servers) == 1 else list(servers)} if servers else {}
    return {
        "model": str(model),
        "dtype": "float32",
        "data": {"prompts": "prompts.txt"},
        "reward": {"parts": [{"name": "length", "target": 2}]},
        "rl": RL | rl,
        "compute": apart | (compute or {}),
    }


def train(spec: Spec, *options: str, out: str = "run") -> Result:
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    line = ["train", "rl", "spec.yaml", "--out", out, *options]
    return CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)


def trained(spec: Spec, *options: str, out: str = "run") -> bytes:
    """The adapter's bytes."""
    result = train(spec, *options, out=out)
    assert result.exit_code == 0, result.output
    return (Path(out) / "candidates/rl/adapter_model.safetensors").read_bytes()


def log(out: str = "run") -> list[dict[str, Any]]:
    return read_jsonl(Path(out) / "logs" / "rl-seed0.jsonl")


def refusal(result: Result, exit_code: int = 2) -> str:
    assert result.exit_code == exit_code, result.output
    [message] = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return message


def test_one_prompt_in_a_step_is_learned_from_to_the_byte(model: Path, begin: Begin) -> None:
    """A request is then the batch that would be sampled here; the seeds are taken back."""
    alone = {"prompts_per_step": 1, "correction": "none"}
    here = trained(spec(model, **alone), out="here")
    name, fake = begin()
    assert trained(spec(model, name, **alone)) == here
    rows, expected = log(), log("here")
    for row, other in zip(rows, expected, strict=True):
        assert (row.pop("staleness"), row.pop("dropped")) == (0.0, 0)
        assert row.pop("entropy") > 0 and other.pop("entropy") > 0  # estimated, known
    assert rows == expected
    loaded = [each for each in fake.asked if each.startswith("+")]
    assert [each.rpartition("-")[2] for each in loaded] == ["v0", "v0", "v1", "v2", "v3"]
    assert not fake.loaded and not list(Path("run").rglob("truing-*"))


@pytest.mark.parametrize("correction", ["token", "sequence"])
def test_several_prompts_are_learned_from_alike(correction: str, model: Path, begin: Begin) -> None:
    # Without KL, whose rounding would make a credit of 0 something or nothing: such answers aren't counted.
    how: dict[str, Any] = {"correction": correction, "kl_weight": 0.0}
    trained(spec(model, **how), out="here")
    name, _ = begin()
    trained(spec(model, name, temperature=1.0, **how))
    here, found = (
        load_file(f"{out}/candidates/rl/adapter_model.safetensors") for out in ("here", "run")
    )
    for key, value in here.items():
        torch.testing.assert_close(found[key], value, atol=2e-5, rtol=1e-4)
    for row, other in zip(log(), log("here"), strict=True):
        assert row["importance_ratio"] == pytest.approx(1, abs=1e-4)
        assert (row["reward"], row["tokens"]) == (other["reward"], other["tokens"])
        assert "importance_ratio" not in other


def _dies_at(first: int, answer: Answer) -> Callable[[int], Answer | None]:
    return lambda number: answer if number >= first else None


def test_a_server_that_dies_is_taken_over_to_the_byte(model: Path, begin: Begin) -> None:
    whole, _ = begin()
    expected = trained(spec(model, whole), out="whole")
    busy, _ = begin(fails=lambda n: (429, "", {"retry-after": "0"}) if n % 3 == 2 else None)
    dies, fake = begin(fails=_dies_at(3, (-200, "")))
    assert trained(spec(model, busy, dies)) == expected
    assert log() == log("whole")
    assert fake.drawn >= 3


def test_with_no_server_left_it_says_how_to_go_on(model: Path, begin: Begin) -> None:
    whole, _ = begin()
    expected = trained(spec(model, whole), out="whole")
    dies, _ = begin(fails=_dies_at(6, (503, "")))  # one is the trial's, one each time that it is
    message = refusal(train(spec(model, dies)), 1)
    assert "no server is left" in message and "503" in message and "--resume" in message
    done = len(log())
    assert 0 < done < STEPS  # though the next checkpoint was far
    other, _ = begin()
    assert trained(spec(model, other), "--resume") == expected  # elsewhere, by the same spec
    assert log() == log("whole")


def test_with_no_server_left_all_processes_end_alike(
    model: Path, begin: Begin, tmp_path: Path
) -> None:
    dies, _ = begin(fails=_dies_at(3, (503, "")))
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec(model, dies)))
    ended = launched(file, tmp_path / "run")
    messages = "".join(error for *_, error in ended)
    assert [code for code, *_ in ended] == [1, 1], messages
    assert messages.count("no server is left") == 1 and "no server is left" in ended[0][2]


@pytest.mark.parametrize("staleness", [1, 2])
def test_what_is_drawn_ahead_resumes_to_the_byte(
    staleness: int, model: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, fake = begin()
    entire = trained(spec(model, name, staleness=staleness), out="whole")
    ages = [row["staleness"] for row in log("whole")]
    assert ages == [float(min(step, staleness)) for step in range(STEPS)]
    monkeypatch.setattr(Checkpoint, "maybe_save", Checkpoint.save)
    update, steps = loop.update, iter(range(STEPS))

    def interrupted(*given: Any) -> Any:
        if next(steps) == 3:
            raise KeyboardInterrupt
        return update(*given)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "update", interrupted)
        assert train(spec(model, name, staleness=staleness)).exit_code == 130
    kept = {path.name.rpartition("-v")[2] for path in Path("run").rglob("truing-*")}
    assert kept >= {str(version) for version in range(3 - staleness, 4)}
    assert trained(spec(model, name, staleness=staleness), "--resume") == entire
    assert log() == log("whole")
    assert not fake.loaded


# --- Refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"raw": True}, "raw log-probabilities, from before the temperature"),
        ({"raw": True}, "--logprobs-mode processed_logprobs"),
        ({"shift": 1}, "another tokenizer"),
        ({"adapters": False}, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
        ({"rank": 1}, "--max-lora-rank"),
        ({"ignores": True}, "doesn't apply adapters as they are applied here"),
    ],
)
def test_a_wrong_server_is_found_before_anything_is_learned(
    how: Spec, words: str, model: Path, begin: Begin
) -> None:
    name, _ = begin(**how)
    message = refusal(train(spec(model, name)))
    assert message.startswith("Error: compute.sampler: vllm:http://127.0.0.1:") and words in message
    assert not log() if Path("run/logs").exists() else True


def test_other_weights_are_found(model: Path, tmp_path: Path) -> None:
    other = LanguageModel.load(saved(tmp_path / "other", seed=1), "float32")
    with serving(FakeVllm(other)) as server:
        name = f"vllm:http://127.0.0.1:{server.http.server_port}/v1#tiny"
        message = refusal(train(spec(model, name)))
    assert "has other weights" in message and "nats per token apart" in message
    assert not Path("run").exists()


def test_a_base_under_another_name_and_nobody_there(model: Path, begin: Begin) -> None:
    name, _ = begin()
    message = refusal(train(spec(model, name.replace("#tiny", "#other"))))
    assert "does not exist" in message and "--served-model-name" in message
    with serving(lambda path, body: (200, {})) as server:
        port = server.http.server_port
    message = refusal(train(spec(model, f"vllm:http://127.0.0.1:{port}#tiny")))
    assert "can't be reached" in message and "see that it runs" in message


@pytest.mark.parametrize(
    ("compute", "rl", "words"),
    [
        ({"sampler": "http://127.0.0.1:8000"}, {}, "compute.sampler: 'http://127.0.0.1:8000' is no"),
        ({"sampler": []}, {}, "compute.sampler: names no server"),
        ({"sampler": ["vllm:http://a", "vllm:http://a/"]}, {}, "each server may be named once"),
        ({"sampler": "vllm:http://me:key@a"}, {}, "a key in the URL would be written down"),
        ({"sampler_folder": "there"}, {}, "sampler_folder: is for servers that sample"),
        ({}, {"staleness": 1}, "rl.staleness: answers that are sampled here"),
        ({"sampler": "vllm:http://a"}, {"staleness": 1, "correction": "none"}, "need rl.correction"),
        ({"sampler": "vllm:http://a"}, {"adapter": {"kind": "full"}}, "use 'lora'"),
        (
            {"sampler": "vllm:http://a", "sampler_key_variable": "NO_SUCH"}, {},
            "compute.sampler_key_variable NO_SUCH: no such environment variable",
        ),
    ],
)  # fmt: skip
def test_a_spec_that_cannot_be(compute: Spec, rl: Spec, words: str, model: Path) -> None:
    assert words in refusal(train(spec(model, compute=compute, **rl)))
    assert not Path("run").exists()


def test_a_key_goes_to_the_server_alone(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sesame-0123456789")
    fake = FakeVllm(LanguageModel.load(model, "float32"), step_seeds(0, STEPS))
    with serving(fake) as server:
        name = f"vllm:http://127.0.0.1:{server.http.server_port}#tiny"
        keyed = spec(model, name, compute={"sampler_key_variable": "MY_KEY"}, steps=1)
        result = train(keyed)
    assert result.exit_code == 0, result.output
    assert set(server.keys) == {"Bearer sesame-0123456789"}
    assert all(
        b"sesame" not in path.read_bytes() for path in Path("run").rglob("*") if path.is_file()
    )
    assert "sesame" not in json.dumps(result.output)
