"""The probing edge: resolves destinations, probes targets, schedules both."""
