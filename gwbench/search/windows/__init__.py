"""Windows of strain from files of others, read a batch at a time."""
