"""What every endpoint needs of HTTP."""
