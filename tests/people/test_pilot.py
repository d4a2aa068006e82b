"""What is kept of a pilot: only what was agreed to, without personal data, each text once."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from truing.people import Store
from truing.people.assigning import is_current
from truing.people.erasure import erase_user
from truing.people.pilot import compare, folded_hash, keep, rate
from truing.people.tables import Annotator, Asking, Base, Completion, Judgement, Prompt
from truing.types import InputError


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def count(store: Store, table: type[Base]) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_what_is_kept_is_masked_and_says_where_it_is_from(store: Store) -> None:
    messages = [*asked("Mail me@example.org"), {"role": "assistant", "content": "Or +44 20 7946 0958?"},
                *asked("Yes.")]  # fmt: skip
    kept = keep(store, messages, ["Done: me@example.org", " "], "sft", "wren")
    assert kept.completions[1] is None
    with store.reading() as session:
        prompt = session.get_one(Prompt, kept.prompt)
        assert [m["content"] for m in prompt.messages] == ["Mail [e-mail]", "Or [phone]?", "Yes."]
        assert (prompt.source, prompt.consent, prompt.user_key) == ("pilot", "given", "wren")
        completion = session.get_one(Completion, kept.completions[0])
        assert (completion.text, completion.candidate) == ("Done: [e-mail]", "sft")


def test_the_same_text_is_one_prompt_with_counts(store: Store) -> None:
    first = keep(store, asked("Why is it  so?"), ["a"], "sft", "wren")
    for text, user in (
        ("why is IT so", "wren"),
        ("Why is it so??\n", "robin"),
        ("ｗhy is it so", ""),
    ):
        assert keep(store, asked(text), ["b"], "sft", user).prompt == first.prompt
    assert keep(store, asked("Why isn't it so?"), ["b"], "sft", "wren").prompt != first.prompt
    with store.reading() as session:
        rows = session.scalars(select(Asking).where(Asking.prompt_id == first.prompt))
        assert {row.user_key: row.count for row in rows} == {"wren": 2, "robin": 1, "": 1}
    assert count(store, Prompt) == 2 and count(store, Completion) == 3
    assert folded_hash(asked("?!")) != folded_hash(asked("..."))
    assert folded_hash([{"role": "system", "content": "a"}]) != folded_hash(asked("a"))


def test_thumbs_and_picks_are_judgements_that_may_be_changed(store: Store) -> None:
    kept = keep(store, asked("Why?"), ["one", "two"], "sft", "wren")
    one, two = kept.completions
    assert one and two
    for thumb, submission in (
        ("up", "a" * 16),
        ("down", "b" * 16),
        ("up", "c" * 16),
        ("up", "c" * 16),
    ):
        rate(store, one, thumb, "wren", submission)
    compare(store, two, one, "first", "wren", "d" * 16)
    compare(store, one, two, "tie", "robin", "e" * 16)
    with store.reading() as session:
        rows = session.scalars(select(Judgement).where(is_current()).order_by(Judgement.id)).all()
        assert [row.kind for row in rows] == ["rating", "comparison", "comparison"]
        assert rows[0].rating and rows[0].rating.value == 7 and rows[0].revision == 3
        picked, tie = (row.comparison for row in rows[1:])
        assert picked and tie and tie.preferred == "tie"
        better = picked.first_id if picked.preferred == "first" else picked.second_id
        assert better == two
    for wrong in (lambda: rate(store, one, "sideways", "wren", "f" * 16),
                  lambda: rate(store, 999, "up", "wren", "f" * 16),
                  lambda: compare(store, one, one, "tie", "wren", "f" * 16),
                  lambda: compare(store, one, two, "both", "wren", "f" * 16)):  # fmt: skip
        with pytest.raises(InputError):
            wrong()
    assert count(store, Judgement) == 5


def test_a_user_can_be_erased_and_others_keep_what_they_asked_too(store: Store) -> None:
    ours = keep(store, asked("Why?"), ["one", "two"], "sft", "wren")
    mine = keep(store, asked("Where does the wren nest?"), ["three"], "sft", "wren")
    keep(store, asked("why"), ["four"], "sft", "robin")
    for completion, user in ((ours.completions[0], "wren"), (mine.completions[0], "wren"),
                             (ours.completions[1], "robin")):  # fmt: skip
        assert completion
        rate(store, completion, "up", user, f"{completion:08}{user}")
    erase_user(store, "wren")
    with store.reading() as session:
        (left,) = session.scalars(select(Prompt))
        assert left.id == ours.prompt and left.user_key == "robin"
        assert [each.user_key for each in session.scalars(select(Asking))] == ["robin"]
        assert [each.name for each in session.scalars(select(Annotator))] == ["pilot/robin"]
    assert count(store, Judgement) == 1
    erase_user(store, "robin")
    assert count(store, Prompt) == count(store, Judgement) == count(store, Asking) == 0
    with pytest.raises(InputError, match="no prompt has the key 'wren'"):
        erase_user(store, "wren")
