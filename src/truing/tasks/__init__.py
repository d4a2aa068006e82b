"""What models are aligned to: a task's instruction, cases, judges, and what counts as help or harm."""
