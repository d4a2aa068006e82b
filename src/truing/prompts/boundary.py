"""Where a context ends and its continuation begins, in tokens.

The rule of lm-evaluation-harness (`TemplateLM._encode_pair`), so that figures can be compared:

1. white space at the end of the context is moved to the front of the continuation;
2. context and continuation are encoded as one text, and the context is encoded alone;
3. the continuation's tokens are those of the whole behind the context's *number* of tokens.

Special tokens are those that the tokenizer adds by itself (a beginning-of-text token, say), except
where the text has the first one written out already, as chat templates do. Where a token straddles
the boundary, the whole's first tokens aren't the context's; the context's own are used all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from truing.models.engine.tree import PromptWithContinuations


def moved(context: str, continuations: Sequence[str]) -> tuple[str, list[str]]:
    """Step 1: the context without white space at its end, and the continuations with it in front.

    Raises ValueError for a context of white space alone.
    """
    stripped = context.rstrip()
    if not stripped:
        raise ValueError("a context needs at least one character that isn't white space")
    space = context[len(stripped) :]
    return stripped, [space + continuation for continuation in continuations]


def text_tokens(tokenizer: PreTrainedTokenizerBase, *texts: str) -> list[list[int]]:
    """Tokens of texts that begin alike, with the special tokens that the tokenizer adds by itself.

    Not where the first text has the first of them written out already.
    """
    begin = tokenizer.bos_token or tokenizer.eos_token
    written = isinstance(begin, str) and bool(begin) and texts[0].startswith(begin)
    tokens = tokenizer(list(texts), add_special_tokens=not written)["input_ids"]
    assert isinstance(tokens, list)
    return tokens


def scoring_request(
    tokenizer: PreTrainedTokenizerBase, context: str, continuations: Sequence[str]
) -> PromptWithContinuations:
    """The tokens of a context and of each of its continuations.

    A continuation may come out without a token where it adds nothing visible. Raises ValueError for
    a context of white space alone.
    """
    stripped, behind = moved(context, continuations)
    prompt, *wholes = text_tokens(tokenizer, stripped, *(stripped + text for text in behind))
    return PromptWithContinuations(prompt, [whole[len(prompt) :] for whole in wholes])


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, context: str) -> list[int]:
    """The tokens of a context that a model is to go on from.

    Spaces at its end are left out: the model's own first token brings one. Line breaks stay, since a
    chat template's header ends with one.
    """
    return text_tokens(tokenizer, context.rstrip(" "))[0]
