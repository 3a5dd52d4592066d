"""TLS settings of checks, as contexts that are built once and again when a file changed."""

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

    def files(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.ca_file, self.client_cert, self.client_key)))


Stamps = tuple[tuple[int, int, int], ...]


class TlsContexts:
    """Building a context reads hundreds of authorities: far too slow to do it in every probe."""

    def __init__(self) -> None:
        self._contexts: dict[TlsSettings, tuple[Stamps, ssl.SSLContext]] = {}

    def context(self, settings: TlsSettings) -> ssl.SSLContext:
        """Raises ProbeError when a file cannot be used."""
        try:
            stamps = tuple(_stamp(file) for file in settings.files())
            known = self._contexts.get(settings)
            if known is not None and known[0] == stamps:
                return known[1]
            context = _build(settings)
        except OSError as error:
            names = ", ".join(settings.files())
            raise ProbeError(f"cannot use {names}: {error.strerror or error}") from error
        self._contexts[settings] = stamps, context
        return context


def _stamp(file: str) -> tuple[int, int, int]:
    facts = Path(file).stat()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def _build(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca_file or None)
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
