"""Trackers: each step once however often a training is taken up again, and none that can stop it."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from typer.testing import CliRunner

from fake_trackers import FAKES, Service, put_in_place
from tiny import saved
from truing.cli.main import app
from truing.files import read_json, read_jsonl
from truing.learn import Reinforce
from truing.learn.checkpoint import Checkpoint
from truing.learn.tracking import TRACKERS, Training, check_trackers, tracking_of
from truing.learn.tracking import tracking as tracking_module
from truing.learn.tracking.aside import Aside, Hangs
from truing.learn.tracking.tracking import PATIENCE, Tracking
from truing.spec.reading import make_spec
from truing.spec.tracking import TrackingSpec
from truing.types import InputError
from waiting import LONG

CONFIG = {"model": "tiny", "rl": {"steps": 5, "stop": {}}, "seeds": [0], "judge": {"a{b}": "x"}}


def training(folder: Path, **changed: Any) -> Training:
    fields = {
        "id": "ab12",
        "name": "rl-seed0",
        "group": "run",
        "project": "tried",
        "config": CONFIG,
    }
    return Training(**{**fields, "folder": folder, **changed})


def tracking(name: str, folder: Path, said: list[str] | None = None, **changed: Any) -> Tracking:
    say = (said if said is not None else []).append
    made = tracking_of(TrackingSpec(to=(name,)), training(folder, **changed), say)
    assert made
    return made


class Told:
    """A tracker that notes its calls, and does something `at` one of them."""

    def __init__(self, at: str, does: Callable[[], object]) -> None:
        self.at, self.does = at, does
        self.calls: list[str | int] = []
        self.threads: set[str] = set()

    def _called(self, name: str, call: str | int) -> None:
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)
        if name == self.at:
            self.does()

    def begin(self, training: Training) -> int:
        self._called("begin", "begin")
        return 0

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._called("log", step)

    def end(self, summary: Mapping[str, float | str], finished: bool) -> None:
        self._called("end", "end")


def row(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "loss": 1.0 / step,
        "seconds": 0.5,
        "samples": ["text"],
        "monitor": {"n": 2},
    }


def interrupted_then_whole(name: str, folder: Path, **changed: Any) -> None:
    """Steps 1 to 4, of which the last isn't saved, then 4 to 5 by another process."""
    parameters = {"logits": nn.Parameter(torch.zeros(3, 2))}
    optimizer = torch.optim.AdamW(parameters.values())

    def checkpoint() -> Checkpoint:
        shown = tracking(name, folder / "logs", **changed)
        return Checkpoint(folder / "s", folder / "log.jsonl", tracking=shown)

    first = checkpoint()
    with pytest.raises(KeyboardInterrupt), first.tracked():
        for step in (1, 2, 3):
            first.note(row(step))
        first.save(3, parameters, optimizer, Reinforce())
        first.note(row(4))
        raise KeyboardInterrupt
    again = checkpoint()
    with again.tracked():
        assert again.restore(parameters, optimizer, Reinforce()) == 3
        for step in (4, 5):
            again.note(row(step))


