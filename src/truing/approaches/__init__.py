"""The three known ways to align a model, each leaving a candidate folder."""
