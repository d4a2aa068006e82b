"""Judges behind an endpoint: rubrics, what a model is asked by them, and what its replies cost."""