# --- Each tracker ------------------------------------------------------------------------------


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("name", FAKES)
def test_a_training_taken_up_again_goes_on_in_the_same_run(
    name: str, online: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    service = put_in_place(name, monkeypatch)
    interrupted_then_whole(name, tmp_path, online=online)
    [shown] = service.runs.values()
    figures = {"seconds": 0.5, "monitor/n": 2.0}
    assert shown.points == [(step, {"loss": 1.0 / step, **figures}) for step in range(1, 6)]
    assert shown.name.startswith("rl-seed0") and shown.state.lower() == "finished"
    assert shown.config == ({
        "model": "tiny", "rl.steps": "5", "rl.stop": "{}", "seeds": "[0]", "judge.a_b_": "x"
    } if name == "mlflow" else CONFIG)  # fmt: skip
    if name != "trackio":  # which draws the last figures of its own
        assert float(shown.summary["steps"]) == 5 and shown.summary["stop"] == ""
    if name == "mlflow":
        assert (shown.asked["uri"] == "http://elsewhere") == online
        assert online or shown.asked["uri"].startswith("sqlite:///")
    if name == "wandb":
        assert shown.asked["mode"] == ("online" if online else "offline")
        assert shown.summary["loss"] == 0.2


@pytest.mark.parametrize("name", FAKES)
def test_an_interrupted_training_is_shown_as_such(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = put_in_place(name, monkeypatch)
    shown = tracking(name, tmp_path)
    shown.begin([])
    shown.end([row(1)], finished=False)
    [run] = service.runs.values()
    assert run.state == {"wandb": "failed", "mlflow": "KILLED", "trackio": "finished"}[name]


def test_wandb_may_be_asked_for_by_its_own_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = put_in_place("wandb", monkeypatch)
    monkeypatch.setenv("WANDB_MODE", "online")
    tracking("wandb", tmp_path).begin([])
    assert service.runs["ab12"].asked["mode"] == "online"


def test_trackio_is_not_sent_away_by_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place("trackio", monkeypatch)
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/space")
    seen: list[str | None] = []
    module: Any = sys.modules["trackio"]
    begin = module.init

    def init(**asked: Any) -> Any:
        seen.append(os.environ.get("TRACKIO_SPACE_ID"))
        return begin(**asked)

    module.init = init
    tracking("trackio", tmp_path).begin([])
    tracking("trackio", tmp_path, online=True).begin([])
    assert seen == [None, "somebody/space"]
    assert os.environ["TRACKIO_SPACE_ID"] == "somebody/space"


# --- What fails --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAKES)
def test_a_tracker_that_fails_is_said_once_and_counted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = put_in_place(name, monkeypatch)
    service.broken = {2, 3}
    said: list[str] = []
    shown = tracking(name, tmp_path, said)
    rows = [row(step) for step in range(1, 6)]
    shown.begin(rows)
    shown.end(rows)
    assert said == [
        f"{name}: ConnectionError: no answer at step 2; the training goes on, and its log is complete",
        f"{name}: 2 step(s) could not be shown there",
    ]
    [run] = service.runs.values()
    assert [step for step, _ in run.points] == [1, 4, 5] and shown.missing == {name: 2}


def test_one_that_fails_for_good_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = put_in_place("trackio", monkeypatch)
    service.broken = set(range(2, 2 + PATIENCE))
    shown = tracking("trackio", tmp_path)
    shown.begin([row(step) for step in range(1, 30)])
    [run] = service.runs.values()
    assert [step for step, _ in run.points] == [1] and shown.missing == {"trackio": 28}


def test_one_that_cannot_begin_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place("wandb", monkeypatch)
    monkeypatch.setattr(sys.modules["wandb"], "init", None)
    said: list[str] = []
    shown = tracking("wandb", tmp_path, said)
    shown.begin([])
    shown.add(row(1))
    shown.end([row(1)])
    assert said[0].startswith("wandb: TypeError: ") and said[1].startswith("wandb: 1 step(s)")


@pytest.mark.parametrize("at", ["begin", "log", "end"])
def test_one_that_hangs_is_waited_for_so_long_and_left_alone(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_module, f"{at.upper()}_SECONDS", 0.05)
    error_of, hung = Aside.error_of, list[str]()

    def waited_for(aside: Aside, work: Callable[[], None], seconds: float) -> BaseException | None:
        """The quick one has time, however busy the machine is."""
        quick = aside._name == "tracker quick"
        error = error_of(aside, work, LONG if quick else seconds)
        hung.extend([aside._name] * isinstance(error, Hangs))
        return error

    monkeypatch.setattr(Aside, "error_of", waited_for)
    released, said = threading.Event(), list[str]()
    slow, quick = Told(at, released.wait), Told("", released.wait)
    shown = Tracking(training(tmp_path), {"slow": slow, "quick": quick}, said.append)
    rows = [row(step) for step in range(1, 5)]
    shown.begin(rows)
    shown.end(rows)
    assert hung == ["tracker slow"]  # one limit, not one for each step
    missing = {"begin": 4, "log": 4, "end": 0}[at]
    assert said[0] == (
        "slow: didn't answer within 0.05 s; the training goes on, and its log is complete"
    )
    assert said[1:] == ([f"slow: {missing} step(s) could not be shown there"] if missing else [])
    assert quick.calls == ["begin", 1, 2, 3, 4, "end"] and slow.calls[-1] in (at, 1)
    assert quick.threads == {"tracker quick"}
    released.set()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit("x")])
