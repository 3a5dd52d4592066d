"""Warnings about listeners that everybody may use."""

from collections.abc import Iterable

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.network import AddressPort, Network
from dnslb_backend.pdns.settings import ServerSettings


def advise_listeners(admin: AdminSettings, server: ServerSettings, main: Cursor) -> None:
    """Warn where every host that reaches a listener is allowed."""
    _advise(admin.endpoint, admin.networks, "may read everything here", main.at("admin", "allow"))
    _advise(
        server.endpoint, server.networks, "may ask as PowerDNS does", main.at("server", "allow")
    )


def _advise(
    endpoint: AddressPort | None, networks: Iterable[Network], what: str, where: Cursor
) -> None:
    if endpoint is None or endpoint.is_loopback:
        return
    for network in networks:
        if not network.prefixlen:
            where.warn(f"has {network}: every host that reaches {endpoint} {what} without a token")
