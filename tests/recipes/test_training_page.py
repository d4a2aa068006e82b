"""The page of a training: what stands on it, what it warns of, when it is written."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from browsing import OVERFLOWING, new_page
from commands import refused, run
from synthetic_run import write_lines
from tiny import saved
from truing.files import read_jsonl
from truing.recipes.compare_runs import compare_runs
from truing.recipes.training_page import PAGE, page_as_it_goes, write_training_page
from truing.report.measured import pooled
from truing.runs.folder import RunFolder, note_judges
from truing.spec.reading import make_spec
from truing.statistics.means import paired_difference

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Line = dict[str, Any]


def training(
    folder: Path, name: str, lines: Sequence[Line], *, finished: bool = True, **record: Any
) -> Path:
    """A folder as `truing train` leaves it."""
    folder.mkdir()
    spec = make_spec({"model": "m", "methods": [name], "rl": {"steps": 77}}, profile=None)
    (folder / "spec.yaml").write_text(spec.to_yaml())
    facts = {
        "truing": "0.1.0", "identity": {"kind": f"train {name}"}, "created": "2026-03-01T09:00:00Z",
        "finished": "2026-03-01T09:10:00Z" if finished else None, "candidates": ["base", name],
        "methods": {name: {}}, "command": f"truing train {name} my.yaml",
        "costs": {"total": {"cpu_seconds": 12.5, "tokens_trained": 4321}},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(facts | record))
    write_lines(folder / "logs" / f"{name}-seed0.jsonl", lines)
    return folder


def rl_lines(**last: Any) -> list[Line]:
    """A reward that rises; `last` are the figures at the end, from those at the beginning on."""
    first = {"length": 10.0, "entropy": 2.0}
    lines: list[Line] = []
    for step in range(1, 21):
        share = step / 20
        figures = {
            key: first[key] + share * (last.get(key, first[key]) - first[key]) for key in first
        }
        lines.append({"step": step, "reward": share, "kl": 3 * share, **figures})
        if step % 5 == 0:
            answer = last.get("answer")
            lines[-1]["samples"] = [
                {"prompt": f"<i>why {n}?</i>", "answer": answer or f"answer {n}", "reward": share}
                for n in range(2)
            ]
    return lines


def written(folder: Path) -> str:
    return write_training_page(folder).read_text()


def warnings(page: str) -> list[str]:
    found = re.findall(r'<li class="warning"><span .*?</span><span>(.*?)</span></li>', page)
    return [re.sub("<.*?>", "", text) for text in found]


def test_curves_settings_costs_and_answers_stand_on_it(tmp_path: Path) -> None:
    page = written(training(tmp_path / "run", "rl", rl_lines()))
    for title in ("Reward", "KL to the reference", "Length of answers", "Entropy"):
        assert f"{title}" in page and "<svg" in page
    assert "<h2>Costs</h2>" in page and "4\u202f321" in page
    assert '<td class="other">77</td><td>10</td>' in page  # rl.steps, and its default
    assert "Step 5<" in page and "Step 20<" in page and "&lt;i&gt;why 0?&lt;/i&gt;" in page
    assert "<i>why" not in page and "default-src 'none'" in page
    assert "no judge looked on" in page and not warnings(page)
    assert written(tmp_path / "run") == page  # equal folders, equal bytes


def test_a_phone_shows_settings_in_words_not_letters(browser: Browser, tmp_path: Path) -> None:
    folder = training(tmp_path / "run", "rl", rl_lines())
    part = {"name": "judge", "endpoint": "endpoint:http://127.0.0.1:1/v1#m", "rubric": "helpful"}
    spec = make_spec({"model": "m", "reward": {"parts": [part]}}, profile=None)
    (folder / "spec.yaml").write_text(spec.to_yaml())
    page, complaints = new_page(browser, "phone")
    page.goto(write_training_page(folder).as_uri())
    cell = page.locator(".settings tr", has_text="reward.parts").locator("td").first
    box = cell.bounding_box()
    assert box and box["width"] > 150 and "endpoint:http" in cell.inner_text()
    assert page.evaluate(OVERFLOWING) == [] and not complaints
    page.context.close()


def test_a_judge_that_rewarded_stands_there_with_its_costs_and_what_speaks_against_it(
    tmp_path: Path,
) -> None:
    folder = training(tmp_path / "run", "rl", [{"step": 1, "reward": 1.0}])
    figures = {
        "order_changed": 0.0,
        "unread": 16,
        "replies": 1234,
        "price": 4e-5,
        "currency": "EUR",
    }
    warning = "always the same grade ('kind', of 50 answers): it tells nothing"
    note_judges(folder, {"the reward": {**figures, "warning": warning}, "tone": figures})
    page = written(folder)
    costs = page.partition("<h2>Costs</h2>")[2]
    assert "<td>16</td>" in costs and "1\u202f234" in costs and "4e-05 EUR" in costs
    assert [html.unescape(text) for text in warnings(page)] == [f"Judge of the reward: {warning}."]
    assert "every step that rl.evaluate_every divides" in page  # where no answer was kept


@pytest.mark.parametrize(
    ("last", "sign"),
    [
        ({"length": 24.0}, "answers became longer, from 12.1 to 22.6 tokens"),
        ({"length": 2.0}, "answers became shorter"),
        ({"entropy": 0.2}, "less varied"),
        ({"answer": "As an AI."}, "the same answer (“As an AI.”)"),
    ],
)
def test_signs_that_a_reward_is_gamed_stand_on_top(
    tmp_path: Path, last: Mapping[str, Any], sign: str
) -> None:
    (warning,) = warnings(written(training(tmp_path / "run", "rl", rl_lines(**last))))
    assert warning.startswith("Reward hacking? rl: while the reward rose from 0.15 to 0.90")
    assert sign in warning


def test_a_reward_that_falls_is_no_sign(tmp_path: Path) -> None:
    lines = [line | {"reward": -line["reward"]} for line in rl_lines(length=40.0)]
    assert not warnings(written(training(tmp_path / "run", "rl", lines)))


def test_displaced_answers_and_unscored_steps_are_warned_of(tmp_path: Path) -> None:
    lines: list[Line] = [{"step": step, "loss": 0.6, "accuracy": 0.7} for step in range(1, 9)]
    for line in lines[4:]:
        line["displaced"] = -0.1 * line["step"]
    lines[-1]["unscored_because"] = "the judge timed out"
    displaced, unscored = warnings(written(training(tmp_path / "run", "preference", lines)))
    assert displaced.startswith("Likelihood displacement: preference: from step 5 on")
    assert "by 0.80 nats against the reference at step 8" in displaced
    assert "in 1 of 8 steps" in unscored and "the judge timed out" in unscored


@pytest.mark.parametrize(
    ("low", "high", "tone", "warned"),
    [(0.55, 0.7, "gain", False), (0.45, 0.6, "none", True), (0.2, 0.4, "loss", False)],
)
def test_pairs_are_held_against_a_coin(
    tmp_path: Path, low: float, high: float, tone: str, warned: bool
) -> None:
    figure = {"value": (low + high) / 2, "low": low, "high": high, "n": 40}
    held_out = {"seed0": {"held_out_accuracy": figure}}
    folder = training(tmp_path / "run", "preference", [], preference_held_out=held_out)
    page = written(folder)
    (said,) = re.findall(r'<span class="tag ([a-z]*)">Result</span><span>preference: in', page)
    assert said == ("" if tone == "none" else tone)
    assert any("told from a coin" in text for text in warnings(page)) is warned


def test_overfitting_and_an_unfinished_training_are_said(tmp_path: Path) -> None:
    lines: list[Line] = [
        {"step": step, "loss_per_token": 3.0 / step, "held_out_loss": loss}
        for step, loss in ((1, 3.0), (2, 2.5), (3, 2.75))
    ]
    page = written(training(tmp_path / "run", "sft", lines, finished=False))
    (warning,) = warnings(page)
    assert "lowest at step 2 (2.500) and is 2.750 at the end" in warning
    assert "isn’t finished" in page and "--resume" in page
    assert "Lines called “held out” were measured" in page and "All of it is of" not in page
    assert "learned from</" in page and "each batch" not in page


def test_a_prompt_and_a_reward_have_their_held_out_figures(tmp_path: Path) -> None:
    figure = {"value": 0.62, "low": 0.5, "high": 0.7, "n": 85, "unscored": 0}
    runs = []
    for name in ("one", "two"):
        record = {
            "prompts": {
                "prompt": {"instruction": "Be brief.", "held_out": {"mc2": {"prompt": figure}}}
            },
            "reward_model": {"truth": {"balanced_accuracy": 0.66, "n": 760}},
            "pair_reward": {"accuracy": figure},
        }
        folder = training(tmp_path / name, "prompt", [], **record)
        write_lines(folder / "logs" / "prompt-seed0.jsonl", [{"id": "a", "generation": 1}])
        runs.append(folder)
    page = written(runs[0])
    assert "MC2, held out" in page and "0.620" in page and "[0.500, 0.700]" in page
    assert "Be brief." in page and "Pairs" in page and "0.660" in page
    found = compare_runs(runs).to_json()["differences"]
    assert found["prompt"]["two"]["held_out"]["mc2"]["why"] == "its cases weren’t kept"
    assert found["reward model"]["two"]["reward model"]["truth"]["value"] == 0


def test_a_page_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = training(tmp_path / "run", "rl", rl_lines())

    def forbidden(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("truing.recipes.training_page.write_text_atomically", forbidden)
    message = refused(run("report", folder))
    assert message.endswith("its report can't be written (Permission denied)")


@pytest.mark.parametrize("wrong", [OSError, KeyError])
def test_a_page_takes_two_percent_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: type[Exception]
) -> None:
    now = [100.0]
    calls: list[float] = []

    def write(folder: Path) -> None:
        calls.append(now[0])
        now[0] += 0.5
        raise wrong("nothing that is wrong with a page ends a training")

    monkeypatch.setattr("truing.recipes.training_page.write_training_page", write)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    page = page_as_it_goes(tmp_path, first=10.0)
    for _ in range(100):
        page()
        now[0] += 1.0
    assert calls[0] == 110.0
    apart = [later - earlier for earlier, later in pairwise(calls)]
    assert len(apart) >= 3 and all(25 <= each <= 27 for each in apart)  # 0.5 s each


# --- Real trainings ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two fine-tunings of one tiny model on the same demonstrations."""
    folder = tmp_path_factory.mktemp("trained")
    rows = [
        {"prompt": f"what is a {n}?", "completion": f"a {n} is a thing."} for n in "abcdefghijkl"
    ]
    write_lines(folder / "shown.jsonl", rows)
    data = {"demonstrations": str(folder / "shown.jsonl"), "limit": 4, "control_limit": 1}
    sft = {"batch_size": 4, "adapter": {"rank": 2}, "held_out": 0.4, "learning_rate": 0.02}
    runs = []
    for epochs in (1, 3):
        spec = {"model": str(saved(folder / "model")), "dtype": "float32", "data": data}
        (folder / "spec.yaml").write_text(yaml.safe_dump(spec | {"sft": sft | {"epochs": epochs}}))
        out = folder / f"epochs{epochs}"
        result = run("train", "sft", folder / "spec.yaml", "--out", out)
        assert result.exit_code == 0, result.output
        assert f"Page: {out / PAGE}" in result.stdout
        runs.append(out)
    return runs[0], runs[1]


