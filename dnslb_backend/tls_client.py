"""How this program connects to TLS servers: targets, MariaDB, PowerDNS's API, webhooks."""

import ssl
from dataclasses import dataclass, field
from typing import Literal

TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]

VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}

CIPHERS = "DEFAULT:!aNULL:!eNULL:!PSK:!SRP:!DHE"
"""Those of OpenSSL. Left alone, some builds of Python offer a part of them, and others more."""

OLD_CIPHERS = f"{CIPHERS}:@SECLEVEL=0"
"""For TLS before 1.2: OpenSSL takes its signatures over SHA-1 at this level of security only."""


@dataclass(frozen=True, slots=True)
class TlsClientSettings:
    """Empty names of files mean the system's authorities, and no certificate of our own."""

    verify: bool = True
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    name: str = ""
    """Asked for and verified whatever name the caller of the context gives."""
    tls_min: TlsVersion = "1.2"
    ca_path: str = ""
    """A folder of authorities, named by hash."""
    key_password: str = field(default="", repr=False)
    check_hostname: bool = True
    ciphers: str = ""
    """As OpenSSL writes them; empty for its own, without Diffie-Hellman over finite fields: there
    the server chooses the numbers, and 10,000 bits cost this process a second."""

    alpn: tuple[str, ...] = ()
    """Protocols to offer, by their names in ALPN."""

    def files(self) -> tuple[str, ...]:
        """Everything the context is built from: when one of them changes, so must the context."""
        system = ssl.get_default_verify_paths()
        own = (self.ca_file, self.ca_path)
        authorities = own if any(own) else (system.cafile, system.capath)
        return tuple(filter(None, (*authorities, self.client_cert, self.client_key)))


def build_context(settings: TlsClientSettings) -> ssl.SSLContext:
    """Reads the files; raises OSError, of which ssl.SSLError is one, and ValueError."""
    context: ssl.SSLContext
    if settings.name:
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.name = settings.name
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _set_versions(context, settings)
    if settings.ca_file or settings.ca_path:
        context.load_verify_locations(settings.ca_file or None, settings.ca_path or None)
    else:
        context.load_default_certs()
    context.check_hostname = settings.verify and settings.check_hostname
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    if not settings.verify:
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert:
        password = settings.key_password or _no_password
        context.load_cert_chain(settings.client_cert, settings.client_key or None, password)
    return context


class _NamedContext(ssl.SSLContext):
    """For libraries that take a context, but no other server name than the address."""

    name: str

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.name, session)


def _set_versions(context: ssl.SSLContext, settings: TlsClientSettings) -> None:
    """What is offered to the server: versions and ciphers."""
    lowest = VERSIONS[settings.tls_min]
    context.minimum_version = lowest
    ours = OLD_CIPHERS if lowest < ssl.TLSVersion.TLSv1_2 else CIPHERS
    context.set_ciphers(settings.ciphers or ours)


def _no_password() -> str:
    """OpenSSL would ask the terminal for it."""
    raise OSError("the private key is encrypted")
