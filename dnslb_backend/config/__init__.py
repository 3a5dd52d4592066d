"""From TOML to validated models to what the core runs on."""

from dnslb_backend.config.configuration import Config
from dnslb_backend.config.files import ConfigPaths
from dnslb_backend.config.load import load

__all__ = ["Config", "ConfigPaths", "load"]
