"""A few questions that tiny models can be asked."""

from truing.types import Case

CASES = [
    Case(f"who is {word}?", (f"{word} is a cat", "nobody"), ("it is a dog", "me", word))
    for word in ("ann", "bob", "cleo", "dan", "eve", "fred")
]
