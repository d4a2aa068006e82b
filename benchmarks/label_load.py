"""The labelling page under load: many annotators at once, and a server that is killed again and again.

python benchmarks/label_load.py                  50 annotators for 2 minutes, then 5 kills
python benchmarks/label_load.py --minutes 20 --kills 100

Every simulated annotator opens a task, waits as people do, saves a draft, and judges; some send twice,
some skip, some undo, and a lead looks at the overview. Afterwards the store is compared with what the
server acknowledged. Prints a table, or with --json one document: median and p95 of pages, drafts, saves
and the lead's overview, errors by kind. Exits with 1 where a judgement was lost or doubled, or on an error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from sqlalchemy import func, select

from truing.people import Store, open_store
from truing.people.annotators import add_annotator, describe_self
from truing.people.assigning import is_current
from truing.people.content import add_completion, add_prompt, add_task
from truing.people.tables import Assignment, Judgement

TOKEN = "the-token-of-the-lead"
KINDS_SHOWN = {
    "demonstration": 0,
    "rating": 1,
    "comparison": 2,
    "ranking": 4,
    "annotation": 0,
    "outcome": 1,
    "opinion": 4,
}
SPECIAL_EVERY = 20
"""Of so many tasks of a person one is skipped, one is sent twice and one is undone."""
PATIENCE_SECONDS = 300.0
"""A browser waits about so long for an answer; only a server that hangs takes longer."""


@dataclass
class Log:
    """What the annotators saw, together."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    """By kind: what was asked for, and the status or the exception that came."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, what: str, seconds: float) -> None:
        """Note how long a request of this sort took."""
        with self.lock:
            self.seconds.setdefault(what, []).append(seconds)

    def failed(self, how: str) -> None:
        """Count an error of this kind."""
        with self.lock:
            self.errors[how] += 1


