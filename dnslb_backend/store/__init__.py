"""The mirror: the health map in MariaDB and in a local file, and the way back from there."""
