"""What records say: tables, pages, plots."""
