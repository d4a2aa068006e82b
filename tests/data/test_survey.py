"""Surveys of every form: what is read, what is left out and why, what is refused."""

import gzip
import json
from pathlib import Path

import pytest

from truing.data.survey import Survey, SurveyQuestion, read_survey, write_survey
from truing.types import InputError

QUESTION = {
    "question": "How good is it?",
    "options": ["Good", "Middling", "Bad"],
    "scale": "equal",
    "refusals": ["Don't know"],
    "topic": "things",
    "source": "ours",
    "groups": {"country": {"Spain": {"shares": [0.5, 0.3, 0.2], "n": 100}}},
}


def written(folder: Path, *questions: dict[str, object]) -> Path:
    file = folder / "survey.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in questions), encoding="utf-8")
    return file


def reasons(survey: Survey) -> str:
    return " | ".join(f"{place}: {reason}" for place, reason in survey.unscored)


def only(survey: Survey) -> SurveyQuestion:
    (question,) = survey.questions
    return question


def test_own_form_is_read_and_written_alike(tmp_path: Path) -> None:
    survey = read_survey(written(tmp_path, QUESTION))
    question = only(survey)
    assert question.options == ("Good", "Middling", "Bad")
    assert question.scale == (0.0, 1.0, 2.0)
    assert question.groups["country"]["Spain"].shares == (0.5, 0.3, 0.2)
    assert (question.topic, question.source, question.refusals) == (
        "things",
        "ours",
        ("Don't know",),
    )
    write_survey(survey, tmp_path / "again.jsonl")
    assert read_survey(tmp_path / "again.jsonl").questions == survey.questions


@pytest.mark.parametrize("changed", ["question", "options", "scale", "topic", "groups"])
def test_the_id_depends_on_all_that_makes_a_question(tmp_path: Path, changed: str) -> None:
    other = {
        "question": "How bad is it?",
        "options": ["Good", "Middling", "Worse"],
        "scale": None,
        "topic": "else",
        "groups": {"country": {"Spain": {"shares": [0.5, 0.2, 0.3], "n": 100}}},
    }
    first = only(read_survey(written(tmp_path, QUESTION)))
    second = only(read_survey(written(tmp_path, {**QUESTION, changed: other[changed]})))
    assert first.id != second.id


def test_refusals_among_the_options_are_taken_out_of_options_scale_shares_and_n(
    tmp_path: Path,
) -> None:
    group = {"shares": [0.4, 0.3, 0.1, 0.2], "n": 50}
    asked = {**QUESTION, "options": ["Good", "Middling", "Bad", "don't know"]}
    question = only(
        read_survey(written(tmp_path, {**asked, "groups": {"country": {"Peru": group}}}))
    )
    assert question.options == ("Good", "Middling", "Bad")
    assert question.scale == (0.0, 1.0, 2.0)
    assert question.groups["country"]["Peru"].shares == pytest.approx((0.5, 0.375, 0.125))
    assert question.groups["country"]["Peru"].n == pytest.approx(40)


def test_equal_steps_are_equal_wherever_a_refusal_stands(tmp_path: Path) -> None:
    asked = {**QUESTION, "options": ["Good", "Don't know", "Middling", "Bad"], "scale": "equal"}
    group = {"shares": [0.4, 0.2, 0.3, 0.1], "n": 50}
    question = only(
        read_survey(written(tmp_path, {**asked, "groups": {"country": {"Peru": group}}}))
    )
    assert question.scale == (0.0, 1.0, 2.0)
    coded = CODEBOOK.replace(
        "{1: Yes, 2: No}, refusals: {9: Refused}",
        "{1: Yes, 9: Refused, 2: Perhaps, 3: No}, refusals: [Refused], scale: equal",
    )
    assert read_survey(codebook(tmp_path, coded)).questions[0].scale == (0.0, 1.0, 2.0)


