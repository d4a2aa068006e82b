"""`truing grid`: reinforcement learning where everything can be checked exactly."""
