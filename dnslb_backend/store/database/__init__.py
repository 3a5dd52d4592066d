"""SQLite and MariaDB behind one interface, and their schema."""
