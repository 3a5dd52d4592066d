"""The kinds of check, one a file; the registry lists them."""
