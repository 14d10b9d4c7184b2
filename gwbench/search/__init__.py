"""A trained encoder listens to continuous strain: triggers, false alarms, reach."""
