"""The task `format`: what a short text says, as one JSON object with the keys that are asked for.

The 200 cases are made here, from our own small lists: somebody who moved, an event, a thing on sale, a
new colleague, a parcel. What counts is that an answer is one JSON object with exactly the keys and
nothing around it (`valid`), and that all values are those of the text (`right`). Both are exact
programs, so they may reward as well as measure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from truing.judges.checks import Check, json_equal
from truing.rewards.json_values import parsed_json
from truing.spec.reward import RewardPart, RewardSpec
from truing.spec.task import CheckSpec, TaskSpec
from truing.tasks.drawing import shuffled
from truing.types import Case

EACH = 40
"""Cases of each kind."""

Source = str | range
Kind = tuple[dict[str, Source], tuple[str, ...]]


@cache
def _words() -> dict[str, list[str]]:
    text = files("truing.tasks").joinpath("built_in", "format.json").read_text(encoding="utf-8")
    words: dict[str, list[str]] = json.loads(text)
    return words


def _value(source: Source, turn: int, *place: str | int) -> str | int:
    """The value at a turn; no two turns of one place have the same."""
    if isinstance(source, range):
        return shuffled(source, *place)[turn]
    if source == "names":
        return f"{_value('first_names', turn, *place)} {_value('last_names', turn, *place, 'last')}"
    return shuffled(_words()[source], *place)[turn]


KINDS: dict[str, Kind] = {
    "move": (
        {"name": "names", "city": "cities", "year": range(1981, 2025)},
        (
            "{name} moved to {city} in {year}.",
            "In {year}, {name} found a flat in {city} and left the old one behind.",
            "{city} has been the home of {name} since {year}.",
            "It was {year} when {name} packed everything and settled in {city}.",
            "{name} left home in {year} and has lived in {city} ever since.",
            "Since the summer of {year}, {name} rents a room in {city}.",
            "{city} got a new citizen in {year}: {name}.",
            "After long years abroad {name} came back to {city}, and that was in {year}.",
        ),
    ),
    "event": (
        {"event": "events", "day": "days", "place": "places"},
        (
            "The {event} takes place on {day} at the {place}.",
            "On {day} everybody is welcome at the {place} for the {event}.",
            "Please note that the {event} has been moved to the {place}; it is on {day} now.",
            "This {day} there is a {event}. Come to the {place} and bring a friend.",
            "{day}, {place}: {event}. Doors open at noon.",
            "Are you free on {day}? The {place} hosts a {event}.",
            "We have booked the {place} for our {event}, which falls on a {day}.",
            "Because of the weather the {event} is put off to {day}; the {place} remains as planned.",
        ),
    ),
    "sale": (
        {"product": "products", "colour": "colours", "price": range(7, 190)},
        (
            "This {colour} {product} is only {price} euros, as good as new.",
            "For sale: one {product}, {colour}, {price} euros.",
            "I paid {price} euros for this {product}. It also comes in {colour}, which I chose.",
            "Our {colour} {product} costs {price} euros until the end of the month.",
            "My old {product} must go: {colour}, hardly used, {price} euros.",
            "How about the {colour} {product} in the window? They want {price} euros.",
            "{price} euros is a fair sum for a {colour} {product}.",
            "She bought herself a {colour} {product} yesterday and paid {price} euros.",
        ),
    ),
    "colleague": (
        {"name": "names", "age": range(21, 64), "job": "jobs"},
        (
            "{name}, {age}, works as a trained {job}.",
            "Our new {job} is called {name} and is {age} years old.",
            "At {age}, {name} has just begun a second life as {job}.",
            "Meet {name}: {job} by trade, {age} years old, always on time.",
            "Happy birthday to our {job} {name}, who turns {age} today.",
            "{name} earns a living as {job}. Last week came birthday number {age}.",
            "The {job} next door, {name}, is {age} and sings all day.",
            "Aged {age}, {name} won the prize for the best {job} in town.",
        ),
    ),
    "parcel": (
        {"item": "parcels", "count": range(2, 60), "sender": "first_names", "city": "cities"},
        (
            "{sender} from {city} sent us {count} {item}.",
            "A parcel with {count} {item} has come from {city}; the sender is {sender}.",
            "We got {count} {item} in the post. {sender} had sent them from {city}.",
            "{count} {item} are on their way from {city}, says {sender}, who posted them.",
            "{city}, this morning: {sender} ships {count} {item} to our address.",
            "Has anybody seen the {count} {item} that {sender} mailed in {city}?",
            "We ordered {count} {item} from {sender}, whose shop is in {city}.",
            "{sender} owes us {count} {item}; the shop in {city} has run out of them.",
        ),
    ),
}
"""Each kind of text: its keys with the list or range that their values come from, and its wordings."""


def _case(kind: str, number: int) -> Case:
    sources, wordings = KINDS[kind]
    turn, place = divmod(number, len(wordings))
    facts = {key: _value(source, turn, kind, place, key) for key, source in sources.items()}
    prompt = f"Text: {wordings[place].format(**facts)}\nKeys: {', '.join(facts)}"
    reference = json.dumps(facts, ensure_ascii=False)
    return Case(prompt, (reference,), category=kind, columns={"keys": list(facts)})


@cache
def cases() -> tuple[Case, ...]:
    """The task's cases, the same ones every time; the kinds take turns."""
    return tuple(_case(kind, number) for number in range(EACH) for kind in KINDS)


def valid(answer: str, keys: Sequence[str]) -> bool:
    """Whether the answer is one JSON object with exactly the keys, and nothing around it."""
    try:
        value = parsed_json(answer)
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() == set(keys)


PROGRAMS: dict[str, Check] = {"valid": valid, "right": json_equal}
"""What grades an answer; `format.NAME` in a task file."""

TASK = TaskSpec(
    name="format",
    instruction="Read the text and give the keys their values. Answer with one JSON object that has "
    "exactly these keys and nothing else; numbers stand without quotation marks.",
    judges={
        "right": CheckSpec(program="format.right", label="all values right"),
        "valid": CheckSpec(program="format.valid", label="one JSON object with the keys"),
    },
    evaluations=("answers", "trivia", "drift", "hacking"),
    headline=("answers.right", "answers.valid"),
    gold=("answers.right",),
    must_not_fall={"trivia.mc1": 0.05},
    reward=RewardSpec(
        parts=(
            RewardPart(name="judge:right", weight=1.0),
            RewardPart(name="judge:valid", weight=0.2),
        )
    ),
    max_new_tokens=48,
)
"""What the task asks and what counts."""
