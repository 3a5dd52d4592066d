"""What checks share: helper processes, clients, TLS contexts, deadlines."""