def test_shares_that_are_rounded_sum_to_1(tmp_path: Path) -> None:
    groups = {"country": {"Peru": {"shares": [0.33, 0.33, 0.33], "n": None}}}
    question = only(read_survey(written(tmp_path, {**QUESTION, "groups": groups})))
    assert question.groups["country"]["Peru"].shares == pytest.approx((1 / 3,) * 3)


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ({"shares": [0.5, 0.3, 0.3], "n": 9}, "sum to 1.1, not to 1"),
        ({"shares": [50, 30, 20], "n": 9}, "not per cent"),
        ({"shares": [1.2, -0.2, 0], "n": 9}, "negative"),
        ({"shares": [0.5, 0.5], "n": 9}, "2 shares where there are 3 options"),
        ({"shares": [0.5, 0.3, 0.2], "n": 3}, "3 people; a group has at least 5"),
        ({"shares": [0.5, 0.3, 0.2], "n": 0}, "0 people"),
        ({"shares": [0.333334, 0.333334, 0.333334], "n": 9}, "sum to 1"),
    ],
)
def test_a_group_that_cannot_be_used_is_left_out_with_its_reason(
    tmp_path: Path, group: dict[str, object], reason: str
) -> None:
    groups = {"country": {"Spain": {"shares": [1, 0, 0], "n": 10}, "Peru": group}}
    survey = read_survey(written(tmp_path, {**QUESTION, "groups": groups}))
    assert list(only(survey).groups["country"]) == ["Spain"]
    assert reason in reasons(survey) and "country=Peru" in reasons(survey)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scale": [1, 2]}, "the scale has 2 positions where 3 options"),
        ({"question": "Which of the options above?"}, "mentions the order as printed"),
        ({"question": "As printed above, how good is it?"}, "mentions the order as printed"),
        ({"options": ["Good", "Bad", "None of the above"]}, "mentions the order as printed"),
        ({"options": ["Good", "Bad", "A and B only"]}, "mentions the order as printed"),
        ({"options": ["Good", "good", "Bad"]}, "stands twice"),
        ({"options": ["Good"], "groups": None}, "1 option(s)"),
        ({"question": "Good"}, "implausible"),
        ({"options": [f"{n}" for n in range(27)], "groups": None}, "27 options"),
        ({"groups": {"c": {"d": {"shares": [1, 1, 1], "n": 9}}}}, "no group with shares"),
        (
            {"groups": {"c": {str(n): {"shares": [0.7, 0.2, 0.1]} for n in range(5)}}},
            "implausible: all 5 groups by c have the same shares",
        ),
    ],
)
def test_a_question_that_cannot_be_measured_is_left_out_with_its_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    scale = {} if "scale" in change else {"scale": None}
    good = {**QUESTION, "question": "Another one?"}
    survey = read_survey(written(tmp_path, {**QUESTION, **scale, **change}, good))
    assert only(survey).question == "Another one?"
    assert reason in reasons(survey) and ":1" in reasons(survey)


def test_options_with_one_position_have_no_ordered_metric(tmp_path: Path) -> None:
    survey = read_survey(written(tmp_path, {**QUESTION, "scale": [1, 2, 2]}))
    assert only(survey).scale is None
    assert "no ordered metric: two options have the same position (2)" in reasons(survey)


def test_eleven_points_are_a_scale(tmp_path: Path) -> None:
    points = [str(each) for each in range(11)]
    question = only(
        read_survey(written(tmp_path, {"question": "?", "options": points, "scale": "equal"}))
    )
    assert question.scale == tuple(range(11)) and not question.groups


