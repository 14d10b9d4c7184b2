"""Plugins for gwbench."""
