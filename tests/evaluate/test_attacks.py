"""Composed attacks: what is asked, what counts as carried out, and what sham candidates look like."""
