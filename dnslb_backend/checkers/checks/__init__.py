"""The kinds of checks and their parameters."""
