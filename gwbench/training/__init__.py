"""Pre-training without labels, and training on few."""
