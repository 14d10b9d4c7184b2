"""Scores of new windows by a finished run, into a file or an array."""
