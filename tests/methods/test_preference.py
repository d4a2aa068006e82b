"""`truing train preference`: pairs of the task or of a file, learned from, measured, gone on with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from peft import AutoPeftModelForCausalLM
from typer.testing import CliRunner, Result

from tiny import saved
from truing.cli.main import app
from truing.files import read_jsonl
from truing.learn import loop
from truing.methods.preference import say_displacement
from truing.progress import SilentProgress
from truing.spec.objective import PairObjectivePart
from truing.spec.reading import make_spec
from truing.types import InputError

VERBS = ("see", "hear", "fly", "sing", "read", "swim", "draw", "hide")
LOG = "logs/preference-seed0.jsonl"
Spec = dict[str, Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    questions = [
        {"question": f"can bats {verb}?", "correct_answers": ["yes.", "they can."],
         "incorrect_answers": ["no.", "never.", "bats?"]}
        for verb in VERBS
    ]  # fmt: skip
    write("q.jsonl", questions)


def write(name: str, records: list[Any]) -> str:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return name


def pairs(count: int = 12) -> list[dict[str, str]]:
    return [
        {"prompt": f"tell me of {chr(97 + n)}.", "chosen": f"fine {chr(97 + n)}", "rejected": "no"}
        for n in range(count)
    ]


def spec(model: Path, *, data: Any = (), **preference: Any) -> Spec:
    small = {"prompts_per_step": 2, "adapter": {"rank": 2}, "learning_rate": 1e-3}
    texts = {"questions": "q.jsonl", "controls": "none", **dict(data)}
    return {
        "model": str(model), "dtype": "float32", "data": texts, "preference": small | preference,
    }  # fmt: skip


def train(content: Spec, *options: str, out: str = "run") -> Result:
    Path("spec.yaml").write_text(yaml.safe_dump(content))
    line = ["train", "preference", "spec.yaml", "--out", out, *options]
    return CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2 and result.stdout == "", result.output
    [message] = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", PairObjectivePart.kinds())
def test_every_objective_trains_a_candidate(model: Path, name: str) -> None:
    found = document(train(spec(model, name=name, epochs=6), "--json"))
    about, [candidate] = found["preferences"], found["candidates"]
    assert about["trained_on"] == 6 * about["prompts"] and about["measured_on"] == 0
    rows = read_jsonl(Path("run") / LOG)
    assert len(rows) == candidate["steps"] == 6 * -(-about["prompts"] // 2)
    assert rows[-1]["margin"] > 1 and rows[0]["margin"] == pytest.approx(0, abs=1e-6)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[0]["chosen_length"] == pytest.approx((5 + 10) / 2)  # with the end token
    assert {"loss", "margin", "accuracy", "chosen_log_ratio"} <= candidate["last"].keys()
    AutoPeftModelForCausalLM.from_pretrained(candidate["folder"])
    card = Path("run/candidates/preference/README.md").read_text()
    assert f"Objective: {name}" in card and "each true answer over each false one" in card


def test_the_first_loss_is_log_2_and_full_weights_learn_too(model: Path) -> None:
    content = spec(model, adapter={"kind": "full"}, steps=3, max_pairs=2)
    about = document(train(content, "--json"))["preferences"]
    assert about["trained_on"] == 2 * about["prompts"]
    rows = read_jsonl(Path("run") / LOG)
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6) and len(rows) == 3
    assert rows[2]["margin"] > 0.1


def test_a_file_of_pairs_is_split_learned_from_and_measured(model: Path) -> None:
    name = write("p.jsonl", pairs(16))
    content = spec(model, data={"preferences": name}, held_out=0.5, epochs=4)
    result = train(content, "--json")
    found = document(result)
    about, [candidate] = found["preferences"], found["candidates"]
    assert about["source"] == name and about["trained_on"] + about["measured_on"] == 16
    assert about["contamination"]["contaminated"] == 0
    assert candidate["held_out_accuracy"]["value"] > 0.9
    assert candidate["held_out_accuracy"]["n"] == about["measured_on"]
    assert candidate["held_out_longer_chosen"]["value"] == 1
    card = Path("run/candidates/preference/README.md").read_text()
    assert "Preferences: p.jsonl" in card and "of which people preferred one" in card
    lines = train(content).stdout
    assert "Pairs: " in lines and "Held-out pairs: the chosen answer gained more" in lines
    assert "none of 16 pairs shares" in lines


def test_bad_pairs_are_counted_by_their_reason(model: Path) -> None:
    rows = pairs(10)
    asked = [{"role": "user", "content": "why?"}]
    apart = [
        {"chosen": [*asked, {"role": "assistant", "content": "yes"}],
         "rejected": [{"role": "user", "content": "how?"}, {"role": "assistant", "content": "no"}]},
    ]  # fmt: skip
    write("apart.jsonl", apart)
    bad = [
        {"prompt": "a?", "chosen": "b", "rejected": "b"},
        {"prompt": "a?", "chosen": "", "rejected": "b"},
        {"prompt": "c?", "chosen": "one", "rejected": "two"},
        {"prompt": "c?", "chosen": "two", "rejected": "one"},
        {"prompt": "d?", "chosen": "long " * 300, "rejected": "b"},
    ]
    name = write("p.jsonl", [*rows, *bad])
    result = train(spec(model, data={"preferences": name}, steps=1), "--json")
    about = document(result)["preferences"]
    assert about["left_out"] == {
        "the two answers are the same": 1,
        "an empty answer": 1,
        "longer than 1024 tokens": 1,
        "the same two answers were also preferred the other way round": 2,
    }
    assert about["trained_on"] + about["measured_on"] == 10
    messages = " ".join(result.stderr.split())
    assert "left out: 1 pair(s): an empty answer" in messages
    assert "Left out: 2 pair(s): the same two answers" in messages
    refused(
        train(spec(model, data={"preferences": "apart.jsonl"}), out="other"),
        "apart.jsonl", "no preference in it", "1 left out: the two don't answer the same prompt",
    )  # fmt: skip
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("rows", "change", "words"),
    [
        ([{"prompt": "a?", "chosen": "b"}], {}, ["no column rejected"]),
        ([{"prompt": "a?", "chosen": "b", "rejected": "c"}], {"max_tokens": 3},
         ["p.jsonl: no pair to learn from (1 left out: longer than 3 tokens)", "max_tokens"]),
        ([{"prompt": "c?", "chosen": "one", "rejected": "two"},
          {"prompt": "c?", "chosen": "two", "rejected": "one"}], {}, ["2 left out: the same two"]),
        ([{"prompt": "c?", "chosen": "one", "rejected": "two"}], {"name": "kto"}, ["two prompts"]),
        (pairs(3), {"name": "grpo"}, ["preference.objective.name", "'dpo'"]),
        (pairs(3), {"gamma": 0.5}, ["preference.objective.gamma", "used by simpo"]),
        (pairs(3), {"objective": {}, "beta": 0.5}, ["preference.beta", "beside 'objective'"]),
        (pairs(3), {"epoch": 3}, ["preference.epoch: unknown key; did you mean 'epochs'"]),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(model: Path, rows: Any, change: Any, words: list[str]) -> None:
    name = write("p.jsonl", rows)
    refused(train(spec(model, data={"preferences": name}, **change)), *words)
    assert not Path("run").exists()


def test_a_task_without_pairs_is_refused_and_one_with_a_file_of_them_isnt(model: Path) -> None:
    write("cases.jsonl", [{"prompt": f"who is {verb}?", "references": ["me"]} for verb in VERBS])
    write("pairs.jsonl", pairs(6))
    task = {"name": "mine", "instruction": "say.", "data": {"cases": "cases.jsonl"},
            "judges": {"right": {"program": "exact"}}}  # fmt: skip
    Path("task.yaml").write_text(yaml.safe_dump(task))
    content = {key: value for key, value in spec(model, steps=1).items() if key != "data"}
    content["data"] = {"controls": "none"}
    words = ["has no training question with a true and a false", "data.preferences"]
    refused(train(content, "--task", "task.yaml"), *words)
    assert not Path("run").exists()
    task["data"] = {"cases": "cases.jsonl", "preferences": "pairs.jsonl"}
    Path("task.yaml").write_text(yaml.safe_dump(task))
    about = document(train(content, "--task", "task.yaml", "--json"))["preferences"]
    assert about["trained_on"] + about["measured_on"] == 6


def test_an_interrupted_training_goes_on_and_ends_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = spec(model, name="kto", steps=13, sft_weight=0.1)
    document(train(content, "--json", out="whole"))
    calls, update = 0, loop.update

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt
        return update(*arguments)

    monkeypatch.setattr(loop, "update", interrupted)
    assert train(content).exit_code == 130
    document(train(content, "--resume", "--json"))
    assert calls == 12 + 3  # the eleventh and later steps alone
    for name in (LOG, "candidates/preference/adapter_model.safetensors"):
        assert (Path("run") / name).read_bytes() == (Path("whole") / name).read_bytes()


def test_likelihood_displacement_is_said_once() -> None:
    said: list[str] = []

    class Noting(SilentProgress):
        def note(self, text: str) -> None:
            said.append(text)

    rows: list[dict[str, Any]] = []
    for step, ratio in enumerate([0.0, 0.2, 0.0, -0.1, -0.2, -0.9, -2.0, -3.0], 1):
        row = {"chosen_log_ratio": ratio}
        say_displacement(Noting(), step, row, rows)
        rows.append(row)
    assert [step for step, row in enumerate(rows, 1) if "displaced" in row] == [6, 7, 8]
    assert len(said) == 1 and "step 6: likelihood displacement" in said[0]
    assert "0.20 nats less likely" in said[0] and "\n" not in said[0]


def test_the_objectives_keys_may_stand_in_the_section() -> None:
    short = make_spec({"preference": {"name": "simpo", "beta": 2.5, "steps": 3}})
    whole = make_spec({"preference": {"objective": {"name": "simpo", "beta": 2.5}, "steps": 3}})
    assert short == whole and short.digest() == whole.digest()
    again = make_spec(yaml.safe_load(short.to_yaml()), profile=None)
    assert again.preference == short.preference
    assert make_spec({"preference": {"beta": 0.3}}).preference.objective.name == "dpo"
    with pytest.raises(InputError, match=r"preference\.objective: must be a mapping"):
        make_spec({"preference": {"objective": "ipo"}})
