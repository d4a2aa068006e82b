"""Judges trained on labels: trees against scikit-learn, cross-fitting, the command, its mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier
from typer.testing import CliRunner, Result

from labelled import world, write_world
from tiny import plain, tokenizer
from truing.cli.main import app
from truing.data.labelled_answers import LabelledAnswer, read_labelled_answers
from truing.judges import stacked, trees
from truing.judges.fitting import Fitted, fit_judges, matched
from truing.judges.grading import Grade, fold_of
from truing.judges.reader import Reader, open_reader
from truing.judges.stacked import Answers, cross_fit
from truing.judges.trained import load_judges, save_judges
from truing.judges.trees import Trees
from truing.models.features import answer_features, middle_layer
from truing.models.memo.features import FeatureStore
from truing.progress import SilentProgress
from truing.recipes.judge_page import findings
from truing.types import Case, InputError, Unscored

CASES, ANSWERS = world()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-model")
    plain("llama").save_pretrained(folder)
    tokenizer(chat=True).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(trees, "TREES", 30)
    monkeypatch.chdir(tmp_path)


def files(answers: list[tuple[Case, str, int, int]]) -> dict[str, list[LabelledAnswer]]:
    return {
        "truth": [LabelledAnswer(c.prompt, a, bool(t)) for c, a, t, _ in answers],
        "informative": [LabelledAnswer(c.prompt, a, bool(i)) for c, a, _, i in answers],
    }


def fitted(reader: Reader, answers: list[tuple[Case, str, int, int]] = ANSWERS) -> Fitted:
    return fit_judges(CASES, matched(CASES, files(answers)), reader, SilentProgress(), 0)


@pytest.fixture
def reader(model: Path) -> Reader:
    return open_reader(str(model), "float32")


def test_trees_give_what_scikit_learn_gives() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 6))
    label = (rows[:, 0] * rows[:, 1] + rows[:, 2] + generator.normal(size=400) > 0).astype(int)
    oracle = HistGradientBoostingClassifier(max_iter=40, max_depth=4, random_state=0)
    oracle.fit(rows, label)
    unseen = np.concatenate([rows, generator.normal(size=(500, 6))])
    found = Trees.from_tensors(Trees.from_sklearn(oracle).tensors()).log_odds(unseen)
    np.testing.assert_allclose(found, oracle.decision_function(unseen), atol=1e-12)


def test_a_fold_of_judges_never_sees_its_own_labels() -> None:
    generator = np.random.default_rng(0)
    answers = Answers(
        generator.normal(size=(300, 8)).astype(np.float32), generator.normal(size=(300, 3))
    )
    label = (answers.vectors[:, 0] + answers.compared[:, 0] > 0).astype(int)
    fold = generator.integers(0, stacked.FOLDS, 300)
    judges, said = cross_fit(answers, label, fold, 0)
    assert ((said > 0.5) == label).mean() > 0.75
    turned = np.where(fold == 2, 1 - label, label)
    others, said_then = cross_fit(answers, turned, fold, 0)
    for name, array in judges[2].tensors().items():
        assert np.array_equal(array, others[2].tensors()[name]), name
    assert np.array_equal(said[fold == 2], said_then[fold == 2])
    assert not np.array_equal(said[fold != 2], said_then[fold != 2])
    with pytest.raises(ValueError, match="same label"):
        cross_fit(answers, np.where(fold == 2, label, 1), fold, 0)


def test_the_probe_is_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    generator = np.random.default_rng(0)
    answers = Answers(
        generator.normal(2, 3, size=(200, 5)).astype(np.float32), generator.normal(size=(200, 2))
    )
    label = (answers.vectors[:, 0] > 2).astype(int)
    fold = np.arange(200) % stacked.FOLDS
    judges, _ = cross_fit(answers, label, fold, 0)
    rest = fold != 0
    scaled = (answers.vectors - judges[0].mean) / judges[0].scale
    oracle = Ridge(alpha=stacked.PENALTY * rest.sum()).fit(scaled[rest], 2 * label[rest] - 1)
    np.testing.assert_allclose(judges[0].weights, oracle.coef_, atol=1e-5)
    np.testing.assert_allclose(judges[0].bias, [oracle.intercept_], atol=1e-5)


def test_judges_learn_and_come_back_from_their_folder(model: Path, reader: Reader) -> None:
    found = fitted(reader)
    truth, informative = (found.judges.agreement[name] for name in ("truth", "informative"))
    assert truth.n == 5 * len(CASES)  # without references and without 'I have no comment'
    assert truth.accuracy > truth.majority + 0.15
    assert informative.accuracy > 0.95
    assert found.on_all["truth"].n == len(ANSWERS)
    both = found.judges.calibration["both"]
    assert both.label.sum() == 2 * len(CASES) and len(both.label) == 5 * len(CASES)
    facts = {"model": str(model), "weights": reader.identity.weights, "dtype": "float32"}
    save_judges(found.judges, Path("judge"), facts)
    again = load_judges(Path("judge"), SilentProgress())
    asked = [(case, answer) for case, answer, *_ in ANSWERS] + [(CASES[0], ""), (Case("x?"), "y")]
    grades = found.judges.grade(asked)
    assert again.grade(asked) == grades
    assert again.agreement == found.judges.agreement
    assert all(isinstance(grades[-1 - n].true, Unscored) for n in range(2))
    assert all(np.array_equal(again.calibration[n].score, c.score) for n, c in
               found.judges.calibration.items())  # fmt: skip


def test_a_question_is_graded_by_judges_that_never_saw_it(reader: Reader) -> None:
    before = fitted(reader).judges
    own = fold_of(CASES[0])
    wrong = [
        (case, answer, 1 - true if fold_of(case) == own else true, informative)
        for case, answer, true, informative in ANSWERS
    ]
    after = fitted(reader, wrong).judges

    def truth(found: Grade) -> object:
        return found.true

    asked = [(case, answer) for case, answer, *_ in ANSWERS if fold_of(case) == own]
    assert list(map(truth, before.grade(asked))) == list(map(truth, after.grade(asked)))


def test_reading_is_remembered_and_exact(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(case.prompt, answer) for case, answer, *_ in ANSWERS[:24]]
    first = reader(pairs)
    network = reader.embedder.renderer.model
    oracle = answer_features(network, reader.embedder.requests(pairs), middle_layer(network))
    np.testing.assert_allclose(first, oracle, rtol=1e-3, atol=1e-3)
    from truing.models.memo import features as feature_store

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(feature_store, "answer_features", never)
    assert np.array_equal(reader(pairs[::-1])[::-1], first)
    assert np.array_equal(open_reader_like(reader)(pairs), first)


def open_reader_like(reader: Reader) -> Reader:
    """Another process's reader: the same file, opened anew."""
    from dataclasses import replace

    return replace(reader, features=replace(reader.features, store=FeatureStore()))


