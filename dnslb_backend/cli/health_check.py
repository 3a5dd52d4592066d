"""`ping` at the price of a health check, which runs again and again.

The libraries of the command line would take three times as long as the rest.
"""

import http.client
import os
from pathlib import Path

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.config_file import FILE_VARIABLE
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.errors import DnslbError

TIMEOUT = 2.0
"""Seconds: `ping` asks once more after that, and has to be in time as well."""


def is_well(*, is_ready: bool) -> bool:
    """Whether the daemon is alive, or ready; `ping` says why it is not."""
    config = os.environ.get(FILE_VARIABLE)
    try:
        where = find_daemon(Path(config) if config else None, None, None)
        status = AdminClient(where, TIMEOUT).status_of("/readyz" if is_ready else "/livez")
    except DnslbError:
        return False
    return status == http.client.OK
