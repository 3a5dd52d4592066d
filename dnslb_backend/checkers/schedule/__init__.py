"""When to resolve and probe, and when to hold results."""
