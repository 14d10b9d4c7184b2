"""Layers and networks that encoders are made of."""
