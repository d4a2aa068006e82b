"""Chat templates: rendered in a process of their own, and what they write around an answer."""
