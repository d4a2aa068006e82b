"""What `truing eval` says of the files that it reads, and what stands in its document."""

from __future__ import annotations

from pathlib import Path

from truing.data.distinct import REPEATED
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.run import plan_sweep, run_sweep
from truing.progress import SilentProgress


class Noted(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_what_is_left_out_of_files_is_said_once_and_stands_in_the_document(tmp_path: Path) -> None:
    path = tmp_path / "art_test.csv"
    path.write_text("Warm?;red;blue;green;grey;A\n" * 3)
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"prompt": "Warm?", "answer": "red"}\n')
    spec = SweepSpec(
        evaluations=("trivia", "truthfulness"),
        candidates=(f"answers:{answers}",),
        controls=(str(path),),
        questions=str(path),
    )
    progress = Noted()
    result = run_sweep(plan_sweep(spec), progress)
    said = "read as columns separated by semicolons"
    assert progress.notes[:3] == [
        f"{path}: {said}",
        f"{path}: 3 questions read",
        f"{path}: left out: 2 {REPEATED}",
    ]
    assert len(set(progress.notes)) == len(progress.notes)
    for about in result.to_json()["questions"].values():
        assert about["n"] == 1
        assert about["reading"] == {"left_out": {REPEATED: 2}, "remarks": [said]}
