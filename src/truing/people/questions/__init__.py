"""Question sets of a team's own: read from a file, asked about answers, graded by people."""
