"""The ways in: HTTP, unix socket, pipe."""
