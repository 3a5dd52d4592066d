"""What nodes that decide together tell each other through MariaDB."""
