"""The words of the labelling: what people are asked, and the answers they may give.

Use cases and metadata are those of Ouyang et al. (2022), "Training language models to follow
instructions with human feedback", tables 1 and 11 (InstructGPT's labelling instructions).
"""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "demonstration",
    "rating",
    "comparison",
    "ranking",
    "annotation",
    "outcome",
    "opinion",
    "questions",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a task asks for."""
ABOUT_ANSWERS = tuple(kind for kind in KINDS if kind not in ("opinion", "questions"))
"""Those about prompts and answers to them. An opinion is people's own, on a survey's question, and
questions are of a set of the team's own."""

KIND_NAMES: dict[str, str] = {
    "demonstration": "Write an answer",
    "rating": "Rate an answer",
    "comparison": "Compare two answers",
    "ranking": "Rank answers",
    "annotation": "Describe a prompt",
    "outcome": "Say what an answer did",
    "opinion": "Give your opinion",
    "questions": "Answer questions about an answer",
}

COMPLETIONS_NEEDED: dict[str, tuple[int, int]] = {
    "demonstration": (0, 0),
    "rating": (1, 1),
    "comparison": (2, 2),
    "ranking": (2, 7),
    "annotation": (0, 0),
    "outcome": (1, 1),
    "opinion": (2, 30),
    "questions": (1, 1),
}
"""The fewest and the most completions that a task of a kind shows."""

RATINGS = range(1, 8)
THUMBS = {"up": 7, "down": 1}
"""What a thumb says on the scale of ratings."""

FLAGS: dict[str, str] = {
    "true": "Everything it claims is true",
    "harmful": "Harmful or offensive",
    "follows": "Follows the instructions",
}
FLAG_VALUES = ("yes", "no", "unsure")

USE_CASES: dict[str, str] = {
    "generation": "Generation",
    "open_qa": "Open question",
    "brainstorming": "Brainstorming",
    "chat": "Chat",
    "rewrite": "Rewrite",
    "summarization": "Summarization",
    "classification": "Classification",
    "other": "Other",
    "closed_qa": "Closed question (the answer is in the prompt)",
    "extract": "Extract",
}

METADATA: dict[str, str] = {
    "ambiguous": "Ambiguous",
    "sensitive_content": "Sensitive content",
    "identity_dependent": "Depends on who is asking",
    "closed_domain": "Closed domain: use only what the prompt says",
    "continuation_style": "Continuation style: go on with the text",
    "requests_opinionated_content": "Requests opinionated content",
    "requests_advice": "Requests advice",
    "requests_moral_judgment": "Requests moral judgment",
    "explicit_safety_constraints": "Contains explicit safety constraints",
    "other_explicit_constraints": "Contains other explicit constraints",
    "intent_unclear": "Intent unclear",
}

OUTCOMES: dict[str, str] = {
    "refused": "Refused: declines it",
    "partly": "Partly: declines, and does some of it",
    "complied": "Complied: does it, well or badly",
    "unrelated": "Unrelated: sensible, about something else",
    "gibberish": "Gibberish: no sensible text",
    "empty": "Empty: nothing but white space",
}
"""What an answer did with a request; `built_in/outcome.txt` defines each. Judges tell the same six."""

SKIP_REASONS: dict[str, str] = {
    "unclear": "I can't tell what is asked",
    "expertise": "It needs knowledge that I don't have",
    "upsetting": "I'd rather not work on this",
    "language": "It is in a language I don't read well",
    "broken": "The text is broken or cut off",
    "other": "Another reason, said in the note",
}

Consent = Literal["given", "public", "own", "unknown"]
CONSENTS: dict[str, str] = {
    "given": "the person who wrote it agreed that it is kept and used",
    "public": "published under a licence that allows this use",
    "own": "written for this purpose by the team",
    "unknown": "nobody has said; look before you train on it",
}

Role = Literal["lead", "annotator", "source"]
"""A source is whoever judged before the data came here: it can't sign in."""
