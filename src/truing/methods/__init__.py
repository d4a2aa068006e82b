"""Ways to make a candidate from the base and a task's training side."""
