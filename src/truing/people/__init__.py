"""People: the store of prompts, answers and judgements, and the page on which people judge."""

from truing.people.store import Store, open_store

__all__ = ["Store", "open_store"]
