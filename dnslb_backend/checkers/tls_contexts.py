"""TLS settings of checks, as contexts that are built once and again when a file changed."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from dnslb_backend.checkers.failures import ProbeError


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How to meet a TLS server; empty file names mean the system's authorities, no certificate."""

    verify: bool = True
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    name: str = ""
    """Asked for and verified whatever name the caller of the context gives."""

    def files(self) -> tuple[str, ...]:
        """Everything the context is built from: when one of them changes, so must the context."""
        system = ssl.get_default_verify_paths()
        authorities = (self.ca_file,) if self.ca_file else (system.cafile, system.capath)
        return tuple(filter(None, (*authorities, self.client_cert, self.client_key)))


Stamps = tuple[tuple[int, int, int], ...]


class TlsContexts:
    """Building a context reads hundreds of authorities, which takes tens of milliseconds."""

    def __init__(self) -> None:
        self._contexts: dict[TlsSettings, tuple[Stamps, ssl.SSLContext]] = {}
        self._building = asyncio.Lock()

    async def context(self, settings: TlsSettings) -> ssl.SSLContext:
        """Raises ProbeError when a file cannot be used."""
        try:
            stamps = tuple(_stamp(file) for file in settings.files())
            if (known := self._known(settings, stamps)) is not None:
                return known
            async with self._building:
                if (known := self._known(settings, stamps)) is not None:
                    return known
                context = await asyncio.to_thread(_build, settings)
                self._contexts[settings] = stamps, context
                return context
        except OSError as error:
            names = ", ".join(settings.files())
            raise ProbeError(f"cannot use {names}: {error.strerror or error}") from error

    def _known(self, settings: TlsSettings, stamps: Stamps) -> ssl.SSLContext | None:
        known = self._contexts.get(settings)
        return known[1] if known is not None and known[0] == stamps else None


def _stamp(file: str) -> tuple[int, int, int]:
    facts = Path(file).stat()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


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


def _client_context(settings: TlsSettings) -> ssl.SSLContext:
    """As ssl.create_default_context makes it."""
    context: ssl.SSLContext
    if settings.name:
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.name = settings.name
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    else:
        context.load_default_certs()
    return context


def _build(settings: TlsSettings) -> ssl.SSLContext:
    context = _client_context(settings)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert:
        # An encrypted key must be an error: nobody could type the password.
        context.load_cert_chain(
            settings.client_cert, settings.client_key or None, password=_no_password
        )
    return context


def _no_password() -> str:
    raise OSError("the private key is encrypted")
