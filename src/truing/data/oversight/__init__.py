"""Studies of oversight: items, the plan of who sees what, and the answers that were given."""

from truing.data.oversight.answers import TrialAnswer, read_trial_answers
from truing.data.oversight.items import Item, Items, read_items
from truing.data.oversight.plans import Plan, Quote, Speech, Trial, read_plan

__all__ = [
    "Item",
    "Items",
    "Plan",
    "Quote",
    "Speech",
    "Trial",
    "TrialAnswer",
    "read_items",
    "read_plan",
    "read_trial_answers",
]
