"""Recorded strain: files, good time, and windows of it with simulated signals."""
