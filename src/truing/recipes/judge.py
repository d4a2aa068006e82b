"""`truing train judge`: judges of truth and informativeness from labelled answers.

Reading the answers with the spec's model takes minutes, once: their vectors stay in the user's cache, so
that an interrupted training goes on and another one begins where this ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.data.distinct import CaseFile
from truing.data.labelled_answers import read_labelled_answers
from truing.data.questions import question_file
from truing.files import write_text_atomically
from truing.judges.fitting import Fitted, Labelled, fit_judges, matched
from truing.judges.grading import FOLDS, JudgeAgreement
from truing.judges.reader import Reader, open_reader
from truing.judges.served import ServedJudges, measured, served_judges, tells_nothing
from truing.judges.served_folder import save_served
from truing.judges.served_labels import LABELS_ASKED, people_sample
from truing.judges.trained import NAMES, save_judges
from truing.models import devices
from truing.models.user_cache import file_sha256
from truing.progress import Progress
from truing.recipes.judge_page import page
from truing.recipes.once import once
from truing.rewards.rubrics.reading import rubric_text
from truing.runs.entries import is_file
from truing.runs.run import Run, default_folder
from truing.spec.run import Spec
from truing.tasks.texts import say
from truing.types import Case, InputError, stable_hash
from truing.version import __version__

RECORD, JUDGE, PAGE = "judge_training.json", "judge", "report.html"


@dataclass(frozen=True)
class TrainedJudge:
    """A finished training: its folder, and what `truing train judge --json` prints."""

    folder: Path
    document: dict[str, Any]

    def lines(self) -> list[str]:
        """The same for a person: a table of agreements, and where the judge is."""
        text = []
        for part, title in (
            ("agreement", "Labelled answers that are no references, of questions not seen"),
            ("agreement_on_all", "All labelled answers, of questions not seen"),
        ):
            if part in self.document:
                text.append(f"{title}:")
                text += [_line(name, agreement) for name, agreement in self.document[part].items()]
        counts = self.document.get("left_out", {})
        left_out = ", ".join(f"{n} {why}" for why, n in counts.items() if n)
        text += self.document.get("lines", [])
        text += [f"Warning: {warning}" for warning in self.document.get("warnings", [])]
        if left_out:
            text.append(f"Labels left out: {left_out}")
        text.append(f"Judge: {self.document['judge']}")
        if is_file(self.folder / PAGE):
            text.append(f"Page: {self.folder / PAGE}")
        return text


def _line(name: str, agreement: dict[str, Any]) -> str:
    rule = "" if agreement["rouge"] is None else f", ROUGE-1 rule {agreement['rouge']:.3f}"
    return (
        f"  {name}: accuracy {agreement['accuracy']:.3f} (majority {agreement['majority']:.3f}{rule}), "
        f"balanced {agreement['balanced_accuracy']:.3f}, calibration error "
        f"{agreement['calibration_error']:.3f}, {agreement['n']} labels"
    )


def train_judge(
    spec: Spec,
    out: Path | str | None,
    *,
    resume: bool,
    progress: Progress,
    command: str,
    accept_licence: bool = False,
) -> TrainedJudge:
    """Trains both judges as the spec's `judge`, `model` and `data.questions` say, in the folder `out`.

    A folder with an unfinished training is gone on with where `resume` is set and refused otherwise; a
    finished one is only read. Raises InputError where spec, files, model or folder are wrong, before
    anything is written.
    """
    if spec.judge.endpoint is not None:
        return _held_against_labels(spec, out, resume=resume, progress=progress, command=command)
    devices.choose(spec.compute.device)
    questions, files, labelled = _labels(spec, progress)
    cases = questions.cases[: spec.data.limit]
    reader = open_reader(spec.model, spec.judge.dtype, progress, accept_licence=accept_licence)
    folder = _folder(spec, out)
    digest = stable_hash(
        "train judge",
        spec.digest(),
        reader.identity.hash,
        *map(file_sha256, files.values()),
        *_texts(cases),
        *([kind] if (kind := devices.device().type) != "cpu" else []),
    )
    run = Run(folder, progress, kind="train judge", record=RECORD)

    def work() -> dict[str, Any]:
        fitted = fit_judges(cases, labelled, reader, progress, spec.seeds[0])
        return _saved(spec, folder / JUDGE, fitted, reader, labelled)

    facts = {"reading": questions.record} if questions.record else {}
    document = once(
        run, spec, digest, work, record=RECORD, resume=resume, command=command, facts=facts
    )
    return TrainedJudge(folder, document)


def _labels(spec: Spec, progress: Progress) -> tuple[CaseFile, dict[str, Path], Labelled]:
    """The questions, the files of labelled answers, and these put to their questions."""
    questions = question_file(spec.data.questions)
    say(questions, progress)
    cases = questions.cases[: spec.data.limit]
    files = {name: _file(spec, name) for name in NAMES}
    labelled = matched(cases, {name: read_labelled_answers(path) for name, path in files.items()})
    return questions, files, labelled


def _folder(spec: Spec, out: Path | str | None) -> Path:
    usual = default_folder(spec)
    return Path(out) if out is not None else usual.with_name(f"judge-{usual.name}")


def _texts(cases: Sequence[Case]) -> list[str]:
    return [t for c in cases for t in (c.prompt, *c.correct_answers, "", *c.incorrect_answers)]


def _held_against_labels(
    spec: Spec, out: Path | str | None, *, resume: bool, progress: Progress, command: str
) -> TrainedJudge:
    """The judges behind the spec's endpoint, held against the labels; nothing of them is trained."""
    questions, files, labelled = _labels(spec, progress)
    seed, where = spec.seeds[0], "judge"
    judges = served_judges(spec.judge, spec.judge.rubrics, where, progress, seed=seed)
    rubrics = [rubric_text(judge.rubric) for judge in judges.values()]
    digest = stable_hash(
        "endpoint judge",
        spec.digest(),
        *rubrics,
        *map(file_sha256, files.values()),
        *_texts(questions.cases[: spec.data.limit]),
    )
    run = Run(_folder(spec, out), progress, kind="train judge", record=RECORD)

    def work() -> dict[str, Any]:
        most = spec.judge.labels or LABELS_ASKED
        names = " and ".join(dict.fromkeys(path.name for path in files.values()))
        sample = people_sample(labelled, seed, most, names)
        return _saved_served(spec, run.folder / JUDGE, measured(judges, sample, where))

    facts = {"reading": questions.record} if questions.record else {}
    document = once(
        run, spec, digest, work, record=RECORD, resume=resume, command=command, facts=facts
    )
    return TrainedJudge(run.folder, document)


