"""Networks that were trained elsewhere, as encoders of strain: where they come from, and what they are shown."""
