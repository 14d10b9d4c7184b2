"""Tasks: what is predicted from frozen embeddings."""
