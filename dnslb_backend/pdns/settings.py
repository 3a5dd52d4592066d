"""The tables [server] and [pdns] of the configuration."""

import os
import re
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from dnslb_backend.core.model.zones import PdnsVersion
from dnslb_backend.http_hosts import check_host
from dnslb_backend.network import (
    LOOPBACK,
    AddressPort,
    Network,
    check_listen,
    check_network,
    parse_address_port,
    parse_network,
)

_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\b", re.ASCII)

UNIX_PATH_LIMIT = 107
"""Bytes of a socket's path that fit into Linux's sockaddr_un, its final NUL aside."""


def parse_version(text: str) -> PdnsVersion | None:
    """The version that a text names first; None for those of PowerDNS that were never released."""
    found = _VERSION.search(text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return version if version > (0, 0) else None


def _check_path(text: str) -> str:
    if "\0" in text or len(os.fsencode(text)) > UNIX_PATH_LIMIT:
        raise ValueError(f"a socket's path has at most {UNIX_PATH_LIMIT} bytes and no NUL")
    return text


def _check_control_socket(text: str) -> str:
    if "://" in text or "@" in text.partition("/")[0]:
        # It is not quoted: a URL may hold a password.
        raise ValueError(
            "must be the path of PowerDNS's control socket, like /run/pdns/pdns.controlsocket; "
            "a URL belongs in `api`"
        )
    return text


def _check_mode(text: str) -> str:
    if not (3 <= len(text) <= 4 and set(text) <= set("01234567") and int(text, 8) <= 0o777):
        raise ValueError(f'{text!r} must be the octal permissions as a string, like "0660"')
    return text


def _check_url(text: str) -> str:
    allowed = "must be the URL of PowerDNS's HTTP API, like http://127.0.0.1:8081"
    try:
        url = urlsplit(text)
        is_good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_good = False
        url = urlsplit("")
    if "@" in text:
        raise ValueError(f"{allowed}, without a user or a password: the key is in `api_key_file`")
    if not is_good or url.query or url.fragment:
        # It is not quoted: a query may hold the key as well.
        raise ValueError(allowed)
    return text


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _default_unix() -> str:
    """systemd makes $RUNTIME_DIRECTORY for us; it may name several, the first is ours."""
    directory = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return f"{directory}/pdns.sock" if directory else ""


SocketPath = Annotated[str, Field(min_length=1), AfterValidator(_check_path)]
ApiUrl = Annotated[str, AfterValidator(_check_url)]
NetworkText = Annotated[str, AfterValidator(check_network)]


class _PdnsSettings(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class ServerSettings(_PdnsSettings):
    """The table [server]: where PowerDNS connects. An empty `http` or `unix` turns it off."""

    http: Annotated[str, AfterValidator(check_listen)] = "127.0.0.1:8053"
    """Where the remote HTTP connector listens; its path is always `/dns`. "" turns it off. Beyond
    loopback `allow` must be given."""
    unix: Annotated[str, AfterValidator(_check_path)] = Field(default_factory=_default_unix)
    """The path of the unix socket for the remote backend. "" turns it off. Default:
    `$RUNTIME_DIRECTORY/pdns.sock` where that is set, else off. Example: `"/run/dnslb/pdns.sock"`"""
    unix_mode: Annotated[str, AfterValidator(_check_mode)] = "0660"
    """Its permissions."""
    unix_group: Annotated[str, Field(min_length=1)] | None = None
    """Its group; this process must be in it. Default: that of the process. Example: `"pdns"`"""
    allow: Annotated[tuple[NetworkText, ...], BeforeValidator(_as_tuple)] | None = None
    """Networks that may connect over HTTP. Default: loopback.
    Example: `["127.0.0.0/8", "192.0.2.0/24"]`"""

    hosts: Annotated[
        tuple[Annotated[str, AfterValidator(check_host)], ...], BeforeValidator(_as_tuple)
    ] = ()
    """Names with a dot in the URL that PowerDNS connects to over HTTP. Addresses,
    `localhost`, names without a dot and this host's own name are always allowed; with any other
    name a foreign web page could read the answers (DNS rebinding).
    Example: `["dnslb.example.com"]`"""
    http_keys: bool = False
    """Whether PowerDNS may fetch the private keys of signed zones over HTTP, and write keys and
    metadata, as `pdnsutil` does. Every user of every host in `allow` may then do so as well: unlike
    the unix socket, HTTP cannot distinguish them. While it is `false`, zones with keys fail
    (SERVFAIL) for a PowerDNS that connects over HTTP; unsigned zones are served."""

    @model_validator(mode="after")
    def _says_who_may_ask(self) -> "ServerSettings":
        endpoint = self.endpoint
        if endpoint is not None and not endpoint.is_loopback and self.allow is None:
            raise ValueError(
                f'http = "{self.http}" is reachable from other hosts: list its clients in `allow`'
            )
        return self

    @property
    def is_off(self) -> bool:
        """Whether no PowerDNS can connect: this node only votes."""
        return not self.http and not self.unix

    @property
    def endpoint(self) -> AddressPort | None:
        """Where the HTTP connector listens; None when it is off."""
        return parse_address_port(self.http) if self.http else None

    @property
    def mode(self) -> int:
        """The permissions of the unix socket."""
        return int(self.unix_mode, 8)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """The networks whose hosts may ask over HTTP."""
        return tuple(map(parse_network, LOOPBACK if self.allow is None else self.allow))


class PdnsSettings(_PdnsSettings):
    """The table [pdns]: the channels through which PowerDNS's caches are kept coherent."""

    control_socket: Annotated[
        tuple[Annotated[SocketPath, AfterValidator(_check_control_socket)], ...],
        BeforeValidator(_as_tuple),
        BeforeValidator(_one_or_more),
    ] = ()
    """Control sockets for purging changed names from PowerDNS's caches: one as text, or a list.
    Example: `"/run/pdns/pdns.controlsocket"`"""
    api: Annotated[
        tuple[ApiUrl, ...], BeforeValidator(_as_tuple), BeforeValidator(_one_or_more)
    ] = ()
    """HTTP APIs of PowerDNS servers, for the same purpose: one as text, or a list.
    Example: `"http://127.0.0.1:8081"`"""
    api_key_file: Annotated[str, Field(min_length=1)] | None = None
    """A file with PowerDNS's `api-key`. Example: `"/etc/dnslb/pdns-api.key"`"""
    version: Annotated[str, Field(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?$")] | None = None
    """The version of PowerDNS where no channel reports it: some contents of static records are
    written by it. Default: as for 4.7. Example: `"5.1"`"""

    @model_validator(mode="after")
    def _has_a_key(self) -> "PdnsSettings":
        if self.api and self.api_key_file is None:
            raise ValueError("`api` needs `api_key_file`, the file that holds PowerDNS's api-key")
        if self.api_key_file is not None and not self.api:
            raise ValueError("`api_key_file` has no use without `api`")
        return self

    @property
    def assumed_version(self) -> PdnsVersion | None:
        """The version that is configured."""
        return None if self.version is None else parse_version(self.version)

    @property
    def has_channel(self) -> bool:
        """Whether there is any way to purge a name from PowerDNS's caches."""
        return bool(self.control_socket or self.api)
