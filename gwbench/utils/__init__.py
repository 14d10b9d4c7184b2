"""What any part of gwbench may need, and what knows no part of it."""
