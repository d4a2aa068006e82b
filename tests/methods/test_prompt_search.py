"""`truing train prompt` on a tiny random model: what it leaves, what it never looks at, kill and resume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from endpoints import Answer, serving
from tiny import saved
from truing.candidates import load_candidate
from truing.cli.main import app
from truing.data.splits import is_held_out
from truing.evaluate.multiple_choice import Choices, score_choices
from truing.files import read_jsonl
from truing.methods import prompt_search
from truing.prompts.rendering import Prompt, Renderer
from truing.types import Case

HELD_OUT = 0.45
CASES = [
    Case(f"{word} are {thing}?", (f"{thing} are here",), ("no", f"{word} not"), thing)
    for word in ("why", "how", "when", "where", "who")
    for thing in ("bats", "rain", "gold", "bees", "stars", "rocks")
]
SEARCH = {"budget": 120, "generations": 2, "proposals": 6}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"), 2048)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_questions(CASES)


def write_questions(cases: Sequence[Case]) -> None:
    lines = [
        {
            "question": case.prompt,
            "correct_answers": list(case.correct_answers),
            "incorrect_answers": list(case.incorrect_answers),
            "category": case.category,
        }
        for case in cases
    ]
    Path("questions.jsonl").write_text("\n".join(map(json.dumps, lines)))


def train(model: Path, *options: str, out: str = "run", **search: Any) -> Result:
    spec = {
        "model": str(model),
        "dtype": "float32",
        "data": {"questions": "questions.jsonl", "held_out": HELD_OUT, "control_limit": 1},
        "prompt": {"built_in": 3, "shots": [0, 2], "search": SEARCH | search},
    }
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    line = ["train", "prompt", "spec.yaml", "--out", out, *options]
    return CliRunner().invoke(app, line, catch_exceptions=False)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_search_leaves_a_candidate_a_log_and_a_page(model: Path) -> None:
    [found] = document(train(model, "--json"))["candidates"]
    log = read_jsonl(Path("run/logs/prompt-seed0.jsonl"))
    assert found["questions_scored"] == log[-1]["spent"] <= found["budget"] == 120
    assert {entry["origin"].partition(":")[0] for entry in log} > {"named", "slots", "examples"}
    last = [e for e in log if e["generation"] == 3]
    best = max(last, key=lambda entry: entry["mc2"])
    assert (best["instruction"], best["mc2"]) == (found["instruction"], found["mc2"])
    told = load_candidate(Path(found["folder"]), "prompt", 0, "float32").prompt
    assert told.instruction == found["instruction"] and len(told.shots) == found["shots"]
    for metric in ("mc1", "mc2"):
        sides = found["held_out"][metric]
        gained = sides["prompt"]["value"] - sides["own"]["value"]
        assert sides["difference"]["value"] == pytest.approx(gained)
        assert sides["difference"]["n"] == sum(is_held_out(case, HELD_OUT) for case in CASES)
    page = Path("run/race-seed0.html").read_text()
    assert f"{found['prompts_tried']} prompts" in page and "<script" not in page
    shown = train(model, "--resume").stdout
    assert f"Instruction: {found['instruction']}" in shown and "Held out, MC2" in shown


class Spy:
    """Scores as always, and remembers which cases it was asked for under which prompt."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.seen: list[tuple[Prompt, str]] = []
        self.dies_after, self.calls = dies_after, 0

    def __call__(self, renderer: Renderer, prompt: Prompt, cases: Sequence[Case]) -> list[Choices]:
        self.calls += 1
        if self.dies_after is not None and self.calls > self.dies_after:
            raise KeyboardInterrupt
        self.seen += [(prompt, case.prompt) for case in cases]
        return score_choices(renderer, prompt, cases)


