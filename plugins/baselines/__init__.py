"""Baselines: what else turns the same splits into test scores."""
