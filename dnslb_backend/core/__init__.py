"""The pure core: no I/O, no clock, no chance; time and randomness are arguments."""
