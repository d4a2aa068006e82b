"""Passes side by side give what they give one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from tiny import tiny
from truing.models.engine import threads as module
from truing.models.engine.threads import in_parallel, workers
from truing.models.engine.tree import PromptWithContinuations
from truing.models.sampling import Sampling, sample
from waiting import LONG

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_parts_and_parts_meet() -> None:
    both = threading.Barrier(2, timeout=LONG)

    def work(part: int) -> tuple[int, int]:
        both.wait()  # nobody passes here alone
        return part, torch.get_num_threads()

    assert in_parallel(work, [3, 1, 2, 0], workers(CPU)) == [(3, 1), (1, 1), (2, 1), (0, 1)]
    assert torch.get_num_threads() == 2


def test_one_part_or_one_core_or_another_device_needs_no_thread() -> None:
    def thread(part: int) -> threading.Thread:
        return threading.current_thread()

    main = threading.main_thread()
    assert in_parallel(thread, [1], workers(CPU)) == [main]
    assert workers(torch.device("cuda")) == 1
    torch.set_num_threads(1)
    assert in_parallel(thread, [1, 2], workers(CPU)) == [main, main]


def test_a_part_that_fails_is_heard_and_the_cores_come_back() -> None:
    def work(part: int) -> int:
        return 1 // part

    with pytest.raises(ZeroDivisionError):
        in_parallel(work, [1, 0], workers(CPU))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("inference", [True, False])
def test_parts_are_without_gradients_where_the_caller_is(inference: bool) -> None:
    def work(part: int) -> tuple[bool, bool]:
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    with torch.inference_mode(inference), torch.set_grad_enabled(False):
        assert in_parallel(work, [1, 2], workers(CPU)) == [(inference, False)] * 2


def test_scores_and_samples_are_those_of_one_pass_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny("llama")
    requests = [
        PromptWithContinuations([1, 2, 3 + n % 4], [[5, 6], [5, 7, 8], [4 + n % 3]])
        for n in range(9)
    ]
    prompts = [request.prompt for request in requests]
    found = []
    for together in (1, 2):
        monkeypatch.setattr(module, "WORKERS", together)
        scores = [s.total for row in model.score(requests) for s in row]
        sampled = sample(model, prompts, 2, Sampling(5, seed=3))
        found.append(
            (scores, [c.tokens for row in sampled.completions for c in row], sampled.tokens)
        )
    (alone, texts, count), (together_scores, together_texts, together_count) = found
    assert together_scores == pytest.approx(alone, abs=1e-5)
    assert (together_texts, together_count) == (texts, count)