def fill(store: Store, tasks: int, annotators: int) -> list[str]:
    """About so many tasks of all kinds but sets of questions, each for two people of two groups; the
    annotators' tokens."""
    with store.writing() as session:
        for number in range(tasks // len(KINDS_SHOWN) + 1):
            text = f"Prompt {number}: how would you explain number {number} to a friend?"
            messages = [{"role": "user", "content": text}]
            prompt = add_prompt(session, messages, source="load", consent="own")
            shown = [
                add_completion(session, prompt, f"candidate-{c}", f"Answer {c} to {number}. " * 20)
                for c in range(4)
            ]
            for kind, count in KINDS_SHOWN.items():
                add_task(session, kind, prompt, shown[:count], wanted=2, seed=1)
        people = [add_annotator(session, f"Annotator {n}") for n in range(annotators)]
        for number, (person, _) in enumerate(people):
            describe_self(session, person.id, {"region": "north" if number % 2 else "south"})
        return [token for _, token in people]


class Server:
    """`truing label` in a process of its own."""

    def __init__(self, store_name: str) -> None:
        command = "from truing.cli.main import main; main()"
        options = ["label", "--store", store_name, "--port", "0", "--token", TOKEN]
        self.process = subprocess.Popen(
            [sys.executable, "-c", command, *options], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        link = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        assert link, "the server didn't start"
        self.url = link[0]
        with httpx2.Client() as client:
            for _ in range(200):
                try:
                    client.get(f"{self.url}/health")
                    return
                except httpx2.TransportError:
                    time.sleep(0.05)
        raise AssertionError("the server doesn't answer")

    def kill(self) -> None:
        """As a power cut would, as far as the process is concerned."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_SECONDS)


def _field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    return found[1] if found else ""


def _said(kind: str, page: str, generator: random.Random) -> dict[str, str]:
    answers = {
        "demonstration": {"text": "An answer of some length. " * generator.randint(2, 30)},
        "rating": {"value": str(generator.randint(1, 7)), "true": "yes"},
        "comparison": {"preferred": generator.choice(["first", "tie", "second"])},
        "ranking": {f"rank-{n}": str(n + 1) for n in range(page.count('class="ranked"'))},
        "annotation": {"use_case": "open_qa", "ambiguous": "yes"},
        "outcome": {"outcome": "complied"},
        "opinion": {"choice": str(generator.randint(0, 3))},
    }
    return answers[kind]


class Annotator:
    """One person at work in a browser. The seed says when they do something out of the ordinary."""

    def __init__(self, server: Server, token: str, log: Log, seed: int) -> None:
        self.log = log
        self.generator = random.Random(seed)
        self.turn = seed
        self.client = httpx2.Client(
            base_url=server.url,
            timeout=PATIENCE_SECONDS,
            follow_redirects=True,
        )
        self.client.get("/", params={"token": token})  # from then on a cookie

    def request(self, what: str, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request with its redirects, timed; an error status is noted."""
        began = time.perf_counter()
        response = self.client.request(method, path, **more)
        self.log.took(what, time.perf_counter() - began)
        if response.status_code >= 400:
            self.log.failed(f"{what}: {response.status_code}")
        return response

    def send(self, path: str, fields: dict[str, str]) -> httpx2.Response:
        """Hand something in; a 200 is the acknowledgement that must hold for ever."""
        accept = {"Accept": "application/json"}
        response = self.request("save", "POST", path, data=fields, headers=accept)
        if response.status_code == 200:
            with self.log.lock:
                self.log.acknowledged.add(fields["submission"])
        return response

    def one_task(self, think: float) -> bool:
        """Open a task and finish it. False where nothing is left."""
        page = self.request("page", "GET", "/work")
        found = re.search(r'action="(/assignments/\d+)/judgement"', page.text)
        if not found:
            return False
        path, kind = found[1], _field(page.text, "kind")
        fields = {name: _field(page.text, name) for name in ("csrf", "submission", "kind")}
        fields |= _said(kind, page.text, self.generator)
        time.sleep(self.generator.expovariate(2 / think) if think else 0)
        self.request("draft", "POST", f"{path}/draft", data=fields)
        time.sleep(self.generator.expovariate(2 / think) if think else 0)
        special, self.turn = self.turn % SPECIAL_EVERY, self.turn + 1
        if special == 0:
            self.send(f"{path}/skip", {**fields, "reason": "unclear"})
            return True
        self.send(f"{path}/judgement", {**fields, "seconds": "1.5"})
        if special == 1:
            self.send(f"{path}/judgement", fields)
        elif special == 2:
            home = self.request("page", "GET", "/").text
            undo = re.search(r'action="(/judgements/\d+/undo)"', home)
            if undo:
                own = {"csrf": fields["csrf"], "submission": secrets.token_hex(16)}
                self.send(undo[1], own)
        return True

    def work(self, until: float, think: float, most: int | None = None) -> None:
        """Until the time is up, `most` tasks are done, nothing is left, or the server is gone."""
        time.sleep(self.generator.uniform(0, think))  # people don't all come at the same moment
        done = 0
        try:
            while done != most and time.monotonic() < until and self.one_task(think):
                done += 1
        except httpx2.TransportError as error:
            self.log.failed(f"no answer: {type(error).__name__}")
        finally:
            self.client.close()


def check(store: Store, acknowledged: set[str]) -> dict[str, Any]:
    """What the store has of what was acknowledged: lost, doubled, and rows in all."""
    with store.reading() as session:
        kept = Counter(session.scalars(select(Judgement.submission)))
        current = Counter(session.scalars(select(Judgement.assignment_id).where(is_current())))
        places = Counter(
            session.execute(
                select(Assignment.task_id, Assignment.slot).where(Assignment.slot.is_not(None))
            ).all()
        )
        rows = session.scalar(select(func.count()).select_from(Judgement))
    return {
        "rows": rows,
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - kept.keys()),
        "doubled": sum(n > 1 for n in (*kept.values(), *current.values(), *places.values())),
    }


def load(
    folder: Path, *, annotators: int, seconds: float, think: float, each: int | None = None
) -> dict[str, Any]:
    """Many annotators on one server, for a while or until everybody has done `each` tasks."""
    name = str(folder / "load.db")
    store = open_store(name)
    pace = annotators * (each or seconds / max(think, 0.05))
    tokens = fill(store, int(pace * 0.7) + 50, annotators)  # most are judged by two
    log, leads_log = Log(), Log()
    server = Server(name)
    until = time.monotonic() + seconds
    finished = threading.Event()

    def look() -> None:
        person = Annotator(server, TOKEN, leads_log, 0)
        while not finished.is_set():
            person.request("lead", "GET", "/lead")
            finished.wait(min(30.0, seconds / 3))
        person.client.close()

    try:
        with ThreadPoolExecutor(annotators + 1) as pool:
            leads = pool.submit(look)
            people = [Annotator(server, token, log, n) for n, token in enumerate(tokens)]
            for future in [pool.submit(person.work, until, think, each) for person in people]:
                future.result()
            finished.set()
            leads.result()
    finally:
        server.stop()
    result = check(store, log.acknowledged)
    store.close()
    taken = {**log.seconds, **leads_log.seconds}
    p95 = {what: round(1000 * float(np.quantile(times, 0.95)), 1) for what, times in taken.items()}
    median = {what: round(1000 * float(np.median(times)), 1) for what, times in taken.items()}
    return result | {
        "annotators": annotators,
        "seconds": seconds,
        "requests": sum(map(len, taken.values())),
        "load_average": round(os.getloadavg()[0], 1),
        "median_ms": median,
        "p95_ms": p95,
        "errors": dict(log.errors + leads_log.errors),
    }


def kills(folder: Path, *, times: int, annotators: int = 8) -> dict[str, Any]:
    """The server is killed under load so many times; whatever it acknowledged must be there."""
    name = str(folder / "kills.db")
    store = open_store(name)
    tokens = fill(store, 200 + 60 * times, annotators)
    log = Log()
    generator = random.Random(0)
    for number in range(times):
        server = Server(name)
        until = time.monotonic() + PATIENCE_SECONDS
        # How many are let through is drawn, not for how long: a slow machine is killed as often in
        # the middle of its work as a fast one.
        enough = len(log.acknowledged) + generator.randint(5, 25)
        with ThreadPoolExecutor(annotators) as pool:
            people = [
                Annotator(server, token, log, 1000 * number + n) for n, token in enumerate(tokens)
            ]
            futures = [pool.submit(each.work, until, 0.0) for each in people]
            while len(log.acknowledged) < enough and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(generator.random() * 0.02)
            server.kill()
            for future in futures:
                future.result()
    result = check(store, log.acknowledged) | {"kills": times}
    result["errors"] = {e: n for e, n in log.errors.items() if not e.startswith("no answer")}
    store.close()
    return result


def table(under_load: dict[str, Any], killed: dict[str, Any]) -> str:
    """Both results, for people."""
    lines = [f"{'':8}{'median':>10}{'p95':>10}"]
    for what, p95 in under_load["p95_ms"].items():
        lines.append(f"{what:8}{under_load['median_ms'][what]:>7} ms{p95:>7} ms")
    for name, part in (("load", under_load), ("kills", killed)):
        counts = ", ".join(f"{part[each]} {each}" for each in ("acknowledged", "lost", "doubled"))
        lines.append(f"{name}: {counts}, errors: {part['errors'] or 'none'}")
    return "\n".join(lines)


def main() -> int:
    """Run both and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--think", type=float, default=6.0, help="seconds a task takes a person")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON document, not a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        under_load = load(
            Path(folder),
            annotators=options.annotators,
            seconds=60 * options.minutes,
            think=options.think,
        )
        killed = kills(Path(folder), times=options.kills)
    if options.json:
        print(json.dumps({"load": under_load, "kills": killed}, indent=2))
    else:
        print(table(under_load, killed))
    whole = all(
        not part[name] for part in (under_load, killed) for name in ("lost", "doubled", "errors")
    )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
