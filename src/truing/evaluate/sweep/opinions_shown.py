"""What the page of `truing eval opinions` shows: the verdict, groups, and people beside the candidates."""

from __future__ import annotations

from typing import Any

from truing.evaluate.sweep.result import SweepResult
from truing.evaluate.sweep.shown import colours
from truing.report.opinion_figures import opinions_section


def opinion_sentences(result: SweepResult) -> list[str]:
    """The verdict on each candidate and prompt, what steering does, and consistency over topics; then what
    shifted. Empty where no survey was asked."""
    if result.opinions is None:
        return []
    verdicts = [
        f"{candidate}, {prompt}: {sentence}"
        for (candidate, prompt), each in result.opinions.verdicts.items()
        for sentence in each.sentences
    ]
    return [*verdicts, *result.opinions.shifts]


def opinions_of(result: SweepResult) -> dict[str, Any] | None:
    """The section of the page; None where no survey was asked."""
    first = result.prompts[0].name
    rows = [row for prompt, row in result.rows if prompt == first]
    colour = colours(list(dict.fromkeys(row.candidate for row in rows)))
    section = opinions_section(result.opinions, rows, first, colour)
    return section and {"sentences": opinion_sentences(result), **section}
