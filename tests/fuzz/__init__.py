"""Damaged and hostile inputs for every reader of bytes from outside: `python -m tests.fuzz --help`."""
