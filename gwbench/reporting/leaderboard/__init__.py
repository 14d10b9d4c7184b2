"""Records -> a validated `Leaderboard` -> terminal, Markdown, CSV, JSON, LaTeX, HTML."""
