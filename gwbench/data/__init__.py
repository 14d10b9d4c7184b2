"""Strain: simulate, read, store and condition."""
