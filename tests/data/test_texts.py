from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import combinations
from typing import get_args

import pytest

from truing.data.texts import (
    Attack,
    Role,
    attacks,
    few_shot,
    instructions,
    uninformative_answers,
)
from truing.spec.reading import make_spec
from truing.spec.task import TaskSpec
from truing.types import InputError, normalised

ROLES: tuple[Role, ...] = get_args(Role)
FAMILIES = ("refusals", "ignorance", "hedges", "evasions", "topic_talk")


def words(text: str) -> list[str]:
    return re.findall(r"\w+(?:['’]\w+)*", text.casefold())


def jaccard(one: str, other: str) -> float:
    a, b = set(words(one)), set(words(other))
    return len(a & b) / len(a | b)


def near_duplicates(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [pair for pair in combinations(texts, 2) if jaccard(*pair) >= 0.75]


def sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?=\s|$)", text))


def all_uninformative() -> list[str]:
    return [text for family in uninformative_answers().values() for text in family]


def test_near_duplicates_are_seen() -> None:
    assert near_duplicates(["One short sentence, please.", "Please, one short sentence!"])
    assert not near_duplicates(["One short sentence, please.", "One long letter, please."])


# Instructions


@pytest.mark.parametrize("role", ROLES)
def test_enough_instructions_of_one_to_three_sentences(role: Role) -> None:
    texts = instructions(role)
    assert len(texts) >= 24
    assert [text for text in texts if not 1 <= sentences(text) <= 3] == []
    assert [text for text in texts if text != text.strip() or "\n" in text] == []


@pytest.mark.parametrize("role", ("helpful", "neutral"))
def test_short_form_is_asked_for(role: Role) -> None:
    brief = re.compile(
        r"short|brief|concise|compact|not long|\b(fifteen|dozen|ten) words|one sentence suffices"
        r"|few words"
    )
    lacking = [
        text
        for text in instructions(role)
        if "sentence" not in text.casefold() or not brief.search(text.casefold())
    ]
    assert lacking == []


def test_neutral_instructions_say_nothing_about_truth() -> None:
    truth = re.compile(r"tru(e|th)|fact|correct|accura|honest|careful|myth|sure|right|know|wrong")
    assert [text for text in instructions("neutral") if truth.search(text.casefold())] == []


def test_instructions_are_distinct_across_roles_and_from_the_task() -> None:
    texts = [text for role in ROLES for text in instructions(role)]
    assert near_duplicates(texts) == []
    assert normalised(TaskSpec().instruction) not in {normalised(text) for text in texts}


def test_unknown_role_is_refused() -> None:
    with pytest.raises(InputError, match=r"role: .*'kind'.*helpful, neutral, harmful"):
        instructions("kind")  # type: ignore[arg-type]


# Attacks


def test_enough_attacks_for_the_default_evaluation() -> None:
    assert len(attacks()) >= max(48, make_spec({}).evaluation.attacks)
    styles = Counter(attack.style for attack in attacks())
    assert len(styles) >= 8
    assert min(styles.values()) >= 3
    # Any first part of the list is spread as evenly over the styles as can be.
    for n in (4, 16, 40):
        first = Counter(attack.style for attack in attacks()[:n])
        assert len(first) == min(n, len(styles))
        assert max(first.values()) - (0 if n < len(styles) else min(first.values())) <= 1


def test_attack_names_canaries_and_wordings_are_distinct() -> None:
    assert len({attack.id for attack in attacks()}) == len(attacks())
    assert all(attack.id.startswith(attack.style) for attack in attacks())
    canary_words = [word for attack in attacks() for word in attack.canary.split()]
    assert len(set(canary_words)) == len(canary_words)
    templates = list(dict.fromkeys(attack.template for attack in attacks()))
    assert near_duplicates(templates) == []


def test_canaries_are_plain_phrases_absent_from_the_template() -> None:
    for attack in attacks():
        assert re.fullmatch(r"[a-z]{3,}( [a-z]{3,}){1,2}", attack.canary), attack.id
        other = attack.template.replace("{canary}", " ").replace("{question}", " ")
        assert not set(attack.canary.split()) & set(words(other)), attack.id


def test_no_canary_is_inside_another() -> None:
    for one, other in combinations(attacks(), 2):
        assert one.canary not in other.canary and other.canary not in one.canary


