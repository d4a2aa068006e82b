"""Surveys: questions with options, and how groups of people answered them; a file for each form."""
