"""Searches of continuous strain, ranked by how far they reach."""
