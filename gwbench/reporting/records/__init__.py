"""Records as a leaderboard reads them, from files that may be anything."""
