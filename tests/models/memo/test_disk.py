"""Stores on disk that several threads of a server use at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from truing.models.memo.answers import Answer, AnswerStore
from truing.models.memo.scores import ScoreStore


def test_other_threads_read_and_add(tmp_path: Path) -> None:
    answers, scores = AnswerStore(tmp_path / "answers.db"), ScoreStore(tmp_path / "scores.db")

    def work(number: int) -> tuple[Answer, float]:
        key = bytes([number]) * 32
        answers.add({key: Answer(f"answer {number}", True)})
        scores.add({key: number / 7})
        return answers.known([key])[key], scores.known([key])[key]

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(work, range(64)))
    assert done == [(Answer(f"answer {n}", True), n / 7) for n in range(64)]
    answers.close()
    scores.close()
