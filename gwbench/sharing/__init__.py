"""A run outside gwbench: exported as a graph, on a hub, or as an entry of a benchmark."""
