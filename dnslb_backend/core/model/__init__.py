"""What is configured: zones, records, views, clients."""
