"""What is kept on disk so that nothing is computed twice: scores, answers, features."""
