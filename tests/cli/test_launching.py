"""`truing train` in several processes: what is refused before any work, what a lost one leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from launching import free_port, launched, refused_once, spec_file
from tiny import saved
from truing.progress import SilentProgress
from truing.recipes.launched import _say_alone


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


def _adapters(run: Path) -> dict[str, bytes]:
    return {
        name: (run / "candidates" / name / "adapter_model.safetensors").read_bytes()
        for name in ("sft", "rl")
    }


def test_more_processes_than_rows_are_refused_before_any_work(tmp_path: Path, model: Path) -> None:
    spec = spec_file(tmp_path, model, sft={"adapter": {"rank": 2}, "batch_size": 1})
    refused_once(launched(spec, tmp_path / "run"), "sft.batch_size: 1 demonstrations in a step are")
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "Who is ann?"}\n')
    (tmp_path / "mine.py").write_text("def long(prompt, answer):\n    return len(answer) / 9\n")
    reward = {"parts": [{"name": f"{tmp_path}/mine.py:long"}]}
    spec = spec_file(tmp_path, model, data={"prompts": str(prompts)}, rl={}, reward=reward)
    refused_once(launched(spec, tmp_path / "run"), "data: 1 prompts are fewer than the 2 processes")
    assert not (tmp_path / "run").exists()


def test_processes_of_another_spec_or_other_weights_are_refused(
    tmp_path: Path, model: Path
) -> None:
    spec = spec_file(tmp_path, model)
    others = spec_file(tmp_path / "other", model, seeds=[7])
    ended = launched(spec, tmp_path / "run", others=others)
    refused_once(ended, "process 1: has another spec (")
    # The same spec, and machines whose folder of that name holds other weights.
    for folder, seed in (("a", 0), ("b", 1)):
        saved(tmp_path / folder / "weights", seed=seed)
        spec_file(tmp_path / folder, Path("./weights"))
    spec, others = tmp_path / "a" / "spec.yaml", tmp_path / "b" / "spec.yaml"
    ended = launched(spec, tmp_path / "run", others=others)
    refused_once(ended, "process 1: has another hash of the model's weights (")
    assert not (tmp_path / "run").exists()


def test_a_process_that_is_killed_ends_the_others_and_resume_goes_on(
    tmp_path: Path, model: Path
) -> None:
    """With the weights shared out, and a reward that the first process alone fits on its passes through
    them; what is resumed comes to the bytes of what was never stopped."""
    (tmp_path / "mine.py").write_text(
        "import os, pathlib\n"
        "def odd(prompt, answer):\n"
        f"    here = pathlib.Path({str(tmp_path / 'kill')!r})\n"
        "    if os.environ['RANK'] == '1' and answer != 'An answer.' and here.exists():\n"
        "        here.unlink()\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return float(len(answer) % 3)\n"
    )
    reward = {"parts": [{"name": f"{tmp_path}/mine.py:odd"}, {"name": "truth_probe"}]}
    spec = spec_file(tmp_path, model, reward=reward, compute={"shard": "full"})
    whole, run = tmp_path / "whole", tmp_path / "run"
    ended = launched(spec, whole)
    assert [code for code, *_ in ended] == [0, 0], ended
    assert "Processes: 2, with the weights of the layers shared out" in ended[0][2]
    (tmp_path / "kill").touch()
    (code, out, messages), (killed, *_) = launched(spec, run)
    assert (code, killed, out) == (1, -9, ""), messages
    [message] = [line for line in messages.splitlines() if line.startswith("Error: ")]
    assert "another process has ended (killed, or out of memory)" in message
    assert "--resume" in message and "Traceback" not in messages
    assert [code for code, *_ in launched(spec, run, "--resume")] == [0, 0]
    assert _adapters(run) == _adapters(whole)


def test_whole_weights_learn_shared_out_as_in_one_process(tmp_path: Path, model: Path) -> None:
    """Fine-tuning, then reinforcement learning, of all weights; the candidate is that of weights that
    weren't shared out. By an exact reward: how a probe is fitted can turn on a last digit."""
    full = {"adapter": {"kind": "full"}, "learning_rate": 1e-4}
    rl = {"steps": 2, "prompts_per_step": 3, "samples_per_prompt": 3, "max_new_tokens": 6}
    (tmp_path / "mine.py").write_text(
        "def vowels(prompt, answer):\n    return float(sum(c in 'aeiou' for c in answer))\n"
    )
    found = {}
    for shard in ("none", "full"):
        spec = spec_file(
            tmp_path,
            model,
            sft={**full, "batch_size": 8},
            rl={**full, **rl, "start": "sft"},
            reward={"parts": [{"name": f"{tmp_path}/mine.py:vowels"}]},
            compute={"shard": shard},
        )
        ended = launched(spec, tmp_path / shard)
        assert [code for code, *_ in ended] == [0, 0], ended
        folder = tmp_path / shard / "candidates" / "rl"
        found[shard] = load_file(folder / "model.safetensors")
    assert found["full"].keys() == found["none"].keys()
    for name, tensor in found["none"].items():
        torch.testing.assert_close(found["full"][name], tensor, atol=1e-5, rtol=1e-4, msg=name)


# --- As launchers start it ----------------------------------------------------------------------


def _accelerate(*options: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ACCELERATE_")}
    command = [sys.executable, "-m", "accelerate.commands.launch", *options]
    return subprocess.run(
        command,
        env=environment | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("cpu", ["true", "False"])  # with --cpu, and on a machine without cards
def test_one_process_where_several_were_asked_for_is_said(
    monkeypatch: pytest.MonkeyPatch, cpu: str
) -> None:
    said: list[str] = []
    progress = SilentProgress()
    monkeypatch.setattr(progress, "note", said.append)
    monkeypatch.delenv("RANK", raising=False)
    _say_alone(progress)
    assert said == []
    monkeypatch.setenv("ACCELERATE_USE_CPU", cpu)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    _say_alone(progress)
    assert len(said) == 1 and "use torchrun --nproc_per_node N" in said[0]
    monkeypatch.setenv("RANK", "0")
    _say_alone(progress)
    assert len(said) == 1


def test_accelerate_launch_starts_two_that_share_out_the_weights(
    tmp_path: Path, model: Path
) -> None:
    pytest.importorskip("accelerate")
    small = {"adapter": {"rank": 2}, "batch_size": 8, "epochs": 1}
    spec, out = spec_file(tmp_path, model, sft=small), tmp_path / "run"
    text = yaml.safe_load(spec.read_text())
    spec.write_text(yaml.safe_dump({k: v for k, v in text.items() if k != "rl"}))
    train = ["-m", "truing.cli.main", "train", "sft", str(spec), "--out", str(out), "--json"]
    fixed = ["--num_machines", "1", "--mixed_precision", "bf16", "--dynamo_backend", "no"]
    port = ["--main_process_port", str(free_port())]
    ended = _accelerate("--use_fsdp", "--num_processes", "2", *fixed, *port, *train)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count('"candidates"') == 1  # the first alone prints
    assert ended.stderr.count("Processes: 2, with the weights of the layers shared out") == 1
    assert ended.stderr.count("mixed precision (bf16) isn't followed") == 1
    assert (out / "candidates" / "sft" / "adapter_model.safetensors").is_file()
