"""Packs that workers run: the very bits of one process with as many threads, whoever dies meanwhile."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from pooled import WorkerHere, once, runs
from tiny import saved, texts
from truing.models import precision
from truing.models.engine.tree import PromptWithContinuations
from truing.models.language_model import LanguageModel
from truing.models.pool import build as build_module
from truing.models.pool import pool as pool_module
from truing.models.pool.links import ListeningWorker, LocalWorker, Worker
from truing.models.pool.messages import LinkLost, Message
from truing.models.pool.model_files import ModelFiles
from truing.models.pool.pool import WorkerPool
from truing.models.pool.pooled_model import PooledModel
from truing.models.sampling import Batch, Sampling, sample_each
from truing.models.scoring import score_each
from truing.models.user_cache import ModelUnavailable
from truing.types import InputError

CPU = torch.device("cpu")
SHARED = texts(9, [70])[0]  # long enough to be run once for all


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What workers in this process change of it comes back."""
    monkeypatch.setattr(pool_module, "PATIENCE", 0.01)
    before, granted = torch.get_num_threads(), precision._granted.bfloat16
    yield
    torch.set_num_threads(before)
    precision._granted.bfloat16 = granted
    precision.has_fast_bfloat16.cache_clear()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = saved(tmp_path_factory.mktemp("pool") / "model")
    return ModelFiles(folder, folder, "float32")


def batches() -> list[list[PromptWithContinuations]]:
    """Three, of which the second makes several packs and begins with tokens that are run once."""
    lengths = [40 + number % 60 for number in range(90)]
    rows = [
        PromptWithContinuations(prompt, texts(number, [3, 9, 1]))
        for number, prompt in enumerate(texts(1, lengths))
    ]
    alike = [PromptWithContinuations([*SHARED, *r.prompt], r.continuations) for r in rows]
    return [rows[:20], alike, rows[20:25]]


def drawn() -> list[Batch]:
    prompts = texts(2, [5 + number % 9 for number in range(150)])
    several = Batch(prompts[:70], [6] * 70, Sampling(6, seed=3, stop="e"), 4)
    return [several, Batch(prompts[70:], [3 + n % 4 for n in range(80)], Sampling(6, 0.0))]


def bits(model: LanguageModel) -> list[Any]:
    """Every number of scores and samples, in order."""
    scored = dict(score_each(model, batches()))
    sampled = dict(sample_each(model, drawn()))
    rows = [row for number in sorted(scored) for row in scored[number]]
    scores = [[each.token_log_probs.tolist() for each in row] for row in rows]
    return [scores, [sampled[n] for n in sorted(sampled)]]


def alone(files: ModelFiles, threads: int) -> list[Any]:
    torch.set_num_threads(threads)
    return bits(files.load())


def pooled(
    files: ModelFiles, workers: Sequence[Worker], threads: int = 1, told: list[str] | None = None
) -> list[Any]:
    tell: Callable[[str], object] = (told if told is not None else []).append
    with WorkerPool(workers, threads, CPU, tell) as pool:
        return bits(PooledModel(files, pool))


@pytest.mark.parametrize(("count", "threads"), [(1, 1), (3, 1), (2, 2)])
def test_bits_are_those_of_one_process(files: ModelFiles, count: int, threads: int) -> None:
    before = torch.get_num_threads()
    workers = [WorkerHere(f"w{number}") for number in range(count)]
    found = pooled(files, workers, threads)
    assert torch.get_num_threads() == before
    assert found == alone(files, threads)
    assert all(worker.links == min(2, threads) for worker in workers)  # each was of use


def test_who_dies_of_a_pack_leaves_it_to_another(files: ModelFiles) -> None:
    told: list[str] = []
    workers = [WorkerHere("w1", once(runs)), WorkerHere("w2")]
    assert pooled(files, workers, told=told) == alone(files, 1)
    assert told == ["w1 is gone (killed by the test); its pack is taken over."]
    assert workers[0].links == 2  # it came back


