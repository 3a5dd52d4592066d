"""Requests and results of PowerDNS as bytes."""
