"""Augmentations: changes to one view."""
