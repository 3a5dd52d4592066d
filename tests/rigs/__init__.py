"""Real servers for tests: each on free ports, in a directory of its own, ended with its test."""
