"""`truing oversight plan` and `report`, and `truing eval oversight`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from truing.data.drafts import check_names, mistake
from truing.data.oversight import read_items, read_plan, read_trial_answers
from truing.data.oversight.items import Items
from truing.data.oversight.plans import ANSWERS, ARMS, Arm, Exclusion, Plan
from truing.files import write_json_atomically, write_jsonl_atomically, write_text_atomically
from truing.models.remote.client import Connection
from truing.oversight.figures import Study, study
from truing.oversight.outcomes import outcomes_of
from truing.oversight.page import page
from truing.oversight.planning import NEEDS_ADVISER, StudySpec, check_study, write_plan
from truing.oversight.replying import replying
from truing.oversight.respondents import opened
from truing.oversight.simulation import simulate
from truing.people.study.collecting import collect_answers
from truing.people.study.serving import label_study
from truing.progress import Progress
from truing.spec.reading import read_mapping
from truing.types import InputError, did_you_mean, stable_hash

REPORT, DOCUMENT, ROWS = "report.html", "report.json", "rows.jsonl"
_EXCLUSION = tuple(field.name for field in fields(Exclusion))
_STUDY = tuple(field.name for field in fields(StudySpec))


@dataclass(frozen=True)
class PlanRequest:
    """What `truing oversight plan` is asked for."""

    items: Path
    study: StudySpec
    adviser: str | None = None
    limit: int | None = None


def plan_request(file: Path | None, options: dict[str, Any]) -> PlanRequest:
    """The request in a YAML file with the command line's options laid over it.

    Raises InputError where a key is unknown or holds something else than it should.
    """
    values = read_mapping(file, "study") if file else {}
    where = str(file) if file else "oversight plan"
    known = (*_STUDY, "items", "adviser", "limit")
    check_names(where, None, "key", values, (), known)
    for key in values:
        if key not in known:
            raise mistake(where, None, str(key), "unknown key", f"known: {', '.join(known)}")
    rule = values.pop("exclusion", {})
    _check_exclusion(where, rule)
    values |= {key: value for key, value in options.items() if key not in _EXCLUSION}
    rule = {**rule, **{key: options[key] for key in _EXCLUSION if key in options}}
    for key in ("people", "rounds", "seed", "time_limit", "questions", "limit"):
        if key in values and (not isinstance(values[key], int) or isinstance(values[key], bool)):
            raise mistake(where, None, key, f"{values[key]!r}", "give a whole number")
    arms = values.get("arms", ())
    if isinstance(arms, str) or not all(isinstance(arm, str) for arm in arms):
        raise mistake(where, None, "arms", f"{arms!r}", "give a list of names")
    if "items" not in values:
        raise mistake(where, None, "items", "missing", "give a file of items (--items)")
    if arms:
        values["arms"] = tuple(arms)
    spec = StudySpec(
        **{key: values[key] for key in _STUDY if key in values}, exclusion=Exclusion(**rule)
    )
    return PlanRequest(Path(str(values["items"])), spec, values.get("adviser"), values.get("limit"))


def _check_exclusion(where: str, rule: Any) -> None:
    right = f"give a mapping with {' and '.join(_EXCLUSION)}, both numbers"
    if not isinstance(rule, dict) or set(rule) - set(_EXCLUSION):
        raise mistake(where, None, "exclusion", f"{rule!r}", right)
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in rule.values()):
        raise mistake(where, None, "exclusion", f"{rule!r}", right)


def _limited(items: Items, limit: int | None) -> Items:
    return items if limit is None else replace(items, items=items.items[:limit])


def plan_study(
    request: PlanRequest,
    folder: Path,
    progress: Progress,
    *,
    connection: Connection | None = None,
    accept_licence: bool = False,
) -> Plan:
    """Plans a study into a new folder. Raises InputError where something is wrong, before a model is
    asked."""
    items = _limited(read_items(request.items), request.limit)
    check_study(request.study, items, folder, request.adviser)
    with ExitStack() as stack:
        adviser = None
        if request.adviser is not None and set(NEEDS_ADVISER) & set(request.study.arms):
            adviser = stack.enter_context(
                opened(
                    request.adviser,
                    progress,
                    seed=request.study.seed,
                    connection=connection,
                    accept_licence=accept_licence,
                )
            )
        return write_plan(request.study, items, folder, adviser, progress)


def serve_study(folder: Path, progress: Progress, *, adviser: str | None, **where: Any) -> None:
    """Serve a study's page, with an adviser that answers questions where one is named; the rest as for
    `label_study`. Raises InputError for an adviser in a study in which nothing can be asked."""
    with ExitStack() as stack:
        replies = None
        if adviser is not None:
            plan = read_plan(folder)
            if not any(trial.questions for trial in plan.trials):
                raise InputError(
                    f"--adviser: nothing can be asked in {folder}; plan one with the arm 'dialogue', or "
                    "leave it out"
                )
            respondent = stack.enter_context(opened(adviser, progress, seed=plan.record["seed"]))
            replies = replying(plan, respondent)
        label_study(folder, replying=replies, **where)


def report_study(folder: Path, answers: Path | None = None) -> tuple[Study, dict[str, Any]]:
    """The figures of a study's answers; report.html and report.json are written into its folder.

    Without a file, answers are those that the study's page has in the folder's store by now. Raises
    InputError where the plan was changed, or an answer doesn't fit it.
    """
    plan = read_plan(folder)
    if answers is None:
        collect_answers(folder)
    path = answers or folder / ANSWERS
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; the answers of the study's people belong there, one JSON object a line"
        )
    answered = outcomes_of(plan, read_trial_answers(path, plan))
    result = study(answered.outcomes, [arm for arm in ARMS if arm in plan.record["arms"]])
    document = {
        "title": folder.resolve().name,
        "simulated": False,
        "plan": plan.hash,
        "exclusion": plan.exclusion.words,
        "people_left_out": list(answered.people_left_out),
        "left_out": answered.left_out,
        "missing": answered.missing,
        "unanswered_questions": answered.unanswered,
        "adviser_alone": _adviser_alone(plan),
        "quotes": plan.record["quotes"],
        "sizes": plan.record["sizes"],
        "study": result.to_json(),
    }
    _write(folder, result, document)
    return result, document


def _adviser_alone(plan: Plan) -> dict[str, Any] | None:
    """How often the adviser's own answer is right, over the items that were planned."""
    if "adviser" not in plan.record["arms"]:
        return None
    key = plan.key().values()
    own = [sealed for sealed in key if sealed.adviser is not None]
    reasons = [sealed.adviser_unscored for sealed in key if sealed.adviser is None]
    return {
        "right": sum(sealed.adviser == sealed.answer for sealed in own),
        "items": len(own),
        "unscored": {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
    }


def _write(folder: Path, result: Study, document: dict[str, Any]) -> None:
    write_json_atomically(folder / DOCUMENT, document)
    write_text_atomically(folder / REPORT, page(result, document))


@dataclass(frozen=True)
class SimulationRequest:
    """What `truing eval oversight` is asked for."""

    overseer: str
    adviser: str
    items: Path
    arms: tuple[Arm, ...] = ARMS
    seed: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        """Raises InputError for an unknown arm."""
        for arm in self.arms:
            if arm not in ARMS:
                hint = did_you_mean(arm, ARMS)
                raise InputError(f"--arm {arm}: unknown; {hint}known: {', '.join(ARMS)}")


def simulate_oversight(
    request: SimulationRequest,
    out: Path | None,
    progress: Progress,
    *,
    connection: Connection | None = None,
    accept_licence: bool = False,
) -> tuple[Study, dict[str, Any], Path]:
    """A model in the overseer's place; rows.jsonl, report.json and report.html are written."""
    items = _limited(read_items(request.items), request.limit)
    values = {**asdict(request), "items": [item.id for item in items.items]}
    digest = stable_hash("oversight", repr(sorted(values.items())))[:8]
    folder = out or Path("runs") / f"oversight-{digest}"
    if folder.is_file():
        raise InputError(f"--out {folder}: is a file; give a folder")
    how: dict[str, Any] = {
        "seed": request.seed,
        "connection": connection,
        "accept_licence": accept_licence,
    }
    with ExitStack() as stack:
        overseer = stack.enter_context(opened(request.overseer, progress, chooses=True, **how))
        adviser = (
            overseer
            if request.adviser == request.overseer
            else stack.enter_context(opened(request.adviser, progress, **how))
        )
        simulation = simulate(
            overseer, adviser, items.items, progress, arms=request.arms, seed=request.seed
        )
    document = {
        "title": f"{request.overseer}, advised by {request.adviser}",
        "simulated": True,
        "request": {**values, "items": str(request.items)},
        "left_out": {f"items, {reason}": n for reason, n in items.unscored.items()},
        "study": simulation.study.to_json(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl_atomically(folder / ROWS, simulation.rows)
    _write(folder, simulation.study, document)
    return simulation.study, document, folder
