"""Demonstrations that people wrote, in place of the training questions' true answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from truing.data.run_texts import Texts, written_texts
from truing.progress import Progress
from truing.spec import Spec

Read = Callable[[Spec, Progress], Texts]


def with_written(read: Read, *, train_on_questions: bool = True) -> Read:
    """`read`, with the demonstrations of `data.demonstrations` where the spec names some.

    Without `train_on_questions` nothing but the demonstrations is learned from, so that all questions
    are the evaluation's.
    """

    def reading(spec: Spec, progress: Progress) -> Texts:
        texts = read(spec, progress)
        if spec.data.demonstrations is None:
            return texts
        from truing.people.exchange.demonstrating import (
            read_dialogues,
        )  # loads the database's library

        if not train_on_questions:
            texts = replace(texts, train=(), held_out=(*texts.train, *texts.held_out))
        dialogues = read_dialogues(spec.data.demonstrations, spec.data.consent)
        asked = (*texts.held_out, *texts.controls)
        return replace(texts, written=written_texts(dialogues, asked, spec, progress))

    return reading
