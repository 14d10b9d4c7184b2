"""Open strain from GWOSC."""
