"""What a window looks like."""
