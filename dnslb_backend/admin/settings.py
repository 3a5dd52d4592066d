"""The `[admin]` table: where operators are served, and who may read without a token."""

import ipaddress
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dnslb_backend.http_hosts import check_host

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")


class Listen(NamedTuple):
    """An address to listen on; port 0 takes a free one."""

    host: str
    port: int


def parse_listen(text: str) -> Listen | None:
    """Read `ADDRESS:PORT` or `[IPV6]:PORT`; None for the empty text, which turns it off.

    Raises ValueError, in words for operators.
    """
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if is_bracketed else host
    wrong = f"{text!r} is not ADDRESS:PORT or [IPV6]:PORT"
    try:
        address = ipaddress.ip_address("127.0.0.1" if bare == "localhost" else bare)
    except ValueError as error:
        raise ValueError(f"{wrong}: {bare!r} is not an IP address") from error
    if not colon or (address.version == 6) != is_bracketed:
        raise ValueError(wrong)
    if not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError(f"{wrong}: the port is 0 to 65535")
    return Listen(str(address), int(port))


def parse_network(text: str) -> Network:
    """Read one network in CIDR form, or one address. Raises ValueError, in words."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8: {error}") from error


def _check_listen(text: str) -> str:
    parse_listen(text)
    return text


def _check_network(text: str) -> str:
    parse_network(text)
    return text


class AdminSettings(BaseModel):
    """`[admin]` as it was written, checked."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    listen: Annotated[str, AfterValidator(_check_listen)] = "127.0.0.1:8054"
    """Where operators, Prometheus and health checks are served: the page, the API, `/metrics`,
    `/livez`, `/readyz`."""

    # Strict would refuse the list that TOML has in place of a tuple, and the text of a path.
    allow: Annotated[
        tuple[Annotated[str, AfterValidator(_check_network)], ...], Field(strict=False)
    ] = LOOPBACK
    """Networks whose peers may read without a token. `/livez` and `/readyz` answer everybody."""

    hosts: Annotated[
        tuple[Annotated[str, AfterValidator(check_host)], ...], Field(strict=False)
    ] = ()
    """Names with a dot by which browsers and Prometheus may ask without a token. Addresses,
    `localhost`, names without a dot and this host's own name are always good; under any other a
    web page from elsewhere could read what is served here (DNS rebinding).
    Example: `["ns1.example.com"]`"""

    token_file: Annotated[Path, Field(strict=False)] | None = None
    """A file with lines `ROLE TOKEN [NAME]`, ROLE being `read` or `operate`. Without it nothing can
    be changed over the API. Example: `"/etc/dnslb/admin.tokens"`"""

    @property
    def endpoint(self) -> Listen | None:
        return parse_listen(self.listen)

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(map(parse_network, self.allow))
