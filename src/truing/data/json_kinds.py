"""What JSON calls the types of its values, for messages."""

from __future__ import annotations


def kind_of(value: object) -> str:
    """As in "a number stands here"."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")
