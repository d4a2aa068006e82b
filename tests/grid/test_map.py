"""Maps: what is read, and the one message for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from truing.grid.map import BUILT_IN, load_map, parse_map
from truing.grid.world import HORIZON_PER_CELL, make_world
from truing.types import InputError


def test_a_map_by_hand() -> None:
    grid = parse_map("S.#\n.#*\n...\n", "hand", "hand.txt")
    assert grid.cells == ((0, 0), (0, 1), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2))
    assert grid.star == 3
    assert grid.starts == (0,)
    assert grid.distances == (5, 6, 4, 0, 3, 2, 1)
    assert grid.neighbours(0) == (0, 2, 0, 1)  # up: the edge; down; left: the edge; right
    assert grid.neighbours(1) == (1, 1, 0, 1)  # walls below and to the right


def test_without_a_start_every_free_cell_is_one() -> None:
    assert parse_map("..*\n#..", "m", "m").starts == (0, 1, 3, 4)


def test_line_ends_and_empty_last_lines_do_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "walk.txt"
    file.write_bytes(b"\xef\xbb\xbfS.\r\n.*\r\n\r\n")
    grid = load_map(file)
    assert (grid.name, grid.rows) == ("walk", ("S.", ".*"))


def test_cells_that_nobody_can_reach_are_fine_where_there_is_a_start() -> None:
    assert parse_map("S*#.", "m", "m").distances == (1, 0, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.txt: the map is empty"),
        ("\n\n", "x.txt: the map is empty"),
        ("...\n...", r"x.txt: no star; put one '\*'"),
        ("*..\n.*.", r"x.txt:2:2: a second star; the first is in line 1, column 1"),
        ("S*\n.S", r"x.txt:2:2: a second start; the first is in line 1, column 1"),
        ("..*\n..\n...", "x.txt:2: the row has 2 characters, the first has 3"),
        ("..*\n\n...", "x.txt:2: the row has 0 characters, the first has 3"),
        (".x*", "x.txt:1:2: unknown character 'x'; use '#'"),
        (". *", "x.txt:1:2: unknown character ' '"),
        ("..*\n..\t", r"x.txt:2:3: unknown character '\\t'"),
        ("S#*", "x.txt:1:1: the star can't be reached from here"),
        ("..*\n###\n.##", "x.txt:3:1: the star can't be reached from here"),
        ("#*#", "x.txt: no cell to start from"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_map(text, "x", "x.txt")
    file = tmp_path / "x.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=message.removeprefix("x.txt")):
        load_map(file)


def test_an_unknown_map_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such map.*rooms"):
        load_map(tmp_path / "nowhere.txt")
    with pytest.raises(InputError, match="UTF-8"):
        load_map(tmp_path)
    (tmp_path / "bad").write_bytes(b"\xff\xfe*")
    with pytest.raises(InputError, match="UTF-8"):
        load_map(tmp_path / "bad")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slip": 1.0}, "slip: must be at least 0 and below 1, got 1.0"),
        ({"slip": -0.1}, "slip"),
        ({"slip": float("nan")}, "slip"),
        ({"discount": 0.0}, "discount: must be above 0 and at most 1"),
        ({"discount": 1.01}, "discount"),
        ({"discount": float("nan")}, "discount"),
        ({"horizon": 0}, "horizon: 0 steps are too few"),
        ({"horizon": 100_001}, "horizon: at most 100000 steps"),
        ({"map": "detour", "horizon": 30}, r"horizon: 30 steps are too few.*is 31 steps away"),
    ],
)
def test_impossible_rules_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_world(**options)  # type: ignore[arg-type]


def test_built_in_maps_can_be_walked() -> None:
    assert len(BUILT_IN) == 5
    longest = []
    for name in BUILT_IN:
        world = make_world(name)
        steps = [world.grid.distances[start] for start in world.grid.starts]
        assert world.horizon == HORIZON_PER_CELL * len(world.grid.cells) > 4 * max(steps)
        longest.append(max(steps))
    assert max(longest) >= 31  # the long detour
