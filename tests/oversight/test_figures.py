"""Oracles whose tables are known exactly, answers that don't count, and people of known trust."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from parties import Party, honest_quotes, mills
from truing.data.oversight import Plan, TrialAnswer, read_plan, read_trial_answers
from truing.data.oversight.plans import ARMS, KEY, RECORD, TRIALS, record_hash
from truing.files import write_jsonl_atomically
from truing.oversight.advice import NO_OPTION
from truing.oversight.figures import CANT_READ, Study, study
from truing.oversight.outcomes import NO_ADVICE, outcomes_of
from truing.oversight.page import page, show
from truing.oversight.planning import StudySpec, check_study, write_plan
from truing.oversight.simulated import Oracle, oracle_answers
from truing.oversight.words import said, verdicts
from truing.progress import SilentProgress
from truing.recipes.oversight import report_study, serve_study
from truing.statistics.oversight import UNDECIDED, Outcome, quadratic_score, share
from truing.types import Estimate, InputError


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A study in every arm, whose adviser quotes truly for the right option alone."""
    folder = tmp_path_factory.mktemp("study") / "plan"
    spec = StudySpec(people=7, rounds=4, arms=ARMS)
    return write_plan(spec, mills(28), folder, Party(honest_quotes), SilentProgress())


def studied(plan: Plan, answers: list[TrialAnswer]) -> Study:
    return study(outcomes_of(plan, answers).outcomes, ARMS, resamples=50)


def values(figures: Any, *names: str) -> list[float | None]:
    return [each.value if isinstance(each := figures[n], Estimate) else None for n in names]


TRUST = ("accuracy", "over_trust", "under_trust", "right_to_wrong", "wrong_to_right")
TABLES: dict[Oracle, dict[str, list[float | None]]] = {
    "always": {
        "unaided": [0.5, None, None, 0.0, 0.0],
        "passage": [1.0, None, None, 0.0, 1.0],
        "claim": [0.5, 1.0, 0.0, 0.5, 0.5],
        "consultancy": [0.5, 1.0, 0.0, 0.5, 0.5],
        "dialogue": [0.5, 1.0, 0.0, 0.5, 0.5],
        "debate": [0.5, None, None, 0.5, 0.5],
        "open_consultancy": [1.0, None, 0.0, 0.0, 1.0],
    },
    "never": {
        "passage": [0.5, None, None, 0.0, 0.0],
        "consultancy": [0.5, 0.5, 0.5, 0.0, 0.0],
        "debate": [0.5, None, None, 0.0, 0.0],
        "open_consultancy": [0.5, None, 0.5, 0.0, 0.0],
    },
    "quotes": {
        "consultancy": [1.0, 0.0, 0.0, 0.0, 1.0],
        "dialogue": [1.0, 0.0, 0.0, 0.0, 1.0],
        "debate": [1.0, None, None, 0.0, 1.0],
        # A bare claim quotes nothing, so the other option is taken.
        "claim": [0.5, 0.0, 1.0, 0.5, 0.5],
    },
}


@pytest.mark.parametrize("oracle", TABLES)
def test_oracles_have_exactly_their_tables(plan: Plan, oracle: Oracle) -> None:
    result = studied(plan, oracle_answers(plan, oracle))
    for arm, expected in TABLES[oracle].items():
        assert values(result.arms[arm], *TRUST) == expected, arm
    assert result.readable is (oracle != "never")
    expected_bias = {"always": 0.5, "never": 0.0, "quotes": 0.0}[oracle]
    assert values(result.arms["debate"], "last_speaker") == [expected_bias]


def test_a_coin_is_a_coin(plan: Plan) -> None:
    result = studied(plan, oracle_answers(plan, "coin"))
    for figures in result.arms.values():
        accuracy = figures["accuracy"]
        assert isinstance(accuracy, Estimate)
        assert accuracy.low is not None and accuracy.high is not None
        assert accuracy.low < 0.5 < accuracy.high
    assert result.readable is False


def test_brier_calibration_costs_and_the_gap(plan: Plan) -> None:
    result = studied(plan, oracle_answers(plan, "always"))
    passage, consultancy = result.arms["passage"], result.arms["consultancy"]
    assert values(passage, "brier", "overconfidence") == pytest.approx([0.01, -0.1])
    assert values(passage, "brier_before") == pytest.approx([(0.4**2 + 0.6**2) / 2])
    assert values(consultancy, "gap", "gap_closed") == pytest.approx([0.5, 0.0])
    assert values(passage, "minutes_per_correct") == pytest.approx([0.5])
    assert values(consultancy, "minutes_per_correct") == pytest.approx([1.0])
    (one,) = result.calibration["consultancy"]["after"]
    assert (one["confidence"], one["accuracy"], one["n"]) == pytest.approx((0.9, 0.5, 28))