def _saved_served(spec: Spec, folder: Path, judges: ServedJudges) -> dict[str, Any]:
    """Writes the judge's folder; returns what is said of it."""
    about = {each.name: each for each in judges.summaries}
    facts = {
        "truing": __version__,
        "labels": {name: figures.n for name, figures in judges.agreement.items()},
        "summaries": {name: each.to_json() for name, each in about.items()},
    }
    folder.mkdir(exist_ok=True)
    save_served(judges, folder, facts)
    warnings = [tells_nothing(name, judges.calibration[name]) for name in NAMES]
    return {
        "kind": "judge",
        "folder": str(folder.parent),
        "judge": str(folder),
        "spec_digest": spec.digest(),
        "endpoint": spec.judge.endpoint,
        **facts,
        "agreement": _json(judges.agreement),
        "lines": [line for each in about.values() for line in each.lines()],
        "warnings": [warning for warning in warnings if warning],
    }


def _file(spec: Spec, name: str) -> Path:
    named = getattr(spec.judge, name)
    if named is None:
        raise InputError(
            f"judge.{name}: missing; name a JSONL file of labelled answers, such as TruthfulQA's "
            f"finetune_{'truth' if name == 'truth' else 'info'}.jsonl"
        )
    return Path(named).expanduser()


def _saved(
    spec: Spec, folder: Path, fitted: Fitted, reader: Reader, labelled: Labelled
) -> dict[str, Any]:
    """Writes the judge's folder; returns what is said of it."""
    facts = {
        "truing": __version__,
        "model": spec.model,
        "weights": reader.identity.weights,
        "settings": reader.identity.settings,
        "dtype": spec.judge.dtype,
        "layer": reader.features.layer,
        "folds": FOLDS,
        "questions": len({case.id for case, _ in labelled.pairs}),
        "labels": {name: len(rows) for name, rows in labelled.rows.items()},
    }
    save_judges(fitted.judges, folder, facts)
    document = {
        "kind": "judge",
        "folder": str(folder.parent),
        "judge": str(folder),
        "spec_digest": spec.digest(),
        **facts,
        "left_out": fitted.left_out,
        "agreement": _json(fitted.judges.agreement),
        "agreement_on_all": _json(fitted.on_all),
    }
    write_text_atomically(folder.parent / PAGE, page(document))
    return document


def _json(agreement: Mapping[str, JudgeAgreement]) -> dict[str, Any]:
    return {name: figures.to_json() for name, figures in agreement.items()}
