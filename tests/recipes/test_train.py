"""`truing train` on a tiny random model: every objective, every refusal, kill and resume."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner, Result

from paths import DOCS
from tiny import plain, saved, tokenizer
from truing.cli.main import app
from truing.files import read_jsonl
from truing.learn import OBJECTIVES, Reinforce, loop
from truing.learn.checkpoint import Checkpoint
from truing.learn.from_spec import objective_of, stop_rules_of
from truing.learn.objectives.baselines import LeaveOneOut
from truing.learn.objectives.kl import KL
from truing.learn.stopping import KlAbove
from truing.learn.update_schedule import ONE_UPDATE
from truing.models.engine.int8 import multiplies_int8
from truing.rewards.program import REWARDS, program
from truing.spec.objective import ObjectivePart
from truing.spec.reading import make_spec
from truing.spec.run import Spec as Defaults

PROMPTS = ["why is the sky blue?", "what is a fish?", "who are you?"]
SMALL_RL = {
    "steps": 4, "prompts_per_step": 2, "samples_per_prompt": 3, "max_new_tokens": 6,
    "evaluate_every": 2, "adapter": {"rank": 2}, "max_kl": 1000.0,
}  # fmt: skip
LENGTH = {"parts": [{"name": "length", "target": 2}]}
Spec = dict[str, Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n\n")
    return folder


def train(kind: str, spec: Spec, *options: str, out: str = "run") -> Result:
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    line = ["train", kind, "spec.yaml", "--out", out, *options]
    return CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)


def rl_spec(model: Path, *, reward: Spec | None = None, **rl: Any) -> Spec:
    return {
        "model": str(model),
        "dtype": "float32",
        "data": {"prompts": "prompts.txt"},
        "reward": reward or LENGTH,
        "rl": SMALL_RL | rl,
    }


def questions_spec(model: Path, **over: Any) -> Spec:
    data = {"limit": 12, "control_limit": 1}
    sft = {"epochs": 1, "batch_size": 8, "adapter": {"rank": 2}}
    base = {"model": str(model), "dtype": "float32", "data": data, "sft": sft, "rl": SMALL_RL}
    return base | over


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    [message] = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert all(word in message for word in words), message


def log(folder: str = "run") -> list[dict[str, Any]]:
    return read_jsonl(Path(folder) / "logs" / "rl-seed0.jsonl")


# --- What is trained --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rl",
    [
        {},
        {"objective": {"name": "reinforce", "baseline": "none"}, "samples_per_prompt": 1},
        {"objective": {"baseline": "moving_average", "rate": 0.5, "to_go": True}},
        {"objective": {"baseline": "constant", "constant": -0.5, "entropy_weight": 0.01}},
        {
            "objective": {"name": "ppo", "epochs": 2, "minibatches": 2, "clip": 0.1},
            "kl_estimator": "k3", "kl_place": "loss",
        },
        {"objective": {"name": "ppo", "baseline": "value", "gae_lambda": 0.9, "epochs": 2},
         "samples_per_prompt": 1},
        {"objective": {"baseline": "value", "rate": 0.5, "ridge": 0.3, "to_go": True}},
        {"objective": {"name": "grpo", "epochs": 2}, "kl_weight": 0.0},
        {"objective": {"name": "dr_grpo", "max_update_kl": 0.5}},
        {"objective": {"name": "weighted", "temperature": 0.5}},
        {"objective": {"name": "rejection_sampling"}, "adapter": {"kind": "full"}, "learning_rate": 1e-3},
    ],
)  # fmt: skip
def test_every_objective_trains_a_candidate(rl: Spec, model: Path) -> None:
    found = document(train("rl", rl_spec(model, **rl), "--json"))
    [candidate] = found["candidates"]
    rows = log()
    assert candidate["steps"] == len(rows) == 4
    assert all(row["reward"] <= 0 for row in rows)
    assert any(row["gradient_norm"] > 0 for row in rows)
    objective = rl.get("objective", {})
    clipped = any("clip_fraction" in row for row in rows)  # not where every group was idle
    assert clipped == (objective.get("name") in ("ppo", "grpo", "dr_grpo"))
    assert any("kl_in_loss" in row for row in rows) == (rl.get("kl_place") == "loss")
    assert all(("value_loss" in row) == (objective.get("baseline") == "value") for row in rows)
    full = rl.get("adapter", {}).get("kind") == "full"
    loader = AutoModelForCausalLM if full else AutoPeftModelForCausalLM
    loader.from_pretrained(candidate["folder"])
    card = (Path(candidate["folder"]) / "README.md").read_text()
    assert "Prompts: prompts.txt (3)" in card and "1 x length" in card


@pytest.mark.parametrize(
    ("dtype", "correction", "figure"),
    [
        ("bfloat16", "token", "truncated_fraction"),
        ("bfloat16", "sequence", "masked_fraction"),
        ("bfloat16", "none", ""),
        ("float32", "token", ""),
        ("int8", "token", "truncated_fraction"),
    ],
)
def test_another_sampler_is_corrected_and_resumes_to_the_byte(
    dtype: str, correction: str, figure: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("truing.models.precision.has_fast_bfloat16", lambda: True)
    spec = rl_spec(model, correction=correction) | {"dtype": dtype}
    if dtype == "int8":
        if not multiplies_int8():
            pytest.skip("this processor has no instructions for products in int8")
        spec |= {"dtype": "float32", "compute": {"sampler": "int8"}}
    document(train("rl", spec, "--json"))
    rows = log()
    for key in ("importance_ratio", "sampler_kl", "effective_sample_size", figure or "beyond"):
        assert all((key in row) == bool(figure) for row in rows), key
    if figure:
        assert all(0.5 < row["importance_ratio"] < 2 for row in rows)
        assert all(0 < row["effective_sample_size"] <= 1 for row in rows)
    (state,) = Path("run").glob("state/*/state.safetensors")
    entire = load_file(state)
    monkeypatch.setattr(Checkpoint, "maybe_save", Checkpoint.save)
    update, steps = loop.update, iter(range(3))

    def interrupted(*given: Any) -> Any:
        if next(steps) == 2:
            raise KeyboardInterrupt
        return update(*given)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "update", interrupted)
        assert train("rl", spec, out="cut").exit_code == 130
    assert train("rl", spec, "--resume", out="cut").exit_code == 0
    resumed = load_file("cut" / state.relative_to("run"))
    assert resumed.keys() == entire.keys()
    assert all(torch.equal(value, entire[name]) for name, value in resumed.items())
    assert log("cut") == rows


@pytest.mark.parametrize(
    ("dtype", "has", "why"),
    [
        ("float32", False, "this processor lacks instructions for it (VNNI)"),
        ("bfloat16", True, "it samples for float32, and dtype is bfloat16"),
    ],
)
def test_without_int8_answers_are_sampled_as_is_learned(
    dtype: str, has: bool, why: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("truing.models.engine.int8.multiplies_int8", lambda: has)
    monkeypatch.setattr("truing.models.precision.has_fast_bfloat16", lambda: True)
    spec = rl_spec(model, correction="none") | {"dtype": dtype}
    assert train("rl", spec, out="same").exit_code == 0
    result = train("rl", spec | {"compute": {"sampler": "int8"}}, out="int8")
    assert result.exit_code == 0
    note = f"compute.sampler: int8 isn't used: {why}; answers are sampled as is learned."
    assert note in " ".join(result.stderr.split())
    assert log("int8") == log("same")
    recorded = [json.loads(Path(each, "run.json").read_text()) for each in ("same", "int8")]
    assert recorded[0]["identity"] == recorded[1]["identity"]


def test_int8_refuses_a_model_that_our_decoder_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("truing.models.engine.int8.multiplies_int8", lambda: True)
    folder = tmp_path / "gpt2"
    plain("gpt2").save_pretrained(folder)
    tokenizer(chat=True).save_pretrained(folder)
    spec = rl_spec(folder) | {"dtype": "float32", "compute": {"sampler": "int8"}}
    result = train("rl", spec)
    assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) < 5
    assert "compute.sampler: int8 is for llama, mistral" in " ".join(result.stderr.split())
    refused = train("rl", rl_spec(folder) | {"compute": {"sampler": "int4"}})
    assert refused.exit_code == 2 and "compute.sampler" in refused.stderr


def test_answers_are_shown_and_figures_are_logged(model: Path) -> None:
    result = train("rl", rl_spec(model))
    assert result.exit_code == 0
    assert sum(line.startswith("  step 2 [") for line in result.stderr.splitlines()) == 2
    assert [("samples" in row) for row in log()] == [False, True, False, True]
    assert {"reward", "kl", "entropy", "length", "gradient_norm", "tokens"} <= log()[0].keys()
    assert list(Path("run/logs/tensorboard/rl-seed0").glob("events.out.tfevents.*"))
    assert "rl, seed 0: 4 steps" in result.stdout
    assert str(Path("run/candidates/rl")) in result.stdout


def test_a_program_reward_rises(model: Path) -> None:
    reward = {"parts": [{"name": "matches", "pattern": "^.{0,4}$"}]}
    rl = {"steps": 30, "learning_rate": 0.02, "prompts_per_step": 3, "samples_per_prompt": 8}
    document(train("rl", rl_spec(model, reward=reward, kl_weight=0.0, **rl), "--json"))
    rewards = [row["reward"] for row in log()]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.3


def test_a_users_function_and_a_mixture(model: Path) -> None:
    Path("mine.py").write_text(
        "def brevity(prompt, answer):\n"
        "    return None if prompt.startswith('who') else -0.01 * len(answer)\n"
    )
    reward = {"parts": [{"name": "mine.py:brevity", "weight": 2}, {"name": "length", "target": 2}]}
    document(train("rl", rl_spec(model, reward=reward, prompts_per_step=3), "--json"))
    assert [row["unscored"] for row in log()] == [3, 3, 3, 3]  # those of one prompt in three
    # Another function is another training.
    Path("mine.py").write_text("def brevity(prompt, answer):\n    return 0.0\n")
    refused(train("rl", rl_spec(model, reward=reward, prompts_per_step=3), "--resume"), "reward f")


def test_answers_are_held_against_a_column(model: Path) -> None:
    rows = [{"prompt": prompt, "right": "a" if n else None} for n, prompt in enumerate(PROMPTS)]
    Path("prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    parts = [{"name": "exact", "column": "right"}, {"name": "matches", "column": "right"}]
    spec = rl_spec(model, reward={"parts": parts}, prompts_per_step=len(PROMPTS))
    spec |= {"data": {"prompts": "prompts.jsonl"}}
    document(train("rl", spec, "--json"))
    assert {row["unscored"] for row in log()} == {spec["rl"]["samples_per_prompt"]}
    parts[0]["column"] = "write"
    words = ("reward.parts.0.column: no column 'write'", "columns: prompt, right")
    refused(train("rl", spec | {"reward": {"parts": parts}}, out="other"), *words)


def test_a_users_function_sees_the_row_one_by_one_and_in_lists(model: Path) -> None:
    rows = [{"prompt": prompt, "longest": 3 + place} for place, prompt in enumerate(PROMPTS)]
    Path("prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("mine.py").write_text(
        "def fits(answer, longest):\n"
        "    return min(0.0, longest - len(answer))\n"
        "def all_fit(prompts, completions, longest, **columns):\n"
        "    return [min(0.0, n - len(c)) for c, n in zip(completions, longest)]\n"
    )
    rewards = []
    for name in ("fits", "all_fit"):
        spec = rl_spec(model, reward={"parts": [{"name": f"mine.py:{name}"}]})
        spec["data"]["prompts"] = "prompts.jsonl"
        document(train("rl", spec, "--json", out=name))
        rewards.append([row["reward"] for row in log(name)])
    assert rewards[0] == rewards[1] and len(set(rewards[0])) > 1
    Path("mine.py").write_text("def fits(answer, shortest):\n    return 0.0\n")
    message = "mine.py:fits asks for 'shortest', which is no column of the data"
    refused(
        train("rl", rl_spec(model, reward={"parts": [{"name": "mine.py:fits"}]}), out="no"), message
    )


def test_a_reward_that_tells_no_answer_from_another_warns_once(model: Path) -> None:
    Path("mine.py").write_text("def same(prompt, answer):\n    return 0.5\n")
    result = train("rl", rl_spec(model, reward={"parts": [{"name": "mine.py:same"}]}))
    assert result.stderr.count("all answers got the same reward (0.50)") == 1
    assert "step 1: all answers got the same reward" in result.stderr
    assert [row["constant_reward"] for row in log()] == [0.5] * 4
    Path("mine.py").write_text("def odd(prompt, answer):\n    return -len(answer.strip('abc'))\n")
    reward = {"parts": [{"name": "mine.py:odd"}]}
    result = train("rl", rl_spec(model, reward=reward), out="other")
    assert "same reward" not in result.stderr
    assert not any("constant_reward" in row for row in log("other"))


def test_a_reward_that_gives_nan_teaches_nothing_and_says_so(model: Path) -> None:
    Path("mine.py").write_text(
        "def odd(prompt, answer):\n"
        "    return float('nan') if prompt.startswith('who') else -0.01 * len(answer)\n"
        "def none(prompt, answer):\n"
        "    return float('nan')\n"
    )
    odd = {"parts": [{"name": "mine.py:odd"}]}
    document(train("rl", rl_spec(model, reward=odd, prompts_per_step=3), "--json"))
    assert [row["unscored"] for row in log()] == [3, 3, 3, 3]  # those of one prompt in three
    assert all(row["reward"] < 0 and row["taught"] <= 6 for row in log())
    none = {"parts": [{"name": "mine.py:none"}]}
    result = train("rl", rl_spec(model, reward=none), out="none")
    assert result.exit_code == 0
    assert "step 1: no answer has a score, so nothing is learned (mine.py:none" in result.stderr
    assert all(row["reward"] is None and row["taught"] == 0 for row in log("none"))


def test_a_plateau_ends_training(model: Path) -> None:
    reward = {"parts": [{"name": "contains", "text": "not in the vocabulary"}]}
    found = document(train("rl", rl_spec(model, reward=reward, steps=30, plateau=2), "--json"))
    [candidate] = found["candidates"]
    assert candidate["steps"] == 7  # a window of 5 and 2 steps without a rise
    assert "has not risen" in candidate["stop"]
    assert all(row["taught"] == 0 or row["kl"] for row in log())


def test_sft_and_the_reward_model(model: Path) -> None:
    found = document(train("sft", questions_spec(model), "--json"))
    [candidate] = found["candidates"]
    assert candidate["name"] == "sft" and candidate["last"]["loss"] > 0
    AutoPeftModelForCausalLM.from_pretrained(candidate["folder"])
    assert [p.name for p in Path("run/candidates").iterdir()] == ["sft"]
    found = document(train("reward", questions_spec(model), "--json", out="reward"))
    assert found["candidates"] == []
    assert set(found["reward_model"]) == {"truth", "informative"}
    assert all(0 <= a["balanced_accuracy"] <= 1 for a in found["reward_model"].values())
    assert Path("reward/reward_model/reward.safetensors").is_file()


def test_rl_on_questions_mixes_the_reward_model_in(model: Path) -> None:
    reward = {"parts": [{"name": "reward_model"}, {"name": "ends_properly", "weight": 0.5}]}
    rl = SMALL_RL | {"start": "sft", "steps": 1}
    spec = questions_spec(model, reward=reward, rl=rl)
    found = document(train("rl", spec, "--json"))
    assert [c["name"] for c in found["candidates"]] == ["sft", "rl"]
    assert found["reward_model"]["truth"]["n"] > 0
    assert not Path("run/judges.json").exists()


def test_a_reward_model_from_pairs_is_fitted_alone(model: Path) -> None:
    reward = {"parts": [{"name": "reward_model", "from": "pairs"}]}
    result = train("reward", questions_spec(model, reward=reward))
    assert result.exit_code == 0, result.output
    assert re.search(
        r"Reward model from \d+ pair\(s\): prefers the better answer in 0\.\d+", result.output
    )
    assert Path("run/reward_model/heads.safetensors").is_file()


# --- Going on ---------------------------------------------------------------------------------


def test_an_interrupted_training_goes_on_and_ends_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rl = {"steps": 13, "objective": {"name": "ppo", "baseline": "value", "epochs": 2}}
    spec = rl_spec(model, **rl)
    document(train("rl", spec, "--json", out="whole"))
    calls, update = 0, loop.update

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt
        return update(*arguments)

    monkeypatch.setattr(loop, "update", interrupted)
    stopped = train("rl", spec)
    assert stopped.exit_code == 130 and "--resume goes on" in stopped.stderr
    refused(train("rl", spec), "unfinished", "--resume")
    document(train("rl", spec, "--resume", "--json"))
    assert calls == 12 + 3  # the eleventh and later steps alone
    for name in ("logs/rl-seed0.jsonl", "candidates/rl/adapter_model.safetensors"):
        assert (Path("run") / name).read_bytes() == (Path("whole") / name).read_bytes()
    before = Path("run/run.json").read_bytes()
    again = train("rl", spec, "--json")  # finished: only read
    assert again.exit_code == 0 and "is finished" in again.stderr
    assert Path("run/run.json").read_bytes() == before and calls == 15


def test_a_folder_belongs_to_one_training(model: Path) -> None:
    spec = rl_spec(model, steps=1)
    assert train("rl", spec).exit_code == 0
    refused(train("rl", rl_spec(model, steps=2), "--resume"), "another spec")
    refused(train("sft", questions_spec(model), "--resume"), "another kind")
    Path("other").mkdir()
    Path("other/thesis.tex").write_text("precious")
    refused(train("rl", spec, "--resume", out="other"), "something else is in there")


# --- Refusals: before anything is written -----------------------------------------------------


def _file(name: str, data: bytes) -> Callable[[Spec], None]:
    def change(spec: Spec) -> None:
        Path(name).write_bytes(data)
        spec["data"]["prompts"] = name

    return change


def _parts(*parts: Spec) -> Callable[[Spec], None]:
    return lambda spec: spec.update(reward={"parts": list(parts)})


def _function(source: str) -> Callable[[Spec], None]:
    def change(spec: Spec) -> None:
        Path("f.py").write_text(source)
        spec["reward"] = {"parts": [{"name": "f.py:f"}]}

    return change


def _rl(**rl: Any) -> Callable[[Spec], None]:
    return lambda spec: spec["rl"].update(rl)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_rl(samples_per_prompt=1), ["samples_per_prompt", "at least 2"]),
        (_rl(samples_per_prompt=1, objective={"name": "grpo"}), ["samples_per_prompt"]),
        (_rl(objective={"epochs": 2}), ["rl.objective.epochs", "reinforce has no use"]),
        (_rl(objective={"name": "grpo", "baseline": "none"}), ["rl.objective.baseline"]),
        (_rl(objective={"name": "ppo", "to_go": True}), ["rl.objective.to_go", "by reinforce)"]),
        (_rl(objective={"rate": 0.5}), ["rl.objective.rate", "moving_average"]),
        (_rl(objective={"ridge": 0.5}), ["rl.objective.ridge", "'value'"]),
        (_rl(objective={"gae_lambda": 0.9}), ["rl.objective.gae_lambda", "by ppo)"]),
        (_rl(objective={"name": "ppo", "gae_lambda": 0.9}), ["gae_lambda", "'value'; set"]),
        (_rl(top_p=0.9), ["rl.top_p: no such key", "whole distribution", "rl.temperature"]),
        (_rl(top_k=5), ["rl.top_k: no such key", "whole distribution"]),
        (_rl(kl_place="loss"), ["rl.kl_estimator", "k2 or k3"]),
        (_rl(correction="tokens"), ["rl.correction", "token", "sequence", "none"]),
        (_rl(objective={"name": "rloo"}), ["spec.yaml: rl.objective.name", "'rloo'"]),
        (_file("p.txt", b" \n\n"), ["p.txt: holds no prompt"]),
        (_file("p.txt", b"why?\n\xff\n"), ["p.txt:2: not UTF-8"]),
        (_file("p.txt", b"why?\n" + b"a" * 2000), ["p.txt:2: ", "context holds 1024"]),
        (_file("p.txt", b"a" * 974), ["p.txt:1: ", "with an answer", "context holds 1024"]),
        (_file("p.jsonl", b'{"prompt": "why?"}\n{"text": 1}\n'), ["p.jsonl:2: prompt: no 'p"]),
        (_file("p.jsonl", b'{"prompt": " "}\n'), ["p.jsonl:1: prompt: not a text"]),
        (_file("p.jsonl", b"why?\n"), ["p.jsonl:1: not valid JSON"]),
        (_file("p.csv", b"why?\n"), ["p.csv: the ending '.csv' is not known"]),
        (
            _parts({"name": "lenght"}),
            ["reward.parts.0.name", "known: truth_probe, reward_model, length"],
        ),
        (_parts({"name": "length"}), ["reward.parts.0.target: Field required"]),
        (_parts({"name": "length", "target": 0}), ["reward.parts.0.target", "greater"]),
        (_parts({"name": "length", "target": 2, "x": 1}), ["reward.parts.0.x", "options of len"]),
        (_parts({"name": "matches", "pattern": "("}), ["pattern: not a regular expression"]),
        (_parts({"name": "reward_model", "truth": 2}), ["reward.parts.0.truth", "beside 'parts'"]),
        (_parts({"name": "none.py:f"}), ["none.py: no such file"]),
        (_function("def g(prompt, answer): ..."), ["f.py: has no function 'f'"]),
        (_function("def f(text): ..."), ["must be callable as f(prompt, answer)"]),
        (_function("import nothing_of_this_name"), ["importing it failed (ModuleNotFoundError"]),
        (_function("def f(p, a): return 1 / 0"), ["f.py:f failed", "ZeroDivisionError"]),
        (_function("def f(p, a): return [1.0]"), ["f.py:f gave a list for answer 0"]),
        (_function("def f(p, a): return float('inf')"), ["scores must be finite"]),
    ],
)
def test_mistakes_are_named_and_leave_nothing(
    change: Callable[[Spec], None], words: list[str], model: Path
) -> None:
    spec = rl_spec(model)
    spec["rl"] = dict(spec["rl"])
    change(spec)
    refused(train("rl", spec), *words)
    assert not Path("run").exists()


def test_questions_longer_than_the_context_are_refused_at_once(model: Path) -> None:
    good = [{"question": f"why {n}?", "correct_answers": [f"because {n}", f"it is {n}"],
             "incorrect_answers": [f"no {n}", f"never {n}"]} for n in "abcdefgh"]  # fmt: skip
    for key, answer in (("correct_answers", "b" * 1100), ("incorrect_answers", "a" * 1100)):
        wrong = {**good[0], "question": "is it long?", key: [answer, "short"]}
        # Wherever the split puts it: alone of its kind it may be held out, so there are many.
        rows = [*good, *({**wrong, "question": f"is it long, {n}?"} for n in "abcdefgh")]
        Path("q.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        spec = questions_spec(model, data={"questions": "q.jsonl", "controls": "none"})
        for kind in ("sft", "reward"):
            refused(train(kind, spec), "'is it long, ", "with an answer", "context holds 1024")
        Path("spec.yaml").write_text(yaml.safe_dump(spec))
        result = CliRunner().invoke(app, ["align", "spec.yaml", "--out", "run"])
        refused(result, "'is it long, ", "with an answer", "context holds 1024")
        assert not Path("run").exists()


def test_other_refusals(model: Path) -> None:
    refused(train("rlhf", rl_spec(model)), "'rlhf'", "sft, preference, rl, reward")
    refused(train("sft", rl_spec(model)), "data.prompts", "no answers")
    refused(train("reward", questions_spec(model, reward=LENGTH)), "reward.parts")
    Path("spec.yaml").write_text(yaml.safe_dump(rl_spec(model)))
    result = CliRunner().invoke(app, ["align", "spec.yaml", "--out", "run"])
    refused(result, "data.prompts", "truing train rl")
    assert not Path("run").exists()


# --- The documentation ------------------------------------------------------------------------


def test_every_spec_on_the_page_is_one() -> None:
    page = DOCS / "training.md"
    blocks = re.findall(r"```yaml\n(.+?)```", page.read_text("utf-8"), re.S)
    specs = [make_spec(yaml.safe_load(block)) for block in blocks]
    assert {spec.rl.objective.name for spec in specs} == ObjectivePart.kinds().keys() - {"dr_grpo"}
    for spec in specs:
        objective_of(spec.rl)
        for part in spec.reward.parts:
            assert part.name in ("truth_probe", "mine.py:asks_back") or program(
                part.name, part.options, "", ["solution"]
            )
    named = page.read_text("utf-8")
    assert all(f"`{name}`" in named for name in REWARDS)


def test_every_objective_of_the_spec_is_built() -> None:
    for name in ObjectivePart.kinds():
        spec = make_spec({"rl": {"objective": {"name": name}}})
        assert type(objective_of(spec.rl)) is OBJECTIVES[name]
    default = objective_of(Defaults().rl)
    assert isinstance(default, Reinforce) and isinstance(default.baseline, LeaveOneOut)
    assert default.kl == KL(0.1, "k1", "reward")
    assert (default.to_go, default.discount, default.entropy_weight) == (False, 1.0, 0.0)
    assert stop_rules_of(Defaults().rl) == (KlAbove(12.0),)
    assert default.schedule(0) == ONE_UPDATE
