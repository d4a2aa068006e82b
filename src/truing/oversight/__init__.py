"""Protocols with two parties, one of which knows more: debate, consultancy, sandwiching."""
