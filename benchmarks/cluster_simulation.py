"""Many workers and very many cases, simulated: does any component grow faster than the cases do?

Real, at its cost on this machine: forming packs, the keys of scores, messages as bytes, the queue of jobs
with its packs that come back, and the store (SQLite on this disk) with as many rows as so many cases leave
in it. Simulated: the workers' time for a pack, their deaths and starts, the network, and the clock, so that
64 workers need no 64 machines.

Each real component is measured at growing numbers of cases. Its exponent is the slope of log(cost) over
log(cases): 1 grows linearly. The simulation then runs a whole evaluation, with the coordinator busy for as
long as was measured with each pack, and says how busy the workers are, what failures cost, and whether the
coordinator or the workers are what the cluster waits for.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import queue
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from truing.models.engine.packing import packs
from truing.models.engine.tree import PromptWithContinuations
from truing.models.memo.scores import ScoreStore, score_key
from truing.models.pool.functions import ScorePack
from truing.models.pool.jobs import Job, JobQueue, PooledFiles
from truing.models.pool.messages import Message

MODEL = PooledFiles("simulated", {})


@dataclass(frozen=True)
class Assumptions:
    """What is assumed, and printed. Times in seconds, sizes in tokens or bytes."""

    cases: int = 10_000_000
    workers: int = 64
    packs_of_a_worker_at_once: int = 1
    prompt_tokens: int = 60
    continuations: int = 4
    continuation_tokens: int = 10
    seconds_of_a_pack: float = 2.0  # 4,096 tokens of the default model on one core
    spread_of_a_pack: float = 0.25  # of the logarithm: machines and texts differ
    hours_between_deaths: float = 6.0  # of one worker: spot instances, memory, power
    seconds_to_start: float = 40.0  # a process, its libraries and its weights
    network_bytes_a_second: float = 100e6
    network_latency: float = 0.001
    seed: int = 0


def requests(count: int, given: Assumptions) -> Iterator[PromptWithContinuations]:
    """Cases of random tokens; what they begin with alike is not to be reckoned on."""
    draw = np.random.default_rng(given.seed)
    for _ in range(count):
        length = int(draw.integers(given.prompt_tokens // 2, given.prompt_tokens * 3 // 2))
        behind = draw.integers(0, 49_000, (given.continuations, given.continuation_tokens))
        yield PromptWithContinuations(draw.integers(0, 49_000, length).tolist(), behind.tolist())


Measure = Callable[[Sequence[PromptWithContinuations], Assumptions], float]


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def forming_packs(asked: Sequence[PromptWithContinuations], given: Assumptions) -> float:
    """Seconds to form the packs of all cases."""
    return _timed(lambda: list(packs(asked, nested=True)))


def keys_of_scores(asked: Sequence[PromptWithContinuations], given: Assumptions) -> float:
    """Seconds to hash all contexts and continuations."""
    return _timed(
        lambda: [score_key("m", "float32", r.prompt, c) for r in asked for c in r.continuations]
    )


def messages(asked: Sequence[PromptWithContinuations], given: Assumptions) -> float:
    """Seconds to write all requests and to read all answers."""
    formed = list(packs(asked, nested=True))
    lengths = [sum(len(c) for r in pack for c in r.continuations) for pack in formed]
    answers = [Message({}, {"log_probs": torch.zeros(n)}).to_bytes() for n in lengths]

    def work() -> None:
        for pack, answer in zip(formed, answers, strict=True):
            score_pack = ScorePack(tuple(pack))
            Message(score_pack.request()).to_bytes()
            score_pack.result(Message.from_bytes(answer))

    return _timed(work)


def the_queue(asked: Sequence[PromptWithContinuations], given: Assumptions) -> float:
    """Seconds to pass all packs through the queue, one in a hundred twice."""
    count = len(list(packs(asked, nested=True)))
    finished: queue.SimpleQueue[Job] = queue.SimpleQueue()
    waiting = JobQueue()

    def work() -> None:
        for number in range(count):
            waiting.put(Job(MODEL, None, 1, number, finished))
            job = waiting.take()
            if job is not None and number % 100 == 0:
                waiting.put(job, first=True)
                job = waiting.take()
            assert job is not None
            job.end(Message({}))
            finished.get()

    return _timed(work)


MEASURED: dict[str, Measure] = {
    "forming packs": forming_packs,
    "keys of scores": keys_of_scores,
    "messages": messages,
    "queue": the_queue,
}


def filled_store(path: Path, rows: int, seed: int, at_once: int = 500_000) -> ScoreStore:
    """A store with so many rows, added in the order of their keys, the second half between those of the
    first: pages are then as full as they get where keys come in any order, not full to the brim."""
    store, draw = ScoreStore(path), np.random.default_rng(seed)
    connection, half = store._connection, rows // 2
    for start in [*range(0, half, at_once), *range(0, half, at_once)]:
        count = min(at_once, half - start)
        # The first 8 bytes of a key say where in the order it stands.
        places = (draw.random(count) * count + start) * (2.0**64 / half)
        heads = np.sort(np.minimum(places, 2.0**64 - 2048).astype(">u8")).tobytes()
        tails = draw.bytes(24 * count)
        keys = (heads[8 * n : 8 * n + 8] + tails[24 * n : 24 * n + 24] for n in range(count))
        with connection:
            connection.executemany("INSERT OR IGNORE INTO scores VALUES (?, 0.5)", zip(keys))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store


def store_seconds(rows: int, given: Assumptions, folder: Path, rounds: int = 300) -> float:
    """Seconds for each pack to be looked up in a store of so many rows, and added to it."""
    store = filled_store(folder / "scores.sqlite", rows, given.seed)
    draw = random.Random(given.seed)
    each = pack_cases(given) * given.continuations
    fresh = [{draw.randbytes(32): draw.random() for _ in range(each)} for _ in range(rounds)]

    def work() -> None:
        for values in fresh:
            store.known(list(values))
            store.add(values)

    seconds = _timed(work) / rounds
    store.close()
    (folder / "scores.sqlite").unlink()
    return seconds


def pack_cases(given: Assumptions) -> int:
    """Cases of a pack, as packs are really formed."""
    some = list(requests(2000, given))
    return max(1, round(len(some) / len(list(packs(some, nested=True)))))


def slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Of log(cost) over log(size), by least squares."""
    found = np.polyfit(np.log(sizes), np.log(costs), 1)
    return float(found[0])


