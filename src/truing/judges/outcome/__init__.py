"""What the outcome judge is made of: labels, what it sees of an answer, its classifier, its agreement."""
