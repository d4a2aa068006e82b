"""Tokens at the boundary: the rule of lm-evaluation-harness, against its definition."""

from __future__ import annotations

import pytest
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from tiny import tokenizer
from truing.prompts.boundary import scoring_request


def merging(*, begin: str | None = None) -> PreTrainedTokenizerFast:
    """Merges 'a' with 'b' and a space with 'b', so that a boundary can be straddled."""
    vocabulary = {token: n for n, token in enumerate(["<s>", "a", "b", " ", "\n", "ab", " b"])}
    inner = Tokenizer(BPE(vocabulary, [("a", "b"), (" ", "b")]))
    inner.pre_tokenizer = Split(Regex(r"[\s\S]+"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=begin)


def test_white_space_at_the_end_moves_to_the_continuation() -> None:
    made = scoring_request(merging(), "aa \n ", ["b"])
    assert made.prompt == [1, 1]
    assert list(made.continuations) == [merging().encode("aa \n b")[2:]]


def test_context_and_continuation_are_encoded_as_one_text() -> None:
    made = scoring_request(merging(), "aa", [" b", "a", ""])
    assert made.prompt == [1, 1]
    assert list(made.continuations) == [[6], [1], []]


def test_a_token_across_the_boundary_counts_as_the_harness_counts_it() -> None:
    # 'aa' + 'b' is a, ab: as many tokens as the context alone, so nothing is left to score.
    assert list(scoring_request(merging(), "aa", ["b", "bb"]).continuations) == [[], [2]]


def test_each_answer_alone_gives_the_same_tokens() -> None:
    together = scoring_request(tokenizer(), "q: who?\na:", [" me", " you", " they all"])
    for answer, tokens in zip([" me", " you", " they all"], together.continuations, strict=True):
        alone = scoring_request(tokenizer(), "q: who?\na:", [answer])
        assert (alone.prompt, list(alone.continuations)) == (together.prompt, [tokens])


def test_a_context_of_white_space_is_refused() -> None:
    with pytest.raises(ValueError, match="white space"):
        scoring_request(tokenizer(), " \n", ["a"])
