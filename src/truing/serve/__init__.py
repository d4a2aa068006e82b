"""The pilot: a candidate behind an OpenAI-compatible chat server, and a page to talk to it."""
