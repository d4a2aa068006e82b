"""`truing grid`: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from truing.cli.main import app
from truing.grid.page import command_of, page
from truing.grid.run import run_grid
from truing.grid.shapes import heat
from truing.grid.terminal import show
from truing.grid.training import GridRun, learn, to_json
from truing.grid.walks import walks
from truing.spec.grid import GridSpec

FEW = ("--episodes", "600")


def run(*arguments: object) -> Result:
    words = ["grid", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(app, words, prog_name="truing")


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    message = result.stderr.strip()
    assert message.startswith("Error: ") and "\n" not in message
    return message


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> GridRun:
    return learn(GridSpec(map="maze", slip=0.1, episodes=6000), tmp_path_factory.mktemp("grid"))


def test_json_is_one_document(tmp_path: Path) -> None:
    result = run("maze", "--json", "--seed", 3, "--slip", 0.1, "--out", "here", *FEW)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert 0 <= document["return"] <= document["optimal_return"] <= 1
    assert document["share_of_optimum"] == document["return"] / document["optimal_return"]
    assert (document["map"], document["slip"], document["episodes"]) == ("maze", 0.1, 600)
    stored = json.loads((tmp_path / "here" / "grid.json").read_text())
    assert document.items() <= stored.items()
    assert stored["finished"] is True


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (run("gap", "--json", "--out", name, *FEW) for name in ("one", "two"))
    assert first.stdout == second.stdout != ""
    for name in ("grid.json", "grid.png", "grid.html"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two, name
    again = run("gap", "--json", "--out", "one", *FEW)  # a finished run is only read
    assert again.stdout == first.stdout
    assert run("gap", "--json", "--out", "three", "--seed", 1, *FEW).stdout != first.stdout


def test_without_out_every_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        assert run("open", "--json", "--seed", seed, *FEW).exit_code == 0
    folders = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(folders) == 2 and all(re.fullmatch(r"grid-open-[0-9a-f]{8}", n) for n in folders)


def test_no_other_run_is_written_over(tmp_path: Path) -> None:
    assert run("gap", "--out", "mine", *FEW).exit_code == 0
    before = (tmp_path / "mine" / "grid.json").read_bytes()
    assert "mine: something else is in there already" in refused(run("open", "--out", "mine", *FEW))
    assert (tmp_path / "mine" / "grid.json").read_bytes() == before
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    assert "letters: something else is in there already" in refused(
        run("gap", "--out", "letters", *FEW)
    )
    (tmp_path / "file").write_text("")
    assert "file: is a file" in refused(run("gap", "--out", "file", *FEW))


def test_mistakes_end_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "walk.txt").write_text("S.\n..\n")
    (tmp_path / "shut.txt").write_text("S.#*\n..##\n")
    for arguments, message in (
        (("walk.txt",), "walk.txt: no star"),
        (("shut.txt",), r"shut.txt:1:1: the star can't be reached"),
        (("nowhere",), "nowhere: no such map"),
        (("gap", "--slip", "1"), "slip: must be"),
        (("gap", "--slip", "nan"), "slip: must be|slip: Input"),
        (("gap", "--discount", "0"), "discount: must be"),
        (("gap", "--horizon", "3"), "horizon: 3 steps are too few"),
        (("gap", "--episodes", "0"), "episodes: "),
        (("gap", "--seed", "-1"), "seed: "),
    ):
        assert re.search(message, refused(run(*arguments, "--json")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shut.txt", "walk.txt"]


def test_a_map_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "walk.txt").write_text("S..\n.#*\n")
    result = run("walk.txt", "--episodes", 2000, "--json")
    document = json.loads(result.stdout)
    assert document["rows"] == ["S..", ".#*"]
    assert document["optimal_return"] == pytest.approx(0.95**2)
    assert document["return"] > 0.98 * document["optimal_return"]
    assert document["value"][1][1] is None


@pytest.mark.parametrize("width", [100, 40, 12])
def test_the_terminal_shows_arrows_values_curve_and_episodes(trained: GridRun, width: int) -> None:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(trained, console)
    text = console.export_text()
    assert f"{trained.result:.4f}" in text.replace("\n", " ")
    assert {"↓", "→", "★", "█"} <= set(text)
    board = text[text.index("S") :]
    assert board
    if width == 100:
        assert f"{trained.value_S[0]:.2f}".removeprefix("0") in text
        assert "before" in text and "after" in text


def test_walks_say_what_happened(trained: GridRun) -> None:
    listed = to_json(trained)["samples"]["after"]
    for walk, episode in zip(walks(trained.world, trained.after), listed, strict=True):
        assert episode["reached"] and walk.arrows.endswith("★")
        assert len(walk.arrows) == len(episode["actions"]) + 1
        assert f"the star after {len(episode['actions'])} steps" in walk.about
        signs = {0: "↑", 1: "↓", 2: "←", 3: "→"}
        assert walk.arrows[0] == signs[episode["actions"][0]]


def test_heat_runs_from_the_least_to_the_greatest_value(trained: GridRun) -> None:
    worth = heat(trained)
    star = trained.world.grid.star
    values = trained.value_S.tolist()
    others = [state for state in range(len(values)) if state != star]
    assert worth[max(others, key=values.__getitem__)] == 1
    assert worth[min(others, key=values.__getitem__)] == 0
    assert all(0 <= value <= 1 for value in worth)


def test_the_page_is_self_contained_and_escaped(trained: GridRun) -> None:
    text = page(trained)
    assert "<script" not in text and "http:" not in text and "https:" not in text
    assert f"{trained.result:.4f}" in text
    nasty = trained.spec.model_copy(update={"map": "<b>&'\"maze"})
    shown = page(GridRun(**{**trained.__dict__, "spec": nasty}))
    assert "<b>&'" not in shown and "&lt;b&gt;" in shown


def test_the_command_gives_the_run_again(trained: GridRun, monkeypatch: Any) -> None:
    assert command_of(trained.spec) == "truing grid maze --episodes 6000 --slip 0.1 --seed 0"
    assert command_of(GridSpec(map="my map", horizon=9)) == (
        "truing grid 'my map' --horizon 9 --seed 0"
    )


def test_the_picture_is_a_picture(tmp_path: Path) -> None:
    _, folder = run_grid(GridSpec(map="open", episodes=300), tmp_path / "run")
    pixels = matplotlib.image.imread(folder / "grid.png")
    assert pixels.shape[0] > 500 and pixels.shape[1] > 900
    assert len({tuple(pixel) for pixel in pixels[::7, ::7].reshape(-1, 4).round(2)}) > 20


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(browser: Any, trained: GridRun, tmp_path: Path, width: int) -> None:
    from browsing import serious
    from report_browsing import CUT_OFF, OVERFLOWING

    (tmp_path / "grid.html").write_text(page(trained), encoding="utf-8")
    view = browser.new_page(viewport={"width": width, "height": 900})
    requests: list[str] = []
    complaints: list[str] = []
    view.on("request", lambda request: requests.append(request.url))
    view.on("console", lambda message: complaints.append(message.text))
    view.goto((tmp_path / "grid.html").as_uri(), wait_until="load")
    view.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert view.evaluate("document.scrollingElement.scrollWidth") <= width
    assert view.evaluate(OVERFLOWING) == []
    assert view.evaluate(CUT_OFF) == []
    assert serious(view) == []
    assert requests == [(tmp_path / "grid.html").as_uri()]
    assert complaints == []
    view.close()
