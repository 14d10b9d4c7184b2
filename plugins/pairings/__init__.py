"""Pairings: two views of every window."""
