"""Purging the caches of PowerDNS, and notifying secondaries."""
