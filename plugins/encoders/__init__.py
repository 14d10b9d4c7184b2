"""Encoders: conditioned strain to an embedding."""