@pytest.mark.parametrize("at", ["begin", "log", "end"])
def test_one_that_would_end_the_program_ends_nothing(
    at: str, error: BaseException, tmp_path: Path
) -> None:
    def exits() -> None:
        raise error

    said: list[str] = []
    shown = Tracking(training(tmp_path), {"rude": Told(at, exits)}, said.append)
    rows = [row(step) for step in range(1, 3)]
    shown.begin(rows)
    shown.end(rows)
    assert said[0].startswith(f"rude: {type(error).__name__}") and "goes on" in said[0]
    assert shown.missing == ({} if at == "end" else {"rude": 2})


def test_an_interrupt_of_the_user_is_not_kept_from_the_training(tmp_path: Path) -> None:
    released, heard = threading.Event(), list[int]()

    def once(number: int, frame: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise KeyboardInterrupt

    def interrupts() -> None:
        while not heard:  # one that comes in the moment before the wait begins doesn't end it
            os.kill(os.getpid(), signal.SIGINT)
            released.wait(0.2)
        released.wait()

    shown = Tracking(training(tmp_path), {"slow": Told("log", interrupts)})
    shown.begin([])
    before = signal.signal(signal.SIGINT, once)
    try:
        with pytest.raises(KeyboardInterrupt):
            shown.add(row(1))
    finally:
        signal.signal(signal.SIGINT, before)
    shown.end([row(1)], finished=False)  # what is stuck isn't waited for once more
    released.set()


def test_what_trackio_changes_while_it_begins_is_given_back_if_it_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    put_in_place("trackio", monkeypatch)
    monkeypatch.setattr(tracking_module, "BEGIN_SECONDS", 0.05)
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/space")
    released, offline = threading.Event(), constants.HF_HUB_OFFLINE
    monkeypatch.setattr(sys.modules["trackio"], "init", lambda **asked: released.wait())
    tracking("trackio", tmp_path).begin([])
    assert os.environ["TRACKIO_SPACE_ID"] == "somebody/space"
    assert offline == constants.HF_HUB_OFFLINE
    released.set()


@pytest.mark.parametrize("error", [SystemExit("no"), AttributeError("no")])
def test_a_package_that_ends_the_program_when_imported_is_refused(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imported(name: str) -> None:
        raise error

    monkeypatch.setattr("truing.learn.tracking.import_module", imported)
    with pytest.raises(InputError, match=f"wandb can't be imported .{type(error).__name__}: no"):
        check_trackers(TrackingSpec(to=("wandb",)))


@pytest.mark.parametrize(
    ("to", "online", "words"),
    [
        ("wandb", False, "wandb isn't installed: pip install 'truing[wandb]'"),
        ("mlflow", False, "mlflow isn't installed: pip install 'truing[mlflow]'"),
        ("trackio", False, "trackio isn't installed: pip install 'truing[trackio]'"),
        ("wandb", True, "wandb has no key; run 'wandb login'"),
        ("mlflow", True, "mlflow needs its server's address in MLFLOW_TRACKING_URI"),
    ],
)
def test_a_tracker_that_cannot_work_is_refused(
    to: Any, online: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if online:
        put_in_place(to, monkeypatch)
    else:

        def missing(name: str) -> None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr("truing.learn.tracking.import_module", missing)
    with pytest.raises(InputError) as caught:
        check_trackers(TrackingSpec(to=("tensorboard", to), online=online))
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"to": ["wandb", "wandb"]}, "each may be named once"),
        ({"to": ["wandbb"]}, "wandb"),
        ({"project": ""}, "tracking.project"),
        ({"space": "x"}, "tracking.space"),
    ],
)
def test_a_spec_that_is_wrong(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_spec({"tracking": given})


def test_who_is_shown_a_run_is_no_part_of_what_it_means() -> None:
    assert make_spec({"tracking": {"to": [], "online": True}}).digest() == make_spec({}).digest()


# --- The whole way -----------------------------------------------------------------------------


def test_a_training_is_shown_or_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("why is the sky blue?\nwhat is a fish?\n")
    rl = {"steps": 2, "prompts_per_step": 2, "samples_per_prompt": 2, "max_new_tokens": 2}
    spec = {
        "model": str(saved(tmp_path / "model")),
        "dtype": "float32",
        "data": {"prompts": "prompts.txt"},
        "reward": {"parts": [{"name": "length", "target": 2}]},
        "rl": rl | {"evaluate_every": 2, "adapter": {"rank": 2}},
        "tracking": {"to": ["wandb"], "project": "fish"},
    }
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    line = ["train", "rl", "spec.yaml", "--out", "run"]
    monkeypatch.setitem(sys.modules, "wandb", None)
    refused = CliRunner().invoke(app, line, prog_name="truing")
    assert refused.exit_code == 2 and not Path("run").exists()
    assert refused.stderr.count("tracking.to: wandb") == 1
    service: Service = put_in_place("wandb", monkeypatch)
    service.broken = {1}
    done = CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "wandb: 1 step(s) could not be shown there" in done.stderr
    [(key, shown)] = service.runs.items()
    assert len(key) == 16 and shown.asked["group"] == "run" and shown.asked["project"] == "fish"
    assert shown.config["rl"]["steps"] == 2 and shown.state == "finished"
    [(step, figures)] = shown.points
    log = read_jsonl(Path("run/logs/rl-seed0.jsonl"))
    assert step == 2 and figures["reward"] == log[-1]["reward"]
    assert not Path("run/logs/tensorboard").exists() and read_json(Path("run/run.json"))["costs"]


# --- The packages themselves, where they are installed -------------------------------------------


@pytest.mark.parametrize("name", FAKES)
def test_the_package_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    pytest.importorskip(name, reason=f"{name} isn't installed: pip install 'truing[{name}]'")
    monkeypatch.chdir(tmp_path)
    interrupted_then_whole(name, tmp_path)
    _READ[name](tmp_path)
    ours = {"logs", "trackio", "s", "log.jsonl", "log.times.jsonl"}
    assert {each.name for each in tmp_path.iterdir()} <= ours


def _read_wandb(folder: Path) -> None:
    [kept] = folder.glob("logs/wandb/offline-run-*-ab12")
    data = (kept / "run-ab12.wandb").read_bytes()
    assert b"monitor/n" in data and b"tiny" in data


def _read_mlflow(folder: Path) -> None:
    client = import_module("mlflow.tracking").MlflowClient(
        f"sqlite:///{folder}/logs/mlflow/mlflow.db"
    )
    [run] = client.search_runs([client.get_experiment_by_name("tried").experiment_id])
    points = client.get_metric_history(run.info.run_id, "loss")
    assert [(each.step, each.value) for each in points] == [(n, 1.0 / n) for n in range(1, 6)]
    assert run.info.status == "FINISHED" and run.data.params["rl.steps"] == "5"


def _read_trackio(folder: Path) -> None:
    with sqlite3.connect(folder / "trackio" / "tried.db") as database:
        steps = database.execute("select run_name, step from metrics order by step").fetchall()
    assert steps == [("rl-seed0-ab12", step) for step in range(1, 6)]


_READ = {"wandb": _read_wandb, "mlflow": _read_mlflow, "trackio": _read_trackio}


def test_every_tracker_that_a_spec_may_name_is_there() -> None:
    to = TrackingSpec.model_fields["to"].annotation
    assert set(TRACKERS) == set(to.__args__[0].__args__)  # type: ignore[union-attr]
