"""Speaks PowerDNS's protocols: answers its lookups, and keeps its caches honest.

Nothing is imported here: the coprocess in `pipe` must start in no time.
"""