def test_held_out_losses_are_paired_demonstration_by_demonstration(
    trained: tuple[Path, Path],
) -> None:
    one, three = (RunFolder.open(folder) for folder in trained)
    ours, theirs = (pooled(each.held_out())["sft"]["held_out", "loss"] for each in (three, one))
    assert ours.keys() == theirs.keys() and len(ours) >= 3
    noted = one.record["sft_held_out"]["seed0"]["held_out_loss"]
    assert sum(theirs.values()) / len(theirs) == pytest.approx(noted["value"])
    document = compare_runs(trained).to_json()
    found = document["differences"]["sft"]["epochs3"]["held_out"]["loss"]
    wanted = paired_difference(ours, theirs, resamples=2000).to_json()
    assert found == {**wanted, "paired": True}
    assert document["settings"] == {"sft.epochs": {"epochs1": 1, "epochs3": 3}}
    steps = {label: of["0"]["steps"] for label, of in document["learning"]["sft"].items()}
    assert steps["epochs3"] == 3 * steps["epochs1"]


def test_its_page_has_what_was_held_out(trained: tuple[Path, Path]) -> None:
    page = (trained[1] / PAGE).read_text()
    assert "Held-out loss" in page and "against the base" in page and "held out" in page
    assert page == written(trained[1])


def test_the_report_of_a_training_is_its_page(trained: tuple[Path, Path]) -> None:
    (trained[0] / PAGE).unlink()
    result = run("report", trained[0])
    assert result.exit_code == 0 and (trained[0] / PAGE).is_file(), result.output
    assert not (trained[0] / "summary.json").exists()


def test_a_broken_log_is_one_line(trained: tuple[Path, Path]) -> None:
    log = trained[0] / "logs" / "sft-seed0.jsonl"
    whole, lines = log.read_text(), read_jsonl(log)
    try:
        log.write_text(json.dumps({**lines[0], "step": "one"}) + "\n")
        assert "sft-seed0.jsonl:1: step" in refused(run("compare", *trained))
    finally:
        log.write_text(whole)
