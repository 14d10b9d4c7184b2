"""Baselines: other ways from the same splits to test scores."""
