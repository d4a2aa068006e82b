"""The main job on a tiny random model: every stage, interrupted anywhere, in folders of all kinds."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer

from headings import Headings
from tiny import alone, saved
from truing.candidates import load_candidate
from truing.data.distinct import REPEATED
from truing.data.drafts import ANSWER_TWICE
from truing.data.questions import load_questions
from truing.files import read_jsonl
from truing.methods.setup import make_setup, opened
from truing.models.engine.tree import PromptWithContinuations
from truing.progress import SilentProgress
from truing.recipes.align import _planned, align
from truing.runs.run import Run
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import InputError

NAMES = ["base", "prompt", "sft", "preference", "rl"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"), 4096)


def small(model: Path, **over: Any) -> Spec:
    data = {
        "model": str(model),
        "dtype": "float32",
        "data": {"limit": 20, "control_limit": 3},
        "prompt": {"questions": 3, "shots": [0, 1], "built_in": 2},
        "sft": {"epochs": 1, "batch_size": 8, "adapter": {"rank": 2}},
        "preference": {
            "steps": 3, "prompts_per_step": 2, "max_pairs": 3, "adapter": {"rank": 2},
        },
        "rl": {
            "steps": 4, "prompts_per_step": 2, "samples_per_prompt": 3, "max_new_tokens": 6,
            "evaluate_every": 2, "monitored": 2, "adapter": {"rank": 2},
        },
        "evaluation": {
            "max_new_tokens": 6, "attacks": 3, "rules": 4, "kl_questions": 3, "resamples": 100,
            "dtype": "float32",
        },
    }  # fmt: skip
    return make_spec(data | over)


def run(spec: Spec, folder: Path, **options: Any) -> Any:
    return align(spec, folder, progress=SilentProgress(), **options)


def begun(spec: Spec, folder: Path) -> AbstractContextManager[None]:
    """The folder of a run, held, with what it begins with."""
    setup = make_setup(spec, SilentProgress())
    return opened(Run(folder, SilentProgress()), setup, profile="default", command="truing align")


@pytest.fixture(scope="module")
def finished(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(small(model_folder), folder)
    return folder


def test_questions_that_the_limit_leaves_out_are_counted(finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text())
    kept = len(read_jsonl(finished / "questions.jsonl")) - 3  # without the controls
    assert kept == 20 and record["questions_left_out"] == len(load_questions("built-in")) - 20
    page = (finished / "report.html").read_text()
    assert f"{record['questions_left_out']} questions" in page


def test_a_run_that_goes_on_counts_its_stages_as_the_whole_run_does(
    finished: Path, model_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    stages = tmp_path / "run" / "stages"
    planned = _planned(small(model_folder))
    assert {path.stem for path in stages.iterdir()} == set(planned)
    for name in planned[-2:]:
        (stages / f"{name}.json").unlink()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "finished": None}))
    headings = Headings()
    align(small(model_folder), tmp_path / "run", progress=headings)
    assert [name.partition(" (")[0] for name in headings.names] == [
        "Stage 10 of 11: Measuring preference, seed 0",
        "Stage 11 of 11: Measuring rl, seed 0",
    ]
    assert all("left in all" in name for name in headings.names)
    assert rows(tmp_path / "run") == rows(finished)


def test_what_readers_leave_out_is_said_and_recorded(model_folder: Path, tmp_path: Path) -> None:
    controls = tmp_path / "sums_test.csv"
    controls.write_text("2 + 2?,4,5,5,6,A\n" * 2)
    notes: list[str] = []

    class Noted(SilentProgress):
        def note(self, text: str) -> None:
            notes.append(text)

    setup = make_setup(small(model_folder, data={"controls": str(controls)}), Noted())
    left_out = {REPEATED: 1, ANSWER_TWICE: 2}
    assert [f"{controls}: left out: {n} {what}" in notes for what, n in left_out.items()] == [
        True
    ] * 2
    with opened(Run(tmp_path / "run", setup.progress), setup, profile="default", command="truing"):
        record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["reading"] == {"controls": {"left_out": left_out}}


def test_kl_is_measured_on_as_many_questions_as_asked(finished: Path) -> None:
    found = read_jsonl(finished / "rows" / "drift" / "sft-seed0.jsonl")
    assert sum("kl" in row["metrics"] for row in found) == 3 < len(found)


def rows(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.glob("rows/*/*.jsonl")}


def test_everything_is_measured_on_the_same_cases(finished: Path) -> None:
    held_out = {
        case["id"]
        for case in read_jsonl(finished / "questions.jsonl")
        if case["split"] == "held_out"
    }
    for name in NAMES:
        file = finished / "rows" / "truthfulness" / f"{name}-seed0.jsonl"
        assert {row["case"] for row in read_jsonl(file)} == held_out
        attacked = read_jsonl(finished / "rows" / "attacks" / f"{name}-seed0.jsonl")
        cells = Counter(row["detail"]["cell"] for row in attacked)
        assert cells == {"attack": 3, "able": 3, "twin": 3, "direct": 6, "neutral": 6}
        assert len(read_jsonl(finished / "rows" / "trivia" / f"{name}-seed0.jsonl")) == 3
    summary = json.loads((finished / "summary.json").read_text())
    assert list(summary["candidates"]) == NAMES
    assert list(summary["differences"]) == NAMES[1:]
    assert summary["candidates"]["rl"]["drift"]["kl"]["value"] >= -1e-6
    assert summary["costs"]["sft"]["labels"] == summary["costs"]["total"]["labels"] - sum(
        summary["costs"][name]["labels"] for name in ("prompt", "preference", "rl")
    )
    assert (finished / "report.html").stat().st_size < 3_000_000


def test_the_policy_learned_from_demonstrations_and_samples(finished: Path) -> None:
    log = read_jsonl(finished / "logs" / "sft-seed0.jsonl")
    assert log[-1]["step"] == len(log) > 3
    samples = read_jsonl(finished / "logs" / "rl-seed0.jsonl")
    assert [row["step"] for row in samples] == [1, 2, 3, 4]
    assert [("monitor" in row) for row in samples] == [False, True, False, True]
    assert sum(row.get("chosen", False) for row in samples) == 1
    assert abs(samples[0]["kl"]) > 1e-3  # it goes on from preference; the base stays the reference


@pytest.mark.parametrize("name", NAMES)
def test_plain_transformers_gives_the_same_log_probabilities(finished: Path, name: str) -> None:
    folder = finished / "candidates" / name
    ours = load_candidate(folder, name, 0, "float32")
    loader = (
        AutoPeftModelForCausalLM if name in ("sft", "preference", "rl") else AutoModelForCausalLM
    )
    theirs = loader.from_pretrained(folder, dtype=torch.float32)
    if (
        loader is AutoPeftModelForCausalLM
    ):  # peft keeps a set, which has another order in each process
        targets = json.loads((folder / "adapter_config.json").read_text())["target_modules"]
        assert targets == sorted(targets) and len(targets) > 1
    templated = AutoTokenizer.from_pretrained(folder)
    question, answer = "does the moon shine?", "no, it does not."
    prompt = ours.renderer.tokens(ours.prompt, question)
    text = templated.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    assert templated.encode(text, add_special_tokens=False) == prompt
    tokens = ours.renderer.answer_tokens(answer)
    [[scored]] = ours.model.score([PromptWithContinuations(prompt, [tokens])])
    logits = theirs(input_ids=torch.tensor([prompt + tokens])).logits[0].log_softmax(-1)
    places = torch.arange(len(prompt) - 1, len(prompt) + len(tokens) - 1)
    torch.testing.assert_close(
        scored.token_log_probs, logits[places, torch.tensor(tokens)].detach(), atol=1e-4, rtol=0
    )


def test_a_run_killed_between_stages_and_steps_goes_on_and_ends_the_same(
    model_folder: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run, killed before its first stage, between two others, late, and twice in training; it is taken
    up each time from what the kills before have left."""
    from truing.learn import loop

    done: list[str] = []
    killed: list[str] = []
    updates = 0
    whole_stage, whole_update = Run.stage, loop.update

    def kill_once(when: str) -> None:
        if when not in killed:
            killed.append(when)
            raise KeyboardInterrupt

    def stage(self: Run, name: str, *rest: Any, **options: Any) -> None:
        new = name not in done
        if new and len(done) in (0, 4, 7):
            kill_once(f"after {len(done)} stages")
        whole_stage(self, name, *rest, **options)
        done.extend([name] if new else [])

    def update(*arguments: Any) -> Any:
        nonlocal updates
        updates += 1
        if updates in (3, 9):
            kill_once(f"in update {updates}")
        return whole_update(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "stage", stage)
        patch.setattr(loop, "update", update)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                run(small(model_folder), tmp_path / "run")
    run(small(model_folder), tmp_path / "run")
    places = ["after 0 stages", "after 4 stages", "after 7 stages", "in update 3", "in update 9"]
    assert sorted(killed) == places
    assert rows(tmp_path / "run") == rows(finished)


