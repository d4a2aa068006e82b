"""Preferences from a user's table: three forms, and rows that can't be one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from truing.data.preference_file import (
    APART,
    EMPTY,
    EQUAL,
    OPEN,
    Preference,
    PreferenceFile,
    read_preferences,
)
from truing.types import InputError

WHERE = "task.data.preferences"
USER = {"role": "user", "content": "Why?"}
BOT = {"role": "assistant", "content": "So."}
BAD = {"role": "assistant", "content": "No."}
SYSTEM = {"role": "system", "content": "Be brief."}
TURN = ("user", "Why?")
PLAIN = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}


def file_of(folder: Path, *rows: object) -> str:
    path = folder / "pairs.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


def read(folder: Path, *rows: object, **columns: str) -> PreferenceFile:
    return read_preferences(file_of(folder, *rows), columns, WHERE)


@pytest.mark.parametrize(
    "row",
    [
        PLAIN,
        {"prompt": [USER], "chosen": [BOT], "rejected": [BAD]},
        {"prompt": "Why?", "chosen": [BOT], "rejected": "No."},
        {"chosen": [USER, BOT], "rejected": [USER, BAD]},
        {"prompt": "Why?", "chosen": [USER, BOT], "rejected": [USER, BAD], "score_chosen": 9},
        {
            "chosen": "\n\nHuman: Why?\n\nAssistant: So.",
            "rejected": "Human: Why?\n\nAssistant: No.",
        },
        {"question": "Why?", "chosen": " So. ", "rejected": "No."},
        {"Question": "Human: Why?", "Answer1": "No.", "Answer2": "So.", "Preference": "Answer2"},
    ],
)
def test_every_form_is_known_by_its_columns(tmp_path: Path, row: dict[str, Any]) -> None:
    [preference] = read(tmp_path, row).preferences
    assert (preference.messages, preference.chosen, preference.rejected) == ((TURN,), "So.", "No.")
    assert preference.source == f"{tmp_path / 'pairs.jsonl'}:1"
    assert row.items() <= preference.columns.items()


def test_conversations_share_all_but_their_last_turn(tmp_path: Path) -> None:
    talk = [SYSTEM, USER, BOT, {"role": "user", "content": "Really?"}]
    row = {"chosen": [*talk, BOT], "rejected": [*talk, BAD]}
    messages = (("system", "Be brief."), TURN, ("assistant", "So."), ("user", "Really?"))
    [preference] = read(tmp_path, row).preferences
    source = f"{tmp_path / 'pairs.jsonl'}:1"
    assert preference == Preference(messages, "So.", "No.", source, row)
    assert preference.prompt == "Be brief.\n\nWhy?\n\nSo.\n\nReally?"
    behind = {
        "prompt": [SYSTEM, USER],
        "chosen": [BOT, talk[3], BOT],
        "rejected": [BOT, talk[3], BAD],
    }
    assert read(tmp_path, behind).preferences[0].messages == messages
    text = "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: Really?\n\nAssistant: "
    transcript = {"chosen": f"{text}So.", "rejected": f"{text}No."}
    assert read(tmp_path, transcript).preferences[0].messages == messages[1:]


def test_rows_that_can_teach_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        PLAIN,
        {"chosen": [USER, BOT], "rejected": [{**USER, "content": "Who?"}, BAD]},
        {**PLAIN, "rejected": ""},
        {**PLAIN, "chosen": None},
        {"chosen": [USER, {**BOT, "content": ""}], "rejected": [USER, BAD]},
        {**PLAIN, "rejected": " So. "},
        {"chosen": [USER, BOT, USER], "rejected": [USER, BAD]},
        {"chosen": "Human: Why?\n\nAssistant: So.\n\nHuman: Ok", "rejected": "Human: Why?"},
        {"chosen": "Human: Why?\n\nAssistant: So.\n\nAssistant: So", "rejected": "Human: Why?"},
    )
    assert [each.source[-2:] for each in file.preferences] == [":1"]
    assert file.left_out == {APART: 1, EMPTY: 2, "no chosen answer": 1, EQUAL: 1, OPEN: 3}
    places = {reason: place.rpartition(":")[2] for reason, place in file.first.items()}
    assert places == {APART: "2", EMPTY: "3", "no chosen answer": "4", EQUAL: "6", OPEN: "7"}
    assert any(reason.endswith("pairs.jsonl:3)") for reason in file.left_out_with_place)


def test_a_mapping_says_which_is_which(tmp_path: Path) -> None:
    row = {"ask": "Why?", "better": "So.", "worse": "No."}
    names = {"prompt": "ask", "chosen": "better", "rejected": "worse"}
    assert read(tmp_path, row, **names).preferences[0].rejected == "No."
    assert read(tmp_path, PLAIN, prompt="text", references="gold").preferences[0].chosen == "So."
    assert read(tmp_path, row, {**row, "better": " "}, **names).left_out == {EMPTY: 1}
    with pytest.raises(InputError, match="no column 'worst', which would be the rejected; its col"):
        read(tmp_path, row, **{**names, "rejected": "worst"})
    talk = {"prompt": "an id", "talk": [SYSTEM, USER], "chosen": "So.", "rejected": "No."}
    assert read(tmp_path, talk, messages="talk").preferences[0].messages[1] == TURN


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"prompt": "Why?", "completion": "So."},
            "no column chosen and none rejected; its columns: pr",
        ),
        (
            {"prompt": "Why?", "completions": ["a", "b"], "preferred": "tie"},
            "its columns: prompt, completions, preferred; preferred: comparisons, rankings and ratings are",
        ),
        ({"prompt": "Why?", "completion": "So.", "rating": 3}, "what 'truing train reward' learns"),
        ({"prompt": "Why?", "chosen": "So."}, "no column rejected; its columns: prompt, chosen"),
        ({"chosen": "So.", "rejected": "No."}, ":1: no prompt; its columns: chosen, rejected"),
        ({**PLAIN, "prompt": 7}, ":1: prompt: a number stands here"),
        (
            {**PLAIN, "rejected": PLAIN["chosen"]},
            "(1 left out: the two answers are the same (the first at",
        ),
        (
            {"chosen": [SYSTEM, SYSTEM, USER, BOT], "rejected": "No."},
            ":1: chosen: message 2: a second",
        ),
        (
            {"Question": "Why?", "Answer1": "a", "Answer2": "b", "Preference": "both"},
            ":1: Preference: 'both'; give Answer1 or Answer2",
        ),
        (
            {"Question": "Why?", "Answer1": 1, "Answer2": "b", "Preference": "Answer1"},
            ":1: Answer1: a number stands here",
        ),
    ],
)
def test_what_holds_no_preferences_is_refused(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, row)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(InputError, match=r"no preference in it \(no row\)"):
        read_preferences(str(tmp_path / "none.json"), {}, WHERE)


def test_parquet_with_conversations(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    columns = {"chosen": [[USER, BOT]], "rejected": [[USER, BAD]]}
    pa.parquet.write_table(pa.table(columns), path)
    [preference] = read_preferences(str(path), {}, WHERE).preferences
    assert (preference.messages, preference.rejected) == ((TURN,), "No.")


def test_published_preferences(shared_data: Path) -> None:
    folder = shared_data / "hh_rlhf"
    file = read_preferences(str(folder / "harmless-base_test.jsonl.gz"), {}, WHERE)
    assert len(file.preferences) + sum(file.left_out.values()) == 2312
    assert file.left_out == {EMPTY: 4, OPEN: 5}
    assert all(each.messages[-1][0] == "user" for each in file.preferences)
    mixed = read_preferences(str(folder / "hh_mixed_100_pairs.jsonl"), {}, WHERE)
    assert (len(mixed.preferences), mixed.left_out) == (100, {})
    assert not any(each.chosen.startswith("Assistant:") for each in mixed.preferences)
