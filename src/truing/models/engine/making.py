"""One model is made at a time: while it makes one, transformers has switched off its own functions for all
threads (that which ties weights, those that fill them with random numbers), and two that overlap leave them
off for good. A model made later then lacks what was to be tied."""

from __future__ import annotations

from threading import RLock

ONE_AT_A_TIME = RLock()
"""Held while transformers makes a model, from a configuration or from a folder."""
