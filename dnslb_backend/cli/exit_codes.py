"""Exit codes."""

from enum import IntEnum


class ExitCode(IntEnum):
    FINE = 0
    FAILED = 1
    USAGE = 2
    BAD_CONFIG = 126
    INTERRUPTED = 130
    """What a shell reports for a command that Ctrl-C ended."""
