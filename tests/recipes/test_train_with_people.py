"""`truing train rl` with rewards from people: they judge while it runs, in place of browsers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from sqlalchemy import select
from typer.testing import CliRunner, Result

from live_people import Crowd, Robots
from page_server import running
from people_work import submission
from tiny import saved
from truing.cli.main import app
from truing.files import read_jsonl
from truing.learn import loop
from truing.learn.checkpoint import Checkpoint
from truing.people import open_store
from truing.people.erasure import erase_annotator
from truing.people.judging import withdraw
from truing.people.live.lock import training_lock
from truing.people.live.tables import LiveStep
from truing.people.tables import Judgement
from truing.people.web import make_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Spec = dict[str, Any]
PROMPTS = ["why is the sky blue?", "what is a fish?", "who are you?"]
RL = {
    "steps": 10, "prompts_per_step": 2, "samples_per_prompt": 2, "max_new_tokens": 8,
    "evaluate_every": 2, "adapter": {"rank": 2}, "max_kl": 1000.0, "learning_rate": 0.01,
}  # fmt: skip
WHOLE_STEPS = 10
STORE = "people.db"
FILES = ("logs/rl-seed0.jsonl", "candidates/rl/adapter_model.safetensors")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


def spec(model: Path, people: Spec | None = None, **rl: Any) -> Spec:
    part = {"name": "people", "store": STORE, "wanted": 3, "least": 3, **(people or {})}
    return {
        "model": str(model),
        "dtype": "float32",
        "data": {"prompts": "prompts.txt"},
        "reward": {"parts": [part]},
        "rl": RL | rl,
    }


@pytest.fixture()
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    return begun(tmp_path / "here", monkeypatch)


def begun(folder: Path, monkeypatch: pytest.MonkeyPatch, **crowd: Any) -> Crowd:
    """A folder to work in with people who judge whenever a training waits there."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "prompts.txt").write_text("\n".join(PROMPTS))
    people = Crowd(str(folder / STORE), **crowd)
    monkeypatch.setattr("truing.learn.sources.people.wait", people.judge)
    return people


def train(given: Spec, *options: str) -> Result:
    Path("spec.yaml").write_text(yaml.safe_dump(given))
    line = ["train", "rl", "spec.yaml", "--out", "run", *options]
    return CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)


