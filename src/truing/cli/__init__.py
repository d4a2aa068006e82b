"""The command line: each file parses one command, calls a recipe and prints."""
