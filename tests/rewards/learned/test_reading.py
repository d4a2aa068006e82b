"""Judgements from files and a store: every form, every row that can teach nothing, each with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from judged import comparisons, written
from truing.people import Store, open_store
from truing.people.annotators import describe_self
from truing.people.exchange import import_files
from truing.people.tables import Annotator
from truing.rewards.learned.judgements import (
    CONSTANT,
    CONTRADICTED,
    EQUAL,
    REPEATED,
    Judgement,
    Judgements,
    usable,
)
from truing.rewards.learned.reading import NOT_JUDGED, read_judgements
from truing.rewards.learned.sides import split_judgements
from truing.types import InputError

Record = dict[str, Any]
PAIR: Record = {"prompt": "a?", "chosen": "yes", "rejected": "no"}


def _read(tmp_path: Path, *rows: Record) -> Judgements:
    return read_judgements(str(written(list(rows), tmp_path / "judged.jsonl")))


FORMS: dict[str, tuple[Record, tuple[tuple[str, ...], tuple[int, ...], int | None]]] = {
    "pair": (PAIR, (("yes", "no"), (1, 2), None)),
    "transcripts": (
        {
            "chosen": "\n\nHuman: a?\n\nAssistant: yes",
            "rejected": "\n\nHuman: a?\n\nAssistant: no",
        },
        (("yes", "no"), (1, 2), None),
    ),
    "second": (
        {"prompt": "a?", "completions": ["no", "yes"], "preferred": "second"},
        (("no", "yes"), (2, 1), None),
    ),
    "tie": (
        {"prompt": "a?", "completions": ["no", "yes"], "preferred": "tie"},
        (("no", "yes"), (1, 1), None),
    ),
    "ranking": (
        {"prompt": "a?", "completions": ["x", "y", "z"], "ranks": [2, 1, 2]},
        (("x", "y", "z"), (2, 1, 2), None),
    ),
    "rating": ({"prompt": "a?", "completion": "yes", "rating": 6}, (("yes",), (), 6)),
    "thumb": ({"prompt": "a?", "completion": "yes", "label": False}, (("yes",), (), 1)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, tmp_path: Path) -> None:
    row, wanted = FORMS[form]
    other = {"prompt": "b?", "completion": "maybe", "rating": 3}  # a lone rating prefers nothing
    found = _read(tmp_path, {**row, "annotator": "ann", "groups": {"home": "north"}}, other, PAIR)
    first = found.judgements[0]
    assert (first.answers, first.ranks, first.rating) == wanted
    assert (first.annotator, first.groups) == ("ann", {"home": "north"})
    assert first.messages == (("user", "a?"),) and first.source.endswith("judged.jsonl:1")


def test_ratings_are_read_where_they_differ(tmp_path: Path) -> None:
    rows = [{"prompt": "a?", "completion": text, "rating": n} for text, n in (("x", 2), ("y", 6))]
    assert [each.rating for each in _read(tmp_path, *rows).judgements] == [2, 6]


BAD: dict[str, tuple[Record, str]] = {
    "prompts differ": (
        {"chosen": "Human: a\n\nAssistant: x", "rejected": "Human: b\n\nAssistant: y"},
        "the dialogues differ before the last turn",
    ),
    "empty answer": ({"prompt": "a?", "chosen": " ", "rejected": "no"}, "chosen: empty"),
    "equal answers": ({"prompt": "a?", "chosen": "no", "rejected": "no"}, "the same text"),
    "equal but for space": ({"prompt": "a?", "chosen": "no", "rejected": "no "}, EQUAL),
    "unknown verdict": (
        {"prompt": "a?", "completions": ["x", "y"], "preferred": "left"},
        "preferred: must be first, second or tie",
    ),
    "three compared": (
        {"prompt": "a?", "completions": ["x", "y", "z"], "preferred": "first"},
        "preferred: is of two completions",
    ),
    "a rank too few": (
        {"prompt": "a?", "completions": ["x", "y"], "ranks": [1]},
        "ranks: must be a whole number from 1",
    ),
    "rating off the scale": ({"prompt": "a?", "completion": "x", "rating": 9}, "rating: must be"),
    "nothing judged": ({"prompt": "a?", "completion": "x"}, NOT_JUDGED),
    "groups of another kind": ({**PAIR, "groups": ["north"]}, "groups: must be an object"),
    "constant rating": ({"prompt": "a?", "completion": "x", "rating": 4}, CONSTANT),
}


@pytest.mark.parametrize("what", BAD)
def test_what_can_teach_nothing_is_counted_with_its_reason(what: str, tmp_path: Path) -> None:
    row, reason = BAD[what]
    found = _read(tmp_path, row, PAIR)
    assert len(found.judgements) == 1
    [(said, count)] = found.left_out.items()
    assert reason in said and count == 1
    [with_place] = found.left_out_with_place
    assert with_place.startswith(said) and ".jsonl:1)" in with_place


@pytest.mark.parametrize("what", BAD)
def test_a_file_of_nothing_else_is_refused(what: str, tmp_path: Path) -> None:
    row, reason = BAD[what]
    with pytest.raises(InputError, match="no judgement to learn from") as refusal:
        _read(tmp_path, row)
    assert reason in str(refusal.value) and "\n" not in str(refusal.value)


def test_only_ties_are_refused(tmp_path: Path) -> None:
    row = {"prompt": "a?", "completions": ["x", "y"], "preferred": "tie"}
    with pytest.raises(InputError, match="all 2 judgements are ties"):
        _read(tmp_path, row, {**row, "prompt": "b?"})


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "judged.jsonl"
    file.write_text(f"{json.dumps(PAIR)}\n{{not json\n")
    with pytest.raises(InputError, match=r"judged\.jsonl:2"):
        read_judgements(str(file))


def _judged(annotator: str, first: bool, swapped: bool = False) -> Judgement:
    answers, ranks = ("x", "y"), (1, 2) if first else (2, 1)
    if swapped:
        answers, ranks = answers[::-1], ranks[::-1]
    return Judgement((("user", "a?"),), answers, ranks, annotator=annotator)


def test_who_contradicts_themselves_teaches_nothing_and_others_may_disagree() -> None:
    one = [_judged("ann", True), _judged("ann", False, swapped=True), _judged("bob", True)]
    found = usable(Judgements((*one, _judged("cleo", False)), {}, "file"))
    assert [each.annotator for each in found.judgements] == ["bob", "cleo"]
    assert found.left_out == {CONTRADICTED: 2}
    twice = usable(Judgements((_judged("ann", True), _judged("ann", True, True)), {}, "file"))
    assert twice.left_out == {REPEATED: 1} and len(twice.judgements) == 1
    assert "one person judged" in twice.remarks[0]
    unnamed = (_judged("", True), _judged("", False), _judged("", True))
    nobody = usable(Judgements(unnamed, {}, "file"))
    assert len(nobody.judgements) == 3 and not nobody.left_out
    assert "nobody says who judged" in nobody.remarks[0] and "1 set(s)" in nobody.remarks[1]


def test_the_public_comparisons(shared_data: Path) -> None:
    found = read_judgements(str(shared_data / "hh_rlhf" / "harmless-base_test.jsonl.gz"))
    assert len(found.judgements) == 2303
    assert sorted(found.left_out.values()) == [4, 5]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "people.db"))


def test_a_store_gives_what_its_file_gave(store: Store, tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "groups"} for row in comparisons(6, 2)]
    rows.append({"prompt": "b?", "completions": ["x", "y", "z"], "ranks": [2, 1, 3]})
    rows.append({"prompt": "c?", "completion": "x", "rating": 2, "annotator": "person 0"})
    rows.append({"prompt": "c?", "completion": "y", "rating": 5, "annotator": "person 1"})
    file = written(rows, tmp_path / "judged.jsonl")
    import_files(store, [file], source="own", consent="own", seed=0)
    of_file, of_store = read_judgements(str(file)), read_judgements(str(tmp_path / "people.db"))
    assert {_key(each) for each in of_store.judgements} == {
        _key(each) for each in of_file.judgements
    }
    assert len(of_store.judgements) == len(of_file.judgements) == 15
    names = {each.annotator for each in of_store.judgements}
    assert names == {"own/person 0", "own/person 1", ""}
    with pytest.raises(InputError, match="without the consent public"):
        read_judgements(str(tmp_path / "people.db"), ["public"])


def _key(judgement: Judgement) -> tuple[Any, ...]:
    return (judgement.about, judgement.verdict, judgement.annotator.rpartition("/")[2])


def test_people_of_a_store_bring_their_groups(store: Store, tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "groups"} for row in comparisons(4, 1)]
    import_files(store, [written(rows, tmp_path / "j.jsonl")], source="own", consent="own", seed=0)
    with store.writing() as session:
        person = session.scalars(select(Annotator).where(Annotator.name == "own/person 0")).one()
        describe_self(session, person.id, {"home": "north"})
    found = read_judgements(str(tmp_path / "people.db"))
    assert {tuple(each.groups.items()) for each in found.judgements} == {(("home", "north"),)}


def test_a_file_and_the_store_that_it_is_imported_into_are_split_alike(tmp_path: Path) -> None:
    file = written(comparisons(prompts=20, people=7), tmp_path / "judged.jsonl")
    store = open_store(str(tmp_path / "people.db"))
    import_files(store, [file], ignore=("groups",))
    store.close()
    here, there = (
        split_judgements(read_judgements(str(source)), 0.3, 0.2)
        for source in (file, tmp_path / "people.db")
    )
    assert [name.rpartition("/")[2] for name in there.strangers] == list(here.strangers)
    for side in ("train", "held_out"):
        own = [{(each.about, each.verdict) for each in getattr(s, side)} for s in (here, there)]
        assert own[0] == own[1]


def test_what_people_without_a_name_cancel_out_teaches_nothing(tmp_path: Path) -> None:
    back = {"prompt": "a?", "chosen": "no", "rejected": "yes"}
    with pytest.raises(InputError, match="of the 2 judgements each is cancelled out"):
        _read(tmp_path, PAIR, back)
    assert len(_read(tmp_path, PAIR, back, PAIR).judgements) == 3
