"""A DNS load balancer for PowerDNS: answers from live health checks."""

__version__ = "0.1.0"