@dataclass
class Outcome:
    """What the simulated evaluation came to."""

    packs: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    lost_packs: int = 0
    deaths: int = 0
    coordinator: float = 0.0


def simulate(given: Assumptions, coordinator_seconds: float, pack_bytes: float) -> Outcome:
    """One evaluation. The real queue hands out packs; workers and clock are events in a heap."""
    draw, found = random.Random(given.seed), Outcome()
    found.packs = math.ceil(given.cases / pack_cases(given))
    waiting, finished = JobQueue(), queue.SimpleQueue[Job]()
    lanes = given.workers * given.packs_of_a_worker_at_once
    ahead, next_pack, done, free_at = 2 * lanes, 0, 0, 0.0
    sending = 2 * given.network_latency + pack_bytes / given.network_bytes_a_second
    death = [_next_death(draw, given) for _ in range(lanes)]
    events = [(given.seconds_to_start, lane) for lane in range(lanes)]  # when a lane is free
    holds: list[Job | None] = [None] * lanes
    idle: list[int] = []
    queued = 0
    while done < found.packs:
        while queued < ahead and next_pack < found.packs:
            waiting.put(Job(MODEL, None, 1, next_pack, finished))
            next_pack, queued = next_pack + 1, queued + 1
        now, lane = heapq.heappop(events)
        if (job := holds[lane]) is not None:
            holds[lane] = None
            if now >= death[lane]:  # it died with the pack, which another takes over
                found.deaths, found.lost_packs = found.deaths + 1, found.lost_packs + 1
                job.deaths.append(f"worker {lane}")
                waiting.put(job, first=True)
                queued += 1
                for free in idle:
                    heapq.heappush(events, (now, free))
                idle.clear()
                death[lane] = now + given.seconds_to_start + _next_death(draw, given)
                heapq.heappush(events, (now + given.seconds_to_start, lane))
                continue
            free_at = max(free_at, now) + coordinator_seconds  # one thing after the other
            found.coordinator += coordinator_seconds
            done += 1
        if not queued:  # the last packs are elsewhere; one may come back
            idle.append(lane)
            continue
        holds[lane] = waiting.take()
        queued -= 1
        takes = given.seconds_of_a_pack * math.exp(draw.gauss(0.0, given.spread_of_a_pack))
        begun = max(
            now, free_at - ahead * coordinator_seconds
        )  # the coordinator is that far behind
        end = min(begun + sending + takes, max(death[lane], begun))
        found.busy += end - begun
        found.seconds = max(found.seconds, end)
        heapq.heappush(events, (end, lane))
    found.seconds = max(found.seconds, free_at)
    found.busy /= lanes * found.seconds
    return found