def finished(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return read_jsonl(Path("run/logs/rl-seed0.jsonl"))


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    [message] = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert all(word in message for word in words), message


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training dies in the update of this one of its steps."""
    update, steps = loop.update, iter(range(1, 1000))

    def dying(*given: Any) -> Any:
        if next(steps) == step:
            raise KeyboardInterrupt
        return update(*given)

    monkeypatch.setattr(loop, "update", dying)


def test_ten_steps_killed_twice_end_as_those_that_were_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = begun(tmp_path / "whole", monkeypatch)
    rows = finished(train(spec(model)))
    assert len(rows) == WHOLE_STEPS and 50 <= len(people.said) <= 60
    used = [each for row in rows for each in row["people"]["judgements"]]
    assert used == people.said and any(row["gradient_norm"] > 0 for row in rows)

    again = begun(tmp_path / "cut", monkeypatch)
    monkeypatch.setattr(Checkpoint, "maybe_save", _every_third)
    for step in (5, 4):  # of the first 10, then of those from the fourth on
        with monkeypatch.context() as patch:
            killed_at(step, patch)
            assert train(spec(model), "--resume").exit_code == 130
    assert finished(train(spec(model), "--resume")) == rows
    assert again.said == people.said
    for name in FILES:
        whole = tmp_path / "whole/run" / name
        assert (Path("run") / name).read_bytes() == whole.read_bytes(), name


def test_three_people_at_browsers_teach_ten_steps_killed_twice(
    browser: Browser, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those who judge without a page, who say the same."""
    people = begun(tmp_path / "whole", monkeypatch)
    rows = finished(train(spec(model)))

    begun(tmp_path / "browsers", monkeypatch)
    monkeypatch.setattr(Checkpoint, "maybe_save", _every_third)
    store = open_store(STORE)
    with running(make_app(store)) as url:
        robots = Robots(str(tmp_path / "browsers" / STORE), browser, url)
        monkeypatch.setattr("truing.learn.sources.people.wait", robots.judge)
        for step in (5, 4):
            with monkeypatch.context() as patch:
                killed_at(step, patch)
                assert train(spec(model), "--resume").exit_code == 130
        assert finished(train(spec(model), "--resume")) == rows
    store.close()
    assert robots.said == people.said and not robots.complaints
    for name in FILES:
        whole = tmp_path / "whole/run" / name
        assert (Path("run") / name).read_bytes() == whole.read_bytes(), name


def _every_third(self: Checkpoint, step: int, *given: Any) -> None:
    if step % 3 == 0:
        self.save(step, *given)


def test_late_and_partial_judgements_count_and_replay(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hands in what they began when a step waited before, so that most is late."""
    given = spec(model, {"least": 1, "minutes": 1e-6, "ratio": "answer"}, steps=6)
    begun(tmp_path / "whole", monkeypatch, slow=True)
    rows = finished(train(given))
    assert any(row["late_steps"] > 0 for row in rows)
    assert any(row["late_ratio"] != pytest.approx(1, abs=1e-4) for row in rows)
    used = [each for row in rows for each in row["people"]["judgements"]]
    assert len(used) == len(set(used))
    assert all(0 < row["late_sample_size"] < 1 + 1e-6 for row in rows)

    begun(tmp_path / "cut", monkeypatch, slow=True)
    monkeypatch.setattr(Checkpoint, "maybe_save", _every_third)
    with monkeypatch.context() as patch:
        killed_at(5, patch)
        assert train(given).exit_code == 130
    assert finished(train(given, "--resume")) == rows


@pytest.mark.parametrize("ask", ["rating", "ranking"])
def test_people_may_rate_or_rank(ask: str, model: Path, crowd: Crowd) -> None:
    rows = finished(train(spec(model, {"ask": ask}, steps=2, samples_per_prompt=3)))
    assert all(0 <= row["reward"] <= 1 for row in rows) and crowd.said
    assert all(row["people"]["by"] == "people" for row in rows)


def test_where_nobody_answers_the_reward_model_goes_on(model: Path, crowd: Crowd) -> None:
    given = spec(model, {"nobody": "model"}, steps=2)
    del given["data"]["prompts"]
    given["data"] |= {"limit": 12, "control_limit": 1}
    rows = finished(train(given))
    assert [row["people"]["by"] for row in rows] == ["model", "model"] and not crowd.said
    assert all(row["reward"] is not None and "late_steps" not in row for row in rows)
    assert Path("run/reward_model/reward.safetensors").is_file()


def test_where_there_is_nothing_to_ask_training_goes_on(
    model: Path, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = finished(train(spec(model, steps=2, samples_per_prompt=2, temperature=1e-4)))
    assert all(row["reward"] is None and row["taught"] == 0 for row in rows)
    assert all("nothing to ask" in row["unscored_because"] for row in rows) and not crowd.said


def _cut(model: Path, monkeypatch: pytest.MonkeyPatch, step: int = 3) -> None:
    with monkeypatch.context() as patch:
        killed_at(step, patch)
        assert train(spec(model, steps=4)).exit_code == 130


def test_an_erased_judgement_stops_a_resume(
    model: Path, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut(model, monkeypatch)
    store = open_store(STORE)
    erase_annotator(store, "Person 1")
    store.close()
    refused(train(spec(model, steps=4), "--resume"), "which step 1 learned from", "was erased")


def test_a_withdrawal_after_use_is_counted(
    model: Path, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut(model, monkeypatch)
    store = open_store(STORE)
    with store.reading() as session:
        judgement = session.get_one(Judgement, crowd.said[0])
    withdraw(store, judgement.id, judgement.annotator_id, submission())
    store.close()
    rows = finished(train(spec(model, steps=4), "--resume"))
    assert [row["people"]["changed"] for row in rows] == [0, 0, 0, 1]
    assert judgement.id in rows[0]["people"]["judgements"]


def test_another_trainer_on_the_store_is_refused(model: Path, crowd: Crowd) -> None:
    store = open_store(STORE)
    with training_lock(store):
        refused(train(spec(model, steps=1)), "another training has people judge", "another store")
        assert not Path("run").exists()
    store.close()
    finished(train(spec(model, steps=1)))


def test_a_store_without_what_was_done_is_refused(
    model: Path, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "maybe_save", Checkpoint.save)
    _cut(model, monkeypatch)
    for each in Path().glob(f"{STORE}*"):
        each.unlink()
    refused(
        train(spec(model, steps=4), "--resume"),
        "no file",
        "has done 2 steps",
        "bring its store back",
    )
    assert not Path(STORE).exists()
    open_store(STORE).close()
    refused(train(spec(model, steps=4), "--resume"), "holds nothing of this training", "2 steps")


@pytest.mark.parametrize(
    ("people", "rl", "words"),
    [
        ({"deadline": "2020-01-01T00:00:00Z"}, {}, ["reward.parts.0.deadline", "is past"]),
        ({"least": 4}, {}, ["least: 4 judgements can't come from 3 people"]),
        ({"store": "no/such/folder/people.db"}, {}, ["reward.parts.0.store", "no folder"]),
        ({"ask": "ranking"}, {"samples_per_prompt": 8}, ["at most 7"]),
    ],
)
def test_what_cannot_be_is_refused(
    people: Spec, rl: Spec, words: list[str], model: Path, crowd: Crowd
) -> None:
    refused(train(spec(model, people, **rl)), *words)
    assert not Path("run").exists() and not Path(STORE).exists()


def test_the_steps_are_in_the_store_as_in_the_log(model: Path, crowd: Crowd) -> None:
    rows = finished(train(spec(model, steps=2)))
    store = open_store(STORE)
    with store.reading() as session:
        steps = list(session.scalars(select(LiveStep).order_by(LiveStep.step)))
    store.close()
    assert [step.learned for step in steps] == [row["people"] for row in rows]
    assert [step.figures["reward"] for step in steps if step.figures] == [
        row["reward"] for row in rows
    ]
    card = Path("run/candidates/rl/README.md").read_text(encoding="utf-8")
    assert "Trained on 1 x people" in card
