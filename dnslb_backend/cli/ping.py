"""`ping`: whether the daemon is alive, for the health checks of containers and scripts."""

import http.client
from typing import Annotated

import typer

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.exit_codes import ExitCode
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile
from dnslb_backend.cli.terminal import out, print_json
from dnslb_backend.errors import AdminClientError

TIMEOUT = 4.0
"""Seconds: less than the timeout of a health check that runs this, so that it gets the reason."""


def ping(
    is_ready: Annotated[
        bool, typer.Option("--ready", help="Check also whether every record has an answer")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
) -> None:
    """Check whether the daemon is alive."""
    client = AdminClient(find_daemon(config, admin, None), TIMEOUT)
    status = client.status_of("/readyz" if is_ready else "/livez")
    word = "ready" if is_ready else "alive"
    is_so = status == http.client.OK
    if as_json and (is_so or (is_ready and status == http.client.SERVICE_UNAVAILABLE)):
        print_json({word: is_so})
        raise typer.Exit(ExitCode.FINE if is_so else ExitCode.FAILED)
    if is_so:
        out().print(word)
    elif is_ready and status == http.client.SERVICE_UNAVAILABLE:
        raise AdminClientError("not ready: some records have no answer yet")
    else:
        raise AdminClientError(f"{client.where.url} is not a dnslb-backend: it answered {status}")