def _next_death(draw: random.Random, given: Assumptions) -> float:
    return draw.expovariate(1 / (3600 * given.hours_between_deaths))


def main() -> None:
    """Prints the assumptions, each component's growth, and the simulated evaluation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    for name, value in asdict(Assumptions()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = vars(parser.parse_args())
    as_json = options.pop("json")
    given = Assumptions(**options)
    sizes = [max(2000, given.cases // part) for part in (1000, 300, 100, 30)]
    asked = list(requests(sizes[-1], given))
    each = pack_cases(given)
    growth, per_pack = {}, 0.0
    for name, measure in MEASURED.items():
        costs = [min(measure(asked[:size], given) for _ in range(3)) for size in sizes]
        growth[name] = {
            "exponent": slope(sizes, costs),
            "microseconds_a_case": costs[-1] / sizes[-1] * 1e6,
        }
        per_pack += costs[-1] / sizes[-1] * each
    tracemalloc.start()
    kept = [
        (r, [score_key("m", "f", r.prompt, c) for c in r.continuations])
        for r in requests(2000, given)
    ]
    memory = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    del asked, kept
    rows = [max(10_000, given.cases * given.continuations // part) for part in (1000, 100, 10, 1)]
    with tempfile.TemporaryDirectory() as folder:
        stored = [store_seconds(count, given, Path(folder)) for count in rows]
    # The cost of one more pack; of all, the exponent is one more than its slope.
    growth["store"] = {
        "exponent": 1 + slope(rows, stored),
        "microseconds_a_case": stored[-1] / each * 1e6,
    }
    per_pack += stored[-1]
    pack_bytes = each * (given.prompt_tokens + given.continuations * given.continuation_tokens) * 6
    outcomes = {
        cases: simulate(Assumptions(**{**asdict(given), "cases": cases}), per_pack, pack_bytes)
        for cases in (given.cases // 100, given.cases // 10, given.cases)
    }
    exponent = slope(list(outcomes), [each.seconds for each in outcomes.values()])
    document = {
        "assumptions": asdict(given),
        "growth": growth,
        "cases_of_a_pack": each,
        "store_milliseconds_a_pack": {
            str(n): 1e3 * cost for n, cost in zip(rows, stored, strict=True)
        },
        "coordinator_milliseconds_a_pack": per_pack * 1e3,
        "coordinator_bytes_a_case": memory,
        "wall_clock_exponent": exponent,
        "outcomes": {str(cases): asdict(outcome) for cases, outcome in outcomes.items()},
        "most_workers": given.seconds_of_a_pack / per_pack,
    }
    if as_json:
        print(json.dumps(document, indent=2))
        return
    _show(document, given)


def _show(document: dict[str, object], given: Assumptions) -> None:
    print("Assumptions:")
    for name, value in asdict(given).items():
        print(f"  {name.replace('_', ' '):28s} {value:,}")
    print("\nMeasured here, at growing numbers of cases (exponent 1: linear):")
    for name, each in document["growth"].items():  # type: ignore[attr-defined]
        print(
            f"  {name:16s} exponent {each['exponent']:.3f}   {each['microseconds_a_case']:8.1f} us a case"
        )
    for count, cost in document["store_milliseconds_a_pack"].items():  # type: ignore[attr-defined]
        print(f"  store of {int(count):,} scores: {cost:.1f} ms a pack")
    print(
        f"\nThe coordinator: {document['coordinator_milliseconds_a_pack']:.1f} ms a pack of "
        f"{document['cases_of_a_pack']} cases, {document['coordinator_bytes_a_case']:,.0f} bytes a "
        f"case; it keeps {document['most_workers']:.0f} workers busy at most."
    )
    print("\nSimulated:")
    for cases, outcome in document["outcomes"].items():  # type: ignore[attr-defined]
        print(
            f"  {int(cases):12,d} cases: {outcome['seconds'] / 3600:8.2f} h, workers busy "
            f"{outcome['busy']:.1%}, {outcome['packs']:,} packs, {outcome['deaths']} deaths cost "
            f"{outcome['lost_packs']} packs in flight, coordinator busy "
            f"{outcome['coordinator'] / outcome['seconds']:.1%}"
        )
    print(f"  wall clock over cases: exponent {document['wall_clock_exponent']:.3f}")


if __name__ == "__main__":
    main()
