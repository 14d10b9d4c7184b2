"""A sweep: a YAML file that says which settings of a run are tried, and what tries them on validation."""
