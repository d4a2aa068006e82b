"""A first guess at a prompt's use case and metadata, by plain rules. Annotators overrule it freely.

The rules look at what is asked for, not at what it is about. Whatever they miss is 'open_qa' for a
question and 'other' for the rest; metadata is suggested only where a word says it outright.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONG = 400
"""Characters from which a prompt most likely brings the text it is about."""


@dataclass(frozen=True)
class Suggestion:
    """A use case of `vocabulary.USE_CASES` and the names of metadata that seem to hold."""

    use_case: str
    metadata: frozenset[str]


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


_USE_CASES = (
    # The order decides: "write a summary" is a summary, "rewrite as a list" is a rewrite.
    ("summarization", _pattern(r"summari[sz]e|summary|summari[sz]ing|tl;?dr|in a nutshell")),
    (
        "rewrite",
        _pattern(
            r"rewrite|rephrase|paraphrase|translate|correct the|fix the|proofread|make (?:it|this) "
            r"(?:shorter|longer|clearer|simpler|more \w+)|convert the|improve (?:the|this|my)|edit"
        ),
    ),
    (
        "classification",
        _pattern(
            r"classif(?:y|ies)|categori[sz]e|label (?:the|each)|is (?:it|this|the \w+) (?:spam|"
            r"positive|negative)|positive or negative|true or false|which category|sentiment"
        ),
    ),
    (
        "extract",
        _pattern(
            r"extract|find all|list all the \w+ (?:in|from)|pick out|identify the \w+ (?:in|from)"
        ),
    ),
    (
        "brainstorming",
        _pattern(
            r"brainstorm|ideas?|suggest(?:ions)?|come up with|give me (?:a few|some|\w+) (?:ways|"
            r"reasons|examples|names)|list (?:of )?(?:\w+ )?(?:ways|reasons|things|names|tips)"
        ),
    ),
    (
        "generation",
        _pattern(
            r"write|compose|draft|create|generate|design|make up|tell me a (?:story|joke)|"
            r"continue the|finish the"
        ),
    ),
)  # fmt: skip
_QUESTION = re.compile(
    r"\?\s*$|^(?:what|who|whom|whose|when|where|why|which|how|is|are|was|were|do|does|did|can|could|"
    r"should|would|will)\b",
    re.IGNORECASE,
)
_METADATA = {
    "requests_advice": _pattern(r"should i|advice|advise|recommend|what would you do|tips"),
    "requests_moral_judgment": _pattern(
        r"moral(?:ly)?|ethical(?:ly)?|immoral|unethical|is it (?:wrong|right|ok|okay|fair) to"
    ),
    "requests_opinionated_content": _pattern(
        r"your opinion|do you (?:think|believe)|opinion|persuasive|argue (?:for|against)|who is right"
    ),
    "explicit_safety_constraints": _pattern(
        r"(?:don't|do not|without) (?:be(?:ing)? )?(?:toxic|offensive|harmful|rude)|family.friendly|"
        r"safe for work|appropriate for children"
    ),
    "other_explicit_constraints": _pattern(
        r"(?:in|under|within|at most|no more than|exactly|fewer than|less than) (?:\d+|one|two|three|"
        r"four|five|ten|fifty|a hundred) (?:words?|sentences?|lines?|paragraphs?|characters?|bullets?|"
        r"stanzas?)|in the style of|must (?:rhyme|contain|include|start|end)"
    ),
    "continuation_style": _pattern(r"continue (?:the|this)|finish (?:the|this)|once upon a time"),
    "identity_dependent": _pattern(r"as an? \w+ (?:woman|man|person)|my (?:religion|faith|culture)"),
    "sensitive_content": _pattern(
        r"suicid\w*|self.harm|abus\w+|rape|racis\w+|murder\w*|overdos\w+|sexual\w*"
    ),
    "closed_domain": _pattern(
        r"based on the (?:text|passage|article|following)|according to the (?:text|passage|article)|"
        r"(?:only )?us(?:e|ing) only the"
    ),
}  # fmt: skip
SUGGESTED_METADATA = frozenset(_METADATA)
"""Metadata that a rule may suggest; the rest only a reader can see."""


def suggest(messages: list[dict[str, str]]) -> Suggestion:
    """What the user's last message seems to ask for."""
    text = messages[-1]["content"].strip()
    # What is asked stands at the beginning or at the end of a text that comes with it.
    asked = text if len(text) < _LONG else f"{text[: _LONG // 2]} \n {text[-_LONG // 2 :]}"
    metadata = {name for name, pattern in _METADATA.items() if pattern.search(asked)}
    brings_text = len(text) >= _LONG or "closed_domain" in metadata
    use_case = next((name for name, pattern in _USE_CASES if pattern.search(asked)), "")
    if not use_case and _QUESTION.search(text):
        use_case = "closed_qa" if brings_text else "open_qa"
    if not use_case and len(messages) > 1:
        use_case = "chat"
    return Suggestion(use_case or "other", frozenset(metadata))