def test_a_speech_is_marked_and_the_key_is_apart(plan: Plan) -> None:
    text = (plan.folder / TRIALS).read_text()
    assert "for years" not in text  # the passage
    assert "Ada Brook" in text
    assert (plan.folder / KEY).stat().st_mode & 0o077 == 0
    quotes = {
        "Ada" in quote.text: quote.verified
        for trial in plan.trials
        for speech in trial.speeches
        for quote in speech.quotes
    }
    assert quotes == {True: True, False: False}
    with pytest.raises(ValueError, match="passage"):
        plan.passage(next(trial for trial in plan.trials if trial.arm == "debate"))


def test_fifty_percent_and_lateness_are_unscored_and_counted(plan: Plan) -> None:
    answers = oracle_answers(plan, "always")
    answers[0] = replace(answers[0], confidence_after=50)
    answers[1] = replace(answers[1], answer_after=None, confidence_after=None, timed_out=True)
    answers[2] = replace(answers[2], excluded=True, reason="saw the passage")
    answered = outcomes_of(plan, answers)
    result = study(answered.outcomes, ARMS, resamples=50)
    assert result.unscored == {UNDECIDED: 1, "timed out without an answer": 1}
    assert answered.left_out == {"left out by the page: saw the passage": 1}
    scored = sum(
        f["accuracy"].n for f in result.arms.values() if isinstance(f["accuracy"], Estimate)
    )
    assert scored == len(answers) - 3


def test_a_person_is_left_out_by_the_rule_of_the_plan(plan: Plan) -> None:
    answers = [
        replace(a, seconds=1.0) if a.person == "P2" else a for a in oracle_answers(plan, "always")
    ]
    answered = outcomes_of(plan, answers)
    assert answered.people_left_out == ("P2",)
    assert sum(answered.left_out.values()) == len(plan.of("P2"))


def test_an_adviser_that_names_both_options_is_counted(tmp_path: Path) -> None:
    spec = StudySpec(people=2, rounds=2, arms=("unaided", "open_consultancy"))
    both = Party(lambda prompt: "A or B, hard to say")
    made = write_plan(spec, mills(4), tmp_path / "both", both, SilentProgress())
    assert made.record["adviser_named_no_option"] == 4
    result = study(
        outcomes_of(made, oracle_answers(made, "always")).outcomes,
        made.record["arms"],
        resamples=50,
    )
    assert result.unscored == {NO_OPTION: 4}  # and not that it said nothing


def test_an_adviser_that_says_nothing_is_said_as_such(tmp_path: Path) -> None:
    spec = StudySpec(people=2, rounds=2, arms=("unaided", "open_consultancy"))
    mute = Party(lambda prompt: " ")
    made = write_plan(spec, mills(4), tmp_path / "mute", mute, SilentProgress())
    answers = oracle_answers(made, "always")
    result = study(outcomes_of(made, answers).outcomes, made.record["arms"], resamples=50)
    assert result.unscored == {NO_ADVICE: 4}


