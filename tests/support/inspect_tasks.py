"""Tasks for Inspect: two that answers in text can do, and some that are refused."""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, get_model
from inspect_ai.scorer import (
    Score,
    Scorer,
    Target,
    accuracy,
    choice,
    match,
    mean,
    model_graded_qa,
    scorer,
)
from inspect_ai.solver import (
    Generate,
    Solver,
    TaskState,
    generate,
    multiple_choice,
    prompt_template,
    solver,
    system_message,
)

CAPITALS = [("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Norway", "Oslo")]


def _samples() -> list[Sample]:
    return [Sample(input=f"The capital of {land}?", target=city) for land, city in CAPITALS]


@task
def capitals() -> Task:
    """A system message, a template, and Inspect's own scorer."""
    return Task(
        dataset=_samples(),
        solver=[
            system_message("Answer in one word."),
            prompt_template("Question: {prompt}\nAnswer:"),
            generate(),
        ],
        scorer=match(location="end"),
    )


@task
def letters() -> Task:
    """Multiple choice: the solver reads the letter that the scorer looks at."""
    options = [city for _, city in CAPITALS]
    samples = [
        Sample(input=f"The capital of {land}?", choices=options, target="ABCD"[place])
        for place, (land, _) in enumerate(CAPITALS)
    ]
    return Task(dataset=samples, solver=multiple_choice(), scorer=choice())


@scorer(metrics=[mean()])
def share_of_words() -> Scorer:
    """A number from the sample's metadata; nothing to score where the answer is empty."""

    async def score(state: TaskState, target: Target) -> Score | None:
        """The share of the answer's words that are wanted."""
        words = state.output.completion.split()
        if not words:
            return None
        return Score(value=sum(word in state.metadata["wanted"] for word in words) / len(words))

    return score


@task
def dialogue() -> Task:
    """Several turns, no target, and a scorer of the file's own."""
    turns = [
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(content="Hello."),
        ChatMessageAssistant(content="Hi!"),
        ChatMessageUser(content="Which two colours make green?"),
    ]
    sample = Sample(input=turns, metadata={"wanted": ["blue", "yellow"]})
    return Task(dataset=MemoryDataset([sample]), scorer=share_of_words())


@task
def judged() -> Task:
    """A model grades."""
    return Task(dataset=_samples(), scorer=model_graded_qa())


@scorer(metrics=[accuracy()])
def hidden_judge() -> Scorer:
    """Asks a model in its own code."""

    async def score(state: TaskState, target: Target) -> Score:
        """What the model says."""
        return Score(value=(await get_model().generate("Is it right?")).completion)

    return score


@task
def judged_inside() -> Task:
    """A model grades, which only trying shows."""
    return Task(dataset=_samples(), scorer=hidden_judge())


@task
def boxed() -> Task:
    """A sandbox."""
    return Task(dataset=_samples(), scorer=match(), sandbox="local")


@solver
def twice() -> Solver:
    """Asks two times."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        """Ask and ask again."""
        return await generate(await generate(state))

    return solve


@task
def two_turns() -> Task:
    """More than one answer."""
    return Task(dataset=_samples(), solver=twice(), scorer=match())


@task
def without_targets() -> Task:
    """Nothing to compare with."""
    return Task(dataset=[Sample(input="Why?")], scorer=match())


@task
def with_argument(subject: str) -> Task:
    """Can't be made without saying what about."""
    return Task(dataset=[Sample(input=subject)], scorer=match())


@task
def empty() -> Task:
    """No samples."""
    return Task(dataset=MemoryDataset([]), scorer=match())


@scorer(metrics=[mean()])
def in_parts() -> Scorer:
    """Several values at once."""

    async def score(state: TaskState, target: Target) -> Score:
        """Two numbers."""
        return Score(value={"one": 1, "two": 0})

    return score


@scorer(metrics=[mean()])
def in_words() -> Scorer:
    """A value that is no number."""

    async def score(state: TaskState, target: Target) -> Score:
        """A word."""
        return Score(value="excellent")

    return score


@task
def parts() -> Task:
    """Scored in parts."""
    return Task(dataset=_samples(), scorer=in_parts())


@task
def words() -> Task:
    """Scored in words."""
    return Task(dataset=_samples(), scorer=in_words())
