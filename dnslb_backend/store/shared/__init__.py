"""Overrides and DNSSEC items, which all nodes share."""