def confirm_by(spy: Spy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets another spy see what the confirmation asks for."""
    confirmed = prompt_search._confirmed

    def confirm(*arguments: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr("truing.methods.prompt_measure.score_choices", spy)
            return confirmed(*arguments)

    monkeypatch.setattr(prompt_search, "_confirmed", confirm)


def test_no_held_out_question_is_looked_at_before_the_confirmation(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching, confirming = Spy(), Spy()
    monkeypatch.setattr("truing.methods.prompt_measure.score_choices", searching)
    confirm_by(confirming, monkeypatch)
    written: list[str] = []
    encode = Renderer.text

    def text(self: Renderer, prompt: Prompt, question: str) -> str:
        whole = encode(self, prompt, question)
        if not confirming.calls:
            written.append(whole)
        return whole

    monkeypatch.setattr(Renderer, "text", text)
    [found] = document(train(model, "--json"))["candidates"]
    held_out = {case.prompt for case in CASES if is_held_out(case, HELD_OUT)}
    assert len(searching.seen) == len(set(searching.seen)) == found["questions_scored"]
    assert not {question for _, question in searching.seen} & held_out
    demonstrated = {shot.question for prompt, _ in searching.seen for shot in prompt.shots}
    assert demonstrated and not demonstrated & (held_out | {q for _, q in searching.seen})
    assert written and not any(question in whole for whole in written for question in held_out)
    assert confirming.calls == 2
    assert {question for _, question in confirming.seen} == held_out


def test_poisoned_held_out_questions_change_nothing_but_the_confirmation(model: Path) -> None:
    [clean] = document(train(model, "--json", out="clean"))["candidates"]
    write_questions(
        [
            Case(case.prompt, case.incorrect_answers, case.correct_answers, "poison")
            if is_held_out(case, HELD_OUT)
            else case
            for case in CASES
        ]
    )
    [poisoned] = document(train(model, "--json", out="poisoned"))["candidates"]
    for name in ("logs/prompt-seed0.jsonl", "search/scores-seed0.jsonl", "race-seed0.html"):
        assert Path("clean", name).read_bytes() == Path("poisoned", name).read_bytes()
    assert clean["instruction"] == poisoned["instruction"]
    assert clean["held_out"] != poisoned["held_out"]


def test_an_interrupted_search_goes_on_and_ends_with_the_same_bytes(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = document(train(model, "--json", out="whole"))
    with monkeypatch.context() as patched:
        dying = Spy(dies_after=14)
        patched.setattr("truing.methods.prompt_measure.score_choices", dying)
        assert train(model, out="broken").exit_code == 130
    refused = train(model, out="broken")
    assert refused.exit_code == 2 and "--resume" in refused.stderr
    again = Spy()
    monkeypatch.setattr("truing.methods.prompt_measure.score_choices", again)
    confirm_by(Spy(), monkeypatch)
    resumed = document(train(model, "--resume", "--json", out="broken"))
    assert len(again.seen) + len(dying.seen) == whole["candidates"][0]["questions_scored"]
    for name in ("logs/prompt-seed0.jsonl", "search/scores-seed0.jsonl", "race-seed0.html"):
        assert Path("whole", name).read_bytes() == Path("broken", name).read_bytes()
    assert resumed["candidates"][0]["held_out"] == whole["candidates"][0]["held_out"]


def test_an_endpoint_may_propose_and_is_asked_once(model: Path) -> None:
    texts = iter(["say what is so in few words", "", "ok", "never guess, be exact"] * 9)

    def behave(path: str, body: dict[str, Any]) -> Answer:
        assert path == "/v1/chat/completions" and not any(
            case.prompt in json.dumps(body) for case in CASES
        )
        message = {"role": "assistant", "content": next(texts)}
        finish = "content_filter" if "exact" in message["content"] else "stop"
        return 200, {"choices": [{"message": message, "finish_reason": finish}]}

    with serving(behave) as server:
        [found] = document(train(model, "--json", propose=["model"], proposer=server.name))[
            "candidates"
        ]
        asked = len(server.seen)
        assert asked == len({body["seed"] for _, body in server.seen}) == 24
    log = read_jsonl(Path("run/logs/prompt-seed0.jsonl"))
    told = {entry["instruction"] for entry in log if entry["origin"] == "model"}
    assert told == {"say what is so in few words"}
    assert found["refused"] == 18  # what a content filter leaves of a reply is no proposal
    for name in ("stages/prompt-seed0.json", "logs/prompt-seed0.jsonl"):
        Path("run", name).unlink()
    record = json.loads(Path("run/run.json").read_text()) | {"finished": None}
    Path("run/run.json").write_text(json.dumps(record))
    resumed = train(model, "--resume", propose=["model"], proposer=server.name)
    assert resumed.exit_code == 0, resumed.output  # though the server is gone
    assert read_jsonl(Path("run/logs/prompt-seed0.jsonl")) == log


def test_mistakes_are_named_before_anything_is_written(model: Path) -> None:
    for search, said in (
        ({"proposer": "somebody"}, "prompt.search.proposer: 'somebody'"),
        ({"proposer": "endpoint:http://127.0.0.1"}, "names no model"),
        ({"budget": 10}, "give 22 or more"),
        ({"propose": ["nonsense"]}, "prompt.search.propose"),
    ):
        done = train(model, **search)
        assert done.exit_code == 2 and said in done.stderr, done.stderr
    assert not Path("run").exists()
