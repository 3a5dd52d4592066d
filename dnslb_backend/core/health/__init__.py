"""What is known: targets, members, decisions, overrides."""
