"""This node's state in one store: the local file, or the database."""
