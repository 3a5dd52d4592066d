"""Which configuration file a command reads where none is named."""

from pathlib import Path

DEFAULT_FILE = Path("/etc/dnslb/dnslb.toml")

FILE_VARIABLE = "DNSLB_CONFIG"
"""The environment variable that names another default."""
