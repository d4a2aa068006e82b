"""Drawing prompts for labelling: from the seed, spread over use cases, so many of each user at most."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.files import write_jsonl_atomically
from truing.people.assigning import is_current
from truing.people.content import stored_completion, stored_prompt
from truing.people.exchange.importing import Asked, ask_about
from truing.people.store import Store
from truing.people.suggesting import suggest
from truing.people.tables import Annotation, Asking, Assignment, Completion, Judgement, Prompt, Task
from truing.people.vocabulary import ABOUT_ANSWERS, CONSENTS
from truing.types import InputError, did_you_mean, stable_hash

SHARES = ("proportional", "equal")


@dataclass(frozen=True)
class DrawSpec:
    """Which prompts are drawn, and how.

    `shares` proportional: as many of each use case as there are; equal: as evenly as there are enough.
    Prompts without a user count as one user's. Kinds in `ask` become tasks for `wanted` people each;
    prompts that have such a task already aren't drawn again.
    """

    count: int
    per_user: int = 20
    shares: str = "proportional"
    sources: Sequence[str] = ("pilot",)
    consents: Collection[str] = ("given", "own", "public")
    ask: Sequence[str] = ()
    wanted: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("count", "per_user", "wanted"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')}: must be at least 1")
        if self.shares not in SHARES:
            raise InputError(f"--shares: no {self.shares!r}; give {' or '.join(SHARES)}")
        for kind in self.ask:
            if kind not in ABOUT_ANSWERS:
                hint = did_you_mean(kind, ABOUT_ANSWERS)
                raise InputError(
                    f"--ask: no {kind!r}; {hint}give one of {', '.join(ABOUT_ANSWERS)}"
                )
        for consent in self.consents:
            if consent not in CONSENTS:
                hint = did_you_mean(consent, CONSENTS)
                raise InputError(
                    f"--consent: no {consent!r}; {hint}give one of {', '.join(CONSENTS)}"
                )


@dataclass
class Drawn:
    """The prompts as rows, use cases in the store and in the draw, and how many tasks were made."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    tasks: int = 0

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "prompts": len(self.rows),
            "tasks": self.tasks,
            "use_cases": {
                name: {"found": count, "drawn": self.drawn[name]}
                for name, count in sorted(self.found.items())
            },
        }


def quotas(sizes: dict[str, int], count: int, shares: str) -> dict[str, int]:
    """How many to draw of each stratum, never more than it has; `count` in all where there are so many.

    Proportional shares are rounded by largest remainders (Hamilton's method), ties by name.
    """
    count = min(count, sum(sizes.values()))
    if shares == "proportional":
        exact = {name: count * size / max(sum(sizes.values()), 1) for name, size in sizes.items()}
        given = {name: math.floor(share) for name, share in exact.items()}
        order = sorted(sizes, key=lambda name: (given[name] - exact[name], name))
        for name in order[: count - sum(given.values())]:
            given[name] += 1
        return given
    given = dict.fromkeys(sizes, 0)
    while count > 0:
        for name in sorted(sizes):
            if count and given[name] < sizes[name]:
                given[name] += 1
                count -= 1
    return given


def _use_cases(session: Session) -> dict[int, str]:
    """What annotators said that prompts are, by prompt; the newest holds."""
    use_cases = session.execute(
        select(Task.prompt_id, Annotation.use_case)
        .join(Assignment, Assignment.task_id == Task.id)
        .join(Judgement, Judgement.assignment_id == Assignment.id)
        .join(Annotation, Annotation.judgement_id == Judgement.id)
        .where(is_current())
        .order_by(Judgement.id)
    )
    return {prompt: use_case for prompt, use_case in use_cases}


def _pool(session: Session, spec: DrawSpec) -> list[Prompt]:
    """The prompts that may be drawn, in the seed's order, not too many of anybody."""
    wanted = select(Prompt).where(
        Prompt.source.in_(list(spec.sources)), Prompt.consent.in_(list(spec.consents))
    )
    if spec.ask:
        in_tasks = select(Task.prompt_id).where(Task.wanted > 0, Task.kind.in_(list(spec.ask)))
        wanted = wanted.where(Prompt.id.not_in(in_tasks))
    eligible = sorted(
        session.scalars(wanted),
        key=lambda prompt: stable_hash("draw", str(spec.seed), prompt.text_hash),
    )
    taken: Counter[str | None] = Counter()
    pool = []
    for prompt in eligible:
        taken[prompt.user_key] += 1
        if taken[prompt.user_key] <= spec.per_user:
            pool.append(prompt)
    return pool


def _row(prompt: Prompt, use_case: str, times: int) -> dict[str, Any]:
    return {
        "messages": prompt.messages,
        "use_case": use_case,
        "times": times,
        "source": prompt.source,
        "consent": prompt.consent,
        "prompt_hash": prompt.text_hash,
        **({"user": prompt.user_key} if prompt.user_key else {}),
    }


def _draw(session: Session, spec: DrawSpec) -> Drawn:
    pool, use_cases = _pool(session, spec), _use_cases(session)
    if not pool:
        raise InputError(
            f"--store: no prompt of source {', '.join(spec.sources)} with consent "
            f"{', '.join(sorted(spec.consents))} is left to draw; name another --source or --consent"
        )
    by_case: defaultdict[str, list[Prompt]] = defaultdict(list)
    for prompt in pool:
        by_case[use_cases.get(prompt.id) or suggest(prompt.messages).use_case].append(prompt)
    sizes = {name: len(prompts) for name, prompts in by_case.items()}
    given = quotas(sizes, spec.count, spec.shares)
    chosen = {p.id: name for name in by_case for p in by_case[name][: given[name]]}
    times = select(Asking.prompt_id, func.sum(Asking.count)).group_by(Asking.prompt_id)
    times_asked = {prompt: int(total) for prompt, total in session.execute(times)}
    result = Drawn(found=Counter(sizes), drawn=Counter(given))
    asked: list[Asked] = []
    for prompt in pool:
        if prompt.id not in chosen:
            continue
        result.rows.append(_row(prompt, chosen[prompt.id], times_asked.get(prompt.id, 1)))
        if spec.ask:
            answers = session.scalars(
                select(Completion).where(Completion.prompt_id == prompt.id).order_by(Completion.id)
            ).all()
            asked.append((stored_prompt(prompt), tuple(map(stored_completion, answers))))
    result.tasks = ask_about(session, asked, spec.ask, spec.wanted, spec.seed, Counter())
    return result


def draw_prompts(store: Store, spec: DrawSpec, path: Path | None = None) -> Drawn:
    """Draws prompts, writes them to a JSONL file and makes tasks of them, as the spec says.

    The same store, spec and seed draw the same prompts. Raises InputError where none can be drawn or
    the file can't be written; then no task is made either.
    """
    with store.writing() as session:
        drawn = _draw(session, spec)
        if path is not None:
            try:
                write_jsonl_atomically(path, list(drawn.rows))
            except OSError as error:
                raise InputError(f"{path}: can't be written ({error.strerror})") from None
    return drawn
