"""A pool of workers that take packs from one queue.

Whoever is free takes the next pack, so that no worker waits for another. What a pack gives doesn't depend
on who ran it, and so a worker that dies costs the packs that it held: they go back to the front of the
queue, another takes them, and it is started anew. Finished packs are in the caller's hands at once, who
keeps them (`memo/`): only this process writes there, and workers need no disk in common.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from truing.models.engine.threads import workers as passes_at_once
from truing.models.pool.functions import Pack
from truing.models.pool.jobs import Job, JobQueue, PooledFiles, raised
from truing.models.pool.links import POOL, Link, Worker
from truing.models.pool.messages import KEPT, LinkLost, LinkSilent, Message
from truing.models.user_cache import ModelUnavailable
from truing.types import InputError

TRIES = 3
"""As often in a row a worker may fail to start, or to be reached, until it is given up."""
PATIENCE = 2.0
"""Seconds until the second try; each further one waits twice as long."""


@dataclass(eq=False)
class _Lane:
    """One of the packs that a worker runs at once."""

    worker: Worker
    link: Link | None = None
    opened: set[str] = field(default_factory=set)


class WorkerPool:
    """Workers with `threads` each, started as packs come; a context that ends them.

    Inside the context this process computes with as many threads, so that all figures are those of one
    process with so many. `tell` hears what the user should know. `device` is the kind that all compute on.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        threads: int,
        device: torch.device,
        tell: Callable[[str], object],
    ) -> None:
        self.workers, self.threads, self.device, self.tell = workers, threads, device, tell
        self.at_once = passes_at_once(device, threads)  # packs of a worker
        self.kinds: dict[str, Mapping[str, Any]] = {}
        """What each worker that was started says of itself."""

        # Every worker gets a pack before any gets two.
        self._lanes = [_Lane(worker) for _ in range(self.at_once) for worker in workers]
        self._started: list[threading.Thread] = []
        self._queue = JobQueue()
        self._about: dict[str, Mapping[str, Any]] = {}
        self._live: dict[str, int] = {}
        self._changing = threading.RLock()  # what is collected may call `release` at any time
        self._gone: dict[str, str] = {}
        self._told_of_fewer = self._closing = False
        self._threads_before = torch.get_num_threads()

    # --- What its users call -----------------------------------------------------------------

    def __enter__(self) -> WorkerPool:
        """Takes this process's threads down to a worker's."""
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the workers."""
        torch.set_num_threads(self._threads_before)
        self.close()

    def close(self) -> None:
        """Ends the workers and whatever they run."""
        self._closing = True
        self._queue.close(ModelUnavailable("workers: the pool was closed"))
        for lane in self._lanes:
            if lane.link is not None:
                lane.link.close()
        for worker in self.workers:
            worker.close()
        for thread in self._started:
            thread.join(10.0)

    def hold(self, model: PooledFiles) -> None:
        """Workers keep the model until `release` was called as often."""
        with self._changing:
            self._live[model.key] = self._live.get(model.key, 0) + 1

    def release(self, model: PooledFiles) -> None:
        """A worker that loads another model frees this one."""
        with self._changing:
            self._live[model.key] -= 1
            if not self._live[model.key]:
                del self._live[model.key]
                self._about.pop(model.key, None)

    def about(self, model: PooledFiles) -> Mapping[str, Any]:
        """What a worker says of the model; one loads it where none has."""
        if model.key not in self._about:
            for _ in self._answers([(model, None, self.threads)], packs_are_all=False):
                pass
        return self._about[model.key]

    def run(
        self, model: PooledFiles, packs: Iterable[tuple[Pack, int]]
    ) -> Iterator[tuple[int, Message]]:
        """Runs packs, each with its number of threads, and gives each answer with its pack's number, as
        they are finished. As many packs are taken ahead as keep all workers busy.

        Raises what a pack fails with; ModelUnavailable where no worker is left, or three died of one pack;
        InputError where a worker isn't fit to be one.
        """
        return self._answers((model, pack, threads) for pack, threads in packs)

    def record(self) -> dict[str, Any]:
        """For the record: how many workers, with how many threads, of which kinds."""
        kinds = sorted({str(about.get("kind", "")) for about in self.kinds.values()} - {""})
        return {"workers": len(self.workers), "threads": self.threads, "kinds": kinds}

    # --- The queue ---------------------------------------------------------------------------

    def _answers(
        self,
        asked: Iterable[tuple[PooledFiles, Pack | None, int]],
        *,
        packs_are_all: bool = True,
    ) -> Iterator[tuple[int, Message]]:
        source, ahead = iter(asked), 2 * len(self._lanes)
        finished: queue.SimpleQueue[Job] = queue.SimpleQueue()
        running: set[Job] = set()
        taken, exhausted = 0, False
        try:
            while True:
                coming: list[Job] = []
                while not exhausted and len(running) + len(coming) < ahead:
                    if (following := next(source, None)) is None:
                        exhausted = True
                        break
                    coming.append(Job(*following, taken, finished))
                    taken += 1
                if not running and not coming:
                    return
                self._start(len(running) + len(coming), all_known=exhausted and packs_are_all)
                running.update(coming)
                for job in coming:
                    self._queue.put(job)
                job = finished.get()
                running.discard(job)
                if job.error is not None:
                    raise job.error
                assert job.answer is not None
                yield job.number, job.answer
        finally:
            for job in running:
                job.cancelled = True

    def _start(self, packs: int, *, all_known: bool) -> None:
        """Starts workers until there are as many as packs, or all."""
        fewer = packs < len(self.workers) and len(self._started) < len(self.workers)
        if all_known and fewer and not self._told_of_fewer:
            self._told_of_fewer = True
            every = len(self.workers)
            self.tell(
                f"{packs} packs: {packs} of {every} workers are started."
                if packs > 1
                else f"1 pack: 1 of {every} workers is started."
            )
        self._start_lanes(packs)

    def _start_lanes(self, count: int) -> None:
        """Until there are so many, or all."""
        with self._changing:
            for lane in self._lanes[len(self._started) : count]:
                thread = threading.Thread(target=self._work, args=(lane,), daemon=True)
                self._started.append(thread)
                thread.start()

    # --- A worker's packs, in a thread of their own --------------------------------------------

    def _work(self, lane: _Lane) -> None:
        try:
            while not self._closing and self._linked(lane):
                while (job := self._queue.take()) is not None and self._answered(lane, job):
                    pass
        except BaseException as error:  # whoever waits must hear of it
            self._queue.close(error)

    def _linked(self, lane: _Lane) -> bool:
        """Whether the worker could be had, for which some tries are made."""
        for number in range(TRIES):
            if number:
                time.sleep(PATIENCE * 2 ** (number - 1))
            if self._closing:
                return False
            try:
                lane.link, about = lane.worker.link()
                lane.opened = set()
                self.kinds.setdefault(lane.worker.name, dict(about))
                return True
            except InputError as error:
                self._queue.close(error)
                return False
            except LinkLost as error:
                last = str(error)
        self._give_up(lane.worker, last)
        return False

    def _answered(self, lane: _Lane, job: Job) -> bool:
        """Has a job done. False where the worker died of it: it is somebody else's then."""
        assert lane.link is not None
        try:
            answer = self._asked(lane, lane.link, job)
            error = raised(answer, lane.worker.name)
        except LinkLost as lost:
            lane.link.close()
            hangs = isinstance(lost, LinkSilent)  # and was ended for it, perhaps
            self._put_back(lane, job, str(lost) if hangs else lane.worker.ended() or str(lost))
            return False
        job.end(answer, error)
        return True

    def _asked(self, lane: _Lane, link: Link, job: Job) -> Message:
        """The answer to a job."""
        while True:
            answer = self._opened(lane, link, job)
            if job.pack is None or raised(answer, lane.worker.name) is not None:
                return answer
            answer = link.ask(Message(job.run()))
            if "wants" not in answer.content:
                return answer
            lane.opened.discard(job.model.key)  # it was freed when nobody here had a use for it

    def _put_back(self, lane: _Lane, job: Job, why: str) -> None:
        if self._closing:
            job.end(None, ModelUnavailable("workers: the pool was closed"))
            return
        job.deaths.append(f"{lane.worker.name} ({why})")
        if (error := job.too_deadly()) is not None:
            job.end(None, error)
            return
        self.tell(f"{lane.worker.name} is gone ({why}); its pack is taken over.")
        self._queue.put(job, first=True)

    def _opened(self, lane: _Lane, link: Link, job: Job) -> Message:
        """The answer to a request to load the model; an empty one where it is loaded."""
        if job.model.key in lane.opened:
            return Message({})
        with self._changing:
            keep = list(self._live)
        opening = {
            **job.model.opening,
            "do": "open",
            "model": job.model.key,
            "keep": keep,
            "pool": POOL,
        }
        opening |= {"device": self._device_of(lane.worker), "threads": self.threads}
        answer = link.ask(Message(opening))
        if "wants" in answer.content:
            answer = link.ask(Message(opening, job.model.tensors))
        if raised(answer, lane.worker.name) is None:
            lane.opened.add(job.model.key)
            self._note_kind(lane.worker, job.model, answer.content)
        return answer

    def _device_of(self, worker: Worker) -> str:
        """Where a worker computes: on one of its cards each, in turn, where cards are used."""
        if self.device.type != "cuda":
            return self.device.type
        cards = [n for n in self.kinds[worker.name]["devices"] if n.startswith("cuda")]
        return cards[self.workers.index(worker) % len(cards)] if cards else "cuda"

    def _note_kind(self, worker: Worker, model: PooledFiles, about: Mapping[str, Any]) -> None:
        kind = f"{about['device']['name']} ({about['device']['description']})"
        with self._changing:
            self.kinds[worker.name] = {**self.kinds[worker.name], "kind": kind}
            first = self._about.setdefault(model.key, about) is about
        if first and about["note"] and not model.tensors:  # told of the model that it changes
            self.tell(str(about["note"]))

    def _give_up(self, worker: Worker, why: str) -> None:
        """A worker that can't be had any more; where it was the last, so is everything."""
        with self._changing:
            if worker.name in self._gone or self._closing:
                return
            self._gone[worker.name] = why
            all_gone = len(self._gone) == len(self.workers)
        if not all_gone:
            self.tell(f"{worker.name} can't be had any more ({why}); the others go on.")
            self._start_lanes(len(self._started) + 1)  # in its place
            return
        self._queue.close(
            ModelUnavailable(
                f"workers: none is left; {worker.name}: {why}. {KEPT}, once there are workers"
            )
        )
