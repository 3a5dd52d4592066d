"""Real servers for tests: each on free ports, in its own directory, stopped when its test ends."""
