"""The task `instructions`: its prompts, and each kind of constraint on right and wrong answers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from truing.data.splits import split
from truing.judges.programs import Program, program, try_out
from truing.rewards.reward import Answered
from truing.tasks import instructions as task
from truing.tasks.constraints import CONSTRAINTS, keeps, words_of
from truing.types import Case, Score, Unscored, stable_hash

CASES = task.cases()
GERMAN = "Das ist nicht der Hund, den ich auf dem Markt mit der Frau sah."
FRENCH = "Le chien est dans la rue avec les enfants qui jouent."
SPANISH = "El perro no está en la calle porque los niños juegan con él."
ITALIAN = "Il cane non è nella strada, ma con gli amici della signora."
ENGLISH = "The dog is not in the street with you, but it was there."

# kind, options, answers that keep the constraint, answers that don't
TRIED: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("words", {"at_most": 3}, ["One two three.", "It's well-known"], ["a b c d", ""]),
    ("words", {"at_least": 2}, ["a b", "Eins, zwei, drei!"], ["alone", "well-known", "- ... !"]),
    ("words", {"at_least": 2, "at_most": 3}, ["a b", "a b c"], ["a", "a b c d"]),
    (
        "sentences",
        {"at_least": 2, "at_most": 2},
        ['He said "No!" Then he left.', "One costs 3.50 euros... Two more", "A.\nB."],
        ["Only one.", "One. Two. Three?", "no end"],
    ),
    ("sentences", {"at_least": 1, "at_most": 1}, ["It is 3.5 m.", "no end"], ["A. B", "?!. So"]),
    (
        "include",
        {"words": ["sea", "blue sky"]},
        ["The SEA and the blue\nsky.", "blue sky; sea"],
        ["The seaside has a blue sky.", "sea, sky, blue", ""],
    ),
    ("avoid", {"words": ["sea", "sky"]}, ["Seaside", "A lake."], ["The Sea.", "sky-high"]),
    (
        "order",
        {"words": ["egg", "pan"]},
        ["First the Egg, then the pan.", "egg pan egg"],
        ["The pan, then the egg.", "egg only", "pan egg pan"],
    ),
    (
        "begin",
        {"phrase": "Dear friend"},
        ["Dear friend, hello", '"dear  friend" he wrote'],
        ["Hello, dear friend", "Dear friends", "Dear"],
    ),
    (
        "end",
        {"phrase": "see you"},
        ["I will See you!", "see  you"],
        ["See you soon", "I foresee you", "you"],
    ),
    (
        "bullets",
        {"count": 2},
        ["- one\n- two", "Here:\n* one\n  and more\n* two\nDone."],
        ["- one", "- a\n- b\n- c", "1. one\n2. two", "-one\n-two", "one - two - three"],
    ),
    ("json", {}, ['{"a": 1}', ' ["x"]\n'], ["{}", '"text"', "3", 'So: {"a": 1}', "{a: 1}"]),
    ("lower_case", {}, ["all small, 3 words", "straße"], ["One capital", "123", "ÄÖ"]),
    ("upper_case", {}, ["ALL BIG, 3 WORDS", "ÄRGER"], ["ALL BiG", "123", "no"]),
    ("no_commas", {}, ["One; two", "yes"], ["One, two", "...", "1,000"]),
    ("language", {"language": "German"}, [GERMAN, GERMAN.upper()], [ENGLISH, FRENCH, "Guten Tag"]),
    ("language", {"language": "French"}, [FRENCH, FRENCH.lower()], [SPANISH, ITALIAN, "Bonjour"]),
    ("language", {"language": "Spanish"}, [SPANISH, SPANISH * 2], [FRENCH, ITALIAN, ENGLISH]),
    ("language", {"language": "Italian"}, [ITALIAN, ITALIAN * 2], [SPANISH, GERMAN, "123"]),
    ("language", {"language": "English"}, [ENGLISH, ENGLISH * 2], [GERMAN, FRENCH, "Hello there"]),
]


@pytest.mark.parametrize(("kind", "options", "right", "wrong"), TRIED)
def test_each_kind_on_right_and_wrong_answers(
    kind: str, options: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    constraint = {"kind": kind, **options}
    assert len(right) >= 2 and len(wrong) >= 2
    assert [answer for answer in right if not keeps(answer, constraint)] == []
    assert [answer for answer in wrong if keeps(answer, constraint)] == []


def test_every_kind_is_tried_and_asked_for() -> None:
    asked = Counter(c["kind"] for case in CASES for c in case.columns["constraints"])
    assert {kind for kind, *_ in TRIED} == set(CONSTRAINTS) == set(asked)
    assert min(asked.values()) >= 5


@pytest.mark.parametrize("kind", ["avoid", "no_commas", "words"])
def test_an_empty_answer_keeps_nothing(kind: str) -> None:
    options = {"words": ["sea"]} if kind == "avoid" else {}
    assert not keeps(" \n", {"kind": kind, **options})


# --- The prompts ------------------------------------------------------------------------------


def test_there_are_144_different_prompts_of_48_requests() -> None:
    assert len({case.id for case in CASES}) == len(CASES) == 144
    assert sum(case.category == "several" for case in CASES) >= 40
    assert all(1 <= len(case.columns["constraints"]) <= 3 for case in CASES)
    assert set(Counter(case.family for case in CASES).values()) == {3}


def test_they_are_the_same_ones_every_time() -> None:
    texts = [part for c in task.cases() for part in (c.prompt, repr(c.columns["constraints"]))]
    assert stable_hash(*texts)[:16] == "11fc244d40b56670"


def test_a_request_is_on_one_side_only() -> None:
    train, held_out = split(CASES, 0.4)
    assert not {case.family for case in train} & {case.family for case in held_out}


def test_the_prompt_says_what_is_checked() -> None:
    for case in CASES:
        for constraint in case.columns["constraints"]:
            said = [
                v
                for v in constraint.values()
                if isinstance(v, int | str) and v != constraint["kind"]
            ]
            said += constraint.get("words", []) if isinstance(constraint.get("words"), list) else []
            if constraint["kind"] == "sentences":
                said = [("one", "two", "three")[constraint["at_least"] - 1]]
            assert all(str(part) in case.prompt for part in said), case


def test_constraints_of_a_prompt_can_be_kept_together() -> None:
    for case in CASES:
        by_kind = {c["kind"]: c for c in case.columns["constraints"]}
        assert len(by_kind) == len(case.columns["constraints"])
        demanded = " ".join(
            [by_kind[kind]["phrase"] for kind in ("begin", "end") if kind in by_kind]
            + [
                word
                for kind in ("include", "order")
                if kind in by_kind
                for word in by_kind[kind]["words"]
            ]
        )
        if demanded and "avoid" in by_kind:
            assert keeps(demanded, by_kind["avoid"]), case
        if "words" in by_kind:
            assert len(words_of(demanded)) < by_kind["words"].get("at_most", 99), case


# --- Grades -------------------------------------------------------------------------------------


def _judges() -> dict[str, Program]:
    known = {f"instructions.{name}": function for name, function in task.PROGRAMS.items()}
    return {
        name: program(check.program, f"judges.{name}", {"constraints"}, known)
        for name, check in task.TASK.judges.items()
    }


def _grades(answer: str, constraints: Any) -> list[Score]:
    asked = Answered(Case("Q?", columns={"constraints": constraints}), answer)
    return [_judges()[name](asked) for name in ("share_kept", "all_kept")]


def test_share_and_all() -> None:
    constraints = [{"kind": "words", "at_most": 3}, {"kind": "upper_case"}]
    assert _grades("IN THREE WORDS", constraints) == [1.0, 1.0]
    assert _grades("in three words", constraints) == [0.5, 0.0]
    assert _grades("in four small words", constraints) == [0.0, 0.0]
    assert _grades("", constraints) == [0.0, 0.0]


def test_a_users_case_without_constraints_is_unscored() -> None:
    nothing = Unscored("program: gave None")
    assert _grades("An answer.", []) == _grades("An answer.", None) == [nothing, nothing]
    for judge in _judges().values():
        assert judge(Answered(Case("Q?"), "An answer.")) == nothing


def test_a_wrong_constraint_is_no_wrong_answer() -> None:
    for constraint, message in [
        (
            {"kind": "wrods"},
            "program: ValueError: no constraint is called 'wrods'; did you mean 'words'?",
        ),
        ({"kind": "words", "most": 3}, "program: TypeError: "),
    ]:
        for score in _grades("An answer.", [constraint]):
            assert isinstance(score, Unscored) and score.reason.startswith(message)


def test_the_programs_pass_their_trial() -> None:
    try_out(_judges(), CASES)
