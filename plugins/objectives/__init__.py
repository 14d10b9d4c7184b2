"""Objectives: losses on two views, with their heads."""
