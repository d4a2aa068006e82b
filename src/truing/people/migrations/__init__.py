"""The store's schema, step by step. A change of `tables.py` needs a new file in `versions/`."""
