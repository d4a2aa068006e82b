"""Studies of oversight on people: who takes which place of a plan, and every step of their trials."""
