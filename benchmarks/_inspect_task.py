"""A task of Inspect for `others_against_serve.py`: questions whose answer holds one word."""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

QUESTIONS = {
    "What is the capital of France?": "Paris",
    "Which planet do people live on?": "Earth",
    "How many legs does a spider have?": "eight",
    "What colour does one get by mixing blue and yellow?": "green",
    "Which gas do plants take from the air?": "carbon dioxide",
    "Who wrote the play Hamlet?": "Shakespeare",
}


@task
def one_word() -> Task:
    """Each question asked as it is; right where the word is in the answer."""
    samples = [Sample(input=question, target=word) for question, word in QUESTIONS.items()]
    return Task(dataset=samples, solver=generate(), scorer=includes())
