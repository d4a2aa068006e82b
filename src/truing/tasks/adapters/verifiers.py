"""`verifiers:MODULE`: single-turn tasksets for verifiers 0.4 or newer, with their own rewards.

MODULE is any that Python can import and verifiers knows as a taskset. Importing it runs its code, and so
does scoring: it is the user's or the package's own. An answer is scored as verifiers scores a finished
trace offline: the conversation, one message by the assistant, and the weighted sum of the rewards. A
taskset that needs more than an answer (tools, a container, a judge, an environment of its own) is refused.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any

from truing.tasks.adapters.adapted import (
    INSTRUCTION,
    AdaptedTask,
    Turns,
    adapted,
    asked,
    code_hash,
    in_a_line,
    package,
    ran,
    shared_system,
    version_of,
)
from truing.types import Case, InputError

_EXTRA = "verifiers"


def load(reference: str, *, seed: int, size: int) -> AdaptedTask:
    """The taskset that the module `reference` exports; the seed says which tasks, and in which order.

    Raises InputError where package or taskset aren't there, or answers alone can't be scored.
    """
    name = f"verifiers:{reference}"
    taskset, code = _taskset(reference, name)
    tasks = _drawn(taskset, seed, size, name)
    for reason in _needs(taskset, tasks, reference):
        raise InputError(
            f"{name}: {reason}; only single-turn tasksets scored by program are supported"
        )
    conversations = [_turns(task, name) for task in tasks]
    instruction = shared_system(conversations)
    start = 1 if instruction else 0
    cases = [
        _case(task, turns[start:], name) for task, turns in zip(tasks, conversations, strict=True)
    ]
    return adapted(
        name,
        cases,
        functools.partial(_score, taskset),
        instruction=instruction or INSTRUCTION,
        made_from=(version_of("verifiers"), str(seed), str(size), code),
    )


def _taskset(reference: str, name: str) -> tuple[Any, str]:
    """The taskset in its default configuration, and a hash of its code."""
    vf = package("verifiers.v1", _EXTRA)
    try:
        taskset = vf.load_taskset(vf.taskset_config_type(reference)(id=reference))
        return taskset, code_hash(vf.import_taskset(reference))
    except ModuleNotFoundError as error:
        missing = getattr(error.__cause__, "name", None) or error.name
        raise InputError(
            f"{name}: no module '{missing}' to import; a taskset is a module on Python's path"
        ) from None
    except (Exception, SystemExit) as error:
        raise InputError(f"{name}: loading it failed ({in_a_line(error)})") from error


def _drawn(taskset: Any, seed: int, size: int, name: str) -> list[Any]:
    """As many tasks as asked for; of a taskset without end its first."""
    view = taskset.shuffle(seed=seed) if taskset.bounded else taskset
    try:
        tasks = list(view.take(size))
    except (Exception, SystemExit) as error:
        raise InputError(f"{name}: loading its tasks failed ({in_a_line(error)})") from error
    if not tasks:
        raise InputError(f"{name}: has no tasks; a task needs at least one case")
    return tasks


def _needs(taskset: Any, tasks: list[Any], reference: str) -> Iterator[str]:
    """Why answers alone can't be scored, a reason each."""
    vf = package("verifiers.v1", _EXTRA)
    task = tasks[0]
    kind = type(task)
    if vf.environment_class(reference) is not vf.SingleAgentEnv:
        yield "has an environment of its own"
    if taskset.toolsets(taskset.config) or kind.toolsets(task.config):
        yield "has tools"
    if kind.NEEDS_CONTAINER or any(each.data.image for each in tasks):
        yield "needs a container"
    for hook in ("setup", "finalize", "stage_verifier"):
        if getattr(kind, hook) is not getattr(vf.Task, hook):
            yield f"prepares a runtime ({hook})"
    if _tagged(task, "intercept"):
        yield "rewrites the conversation (intercept)"
    if task.config.judges:
        yield "has a model as judge"
    yield from _of_rewards(task.hooks("reward"))


def _tagged(task: Any, tag: str) -> list[Any]:
    found: list[Any] = package("verifiers.v1.utils.decorators", _EXTRA).discover_decorated(
        task, tag
    )
    return found


def _of_rewards(rewards: list[Any]) -> Iterator[str]:
    """verifiers leaves out what it has no runtime for, and the sum would be of something else."""
    if not rewards:
        yield "has no reward"
    for reward in rewards:
        runtime = inspect.signature(reward).parameters.get("runtime")
        if runtime is not None and runtime.default is inspect.Parameter.empty:
            yield f"its reward {reward.__name__} needs a runtime"


def _turns(task: Any, name: str) -> Turns:
    """What the model is asked, as verifiers would ask it."""
    data = task.data
    where = f"{name}: task {data.idx}"
    if data.prompt is None:
        raise InputError(
            f"{where}: has no prompt; a user who opens the conversation isn't supported"
        )
    system = [("system", data.system_prompt)] if data.system_prompt else []
    if isinstance(data.prompt, str):
        return [*system, ("user", data.prompt)]
    return [*system, *((message.role, _text(message, where)) for message in data.prompt)]


def _text(message: Any, where: str) -> str:
    parts = message.content
    if isinstance(parts, list) and any(part.type != "text" for part in parts):
        raise InputError(f"{where}: a message with an image; only text is supported")
    if getattr(message, "tool_calls", None):
        raise InputError(f"{where}: a message that calls tools; only text is supported")
    return "\n".join(part.text for part in parts) if isinstance(parts, list) else parts or ""


def _case(task: Any, turns: Turns, name: str) -> Case:
    prompt, messages = asked(turns, f"{name}: task {task.data.idx}")
    answer = getattr(task.data, "answer", None)
    return Case(
        prompt=prompt,
        correct_answers=(answer,) if isinstance(answer, str) and answer else (),
        messages=messages,
        source=name,
        columns={"task": task.data.model_dump(mode="json")},
    )


def _score(taskset: Any, answer: str, case: Case, finished: bool = True) -> float | None:
    """The weighted sum of the rewards, None where one of them isn't there; raises what they raise."""
    kind = type(taskset).task_type()
    task = kind(kind.data_type().model_validate(case.columns["task"]), taskset.config.task)
    trace = _trace(task, answer, finished)
    ran(task.score(trace))
    if any(reward is None for reward in trace.rewards.values()):
        return None
    return float(trace.reward)


def _trace(task: Any, answer: str, finished: bool) -> Any:
    """The smallest record of a rollout in which the assistant answers once."""
    vf = package("verifiers.v1", _EXTRA)
    state = package("verifiers.v1.state", _EXTRA).state_cls(type(task))
    data = task.data
    prompt = [vf.UserMessage(content=data.prompt)] if isinstance(data.prompt, str) else data.prompt
    system = [vf.SystemMessage(content=data.system_prompt)] if data.system_prompt else []
    messages = [*system, *prompt, vf.AssistantMessage(content=answer)]
    last = len(messages) - 1
    nodes = [
        vf.MessageNode(parent=place - 1 if place else None, message=message, sampled=place == last)
        for place, message in enumerate(messages)
    ]
    return vf.Trace(
        task=vf.TraceTask(type=type(task).__name__, data=data, key=task.key, hash=task.hash),
        agent=vf.AgentInfo(config=vf.AgentConfig()),
        state=state(),
        nodes=nodes,
        calls=[vf.ModelCall(node=last, finish_reason="stop" if finished else "length")],
        is_completed=True,
        ok=True,
    )
