"""Respondents under prompts: one evaluation of each, its page and its exports."""
