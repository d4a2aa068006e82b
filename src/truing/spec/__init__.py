"""What a run means: the parts of a spec, reading them, and words for mistakes."""
