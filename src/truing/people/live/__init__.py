"""Judgements while a training runs: batches in, judgements out, what each step learned from."""
