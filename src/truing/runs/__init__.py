"""One run folder: who holds it, what is done, what it cost."""
