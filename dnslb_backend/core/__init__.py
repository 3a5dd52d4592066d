"""The pure core: no I/O, no clock, no randomness; time and seeds are arguments."""
