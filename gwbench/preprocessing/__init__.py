"""From strain to what an encoder sees."""
