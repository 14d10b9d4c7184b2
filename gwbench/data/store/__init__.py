"""Datasets on disk: made once, read quickly, trusted only when whole."""
