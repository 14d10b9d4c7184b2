"""A suite: a YAML file that describes a benchmark as a cross product of runs, and what carries it out."""
