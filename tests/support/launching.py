"""Several processes that train together, as `torchrun` or `accelerate launch` starts them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from forked import processes
from training_worker import STEPS, run_all, run_command


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def environments(count: int) -> list[dict[str, str]]:
    """What `accelerate launch --cpu --num_processes COUNT` sets on several machines, and no more."""
    port = str(free_port())
    return [
        {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        }
        for rank in range(count)
    ]


def together(whats: Sequence[str], folder: Path, count: int) -> None:
    """Trainings of training_worker.py in so many processes."""
    trainings = [what for what in whats if not what.startswith("again:")]
    for code, out, error in _ended([
        (run_all, (whats, folder, own, folder / f"rank{own['RANK']}")) for own in environments(count)
    ]):  # fmt: skip
        assert code == 0, error
        assert out.splitlines() == [f"step {n}" for _ in trainings for n in range(1, STEPS + 1)]


Ended = tuple[int | None, str, str]
"""A process's exit code, output and messages."""


def spec_file(folder: Path, model: Path, **over: Any) -> Path:
    """Fine-tuning, then reinforcement learning from it with a reward model."""
    small = {"adapter": {"rank": 2}, "learning_rate": 1e-3}
    rl = {"steps": 3, "prompts_per_step": 3, "samples_per_prompt": 3, "max_new_tokens": 6}
    spec = {
        "model": str(model),
        "dtype": "float32",
        "data": {"limit": 12, "control_limit": 1},
        "sft": {**small, "batch_size": 8},
        "rl": {**small, **rl, "start": "sft", "evaluate_every": 2, "max_kl": 1000.0},
        **over,
    }
    folder.mkdir(exist_ok=True)
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


def launched(spec: Path, out: Path, *more: str, others: Path | None = None) -> list[Ended]:
    """`truing train rl` in two processes. The second may be given `others` for a spec."""
    return _ended([
        (
            run_command,
            (
                ["train", "rl", str(file), "--out", str(out), "--json", *more],
                own,
                file.with_name(f"rank{own['RANK']}"),
            ),
        )
        for own, file in zip(environments(2), (spec, others or spec), strict=True)
    ])  # fmt: skip


def _ended(works: Sequence[tuple[Callable[..., None], tuple[Any, ...]]]) -> list[Ended]:
    """How processes end that do these works at the same time. The last argument says where they write."""
    context = processes()
    started = [(context.Process(target=work, args=args), args[-1]) for work, args in works]
    for process, _ in started:
        process.start()
    for process, _ in started:
        process.join(300)
        process.kill()  # one that hangs has no exit code of its own
    return [
        (process.exitcode, said.with_suffix(".out").read_text(), said.with_suffix(".err").read_text())
        for process, said in started
    ]  # fmt: skip


def refused_once(processes: list[Ended], words: str) -> None:
    """All processes end with exit code 2, and the first alone says why."""
    errors = "".join(error for _, _, error in processes)
    assert [code for code, *_ in processes] == [2, 2], errors
    assert [out for _, out, _ in processes] == ["", ""]
    [message] = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert words in message and message in processes[0][2]
    assert "Traceback" not in errors
