"""`truing data shift`: what it writes and prints, the same bytes, mistakes, and the page in a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from browsing import serious
from report_browsing import CUT_OFF, OVERFLOWING, TOO_SMALL
from shift_table import converted, instructions
from truing.cli.main import app
from truing.files import read_json, read_jsonl
from truing.shift import Request, compare, run_shift
from truing.shift.two_sample import Auc

TRAIN_WORDS = "premise hypothesis text label says claim source passage sentence follows".split()  # noqa: SIM905
TARGET_WORDS = "write poem recipe plan email explain idea please help story".split()  # noqa: SIM905
INJECTION = "</p><script>document.title='owned'</script><img src=x onerror=alert(1)>{{ 7*7 }}"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="truing")


def prompts(words: list[str], number: int, seed: int, mixed: float = 0.1) -> list[str]:
    """Made-up prompts of words of their side, with some of the other side's."""
    rng = np.random.default_rng(seed)
    every = TRAIN_WORDS + TARGET_WORDS + [f"thing{i}" for i in range(60)]
    return [
        " ".join(
            str(rng.choice(every if rng.random() < mixed else words))
            for _ in range(rng.integers(5, 25))
        )
        + f" thing{rng.integers(0, 60)}"
        for _ in range(number)
    ]


def write(path: Path, texts: list[str], **keys: Any) -> Path:
    rows = [{"prompt": text, "completion": "x", **keys} for text in texts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Training prompts of which a fifth are like the target's, and a target with an injection in it."""
    folder = tmp_path_factory.mktemp("sides")
    train = prompts(TRAIN_WORDS, 160, 1) + prompts(TARGET_WORDS, 40, 2)
    target = [*prompts(TARGET_WORDS, 120, 3), INJECTION, "x" * 3000]
    return write(folder / "train.jsonl", train), write(folder / "target.jsonl", target)


@pytest.fixture(scope="module")
def folder(sides: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shift")
    request = Request(str(sides[0]), str(sides[1]), select=40, select_file=out / "chosen.jsonl")
    return run_shift(request, out / "run").folder


def test_what_is_written(folder: Path, sides: tuple[Path, Path]) -> None:
    found = read_json(folder / "shift.json")
    assert 0.5 < found["auc"]["low"] <= found["auc"]["value"] <= found["auc"]["high"] < 1
    assert (found["auc"]["n_train"], found["auc"]["n_target"]) == (200, 122)
    assert "differ" in found["verdict"]
    weights = read_jsonl(folder / "weights.jsonl")
    assert len(weights) == 200
    assert np.mean([row["weight"] for row in weights]) == pytest.approx(1, abs=1e-5)
    like_target = np.mean([row["weight"] for row in weights[160:]])
    assert like_target > 2 * np.mean([row["weight"] for row in weights[:160]])
    remedy = found["remedy"]
    assert remedy["auc_weighted"]["value"] < remedy["auc_before"]["value"]
    assert remedy["auc_selected"]["value"] < remedy["auc_before"]["value"]
    assert 1 < remedy["effective_sample_size"] < 200
    chosen = read_jsonl(folder.parent / "chosen.jsonl")
    originals = read_jsonl(sides[0])
    assert len(chosen) == 40 == remedy["selected"] and all(row in originals for row in chosen)
    assert sum(row in originals[160:] for row in chosen) > 12
    use_cases = found["target"]["use_cases"]
    assert len(use_cases) == 10 and sum(e["value"] for e in use_cases.values()) == pytest.approx(1)
    assert found["instructgpt_use_cases"]["generation"] == 0.456
    assert found["target"]["metadata"]["ambiguous"]["value"] is None
    assert found["distance"]["p_value"] < 0.01
    words = {w["word"] for w in found["train"]["typical_words"]}
    assert len(words & set(TRAIN_WORDS)) >= 8
    typical = found["train"]["typical_prompts"]
    assert len(typical) == 10
    assert all(len(set(p["prompt"].split()) & set(TRAIN_WORDS)) > 2 for p in typical)
    assert any(p["prompt"] == INJECTION for p in found["coverage"]["prompts"])


def test_the_same_seed_gives_the_same_bytes(
    folder: Path, sides: tuple[Path, Path], tmp_path: Path
) -> None:
    request = Request(str(sides[0]), str(sides[1]), select=40, select_file=tmp_path / "c.jsonl")
    again = run_shift(request, tmp_path / "run").folder
    for name in ("shift.json", "weights.jsonl"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    page, before = ((f / "shift.html").read_text("utf-8") for f in (again, folder))
    assert page.replace(str(tmp_path / "c.jsonl"), "") == before.replace(
        str(folder.parent / "chosen.jsonl"), ""
    )
    assert (tmp_path / "c.jsonl").read_bytes() == (folder.parent / "chosen.jsonl").read_bytes()


def test_the_command(sides: tuple[Path, Path], tmp_path: Path) -> None:
    words = ["data", "shift", *sides, "--out", tmp_path / "a"]
    document = json.loads(run(*words, "--json").stdout)
    assert set(document["auc"]) >= {"value", "low", "high"}
    shown = run(*words, "--limit", 60, "--out", tmp_path / "b")
    assert shown.exit_code == 0 and "InstructGPT" in shown.stdout and "AUC" in shown.stdout
    assert "140 training prompts beyond the limit" in " ".join(shown.stdout.split())
    taken = run(*words, "--seed", 1)
    assert taken.exit_code == 2 and "something else is in there" in taken.stderr


def test_mistakes_end_with_one_message(sides: tuple[Path, Path], tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("a\n" * 19, encoding="utf-8")
    bad = tmp_path / "bad.jsonl"
    bad.write_text(sides[0].read_text() + "{\n", encoding="utf-8")
    same = tmp_path / "same.txt"
    same.write_text("the same prompt\n" * 30, encoding="utf-8")
    for arguments, said in [
        ((few, sides[1]), "TRAIN: 19 prompt(s) are too few"),
        ((sides[0], few), "TARGET: 19 prompt(s) are too few"),
        ((sides[0], tmp_path / "no.jsonl"), "no.jsonl: no such file"),
        ((bad, sides[1]), "bad.jsonl:201: not valid JSON"),
        ((same, sides[1]), "all hang together"),
        ((*sides, "--select", 500, tmp_path / "s.jsonl"), "--select: 500 of 200"),
        ((*sides, "--select", 5, tmp_path / "s.jsonl"), "--select: 5 prompts are too few"),
        ((tmp_path / "no.db", f"sqlite:///{tmp_path}/no.db"), "no such file"),
        ((sides[0], f"sqlite:///{tmp_path}/no.db"), "no file"),
        ((sides[0], "mysql://x/y"), "no support for mysql"),
    ]:
        failed = run("data", "shift", *arguments, "--out", tmp_path / "out")
        assert failed.exit_code == 2 and failed.stdout == "", failed.output
        assert said in failed.stderr and "Traceback" not in failed.stderr
        assert not (tmp_path / "out").exists()
    kept = run("data", "shift", bad, sides[1], "--keep-good-lines", "--out", tmp_path / "out")
    assert kept.exit_code == 0 and "Left out:" in kept.stderr and "bad.jsonl:201" in kept.stderr


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(browser: Any, folder: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / "shift.html").as_uri(), wait_until="load")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING) == []
    scales = page.evaluate(TOO_SMALL)
    assert len(scales) == 7 and min(scales) > 0.8
    assert page.evaluate(CUT_OFF) == []
    assert serious(page) == []
    assert page.title().startswith("Truing: ") and INJECTION in page.content().replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert [url for url in requests if not url.startswith("data:")] == [
        (folder / "shift.html").as_uri()
    ]
    assert complaints == []
    context.close()


@pytest.mark.parametrize(
    ("task", "file"),
    [
        ("nli", "rte/dev.jsonl"),
        ("qa", "squad_xquad/xquad.en.json"),
        ("sentiment", "sst5/dev.jsonl"),
    ],
)
def test_benchmarks_are_far_from_instructions(shared_data: Path, task: str, file: str) -> None:
    target = instructions(shared_data, "user_oriented_instructions")
    study = compare(converted(shared_data, task, file, 150), target)
    assert study.auc.value >= 0.95 and "templates" in study.grouping.apart


def test_halves_of_one_source_are_alike(shared_data: Path) -> None:
    asked = instructions(shared_data, "user_oriented_instructions")
    order = np.random.default_rng(0).permutation(len(asked))
    half = len(order) // 2
    study = compare([asked[i] for i in order[:half]], [asked[i] for i in order[half:]])
    assert study.auc.low <= 0.5 <= study.auc.high
    assert study.distance.p_value > 0.01
    assert isinstance(study.remedy.before, Auc)
