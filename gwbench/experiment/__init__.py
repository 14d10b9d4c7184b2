"""One run: its spec, its steps, what it records and where."""
