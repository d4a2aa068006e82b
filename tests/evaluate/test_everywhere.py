"""Every evaluation for every kind of respondent: here, served, on file; what one can't do is unscored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from endpoints import Chat, serving
from questions import CASES
from tiny import alone, config, plain, tiny, tokenizer
from truing.candidates import Candidate
from truing.cli.main import app
from truing.evaluate import EVALUATIONS
from truing.evaluate.divergence import divergences
from truing.evaluate.evaluation import NEEDS, EvalContext
from truing.evaluate.local import LocalRespondent
from truing.evaluate.recorded import RecordedRespondent, read_answers
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.run import named_twice
from truing.evaluate.sweep.shown import remark
from truing.prompts.rendering import Prompt
from truing.prompts.variants import prompt_variants
from truing.types import Case, Completion, Estimate, InputError, Row, Unscored


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder, questions, recorded answers; cache and working folder are the test's own."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUING_ENDPOINT_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("model", "base")):
        settings = config("llama")
        settings.max_position_embeddings = 1024  # attacks are long
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(settings).save_pretrained(tmp_path / name)
        tokenizer().save_pretrained(tmp_path / name)
    lines = [
        {
            "question": case.prompt,
            "correct_answers": list(case.correct_answers),
            "incorrect_answers": list(case.incorrect_answers),
        }
        for case in CASES
    ]
    Path("questions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    answers = [{"prompt": f" {case.prompt}  ", "answer": "nobody"} for case in CASES[:4]]
    Path("mine.jsonl").write_text("\n".join(map(json.dumps, answers)))
    return tmp_path


def evaluate(*arguments: str, out: str = "out") -> dict[str, Any]:
    files = ("--questions", "questions.jsonl", "--controls", "questions.jsonl")
    line = ["eval", *arguments, *files, "--dtype", "float32", "--out", out, "--json"]
    done = CliRunner().invoke(app, line, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def rows_of(out: str) -> list[Row]:
    lines = (Path(out) / "rows.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [Row.from_json({k: v for k, v in r.items() if k != "prompt"}) for r in records]


def reasons(rows: Sequence[Row], evaluation: str, metric: str) -> set[str]:
    scores = [r.metrics[metric] for r in rows if r.evaluation == evaluation and metric in r.metrics]
    assert scores
    return {score.reason if isinstance(score, Unscored) else "" for score in scores}


def test_every_evaluation_declares_what_it_measures_and_needs() -> None:
    for name, evaluation in EVALUATIONS.items():
        declared = [metric.name for metric in evaluation.metrics]
        assert name == evaluation.name and {m.evaluation for m in evaluation.metrics} <= {name}
        assert set(evaluation.headline) <= set(declared) and evaluation.needs
        for need, metrics in evaluation.needs.items():
            assert need in NEEDS and set(metrics) <= set(declared)


def test_answers_are_graded_by_the_programs_of_a_task(here: Path) -> None:
    options = ["--task", "format", "--limit", "4", "--max-new-tokens", "8"]
    found = evaluate("answers", "--candidate", "model", *options)["candidates"]["model"]
    assert found["answers"]["own"]["valid"]["n"] == 4 == found["answers"]["own"]["right"]["n"]
    assert all(row.detail["question"].startswith("Text: ") for row in rows_of("out"))


def test_wins_are_counted_against_the_base_that_is_named(here: Path) -> None:
    options = ["--task", "format", "--limit", "4", "--max-new-tokens", "8", "--base", "base"]
    found = evaluate("wins", "--candidate", "model", "--candidate", "base", *options)["candidates"]
    assert found["base"]["wins"]["own"]["valid_length_controlled"]["value"] == 0.5
    assert found["model"]["wins"]["own"]["right_length_controlled"]["n"] == 4
    assert all({"answer", "base_answer"} <= row.detail.keys() for row in rows_of("out"))
    evaluate("wins", "--candidate", "model", *options[:-2], out="lone")
    assert all("--base" in reason for reason in reasons(rows_of("lone"), "wins", "valid"))


def test_all_evaluations_of_a_model_here(here: Path) -> None:
    names = [name for name, each in EVALUATIONS.items() if each.usual]
    prompts = ["--prompt", "own", "--prompt", "helpful", "--max-new-tokens", "8"]
    document = evaluate(*names, "--candidate", "model", "--base", "base", *prompts)
    found = document["candidates"]["model"]
    assert [*found] == names and all([*each] == ["own", "helpful"] for each in found.values())
    rows = rows_of("out")
    assert reasons(rows, "drift", "kl") == {""} and reasons(rows, "attacks", "success") == {""}
    assert all("lies in no run" in reason for reason in reasons(rows, "hacking", "reward"))
    assert found["drift"]["own"]["kl"]["value"] > 0
    assert all(row.detail["question"] for row in rows)
    page = Path("out/report.html").read_text()
    assert "KL to base (nats)" in page and "Attacks that succeed" in page
    again = evaluate("drift", "--candidate", "base", "--base", "base", out="same")
    assert again["candidates"]["base"]["drift"]["own"]["kl"]["value"] == pytest.approx(0, abs=1e-5)
    evaluate("drift", "--candidate", "model", out="lone")
    assert all("--base" in reason for reason in reasons(rows_of("lone"), "drift", "kl"))


def test_a_served_model_is_measured_as_far_as_it_goes(here: Path) -> None:
    with serving(Chat(lambda message: "A")) as server:
        document = evaluate("attacks", "drift", "trivia", "--candidate", server.name)
    rows = rows_of("out")
    assert reasons(rows, "attacks", "success") == {""}
    assert reasons(rows, "trivia", "binary") == {""}
    assert all("distribution" in reason for reason in reasons(rows, "drift", "kl"))
    assert document["candidates"][server.name]["drift"]["own"]["kl"]["unscored"] == len(CASES)


def test_recorded_answers_are_graded_like_any_other(here: Path) -> None:
    attack, *_ = EVALUATIONS["attacks"].cases_in(EvalContext(held_out=CASES, attacks=2))
    turns = [{"role": role, "content": text} for role, text in attack.messages]
    turns.append({"role": "assistant", "content": attack.canary})
    with Path("mine.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"messages": turns}))
    document = evaluate("attacks", "trivia", "drift", "--candidate", "answers:mine.jsonl",
                        "--prompt", "own", "--prompt", "helpful")  # fmt: skip
    found = document["candidates"]["answers:mine.jsonl"]
    assert found["attacks"]["own"]["success"]["value"] == 1.0
    assert found["attacks"]["own"]["success"]["n"] == 1
    assert found["attacks"]["helpful"]["success"]["n"] == 0
    assert document["models"]["answers:mine.jsonl"]["scored"] == "recorded"
    assert all("no likelihoods" in reason for reason in reasons(rows_of("out"), "trivia", "mc1"))


def test_answers_belong_to_the_very_prompt(here: Path) -> None:
    recording = read_answers("answers:mine.jsonl")
    [own] = prompt_variants(["own"])
    answers = RecordedRespondent("a", 0, recording, own).answer(CASES, 5)
    assert [isinstance(answer, Completion) for answer in answers] == [True] * 4 + [False] * 2
    with pytest.raises(InputError, match=r"'why so\?'.*'who is ann\?"):
        recording.check([Case("why so?")])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"prompt": "a", "answer": "b"}', '{"prompt": " a", "answer": "c"}'], ":2: .*line 1"),
        (['{"prompt": "a"}'], ":1: answer: missing; there is prompt"),
        (['{"question": " ", "answer": "b"}'], ":1: question"),
        (['{"messages": [{"role": "user", "content": "a"}]}'], "doesn't end with an answer"),
        (["[1]"], ":1: list where an object belongs"),
        (["nonsense"], "not valid JSON"),
        ([""], "holds no answer"),
    ],
)
def test_a_wrong_file_of_answers_is_named(tmp_path: Path, lines: list[str], said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=said):
        read_answers(f"answers:{path}")


def test_conversations_and_other_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    turns = [
        ("system", "s"),
        ("user", "one?"),
        ("assistant", "1"),
        ("user", "two?"),
        ("assistant", "2"),
    ]
    messages = [{"role": role, "content": text} for role, text in turns]
    lines = [{"messages": messages}, {"question": "q", "completion": "c"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    recording = read_answers(f"answers:{path}")
    found = {
        prompt: {system: answer for system, (answer, _) in by_system.items()}
        for prompt, by_system in recording.answers.items()
    }
    assert found == {"one? 1 two?": {"s": "2"}, "q": {None: "c"}}


def test_a_file_that_answers_nothing_is_refused_before_anything_is_written(here: Path) -> None:
    Path("other.jsonl").write_text('{"prompt": "x", "answer": "y"}')
    line = ["eval", "attacks", "--candidate", "answers:other.jsonl", "--out", "none"]
    done = CliRunner().invoke(app, [*line, "--questions", "questions.jsonl"])
    assert done.exit_code == 2 and "answers none of the questions" in done.stderr
    assert not Path("none").exists()


def test_the_divergence_is_the_sum_over_the_vocabulary() -> None:
    """Against plain transformers: sum over tokens of sum over the vocabulary of p (log p - log q)."""
    ours = LocalRespondent(Candidate("ours", 0, tiny(seed=1), Prompt()))
    base = LocalRespondent(Candidate("base", 0, tiny(), Prompt()))
    answers = ours.answer(CASES[:3], 6, temperature=1.0)
    found = divergences(ours, base, CASES[:3], [*answers[:2], Unscored("none")])
    for case, answer, kl in zip(CASES, answers[:2], found, strict=False):
        assert isinstance(answer, Completion)
        prompt = tokenizer().encode(f"Q: {case.prompt}\nA:")
        text = torch.tensor([[*prompt, *answer.tokens]])
        places = slice(len(prompt) - 1, len(prompt) + len(answer.tokens) - 1)
        with torch.no_grad():
            p = plain("llama", seed=1)(input_ids=text).logits[0, places].log_softmax(-1)
            q = plain("llama")(input_ids=text).logits[0, places].log_softmax(-1)
        assert kl == pytest.approx(float((p.exp() * (p - q)).sum()), abs=1e-4)
    assert found[2] == Unscored("none")


def test_a_run_is_asked_as_it_trains(here: Path) -> None:
    """Without a variant the answer's likelihood is that of its tokens behind the question's."""
    respondent = LocalRespondent(Candidate("tiny", 0, tiny(), Prompt()))
    [chosen, *_] = respondent.choose(CASES)
    prompt = tokenizer().encode(f"Q: {CASES[0].prompt}\nA:")
    with torch.no_grad():
        wanted = float(alone(plain("llama"), prompt, tokenizer().encode(" nobody")).sum())
    assert chosen.true[1] == pytest.approx(wanted, abs=1e-4)  # type: ignore[union-attr]
    assert respondent.answer(CASES, 5) is respondent.answer(CASES, 5)


def test_what_is_left_out_or_named_twice_is_counted_and_said(here: Path) -> None:
    twice = ["--candidate", "model", "--candidate", "model", "--prompt", "own", "--prompt", "own"]
    document = evaluate("trivia", "attacks", "trivia", *twice, "--limit", "4")
    trivia, attacks = document["questions"]["trivia"], document["questions"]["attacks"]
    assert (trivia["n"], trivia["left_out"]) == (4, len(CASES) - 4)
    assert attacks["left_out"] == 0  # made from the questions, and all of them asked
    page = Path("out/report.html").read_text()
    assert "4 questions from questions.jsonl (2 more left out by --limit)" in page
    whole = evaluate("trivia", "--candidate", "model", out="whole")["questions"]["trivia"]
    assert (whole["n"], whole["left_out"]) == (len(CASES), 0)
    repeated = SweepSpec(("trivia", "attacks", "trivia"), ("a", "b", "a", "a"), ("own", "own"))
    assert named_twice(repeated) == [
        "--candidate a: named 3 times, measured once",
        "--prompt own: named 2 times, measured once",
        "evaluation trivia: named 2 times, measured once",
    ]
    plain = SweepSpec(("trivia",), ("a", "b"), ("own",))
    assert named_twice(plain) == []


def test_every_row_is_in_the_figure_or_counted(here: Path) -> None:
    document = evaluate("drift", "truthfulness", "--candidate", "model", "--base", "base")
    found, rows = document["candidates"]["model"], rows_of("out")
    for evaluation, by_prompt in found.items():
        for metric, figure in by_prompt["own"].items():
            there = [r for r in rows if r.evaluation == evaluation and metric in r.metrics]
            assert figure["n"] + figure["unscored"] == len(there), (evaluation, metric)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.5, 0.4, 0.6, 48), "48 of 85 asked"),
        (Estimate(0.5, 0.4, 0.6, 80, 5), "5 unscored"),
        (Estimate(0.5, 0.4, 0.6, 85), ""),
    ],
)
def test_a_cell_says_what_is_missing(estimate: Estimate, text: str) -> None:
    assert remark(estimate, 85) == text