def test_the_question_comes_first_and_the_canary_follows() -> None:
    for attack in attacks():
        assert attack.template.startswith("{question}"), attack.id
        assert attack.template.count("{question}") == 1, attack.id
        assert attack.template.count("{canary}") >= 1, attack.id


def test_render_fills_both_slots() -> None:
    for attack in attacks():
        text = attack.render("Why is the sky blue?")
        assert text.startswith("Why is the sky blue?")
        assert attack.canary in text
        assert "{question}" not in text and "{canary}" not in text


def test_render_leaves_other_braces_alone() -> None:
    attack = Attack("x", "x", '{question} {"say": "{canary}", "n": {}}', "grey sponge")
    rendered = attack.render("What does {canary} or {0} mean in {question}?")
    assert rendered == (
        'What does {canary} or {0} mean in {question}? {"say": "grey sponge", "n": {}}'
    )


def test_only_its_own_canary_counts() -> None:
    for attack in attacks():
        holders = [other.id for other in attacks() if other.canary in attack.canary]
        assert holders == [attack.id]


# Uninformative answers


def test_enough_uninformative_answers_in_every_family() -> None:
    families = uninformative_answers()
    assert tuple(families) == FAMILIES
    assert min(len(texts) for texts in families.values()) >= 20
    assert len(all_uninformative()) >= 120


def test_uninformative_answers_are_single_sentences_of_varied_length() -> None:
    lengths = {text: len(words(text)) for text in all_uninformative()}
    assert {text: n for text, n in lengths.items() if not 3 <= n <= 20} == {}
    assert [text for text in lengths if sentences(text) != 1 or text[-1] not in ".?!"] == []
    for texts in uninformative_answers().values():
        own = [lengths[text] for text in texts]
        assert min(own) <= 5 and max(own) >= 14


def test_uninformative_answers_have_no_near_duplicates() -> None:
    assert near_duplicates(all_uninformative()) == []


def test_uninformative_answers_name_no_fact() -> None:
    for text in all_uninformative():
        assert words(text)[0] not in {"yes", "no", "true", "false"}, text
        assert not re.search(r"\d", text), text


# Few-shot demonstrations


def test_few_shot_is_a_balanced_mix_from_the_start() -> None:
    shots = few_shot()
    assert len(shots) == 24
    openings = [words(shot.answer)[0] for shot in shots]
    kinds = [opening if opening in {"yes", "no"} else "" for opening in openings]
    for start in range(0, len(shots), 4):
        assert Counter(kinds[start : start + 4]) == {"": 2, "yes": 1, "no": 1}


def test_few_shot_answers_are_one_short_sentence() -> None:
    for shot in few_shot():
        assert shot.question.endswith("?") and sentences(shot.question) == 1, shot
        assert shot.answer.endswith(".") and sentences(shot.answer) == 1, shot
        assert 4 <= len(words(shot.answer)) <= 12, shot


def test_few_shot_questions_are_distinct() -> None:
    assert near_duplicates([shot.question for shot in few_shot()]) == []


def built_in_questions() -> list[str]:
    """Every question of a built-in set with known false answers (not the few-shot file)."""
    found = []
    for path in sorted(files("truing.data").joinpath("built_in").iterdir(), key=lambda p: p.name):
        if path.name.endswith(".jsonl"):
            for line in path.read_text(encoding="utf-8").split("\n"):
                data = json.loads(line) if line.strip() else {}
                if "incorrect_answers" in data:
                    found.append(data["question"])
    return found


def test_few_shot_repeats_no_built_in_question() -> None:
    questions = built_in_questions()
    if not questions:
        pytest.skip("no built-in question set here")
    shots = [shot.question for shot in few_shot()]
    close = [(s, q) for s in shots for q in questions if jaccard(s, q) >= 0.75]
    assert close == []


# Frozen results


def test_results_are_frozen_and_read_once() -> None:
    assert attacks() is attacks() and few_shot() is few_shot()
    with pytest.raises(dataclasses.FrozenInstanceError):
        attacks()[0].canary = "other"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        few_shot()[0].answer = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        uninformative_answers()["refusals"] = ()  # type: ignore[index]
    assert all(isinstance(texts, tuple) for texts in uninformative_answers().values())
    assert all(isinstance(instructions(role), tuple) for role in ROLES)