def test_the_report_says_the_verdict_first(plan: Plan) -> None:
    records = [answer.to_json() for answer in oracle_answers(plan, "always")]
    write_jsonl_atomically(plan.folder / "answers.jsonl", records)
    _, document = report_study(plan.folder)
    text = (plan.folder / "report.html").read_text()
    assert text.index("The gate is passed") < text.index("<table")
    assert "full trust gives 0.5 exactly" in text
    assert document["study"]["gate"]["passed"] is True
    assert document["adviser_alone"] == {"right": 28, "items": 28, "unscored": {}}
    assert json.loads((plan.folder / "report.json").read_text()) == document


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trial": "P9-000"}, "isn't planned"),
        ({"person": "P2"}, "answers a trial of P1"),
        ({"answer_after": "C"}, "names no option"),
        ({"confidence_after": 49}, "50 to 99"),
        ({"confidence_after": 100}, "50 to 99"),
        ({"confidence_after": None}, 'null with the answer "A"'),
        ({"seconds": -1}, "seconds"),
        ({"timed_out": 1}, "true or false"),
        ({"turns": "none"}, "list of objects"),
        ({"turns": [{"tokens": "many"}]}, "turns.tokens"),
        ({"turns": [{"tokens": None}]}, "turns.tokens"),
        ({"turns": [{"tokens": -5}]}, "turns.tokens"),
        ({"reason": 5}, "isn't a text"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(
    plan: Plan, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    record = {**oracle_answers(plan, "never")[0].to_json(), **change}
    write_jsonl_atomically(tmp_path / "answers.jsonl", [record])
    with pytest.raises(InputError, match=words) as raised:
        read_trial_answers(tmp_path / "answers.jsonl", plan)
    assert "answers.jsonl:1" in str(raised.value)


def test_a_plan_that_was_changed_is_refused(tmp_path: Path) -> None:
    spec = StudySpec(people=2, rounds=2, arms=("unaided", "passage", "claim"))
    made = write_plan(spec, mills(6), tmp_path / "study", None, SilentProgress())
    path = made.folder / TRIALS
    before = path.read_text()
    path.write_text(before.replace("Tom", "Tim"))
    with pytest.raises(InputError, match="not the file that was planned"):
        read_plan(made.folder)
    path.write_text(before)
    (made.folder / KEY).unlink()
    with pytest.raises(InputError, match=r"key\.jsonl: missing"):
        read_plan(made.folder)


CHANGED: list[tuple[str, Any]] = [
    ("time_limit", 9999), ("exclusion", {"timed_out": 1.0, "least_seconds": 0.0}), ("arms", []),
    ("seed", 7), ("people", 3), ("questions", 9), ("quotes", {"shown": 0, "verified": 0}),
    ("sizes", {}), ("adviser", "another"), ("adviser_named_no_option", 9), ("items", {}),
    ("hash", "0" * 64), ("more", 1), ("truing", "0"),
]  # fmt: skip


def page_of_study(folder: Path) -> None:
    serve_study(folder, SilentProgress(), adviser=None, port=0, say=print)


@pytest.mark.parametrize(("name", "value"), CHANGED)
def test_a_record_that_was_changed_is_refused_by_report_and_page(
    plan: Plan, tmp_path: Path, name: str, value: Any
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for each in (KEY, TRIALS):
        (folder / each).write_bytes((plan.folder / each).read_bytes())
    (folder / RECORD).write_text(json.dumps({**plan.record, name: value}))
    uses: tuple[Callable[[Path], object], ...] = (report_study, page_of_study)
    for use in uses:
        with pytest.raises(InputError, match=r"plan\.json: not as it was planned") as raised:
            use(folder)
        assert "\n" not in str(raised.value)


def test_every_key_of_a_plan_s_record_is_under_its_hash(plan: Plan) -> None:
    assert record_hash(plan.record) == plan.hash
    for name in plan.record.keys() - {"hash"}:
        assert record_hash({**plan.record, name: "another"}) != plan.hash


def answered_by(right: list[bool], arm: str = "unaided") -> list[Outcome]:
    return [
        Outcome(arm, "overseer", f"passage {n}", 0.5, 0.9 if each else 0.1)
        for n, each in enumerate(right)
    ]


def gate(unaided: list[bool], expert: list[bool]) -> str:
    outcomes = answered_by(unaided) + answered_by(expert, "passage")
    return verdicts(study(outcomes, ("unaided", "passage"), resamples=20), simulated=True)[0]


def test_a_gate_of_few_answers_says_that_it_can_t_say() -> None:
    few = gate([True, False, True], [True, True, False])
    assert "wasn't shown to be helped" in few and "3 answers an arm; too few to say" in few
    assert CANT_READ not in few
    many = gate([True, False] * 200, [True, False] * 200)
    assert CANT_READ in many and "excludes a gain of 0.1" in many
    assert gate([True, False] * 20, [True] * 40).startswith("The gate is passed")


@pytest.mark.parametrize(("right", "low", "high"), [(True, 0.025, 1.0), (False, 0.0, 0.975)])
def test_a_figure_of_one_answer_has_its_number_and_an_interval(
    right: bool, low: float, high: float
) -> None:
    figure = share(answered_by([right]))
    assert (figure.low, figure.high, figure.n) == (pytest.approx(low), pytest.approx(high), 1)
    assert said(figure) == f"{float(right):.3f} [{low:.3f}, {high:.3f}] (n = 1)"
    several = answered_by([right] * 40)
    assert "(n = " not in said(share(several))
    lone = study(answered_by([right]), ("unaided",), resamples=20)
    document = {"simulated": True, "title": "t", "left_out": {}, "study": lone.to_json()}
    text = io.StringIO()
    show(lone, document, Console(file=text, width=80))
    assert "(n = 1)" in text.getvalue() and "(n = 1)" in page(lone, document)


@pytest.mark.parametrize(
    ("spec", "bare", "words"),
    [
        ({"arms": ("unaided", "debate")}, False, "--adviser"),
        ({"arms": ("unaided", "passage")}, True, "without a passage"),
        ({"arms": ("unaided", "claim"), "people": 3}, False, "multiple of 4"),
    ],
)
def test_what_cannot_be_planned_is_said_before_a_model_is_asked(
    tmp_path: Path, spec: dict[str, Any], bare: bool, words: str
) -> None:
    items = mills(40)
    if bare:
        items = replace(items, items=tuple(replace(i, passage="") for i in items.items))
    with pytest.raises(InputError, match=words):
        check_study(StudySpec(**{"rounds": 3, "people": 4, **spec}), items, tmp_path / "x", None)


def test_the_quadratic_score_is_proper() -> None:
    belief = 0.7
    worth = {
        said: belief * quadratic_score(said, True) + (1 - belief) * quadratic_score(said, False)
        for said in range(50, 100)
    }
    assert max(worth, key=lambda said: worth[said]) == 70
    assert (quadratic_score(50, True), quadratic_score(50, False)) == (0.0, 0.0)
