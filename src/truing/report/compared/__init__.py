"""Runs side by side: the figures of each candidate, how they differ, what the runs were made with."""