def test_a_pack_that_three_died_of_is_named(files: ModelFiles) -> None:
    def long(request: Any) -> bool:
        return runs(request) and len(request["request"]["prompts"][0]) > 100

    with pytest.raises(ModelUnavailable, match=r"3 died of the same pack \(scores of \d+ texts"):
        pooled(files, [WorkerHere("w1", long), WorkerHere("w2", long)])


def test_without_any_worker_it_is_said_how_to_go_on(files: ModelFiles) -> None:
    told: list[str] = []
    with pytest.raises(ModelUnavailable, match=r"none is left.*no such machine.*the same command"):
        pooled(files, [WorkerHere(f"w{n}", starts=False) for n in range(2)], told=told)
    assert len(told) == 1 and "the others go on" in told[0]


def test_one_that_can_not_be_had_costs_nothing(files: ModelFiles) -> None:
    workers = [WorkerHere("w1", starts=False), WorkerHere("w2")]
    assert pooled(files, workers) == alone(files, 1)
    with WorkerPool(workers, 1, CPU, print) as pool:  # one pack, and the first can't take it
        assert len(dict(score_each(PooledModel(files, pool), batches()[2:]))) == 1


def test_what_a_pack_fails_with_is_raised_here(files: ModelFiles, monkeypatch: Any) -> None:
    def ran_out(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr("truing.models.scoring._score_pack", ran_out)
    with pytest.raises(torch.OutOfMemoryError, match="w1: no memory"):
        pooled(files, [WorkerHere("w1")])


def test_where_memory_runs_out_once_passes_are_smaller_as_in_one_process(
    files: ModelFiles, monkeypatch: Any
) -> None:
    from truing.models import scoring

    whole, told = scoring._score_pack, list[str]()

    def narrow(model: LanguageModel, prefix: Any, pack: Any) -> Any:
        if len(pack) > 10:
            raise torch.OutOfMemoryError("no memory")
        return whole(model, prefix, pack)

    monkeypatch.setattr(scoring, "_score_pack", narrow)
    with WorkerPool([WorkerHere("w1")], 1, CPU, told.append) as pool:
        model = PooledModel(files, pool)
        model.room.tell = told.append
        found = dict(score_each(model, batches()[:1]))
        assert model.room.tokens < 4096
    assert len(told) == 1 and "passes are smaller" in told[0]
    expected = dict(score_each(files.load(), batches()[:1]))
    close = [
        torch.allclose(one.token_log_probs, other.token_log_probs, atol=1e-5)
        for row, others in zip(found[0], expected[0], strict=True)
        for one, other in zip(row, others, strict=True)
    ]
    assert all(close)


def test_more_workers_than_packs_are_not_started(files: ModelFiles) -> None:
    told: list[str] = []
    workers = [WorkerHere(f"w{number}") for number in range(5)]
    with WorkerPool(workers, 1, CPU, told.append) as pool:
        model = PooledModel(files, pool)
        for _ in range(2):
            assert len(dict(score_each(model, [batches()[0][:5], batches()[2]]))) == 2
    assert [worker.links for worker in workers] == [1, 1, 0, 0, 0]
    assert told == ["2 packs: 2 of 5 workers are started."]


def test_a_worker_with_other_weights_or_code_is_refused(
    files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(WorkerHere):
        def ask(self, request: Message) -> Message:
            content = dict(request.content)
            if content["do"] == "open":
                other = str(saved(tmp_path / "other", seed=5))
                content["files"] = {**content["files"], "weights": other, "tokenizer": other}
            return super().ask(Message(content))

    with pytest.raises(InputError, match="holds other weights or settings"):
        pooled(files, [Other("w1")])
    with pytest.raises(InputError, match=r"w1: has torch 0.1, but here is .*install the same"):
        build_module.check_build("w1", {**build_module.build(), "torch": "0.1"})


def test_weights_that_are_not_there_are_named(files: ModelFiles, tmp_path: Path) -> None:
    class Elsewhere(WorkerHere):
        def ask(self, request: Message) -> Message:
            content = dict(request.content)
            if content["do"] == "open":
                content["files"] = {**content["files"], "weights": str(tmp_path / "gone")}
            return super().ask(Message(content))

    with pytest.raises(InputError, match="gone isn't there; copy it to the same place"):
        pooled(files, [Elsewhere("w1")])


def test_a_model_that_was_freed_meanwhile_is_loaded_again(
    files: ModelFiles, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "other", seed=5)
    with WorkerPool([WorkerHere("w1")], 1, CPU, print) as pool:
        scores = []
        for each in (files, ModelFiles(folder, folder, "float32"), files):
            model = PooledModel(each, pool)  # the one before is nobody's any more
            ((_, rows),) = score_each(model, [batches()[2]])
            scores.append([row[0].token_log_probs.tolist() for row in rows])
    assert scores[0] == scores[2] != scores[1]


def test_messages_keep_every_bit_and_nothing_else_is_read() -> None:
    values = torch.tensor([float("nan"), float("-inf"), 1e-45, 0.1])
    message = Message({"a": [0.1 + 0.2, float("inf")]}, {"x": values, "none": torch.zeros(0)})
    back = Message.from_bytes(message.to_bytes())
    assert back.content == message.content
    assert back.tensors["x"].view(torch.int32).equal(values.view(torch.int32))
    for broken in (b"", message.to_bytes()[:-1], b"\0\0\0\2\0\0\0\0\0\0\0\0[]", b"\x80\4N." * 9):
        with pytest.raises(LinkLost):
            Message.from_bytes(broken)


@pytest.fixture(scope="module")
def processes() -> Iterator[list[LocalWorker]]:
    workers = [LocalWorker(number, 1) for number in range(1, 5)]
    yield workers
    for worker in workers:
        worker.close()


def test_processes_of_which_one_is_killed_give_the_same_bits(
    files: ModelFiles, processes: list[LocalWorker]
) -> None:
    expected, told = alone(files, 1), list[str]()
    draw = random.Random(20)
    for count in (4, 2):
        pool = WorkerPool(processes[:count], 1, CPU, told.append)
        torch.set_num_threads(1)
        model, at = PooledModel(files, pool), draw.randrange(4)
        killed = draw.choice(processes[:count])
        model.answered = _sending(model.answered, killed, signal.SIGKILL, at)  # type: ignore[method-assign]
        assert bits(model) == expected


def test_one_that_is_stopped_counts_as_dead_and_comes_to_life_again(
    files: ModelFiles, processes: list[LocalWorker]
) -> None:
    expected, told = alone(files, 1), list[str]()
    here = processes[:2]
    for each in here:
        each.silence = 2.0
        each.link()[0].close()  # it runs, and has a port
    elsewhere = [ListeningWorker("127.0.0.1", w._port, w._token, silence=2.0) for w in here]

    # Of those that listen, the stopped one is given up; its late answer is dropped, and it is of use again.
    pool = WorkerPool(elsewhere, 1, CPU, told.append)
    model, stopped = PooledModel(files, pool), here[0].pid
    model.answered = _sending(model.answered, here[0], signal.SIGSTOP, 0)  # type: ignore[method-assign]
    assert bits(model) == expected
    silent = f"{elsewhere[0].name} is gone (no sign of life for 2 s); its pack is taken over."
    assert silent in told
    assert stopped is not None
    os.kill(stopped, signal.SIGCONT)
    again = WorkerPool(elsewhere[:1], 1, CPU, told.append)
    assert bits(PooledModel(files, again)) == expected

    # A process of ours is ended, and started anew.
    pool = WorkerPool(here, 1, CPU, told.append)
    model = PooledModel(files, pool)
    model.answered = _sending(model.answered, here[0], signal.SIGSTOP, 0)  # type: ignore[method-assign]
    assert bits(model) == expected
    assert "worker 1 here is gone (no sign of life for 2 s); its pack is taken over." in told


def _sending(answered: Any, worker: LocalWorker, what: signal.Signals, at: int) -> Any:
    """The same answers; when the pack of that number is there, the process is sent a signal, once."""
    sent: list[int] = []

    def watched(packs: Any) -> Iterator[Any]:
        for number, answer in answered(packs):
            if number == at and (what is signal.SIGKILL or not sent):
                assert worker.pid is not None
                sent.append(worker.pid)
                os.kill(worker.pid, what)
            yield number, answer

    return watched