def test_what_is_asked_twice_counts_once(tmp_path: Path) -> None:
    survey = read_survey(written(tmp_path, QUESTION, {**QUESTION, "question": " How good IS it? "}))
    assert len(survey.questions) == 1
    assert "survey.jsonl:2: asked twice" in reasons(survey)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": 3}, "question"),
        ({"options": "Good"}, "options: a text stands here"),
        ({"scale": "printed"}, "scale: a text stands here"),
        ({"refusal": ["DK"]}, "refusal: unknown key; did you mean 'refusals'?"),
        ({"scale": ["low", 2, 3]}, "a text where a number belongs"),
        ({"groups": []}, "groups: a list stands here"),
        ({"groups": {"c": {"d": {"share": [1]}}}}, "groups.c.d.share: unknown key"),
        ({"groups": {"c": {"d": {"shares": [True, 0, 0]}}}}, "groups.c.d.shares"),
    ],
)
def test_a_file_in_no_form_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        read_survey(written(tmp_path, {**QUESTION, **change}))
    assert message in str(refused.value) and ":1" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_other_columns_are_no_survey(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,answer\na,b\n")
    with pytest.raises(
        InputError, match="no form of survey that is known; its columns: prompt, answer"
    ):
        read_survey(tmp_path / "a.csv")


ANSWERS = """q1,q2,party,wt
1,5,1,2.0
1,3,1,1.0
1,3,1,1
1,4,1,1
2,3,1,1
9,3,1,1
2,3,1,0
2,4,1.0,1
1,7,2,1
1,1,2,1
2,1,2,1
2,1,2,1
"""
CODEBOOK = """
responses: answers.csv
source: the village
weight: wt
questions:
  q1: {question: 'Is it good?', options: {1: Yes, 2: No}, refusals: {9: Refused}, topic: things}
  q2: {question: 'How much?', options: ['1', '3', '4', '5'], scale: [1, 3, 4, 5]}
groups:
  party: {1: Red, 2: Blue}
"""


def codebook(folder: Path, text: str = CODEBOOK, answers: str = ANSWERS) -> Path:
    (folder / "answers.csv").write_text(answers)
    (folder / "book.yaml").write_text(text)
    return folder / "book.yaml"


def test_respondents_are_counted_by_weight_and_group(tmp_path: Path) -> None:
    survey = read_survey(codebook(tmp_path))
    first, second = survey.questions
    assert first.options == ("Yes", "No") and first.scale is None and first.topic == "things"
    red = first.groups["party"]["Red"]
    assert red.shares == pytest.approx((5 / 7, 2 / 7))
    assert red.n == pytest.approx(49 / 9)  # Kish: (2 + 5 * 1)^2 / (4 + 5 * 1)
    assert "Blue" not in first.groups["party"]
    assert first.groups["overall"]["everybody"].shares == pytest.approx((7 / 11, 4 / 11))
    assert second.scale == (1.0, 3.0, 4.0, 5.0)
    assert "1 answer(s) that the codebook doesn't know (such as '7')" in reasons(survey)
    assert any("1 respondent(s) of weight 0" in each for each in survey.remarks)


def test_a_column_that_is_not_the_codebooks_is_implausible(tmp_path: Path) -> None:
    book = CODEBOOK.replace("{1: Yes, 2: No}", "{21: Yes, 22: No}")
    survey = read_survey(codebook(tmp_path, book))
    assert only(survey).question == "How much?"
    assert "implausible: 10 answer(s)" in reasons(survey) and "mis-joined" in reasons(survey)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("weight: wt", "weight: weights", "no column 'weights'"),
        ("party:", "partei:", "no column 'partei'"),
        ("scale:", "scales:", "questions.q2.scales: unknown key"),
        ("{1: Yes, 2: No}", "7", "questions.q1.options"),
        ("[1, 3, 4, 5]", "[1, 3, b, 5]", "a position that is no number"),
        ("responses: answers.csv", "responses: gone.csv", "no such file"),
        ("responses: answers.csv", "", "responses: missing"),
        ("1: Yes, 2: No", "1: Yes, 1.0: No", "a code that stands twice"),
    ],
)
def test_a_codebook_that_is_wrong_is_refused_by_field(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    with pytest.raises(InputError) as refused:
        read_survey(codebook(tmp_path, CODEBOOK.replace(before, after)))
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("weight", ["-1", "much", "inf"])
def test_a_weight_that_is_none_is_refused_by_line(tmp_path: Path, weight: str) -> None:
    answers = ANSWERS.replace("1,3,1,1.0", f"1,3,1,{weight}")
    with pytest.raises(InputError, match=r"answers\.csv:3: wt"):
        read_survey(codebook(tmp_path, CODEBOOK, answers))


def test_the_codebook_may_be_in_json(tmp_path: Path) -> None:
    codebook(tmp_path)
    book = {
        "responses": "answers.csv",
        "questions": {"q1": {"question": "Is it?", "options": {"1": "Yes", "2": "No"}}},
    }
    (tmp_path / "book.json").write_text(json.dumps(book))
    assert only(read_survey(tmp_path / "book.json")).groups["overall"]["everybody"].n == 11


SCALE = "- [Very good, Good, Bad]\n- {options: [Yes, No], positions: [1, 0]}\n"


def test_global_opinion_qa_as_published(tmp_path: Path) -> None:
    selections = "defaultdict(<class 'list'>, {'Spain': [0.5, 0.2, 0.1, 0.2], 'Peru': [0.7, 0.1]})"
    row = {
        "question": "How good?",
        "selections": selections,
        "options": "['Good', 'Bad', 'Very good', 'DK/Refused']",
        "source": "GAS",
    }
    survey = read_survey(written(tmp_path, row))
    question = only(survey)
    assert question.scale is None and question.refusals == ("DK/Refused",)
    assert question.groups["country"]["Spain"].shares == pytest.approx((0.625, 0.25, 0.125))
    assert "country=Peru: 2 shares where there are 4 options" in reasons(survey)
    (tmp_path / "scales.yaml").write_text(SCALE)
    scaled = read_survey(tmp_path / "survey.jsonl", tmp_path / "scales.yaml")
    assert only(scaled).scale == (1.0, 2.0, 0.0)
    assert "gives 1 question(s) a scale; 0 have none" in scaled.remarks[-1]


@pytest.mark.parametrize(
    "selections", ["__import__('os').getcwd()", "{'Spain': [0.5", "[1, 2]", "{" * 5000]
)
def test_what_is_printed_is_read_and_never_run(tmp_path: Path, selections: str) -> None:
    row = {"question": "How good?", "selections": selections, "options": "['Good', 'Bad']"}
    with pytest.raises(InputError, match="selections: no dictionary in it"):
        read_survey(written(tmp_path, row))


def by_country(
    country: str, shares: list[float], printed: str = "A. Good B. Bad"
) -> dict[str, object]:
    return {
        "question": f"Question: How good?\nOptions: {printed}\nAnswer:",
        "options": ["Good", "Bad"],
        "attribute": country,
        "gold_distribution": shares,
        "id": 1,
    }


def test_global_opinion_qa_by_country(tmp_path: Path) -> None:
    rows = [by_country("Spain", [0.5, 0.5]), by_country("Peru", [0.9, 0.1])]
    twice = [by_country("Chad", [0.9, 0.1]), by_country("Chad", [0.1, 0.9])]
    file = tmp_path / "rows.json.gz"
    file.write_bytes(gzip.compress(json.dumps([*rows, rows[0], *twice]).encode()))
    survey = read_survey(file)
    assert only(survey).question == "How good?"
    assert set(only(survey).groups["country"]) == {"Spain", "Peru"}
    assert "country=Chad: given twice with different shares" in reasons(survey)


def test_texts_with_other_options_are_mis_joined(tmp_path: Path) -> None:
    survey = read_survey(written(tmp_path, by_country("Spain", [0.5, 0.5], "A. Yes B. No")))
    assert not survey.questions and "mis-joined" in reasons(survey)


@pytest.mark.parametrize(
    "scales", ["7", "- [Good]", "- [a, b]\n- [b, a]", "- {options: [a, b], positions: [1, 1]}"]
)
def test_a_file_of_scales_that_is_wrong_is_refused(tmp_path: Path, scales: str) -> None:
    (tmp_path / "scales.yaml").write_text(scales)
    with pytest.raises(InputError, match=r"scales\.yaml"):
        read_survey(written(tmp_path, QUESTION), tmp_path / "scales.yaml")


def wave(folder: Path, ordinal: str = "[1.0, 2.5, 2.0]") -> Path:
    folder.mkdir()
    (folder / "info.csv").write_text(
        ",key,option_mapping,question,references,option_ordinal\n"
        f"0,Q_W1,\"{{}}\",\"Is it, really?\",\"['Good', 'Yes, bad', 'Between', 'Refused']\",\"{ordinal}\"\n"
        "1,GONE_W1,{},Not asked?,\"['a', 'b', 'Refused']\",\"[1, 2]\"\n"
    )
    (folder / "metadata.csv").write_text(",key,options\n0,SEX,\"['Male', 'Female']\"\n")
    rows = [f"{answer},Male,{weight}" for answer, weight in [("Good", 2)] * 5 + [("Refused", 1)]]
    rows += ['"Yes, bad",Female,1'] * 6 + [",Female,1"]
    (folder / "responses.csv").write_text("\n".join(["Q_W1,SEX,WEIGHT_W1", *rows]) + "\n")
    return folder


def test_opinion_qa_s_folder(tmp_path: Path) -> None:
    wave(tmp_path / "American_Trends_Panel_W1")
    survey = read_survey(tmp_path)
    question = only(survey)
    assert question.options == ("Good", "Yes, bad", "Between")
    assert question.scale == (1.0, 2.5, 2.0) and question.refusals == ("Refused",)
    assert question.groups["SEX"]["Male"].shares == (1.0, 0.0, 0.0)
    assert question.groups["SEX"]["Male"].n == pytest.approx(5)
    assert question.groups["overall"]["everybody"].shares == pytest.approx((10 / 16, 6 / 16, 0))
    assert question.topic == "American_Trends_Panel_W1"


def test_equal_ordinals_of_opinion_qa_are_no_scale(tmp_path: Path) -> None:
    assert only(read_survey(wave(tmp_path / "w", "[1, 1, 1]"))).scale is None


QUESTIONS = """
schema_version: 1
questions:
  - {id: q, text: 'Is it {options}?', options: [Good, {label: Bad, position: 3}]}
"""


def test_popfidelity_s_cells(tmp_path: Path) -> None:
    cells = "cell_id,question,option,share,n\nF|18,q,Good,0.25,40\nF|18,q,Bad,0.75,40\n"
    (tmp_path / "cells.csv").write_text(cells)
    with pytest.raises(InputError, match=r"no questions\.yaml beside it"):
        read_survey(tmp_path / "cells.csv")
    (tmp_path / "questions.yaml").write_text(QUESTIONS)
    question = only(read_survey(tmp_path / "cells.csv"))
    assert (question.question, question.scale) == ("Is it Good or Bad?", (0.0, 3.0))
    assert question.groups["cell"]["F|18"].shares == (0.25, 0.75)
    assert question.groups["cell"]["F|18"].n == 40
    (tmp_path / "cells.csv").write_text(cells + "F|18,q,Bad,0.7,40\n")
    with pytest.raises(InputError, match="twice; filter the table to one source first"):
        read_survey(tmp_path / "cells.csv")


def test_anes96(tmp_path: Path) -> None:
    columns = ["selfLR", "ClinLR", "DoleLR", "PID", "educ", "vote"]
    rows = ["\t".join(f"'{each}'" for each in columns), *["7\t1\t6\t6\t3\t1"] * 5]
    (tmp_path / "anes96.csv").write_text("\n".join(rows) + "\n")
    survey = read_survey(tmp_path / "anes96.csv")
    own = survey.questions[0]
    assert len(survey.questions) == 4 and own.options[6] == "Extremely conservative"
    assert own.groups["PID"]["Strong Republican"].shares == (0, 0, 0, 0, 0, 0, 1)
    assert "vote" not in survey.questions[3].groups
