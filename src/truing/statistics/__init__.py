"""Means, intervals, agreement and distances."""