# --- The command ------------------------------------------------------------------------------


def train(model: Path, *options: str, **over: object) -> Result:
    spec = {
        "model": str(model),
        "data": {"questions": "questions.jsonl"},
        "judge": {"truth": "truth.jsonl", "informative": "info.jsonl"},
        **over,
    }
    Path("judge.yaml").write_text(yaml.safe_dump(spec))
    return CliRunner().invoke(app, ["train", "judge", "judge.yaml", *options])


def test_the_command_trains_says_how_well_and_gives_the_same_bytes(model: Path) -> None:
    write_world(Path(), CASES, ANSWERS)
    done = train(model, "--out", "one", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["kind"] == "judge" and document["questions"] == len(CASES)
    assert document["labels"] == {"truth": len(ANSWERS), "informative": len(ANSWERS)}
    assert document["agreement"]["truth"]["rouge"] is not None
    assert document["agreement"]["informative"]["rouge"] is None
    assert sorted(p.name for p in Path("one/judge").iterdir()) == [
        "judges.json",
        "judges.safetensors",
    ]
    assert train(model, "--out", "two").exit_code == 0
    for name in ("judges.safetensors", "judges.json"):
        assert Path("one/judge", name).read_bytes() == Path("two/judge", name).read_bytes()
    again = train(model, "--out", "one")
    assert again.exit_code == 0 and "is finished" in again.stderr
    assert "ROUGE-1 rule" in again.stdout and "Judge: one/judge" in again.stdout
    assert "Page: one/report.html" in again.stdout
    page = Path("one/report.html").read_text()
    assert "balanced accuracy" in page and "Labels of truth" in page and "<script" not in page
    strong = {"balanced_accuracy": 0.9, "accuracy": 0.9, "majority": 0.6, "n": 20}
    texts = [
        findings({"agreement": {"x": {**strong, "rouge": rouge}}})[0].text for rouge in (0.7, None)
    ]
    assert texts[0].endswith("better than the commoner label and ROUGE.")
    assert texts[1].endswith("better than the commoner label.")  # which has no rule of ROUGE


def test_an_interrupted_training_goes_on(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from truing.recipes import judge as judge_training

    write_world(Path(), CASES, ANSWERS)
    with monkeypatch.context() as broken:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        broken.setattr(judge_training, "fit_judges", die)
        assert train(model, "--out", "run").exit_code == 130
    refused = train(model, "--out", "run")
    assert refused.exit_code == 2 and "--resume" in refused.stderr
    assert train(model, "--out", "run", "--resume").exit_code == 0


def test_mistakes_end_with_one_message(model: Path) -> None:
    write_world(Path(), CASES, ANSWERS)
    both = {"truth": "truth.jsonl", "informative": "info.jsonl"}
    Path("bad.jsonl").write_text('{"prompt": "Q: a\\nA: b\\nTrue:", "completion": " maybe"}\n')
    Path("worse.jsonl").write_text('{"prompt": "a", "completion": " yes"}\n')
    Path("few.jsonl").write_text(Path("questions.jsonl").read_text().split("\n")[0])
    lines = Path("truth.jsonl").read_text().splitlines()
    Path("yes.jsonl").write_text("\n".join(line for line in lines if '" yes"' in line))
    Path("short.jsonl").write_text(lines[0])
    strange = json.dumps({"prompt": "Q: Who else?\nA: b\nTrue:", "completion": " yes"})
    Path("strange.jsonl").write_text(strange)
    for over, said in (
        ({"judge": {"truth": "truth.jsonl"}}, "judge.informative: missing"),
        ({"judge": {**both, "truth": "none.jsonl"}}, "none.jsonl: no such file"),
        ({"judge": {**both, "truth": "bad.jsonl"}}, "bad.jsonl:1: completion: must be"),
        ({"judge": {**both, "truth": "worse.jsonl"}}, "worse.jsonl:1: prompt: not in the form"),
        ({"judge": {**both, "truth": "yes.jsonl"}}, "known questions are labelled yes"),
        ({"judge": {**both, "truth": "strange.jsonl"}}, "none of its labelled answers is to"),
        ({"judge": dict.fromkeys(both, "short.jsonl")}, "answers to 1 questions are labelled"),
        ({"data": {"questions": "few.jsonl"}}, "has only 1 of the questions"),
        ({"judge": {**both, "depth": 3}}, "unknown key"),
    ):
        done = train(model, "--out", "untouched", **over)
        assert done.exit_code == 2, done.output
        assert said in done.stderr and "Traceback" not in done.stderr
    assert not Path("untouched").exists()


def test_a_folder_that_is_no_judge_is_refused(model: Path, reader: Reader) -> None:
    with pytest.raises(InputError, match="holds no judge"):
        load_judges(Path("nowhere"), SilentProgress())
    facts = {"model": str(model), "weights": reader.identity.weights, "dtype": "float32"}
    save_judges(fitted(reader).judges, Path("judge"), facts)
    record = json.loads(Path("judge/judges.json").read_text())
    for change, said in (
        ({"weights": "other"}, "other weights"),
        ({"version": 99}, "version: 99"),
    ):
        Path("judge/judges.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(InputError, match=said):
            load_judges(Path("judge"), SilentProgress())
    Path("judge/judges.json").write_text(json.dumps(record))
    Path("judge/judges.safetensors").write_bytes(b"short")
    with pytest.raises(InputError, match="not a whole judge"):
        load_judges(Path("judge"), SilentProgress())


def test_the_labelled_files_of_truthfulqa_are_read(shared_data: Path) -> None:
    for name, yes in (("finetune_truth", 9484), ("finetune_info", 18076)):
        found = read_labelled_answers(shared_data / "truthfulqa" / f"{name}.jsonl")
        assert len(found) == 22434 and sum(one.label for one in found) == yes
        assert len({one.question for one in found}) == 817
