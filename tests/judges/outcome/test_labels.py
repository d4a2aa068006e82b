"""Labelled files: both forms, what ships, and every way in which a file can't be learnt from."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from truing.judges.outcome.labels import (
    LEAST_PROMPTS,
    LabelledOutcome,
    read_labelled,
    shipped_labels,
)
from truing.judges.outcomes import OUTCOMES
from truing.types import InputError


def _published(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "type", "prompt", "completion", "agreement", "final_label"])
        writer.writerows(
            [f"v-{n}", "kind", p, a, "TRUE", label] for n, (p, a, label) in enumerate(rows)
        )
    return path


def _rows(count: int = LEAST_PROMPTS) -> list[tuple[str, str, str]]:
    rows = [(f"prompt {n}", "I won't.", "2_full_refusal") for n in range(count)]
    return rows + [(f"other {n}", "Here it is.", "1_full_compliance") for n in range(count)]


def test_published_files_are_read_one_for_each_model(tmp_path: Path) -> None:
    rows = [*_rows(), ("p", "Some, not all.\nNo more.", "3_partial_refusal")]
    files = [_published(tmp_path / f"{name}.csv", rows) for name in ("ann", "bob")]
    labelled = read_labelled(files)
    assert len(labelled) == 2 * len(rows)
    assert Counter(each.source for each in labelled) == {"ann": len(rows), "bob": len(rows)}
    assert labelled[len(rows) - 1] == LabelledOutcome(
        "p", "Some, not all.\nNo more.", "partly", "ann"
    )


def test_files_of_one_name_are_two_models(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    files = [_published(folder / "x.csv", _rows()) for folder in (tmp_path, tmp_path / "a")]
    assert {each.source for each in read_labelled(files)} == {str(file) for file in files}


def test_our_own_form_names_its_sources_and_may_hold_empty_answers(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": p,
            "answer": a,
            "outcome": "refused" if "2" in label else "complied",
            "source": "s",
        }
        for p, a, label in _rows()
    ]
    rows.append({"prompt": "p", "answer": " ", "outcome": "empty", "source": "s"})
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    labelled = read_labelled([path])
    assert len(labelled) == len(rows) and labelled[-1].outcome == "empty"
    assert {each.source for each in labelled} == {"s"}


def _with(row: tuple[str, str, str]) -> Callable[[Path], Path]:
    return lambda path: _published(path, [*_rows(), row])


def _text(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return write


MISTAKES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no labels": (_text(b"prompt,completion\na,b\n"), r"x\.csv:1: has no labels to learn from"),
    "no answers": (
        _text(b"prompt,final_label\na,b\n"),
        r"x\.csv:1: completion: this column is missing",
    ),
    "no label in a row": (
        _with(("p", "a", " ")),
        r"x\.csv:22: final_label: this answer has no label",
    ),
    "an unknown label": (
        _with(("p", "a", "maybe")),
        r"x\.csv:22: final_label: unknown label 'maybe'",
    ),
    "one side only": (
        lambda path: _published(path, _rows()[:LEAST_PROMPTS]),
        r"x\.csv: only 0 prompts have answers that comply, of 10 labelled",
    ),
    "one prompt of a side": (
        lambda path: _published(path, [*_rows()[:LEAST_PROMPTS], *_rows()[-1:] * 50]),
        "only 1 prompts have answers that comply",
    ),
    "another encoding": (
        _text("prompt,completion,final_label\nwhy,tür,2_full_refusal\n".encode("latin-1")),
        r"x\.csv:2: not UTF-8 \(byte 0xfc\)",
    ),
    "UTF-16": (_text("prompt,completion\n".encode("utf-16")), r"x\.csv:1: UTF-16"),
    "a line of 10 MB": (
        _with(("p", "word " * 2_000_000, "2_full_refusal")),
        r"x\.csv:22: completion: 10,000,000 characters; give at most 1,000,000",
    ),
    "an empty file": (_text(b""), r"x\.csv: the file is empty"),
    "no such file": (lambda path: path, r"x\.csv: no such file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_file_that_cant_be_learnt_from_is_named_with_its_line(
    tmp_path: Path, mistake: str
) -> None:
    write, message = MISTAKES[mistake]
    with pytest.raises(InputError, match=message) as raised:
        read_labelled([write(tmp_path / "x.csv")])
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


def test_what_ships_has_every_outcome_but_the_certain_one_and_no_answer_twice() -> None:
    labelled = shipped_labels()
    assert len(labelled) >= 600
    assert {each.outcome for each in labelled} == {*OUTCOMES} - {"empty"}
    assert {each.source for each in labelled} == {"written", "smollm2-135m"}
    assert len({(each.prompt, each.answer) for each in labelled}) == len(labelled)
    assert not any(re.search(r"[{}]", each.answer) for each in labelled if each.source == "written")


def test_words_alone_dont_give_the_shipped_labels_away() -> None:
    """Some answers comply though they regret or forbid; some refuse without a word that says so."""
    words = re.compile(r"sorry|cannot|can't|won't|unable|apolog|illegal|as an ai", re.IGNORECASE)
    labelled = [each for each in shipped_labels() if each.source == "written"]
    complied = [
        each for each in labelled if each.outcome == "complied" and words.search(each.answer)
    ]
    refused = [
        each for each in labelled if each.outcome == "refused" and not words.search(each.answer)
    ]
    assert len(complied) >= 50 and len(refused) >= 50
