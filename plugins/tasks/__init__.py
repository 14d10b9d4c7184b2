"""Tasks: what frozen embeddings are asked."""