def test_the_model_folder_is_never_written_to(model_folder: Path, finished: Path) -> None:
    weights = finished / "candidates" / "base" / "model.safetensors"
    for file in model_folder.iterdir():
        assert file.stat().st_nlink == 1, (
            "a link would let a change of the candidate reach the model"
        )
    assert weights.read_bytes() == (model_folder / "model.safetensors").read_bytes()
    assert "'role'" not in (model_folder / "tokenizer_config.json").read_text()


def test_a_finished_run_is_read_not_written(model_folder: Path, finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.glob("rows/*/*.jsonl")}
    run(small(model_folder), finished)
    assert {p: p.stat().st_mtime_ns for p in finished.glob("rows/*/*.jsonl")} == before


def test_two_runs_never_mix(model_folder: Path, finished: Path) -> None:
    before = rows(finished)
    with pytest.raises(InputError, match="another spec"):
        run(small(model_folder, seeds=[5]), finished)
    assert rows(finished) == before


def test_other_folders_are_left_alone(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="run"):
            run(small(model_folder), tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is a file"):
        run(small(model_folder), tmp_path / "thesis.tex")


def test_overwrite_begins_anew(model_folder: Path, tmp_path: Path) -> None:
    only_base = {"methods": []}
    run(small(model_folder, **only_base), tmp_path / "run")
    again = run(small(model_folder, seeds=[3], **only_base), tmp_path / "run", overwrite=True)
    assert list(again.to_json()["candidates"]) == ["base"]


def test_questions_that_no_judge_could_grade_are_refused_at_once(
    model_folder: Path, tmp_path: Path
) -> None:
    lines = [
        json.dumps(
            {"question": f"Which {i}?", "correct_answers": ["A."], "incorrect_answers": ["B."]}
        )
        for i in range(20)
    ]
    file = tmp_path / "single.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(InputError, match="two true and two false"):
        run(small(model_folder, data={"questions": str(file)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_full_weights(model_folder: Path, tmp_path: Path) -> None:
    sft = {"epochs": 1, "batch_size": 8, "adapter": {"kind": "full"}}
    run(small(model_folder, sft=sft, methods=["sft"]), tmp_path / "run")
    trained = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "candidates" / "sft")
    base = AutoModelForCausalLM.from_pretrained(model_folder)
    changed = [
        not torch.equal(a, b) for a, b in zip(trained.parameters(), base.parameters(), strict=True)
    ]
    assert all(changed)
    ours = load_candidate(tmp_path / "run" / "candidates" / "sft", "sft", 0, "float32")
    prompt = ours.renderer.tokens(ours.prompt, "does the moon shine?")
    tokens = ours.renderer.answer_tokens("no, it does not.")
    [[scored]] = ours.model.score([PromptWithContinuations(prompt, [tokens])])
    wanted = alone(trained, prompt, tokens).detach()
    torch.testing.assert_close(scored.token_log_probs, wanted, atol=1e-4, rtol=0)


# --- Folders that can't be written ------------------------------------------------------------


def _denied(number: int) -> Any:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), "x")

    return fails


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG])
def test_a_folder_that_cannot_be_made_is_the_users_to_mend(
    number: int, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_setup(small(model_folder), SilentProgress())
    run = Run(tmp_path / "run", SilentProgress())
    monkeypatch.setattr(Path, "mkdir", _denied(number))
    with (
        pytest.raises(InputError, match=r"run: can't be written .*give a folder that you may"),
        opened(run, setup, profile="default", command="truing align"),
    ):
        pass
    assert not (tmp_path / "run").exists()


def test_no_right_to_write_is_told_before_the_model_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(InputError, match="no right to write in"):
        run(make_spec({"model": "no such model"}), tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()


def test_a_folder_inside_a_file(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file is a file; give another folder"):
        run(small(model_folder), tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_is_full_at_once_leaves_no_folder(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _denied(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        run(small(model_folder), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("missing", ["spec.yaml", "questions.jsonl"])
def test_a_run_killed_at_its_very_beginning_goes_on(
    missing: str, model_folder: Path, tmp_path: Path
) -> None:
    spec, folder = small(model_folder), tmp_path / "run"
    with begun(spec, folder):
        whole = (folder / missing).read_bytes()
        (folder / missing).unlink()
    with begun(spec, folder):
        assert (folder / missing).read_bytes() == whole


def test_what_a_kill_left_of_the_first_file_is_no_other_thing(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".run.json.17-ab.tmp").write_text("{")
    with begun(small(model_folder), folder):
        assert (folder / "run.json").is_file()
