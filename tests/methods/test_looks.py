"""What the monitor leaves of each look, question by question, whether a run is killed or not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tiny import saved
from truing.methods import rl
from truing.methods.monitor import KL_QUESTIONS
from truing.progress import SilentProgress
from truing.recipes.align import align
from truing.runs.folder import RunFolder, add_look, look_step, read_rows
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import Row


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("model"))


def spec_of(model: Path) -> Spec:
    return make_spec(
        {
            "model": str(model), "dtype": "float32", "methods": ["rl"],
            "data": {"limit": 60, "control_limit": 3},
            "rl": {
                "steps": 13, "prompts_per_step": 2, "samples_per_prompt": 3, "max_new_tokens": 4,
                "evaluate_every": 4, "monitored": 20, "adapter": {"rank": 2},
            },
            "evaluation": {"max_new_tokens": 4, "attacks": 1, "rules": 1, "kl_questions": 2,
                           "resamples": 100, "dtype": "float32"},
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    align(spec_of(model), folder, progress=SilentProgress())
    return folder


def test_each_look_is_there_with_the_base_first(whole: Path) -> None:
    looks = RunFolder.open(whole).looks("rl")[0]
    assert list(looks) == [0, 4, 8, 12, 13]
    log = {line["step"]: line for line in RunFolder.open(whole).logs("rl")[0]}
    for step, rows in looks.items():
        kl = [row.metrics["kl"] for row in rows if "kl" in row.metrics]
        assert all(isinstance(each, float) and each >= -1e-6 for each in kl)
        if step == 0:
            assert kl == [0.0] * len(rows)
            continue
        assert len(kl) == min(KL_QUESTIONS, len(rows))
        monitor = log[step]["monitor"]
        assert monitor["n"] == len(rows)
        rewards = [row.metrics["reward"] for row in rows]
        assert math.fsum(rewards) / len(rows) == pytest.approx(monitor["reward"])  # type: ignore[arg-type]
    assert {row.case for row in looks[0]} == {row.case for row in looks[13]}


def test_a_training_that_was_killed_leaves_the_same_looks(
    model: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed behind the look at step 12, it goes on from the state saved at step 10."""
    look = rl.Monitor.look

    def killed(self: rl.Monitor, step: int) -> dict[str, object]:
        row = look(self, step)
        if step == 12:
            raise KeyboardInterrupt
        return row

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rl.Monitor, "look", killed)
        align(spec_of(model), tmp_path / "run", progress=SilentProgress())
    align(spec_of(model), tmp_path / "run", progress=SilentProgress())
    for name in ("looks", "logs"):
        ours = (tmp_path / "run" / name / "rl-seed0.jsonl").read_bytes()
        assert ours == (whole / name / "rl-seed0.jsonl").read_bytes()


def test_later_looks_make_room_for_an_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "looks" / "rl-seed0.jsonl"
    for step in (0, 5, 10, 15, 10):
        add_look(file, step, [Row("rl", 0, "looks", "q", {"reward": 1.0}, "", {"step": step})])
    assert [look_step(row, file) for row in read_rows(file)] == [0, 5, 10]
