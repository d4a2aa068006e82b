"""Agreement against published examples, and the lead's figures against hand-made judgements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from people_work import ANSWERS, Someone, fill, kind_of, someone, submission, work
from truing.people import Store
from truing.people.annotators import describe_self
from truing.people.answers import Answer, shown_completions
from truing.people.assigning import next_assignment
from truing.people.contrasts import Alphas, group_contrasts
from truing.people.judging import record, skip
from truing.people.observations import current
from truing.people.overview import disagreements, matches_gold, progress_by_kind, workers
from truing.people.tables import Annotator, Assignment, Gold, Judgement
from truing.statistics.agreement import (
    Observation,
    Scale,
    Value,
    agreement_rate,
    column,
    confusion,
    krippendorff_alpha,
)


def table(*raters: Sequence[Value | None]) -> list[Observation]:
    return [
        Observation(unit, unit, rater, value)
        for rater, values in enumerate(raters)
        for unit, value in enumerate(values)
        if value is not None
    ]


# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", examples A, B and C to E.
BINARY = table([0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0])
NOMINAL = table(list("aabbdcccedda"), list("babbbccceddd"))
_ = None
FOUR = table(
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
)


@pytest.mark.parametrize(
    ("observed", "scale", "published"),
    [
        (BINARY, "nominal", 0.095),
        (NOMINAL, "nominal", 0.692),
        (FOUR, "nominal", 0.743),
        (FOUR, "ordinal", 0.815),
        (FOUR, "interval", 0.849),
    ],
)
def test_alpha_is_the_published_one(
    observed: list[Observation], scale: Scale, published: float
) -> None:
    found = krippendorff_alpha(observed, scale)
    assert found.value == pytest.approx(published, abs=6e-4)
    assert found.low is not None and found.high is not None
    assert found.low < found.value < found.high


def test_units_with_one_judgement_are_counted_apart() -> None:
    found = krippendorff_alpha(FOUR, "nominal")
    assert (found.n, found.unscored) == (11, 1)


def test_without_variation_or_pairs_there_is_no_alpha() -> None:
    same = krippendorff_alpha(table([1, 1, 1], [1, 1, 1]), "ordinal")
    assert (same.value, same.n) == (None, 3)
    lone = krippendorff_alpha(table([1, 2, 3]), "ordinal")
    assert (lone.value, lone.n, lone.unscored) == (None, 0, 3)
    one_task = [
        Observation("task", u, r, v) for u, r, v in [(0, 0, 1), (0, 1, 1), (1, 0, 2), (1, 1, 2)]
    ]
    alone = krippendorff_alpha(one_task, "nominal")
    assert (alone.value, alone.low, alone.high) == (1.0, None, None)


ratings = st.lists(
    st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=3, max_size=3),
    min_size=2,
    max_size=8,
)


@given(ratings)
def test_alpha_by_pairs_is_alpha_by_coincidences(units: list[list[int | None]]) -> None:
    """An oracle straight from the definition: mean distances over pairs within and over all."""
    observed = table(*np.array(units, dtype=object).T.tolist())
    kept = [[v for v in unit if v is not None] for unit in units]
    kept = [unit for unit in kept if len(unit) > 1]
    values = [v for unit in kept for v in unit]
    within = sum((a - b) ** 2 / (len(unit) - 1) for unit in kept for a in unit for b in unit) / max(
        1, len(values)
    )
    pairs = len(values) * (len(values) - 1)
    between = sum((a - b) ** 2 for a in values for b in values) / max(1, pairs)
    found = krippendorff_alpha(observed, "interval", resamples=5)
    if between == 0:
        assert found.value is None
    else:
        assert found.value == pytest.approx(1 - within / between)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """True alpha from a large draw; the 95 % interval of 60 units holds it about 95 % of the time."""

    def draw(generator: np.random.Generator, units: int) -> list[Observation]:
        truth = generator.integers(0, 2, units)
        flips = generator.random((3, units)) < 0.15
        return table(*np.where(flips, 1 - truth, truth).tolist())

    true = krippendorff_alpha(draw(np.random.default_rng(1), 20_000), "nominal", resamples=2).value
    assert true is not None
    held = 0
    for seed in range(100):
        found = krippendorff_alpha(
            draw(np.random.default_rng(100 + seed), 60), "nominal", resamples=300
        )
        assert found.low is not None and found.high is not None
        held += found.low <= true <= found.high
    assert 88 <= held <= 100


def test_confusion_counts_pairs() -> None:
    observed = table(["a", "b", "b"], ["a", "a", None], ["c", "b", None])
    counts = confusion(observed, 0)
    assert counts == {("a", "a"): 1, ("a", "c"): 1, ("b", "a"): 1, ("b", "b"): 1}
    assert agreement_rate(counts) == 0.5
    assert agreement_rate(confusion(observed, 9)) is None


def judge(store: Store, person: Someone, answer: Answer) -> int:
    assignment = next_assignment(store, person.id)
    assert assignment is not None
    kind = kind_of(store, assignment)
    return record(store, assignment, person.id, submission(), answer, kind=kind)


def test_comparisons_mean_the_same_whatever_order_they_were_seen_in(sqlite_store: Store) -> None:
    """Ten people prefer the same completion, shown first to some and second to others."""
    fill(sqlite_store, ["comparison"], wanted=10)
    for number in range(10):
        person = someone(sqlite_store, f"Person {number}")
        assignment = next_assignment(sqlite_store, person.id)
        assert assignment is not None
        with sqlite_store.reading() as session:
            shown = shown_completions(session.get_one(Assignment, assignment))
        preferred = "first" if shown[0].candidate == "good" else "second"
        said = Answer(preferred=preferred)
        record(sqlite_store, assignment, person.id, submission(), said, kind="comparison")
    with sqlite_store.reading() as session:
        found = current(session).columns()["comparison"].observations()
    assert {each.value for each in found} == {0} and len(found) == 10


def test_groups_that_differ_are_told_from_people_who_err(sqlite_store: Store) -> None:
    fill(sqlite_store, ["rating"], prompts=30, wanted=4)
    generator = np.random.default_rng(3)
    truth = {prompt: int(generator.integers(2, 5)) for prompt in range(1, 31)}
    people = []
    for name, group, shift in [
        ("A", "north", 0),
        ("B", "north", 0),
        ("C", "south", 3),
        ("D", "south", 3),
    ]:
        person = someone(sqlite_store, name)
        people.append(person)
        with sqlite_store.writing() as session:
            describe_self(session, person.id, {"Region": group, "": "ignored", "age": ""})
        while (assignment := next_assignment(sqlite_store, person.id)) is not None:
            with sqlite_store.reading() as session:
                prompt = session.get_one(Assignment, assignment).task.prompt_id
            value = Answer(value=truth[prompt] + shift)
            record(sqlite_store, assignment, person.id, submission(), value, kind="rating")
    with sqlite_store.reading() as session:
        found = current(session).columns()
        annotators = session.query(Annotator).all()
        alphas = Alphas(found)
        (contrast,) = group_contrasts(annotators, alphas)
    assert contrast.groups == ("north", "south") and contrast.question == "rating"
    assert [each.value for each in contrast.inside] == [1.0, 1.0]
    assert contrast.together.value is not None and contrast.together.value < 0.5
    assert contrast.together is alphas.of("rating")  # both groups are everybody: computed once
    (_, everybody), *others = alphas.by_question()
    assert everybody == krippendorff_alpha(found["rating"], "ordinal") and not others
    assert contrast.difference.value == -3
    assert contrast.differ

    noisy = [
        Observation(unit, unit, person.id, int(generator.integers(1, 8)))
        for unit in range(40)
        for person in people
    ]
    (contrast,) = group_contrasts(annotators, Alphas({"rating": column(noisy)}))
    assert not contrast.differ


def test_a_group_of_one_is_not_shown(sqlite_store: Store) -> None:
    people = [someone(sqlite_store, name) for name in "ABC"]
    for person, group in zip(people, ("x", "x", "y"), strict=True):
        with sqlite_store.writing() as session:
            describe_self(session, person.id, {"team": group})
    observed = [Observation(u, u, p.id, u % 2) for u in range(5) for p in people]
    with sqlite_store.reading() as session:
        annotators = session.query(Annotator).all()
        assert group_contrasts(annotators, Alphas({"rating": column(observed)})) == []


def test_the_leads_figures(sqlite_store: Store) -> None:
    fill(sqlite_store, ["rating"], prompts=12, wanted=2)
    lea, ada = someone(sqlite_store, "Lea", role="lead"), someone(sqlite_store, "Ada")
    golds = work(sqlite_store, lea, most=12)
    with sqlite_store.writing() as session:
        for judgement in golds[:4]:
            task = session.get_one(Judgement, judgement).assignment.task_id
            session.add(Gold(task_id=task, judgement_id=judgement))
    for number in range(11):  # Lea said 6 to all; Ada begins with 6 and ends with 2
        judge(sqlite_store, ada, Answer(value=6 if number < 6 else 2))
    last = next_assignment(sqlite_store, ada.id)
    assert last is not None
    skip(sqlite_store, last, ada.id, submission(), "unclear")

    with sqlite_store.reading() as session:
        record = current(session)
        said = record.said
        lead, worker = workers(session, said)
        (progress,) = progress_by_kind(session)
        worst = disagreements(record.columns())
    assert (lead.done, worker.done, worker.skipped, worker.today) == (12, 11, 1, 11)
    assert worker.seconds is None and lead.seconds is not None
    assert (progress.kind, progress.total) == ("rating", 24)
    right = [1.0 if each.value("rating") == 6 else 0.0 for each in said
             if each.annotator == ada.id and each.task in
             {g.task for g in said if g.id in golds[:4]}]  # fmt: skip
    assert worker.gold.value == np.mean(right) and worker.gold.n == len(right) and lead.gold.n == 0
    assert worker.leniency.value == pytest.approx(5 * -4 / 11)
    assert worker.leniency_change.value == -4.0
    assert len(worst) == 5 and all(set(each.values) == {2, 6} for each in worst)


def test_gold_forgives_a_step_and_needs_most_pairs(sqlite_store: Store) -> None:
    fill(sqlite_store, ["rating", "ranking", "annotation", "demonstration"], wanted=5)
    ada = someone(sqlite_store, "Ada")
    work(sqlite_store, ada)
    with sqlite_store.reading() as session:
        gold = {each.kind: each for each in current(session).said}

    def matched(kind: str, answer: Answer) -> bool | None:
        person = someone(sqlite_store, submission())
        while True:
            assignment = next_assignment(sqlite_store, person.id)
            assert assignment is not None
            found = kind_of(sqlite_store, assignment)
            said = answer if found == kind else ANSWERS[found]
            if found == "ranking" and kind == "ranking":
                with sqlite_store.reading() as session:
                    shown = shown_completions(session.get_one(Assignment, assignment))
                own = gold["ranking"].ranks()
                turn = (lambda r: r) if answer.preferred == "same" else (lambda r: 3 - r)
                said = Answer(ranks={p: turn(own[c.id]) for p, c in enumerate(shown)})
            made = record(sqlite_store, assignment, person.id, submission(), said, kind=found)
            if found == kind:
                with sqlite_store.reading() as session:
                    rows = {each.id: each for each in current(session).said}
                return matches_gold(rows[made], rows[gold[kind].id])

    assert matched("rating", Answer(value=5)) is True
    assert matched("rating", Answer(value=4)) is False
    assert matched("ranking", Answer(preferred="same")) is True
    assert matched("ranking", Answer(preferred="turned")) is False
