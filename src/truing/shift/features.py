"""Prompts as numbers: words, pairs of words, and pieces of words.

Length and layout (line breaks, quotation marks) stay out: they differ most from one template to the next,
and a classifier that leans on them fails on templates that it hasn't seen (see LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

WORD = r"(?u)\b\w+\b"
_BEGINNING, _END = 2000, 500
"""Of a long prompt so many characters are looked at: what is asked stands first or last."""
_MOST = 40_000


@dataclass(frozen=True)
class Features:
    """Sparse matrices of N prompts. `bag_NV`: words alone; `all_NV`: what the classifier sees.

    The vocabulary comes from both sides together and knows nothing of sides.
    """

    bag_NV: Any
    all_NV: Any


def shortened(text: str) -> str:
    """The beginning and the end of a long text."""
    return text if len(text) <= _BEGINNING + _END else f"{text[:_BEGINNING]} {text[-_END:]}"


def make_features(texts: Sequence[str]) -> Features:
    """Features of texts. A vectoriser that finds nothing (no words at all) gives no columns."""
    short = [shortened(text) for text in texts]
    bag = _fitted(TfidfVectorizer(token_pattern=WORD, sublinear_tf=True), short)
    pairs = TfidfVectorizer(
        token_pattern=WORD, ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=_MOST
    )
    pieces = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True, max_features=_MOST
    )
    columns = [_fitted(pairs, short), _fitted(pieces, short)]
    return Features(bag, hstack(columns, format="csr"))


def _fitted(vectoriser: TfidfVectorizer, texts: Sequence[str]) -> Any:
    try:
        return vectoriser.fit_transform(texts)
    except ValueError:  # no word, or none twice
        return csr_matrix((len(texts), 1))
