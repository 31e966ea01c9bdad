"""The calls that are answered once: what each asks, and what its answer means. No connections."""
