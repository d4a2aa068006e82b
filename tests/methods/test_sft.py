"""`truing train sft` on what people wrote: from the store or a file, split, checked and measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from sqlalchemy import text
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner, Result

import truing.recipes.curve as curve_module
from people_work import fill, someone, work
from tiny import alone, saved
from truing.cli.main import app
from truing.files import read_jsonl
from truing.methods.sft import held_out_losses
from truing.models.language_model import LanguageModel
from truing.people import open_store
from truing.people.exchange import export_file, import_files
from truing.people.exchange.demonstrating import read_dialogues
from truing.prompts.rendering import Prompt, Renderer
from truing.recipes.curve import nested
from truing.recipes.curve_page import verdicts
from truing.types import InputError

SFT = {"epochs": 2, "batch_size": 4, "adapter": {"rank": 2}}
FIRST_QUESTION = "can bats see?"


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
         "incorrect_answers": ["no.", "never."]}
        for verb in ("see", "hear", "fly", "sing", "read", "swim", "draw", "hide")
    ]  # fmt: skip
    Path("q.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))


def rows(count: int = 12, users: int = 6) -> list[dict[str, Any]]:
    return [
        {"prompt": f"tell me a story {chr(97 + n)}.", "completion": f"once {chr(97 + n)}.",
         "user": f"u{n % users}", "seconds": 30.0 + n}
        for n in range(count)
    ]  # fmt: skip


def write(name: str, records: list[dict[str, Any]]) -> str:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return name


def spec(model: Path, demonstrations: str | None, *, sft: Any = (), **data: Any) -> dict[str, Any]:
    data = {"questions": "q.jsonl", "controls": "none", **data}
    if demonstrations:
        data["demonstrations"] = demonstrations
    return {"model": str(model), "dtype": "float32", "data": data, "sft": {**SFT, **dict(sft)}}


def train(content: dict[str, Any], *options: str, out: str = "run") -> Result:
    Path("spec.yaml").write_text(yaml.safe_dump(content))
    line = ["train", "sft", "spec.yaml", "--out", out, *options]
    return CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result: Result, *wanted: str) -> None:
    assert result.exit_code == 2 and result.stdout == "", result.output
    assert all(word in result.stderr for word in wanted), result.stderr
    assert not Path("run").exists()


def test_a_file_is_split_learned_from_and_measured(model: Path) -> None:
    name = write("d.jsonl", rows(16, users=8))
    found = document(train(spec(model, name, sft={"held_out": 0.5}), "--json"))
    about, [candidate] = found["demonstrations"], found["candidates"]
    assert about["source"] == name and about["train"] + about["held_out"] == 16
    assert about["trained_on"] == about["train"] and about["held_out"] % 2 == 0  # whole users
    assert about["contamination"]["contaminated"] == 0
    loss, base = candidate["held_out_loss"], candidate["base_held_out_loss"]
    gap = candidate["held_out_loss_difference"]
    assert gap["value"] == pytest.approx(loss["value"] - base["value"])
    assert gap["high"] < 0 and loss["n"] == about["held_out"] / 2
    log = read_jsonl(Path("run/logs/sft-seed0.jsonl"))
    per_epoch = [row["held_out_loss"] for row in log if "held_out_loss" in row]
    assert len(per_epoch) == 2 and per_epoch[-1] == pytest.approx(loss["value"])
    card = Path("run/candidates/sft/README.md").read_text()
    assert "Demonstrations: d.jsonl" in card and "Contamination: none of 16" in card
    assert "that people wrote" in card
    said = train(spec(model, name, sft={"held_out": 0.5})).stdout
    assert "Held-out loss: " in said and "Contamination: none of 16" in said


def test_what_is_distilled_stays_nearer_to_the_base(model: Path) -> None:
    name = write("d.jsonl", rows(16, users=8))
    differences, first_losses = [], []
    for number, share in enumerate((0.0, 0.75)):
        content = spec(model, name, sft={"held_out": 0.5, "distillation": share})
        found = document(train(content, "--json", out=f"run{number}"))
        differences.append(found["candidates"][0]["held_out_loss_difference"]["value"])
        first_losses.append(read_jsonl(Path(f"run{number}/logs/sft-seed0.jsonl"))[0]["loss"])
    assert differences[0] < differences[1] < -0.1
    whole = first_losses[0]  # there is no KL before the first update
    assert first_losses == pytest.approx([whole, whole / 4])


def test_the_held_out_loss_is_that_of_plain_transformers(model: Path) -> None:
    from truing.methods.sft import TokenizedDemonstration
    from truing.policies.language import PromptCompletion

    ours = LanguageModel.load(model, "float32")
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    renderer = Renderer(ours)
    shown = []
    for group, answer in (("a", "yes."), ("a", "they can see."), ("b", "no.")):
        tokens = renderer.tokens(Prompt("be brief."), f"who is {group}?")
        answered = tuple(renderer.answer_tokens(answer, end=True))
        shown.append(
            TokenizedDemonstration(answer, group, PromptCompletion(tuple(tokens), answered))
        )
    each = [float(-alone(plain, s.action.prompt, s.action.tokens).mean().detach()) for s in shown]
    wanted = {"a": (each[0] + each[1]) / 2, "b": each[2]}
    assert held_out_losses(ours, shown) == pytest.approx(wanted, abs=1e-4)


def test_store_and_files_give_the_same(tmp_path: Path) -> None:
    store = open_store("people.db")
    fill(store, ["demonstration"], prompts=3, user_key="u7")
    work(store, someone(store, "Ada"))
    export_file(store, Path("m.jsonl"), "messages")
    export_file(store, Path("p.parquet"), "prompt-completion")
    store.close()
    names = ("people.db", "m.jsonl", "p.parquet")
    found = [read_dialogues(name).dialogues for name in names]
    assert [[d.id for d in each] for each in found] == [[d.id for d in found[0]]] * 3
    assert {(d.user, d.answer) for each in found for d in each} == {("u7", "A careful answer.")}
    assert len(found[0]) == 3 and found[1][1].source == "m.jsonl:2"
    assert found[2][1].source == "p.parquet: row 2"
    assert read_dialogues("people.db", ["own"]).dialogues == found[0]
    with pytest.raises(InputError, match=r"people\.db holds no demonstration"):
        read_dialogues("people.db", ["given"])


@pytest.mark.parametrize("form", ["store", "parquet"])
def test_training_reads_the_store_and_parquet(model: Path, form: str) -> None:
    write("d.jsonl", rows())
    name = "people.db"
    if form == "store":
        store = open_store(name)
        import_files(store, [Path("d.jsonl")], consent="given")
        store.close()
    else:
        name = "d.parquet"
        pq.write_table(pa.Table.from_pylist(rows()), name)
    consent = {"consent": ["given"]} if form == "store" else {}
    sides = document(train(spec(model, name, **consent), "--json"))["demonstrations"]
    assert sides["train"] + sides["held_out"] == 12 and sides["held_out"] >= 2


def test_contaminated_rows_are_kept_or_dropped(model: Path) -> None:
    asked = {"prompt": f"Hello! {FIRST_QUESTION.upper()}", "completion": "yes."}
    exact = {"prompt": "Can bats hear", "completion": "yes."}
    name = write("d.jsonl", [*rows(), asked, exact])
    found = document(train(spec(model, name), "--json"))["demonstrations"]["contamination"]
    assert found["matches"] == {"exact": 1} and found["n"] == 8  # 3 words are an ordinary phrase
    assert found["examples"][0]["source"] == "d.jsonl:14"
    result = train(spec(model, name, contaminated="drop"), "--json", out="other")
    kept = document(result)["demonstrations"]
    assert kept["train"] + kept["held_out"] == 13 and kept["contamination"]["dropped"]
    assert "Contamination: 1 of 14" in result.stderr
    write("d.jsonl", [exact])
    Path("run").rename("away")
    refused(train(spec(model, name, contaminated="drop")), "all of 1 hold an evaluation question")


def test_long_ones_are_left_out_and_counted(model: Path) -> None:
    name = write("d.jsonl", [*rows(), {"prompt": "a" * 2000, "completion": "b"}])
    result = train(spec(model, name), "--json")
    about = document(result)["demonstrations"]
    assert about["train"] + about["held_out"] == 13
    assert about["trained_on"] + about["measured_on"] == 12
    assert "Left out: 1 demonstration(s) longer than 1024 tokens" in result.stderr


def test_one_user_alone_leaves_nothing_to_measure_on(model: Path) -> None:
    name = write("d.jsonl", rows(3, users=1))
    result = train(spec(model, name, sft={"min_steps": 5}))
    assert result.exit_code == 0, result.output
    assert "none can be held out" in " ".join(result.stderr.split())
    assert "unknown, because no demonstration" in result.stdout
    assert len(read_jsonl(Path("run/logs/sft-seed0.jsonl"))) == 5  # more passes over 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.jsonl", b'{"prompt": "a", "completion": "b"}\n{"prompt": \n', ["d.jsonl:2: not valid"]),
        ("d.jsonl", b'{"prompt": "a", "completion": "\xff"}\n', ["d.jsonl:1: not valid UTF-8"]),
        ("d.jsonl", b'{"prompt": "a"}\n', ["d.jsonl:1: holds no demonstration", "completion"]),
        ("d.jsonl", b'{"text": "a"}\n', ["d.jsonl:1: no form that is known"]),
        ("d.jsonl", b"\n", ["d.jsonl holds no demonstration"]),
        ("d.jsonl", b'{"prompt": "' + b"a" * 10_000_000 + b'", "completion": "b"}',
         ["d.jsonl:1: prompt: 10,000,000 characters"]),
        ("d.parquet", b"PAR1 and nothing", ["d.parquet: can't be read as Parquet"]),
        ("d.json", b'{"prompt": "a"}', ["d.json: a .json file is a list"]),
        ("d.txt", b"a,b", ["'d.txt' is neither a file", ".parquet"]),
        ("d.db", b"not a database" * 100, ["d.db"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(
    model: Path, name: str, content: bytes, words: list[str]
) -> None:
    Path(name).write_bytes(content)
    refused(train(spec(model, name)), *words)


def test_other_mistakes(model: Path) -> None:
    refused(train(spec(model, "absent.jsonl")), "absent.jsonl: no such file")
    refused(train(spec(model, "absent.db")), "no file absent.db")
    store = open_store("newer.db")
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    refused(train(spec(model, "newer.db")), "schema 9999", "newer truing")
    name = write("d.jsonl", rows())
    refused(train(spec(model, name, consent=["given"])), "data.consent: is for a store")
    long = train(spec(model, name, sft={"max_tokens": 3}), out="long")
    assert long.exit_code == 2 and "longer than sft.max_tokens (3)" in long.stderr
    Path("spec.yaml").write_text(yaml.safe_dump(spec(model, name, sft={"curve": [4]})))
    line = ["train", "rl", "spec.yaml", "--out", "run"]
    refused(CliRunner().invoke(app, line, prog_name="truing"), "sft.curve", "'train sft'")
    refused(train(spec(model, name, sft={"curve": [4, 4]})), "sft.curve")


# --- The learning curve -----------------------------------------------------------------------


def test_a_curve_has_nested_points_and_goes_on(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write("d.jsonl", rows(16, users=8))
    content = spec(model, name, sft={"held_out": 0.5}) | {"seeds": [0, 1]}
    whole = document(train(content, "--curve", "2", "4", "100", "--json", out="whole"))
    curve = whole["curve"]
    there = whole["curve"]["available"]
    assert [point["n"] for point in curve["points"]] == [2, 4, there]
    assert curve["base"]["mc2"]["n"] == 8 and curve["questions"] == 8
    first, last = curve["points"][0], curve["points"][-1]
    assert len(first["by_seed"]["mc2"]) == 2
    assert first["mc2"]["value"] == pytest.approx(sum(first["by_seed"]["mc2"]) / 2)
    assert first["gain"] == first["over_base"]
    steps = [point["gain"]["held_out_loss"]["value"] for point in curve["points"]]
    assert last["over_base"]["held_out_loss"]["value"] == pytest.approx(sum(steps))
    assert curve["held_out"] == 2 * last["held_out_loss"]["n"] >= 4  # whole users
    assert 30 <= curve["seconds_per_label"] <= 46
    assert last["hours"] == pytest.approx(there * curve["seconds_per_label"] / 3600)
    assert {c["name"] for c in whole["candidates"]} == {"sft-2", "sft-4", f"sft-{there}"}
    assert Path("whole/candidates/sft-4-seed1/adapter_model.safetensors").is_file()
    page = Path("whole/curve.html").read_text("utf-8")
    assert "<svg" in page and "<script" not in page and "Contamination: none of 16" in page

    score, calls = curve_module.score_choices, 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(curve_module, "score_choices", interrupted)
    options = ("--curve", "2", "4", "100")
    assert train(content, *options).exit_code == 130
    shown = train(content, *options, "--resume")
    assert shown.exit_code == 0 and calls == 4 + 4  # the point that was broken off, and those left
    said = " ".join(shown.stdout.split())
    assert "work: people's time" in said and "curve.html" in said
    for file in ("curve.json", "curve.html", "curve/4-seed1.json"):
        assert (Path("run") / file).read_bytes() == (Path("whole") / file).read_bytes()


def test_a_curve_on_the_questions_own_answers(model: Path) -> None:
    content = spec(model, None, sft={"curve": [1, 3]})
    curve = document(train(content, "--json"))["curve"]
    assert [point["n"] for point in curve["points"]] == [1, 3]
    assert curve["contamination"] is None and curve["seconds_per_label"] is None
    assert curve["base"]["held_out_loss"]["n"] == curve["questions"] < 8


def test_smaller_sets_lie_in_larger_ones() -> None:
    from truing.methods.sft import TokenizedDemonstration
    from truing.policies.language import PromptCompletion

    shown = [
        TokenizedDemonstration(str(n), str(n), PromptCompletion((1,), (2,))) for n in range(50)
    ]
    orders = [[each.id for each in nested(shown, seed)] for seed in (0, 1)]
    assert orders[0] != orders[1] and set(orders[0]) == set(orders[1])
    assert [each.id for each in nested(shown[::-1], 0)] == orders[0]


def _estimate(value: float, around: float) -> dict[str, float]:
    return {"value": value, "low": value - around, "high": value + around}


def test_the_verdict_names_the_last_step_beyond_noise() -> None:
    gains = {10: 0.05, 30: 0.04, 100: 0.001}
    points = [
        {
            "n": n,
            "gain": {"mc2": _estimate(gain, 0.02), "held_out_loss": _estimate(-gain, 0.02)},
            "over_base": {"mc2": _estimate(0.1, 0.02), "held_out_loss": _estimate(0.0, 0.1)},
        }
        for n, gain in gains.items()
    ]
    base = {"mc2": _estimate(0.4, 0.1), "held_out_loss": _estimate(2.0, 0.1)}
    mc2, loss = verdicts({"base": base, "points": points})
    assert "up to 30; the step to 100 changed it by +0.001 [-0.019, +0.021]" in mc2
    assert loss.startswith("Held-out loss") and "up to 30" in loss
    [mc2, _] = verdicts({"base": base, "points": points[:1]})
    assert "up to 10, the most there were" in mc2
    [mc2, loss] = verdicts({"base": base, "points": points[2:]})
    assert "no single step" in mc2 and "+0.100 [+0.080, +0.120], beyond" in mc2
    assert "within noise" in loss
