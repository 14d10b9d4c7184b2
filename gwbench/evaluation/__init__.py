"""From frozen embeddings to numbers with intervals."""
