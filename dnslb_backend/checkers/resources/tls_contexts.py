"""TLS settings of checks, as contexts that are built once and again when a file changed."""

import asyncio
import errno
import logging
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.tasks import BackgroundTasks

log = logging.getLogger(__name__)

TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]

VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}

OLD_CIPHERS = "DEFAULT:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
"""For TLS before 1.2: OpenSSL takes its signatures over SHA-1 at this level of security only."""


@dataclass(frozen=True, slots=True)
class TlsClientSettings:
    """How to meet a TLS server; empty file names mean the system's authorities, no certificate."""

    verify: bool = True
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    name: str = ""
    """Asked for and verified whatever name the caller of the context gives."""
    tls_min: TlsVersion = "1.2"

    def files(self) -> tuple[str, ...]:
        """Everything the context is built from: when one of them changes, so must the context."""
        system = ssl.get_default_verify_paths()
        authorities = (self.ca_file,) if self.ca_file else (system.cafile, system.capath)
        return tuple(filter(None, (*authorities, self.client_cert, self.client_key)))


Stamps = tuple[tuple[int, int, int], ...]

Built = tuple[Stamps, ssl.SSLContext]

FILES_LIMIT = 2.0
"""Seconds for looking at the files of a context, and for reading them if they changed."""

FILE_SIZE_LIMIT = 16 << 20

LOOKS = 8
"""Settings whose files are looked at at once; the others wait for their turn."""


class TlsContexts:
    """Contexts by their settings. Files on storage that hangs hold up only what needs them."""

    def __init__(self) -> None:
        self._entries: dict[TlsClientSettings, _CachedContext] = {}
        self._turns = asyncio.Semaphore(LOOKS)
        self._tasks = BackgroundTasks("check")

    async def context(self, settings: TlsClientSettings) -> ssl.SSLContext:
        """Raises ProbeError when a file cannot be used.

        While the files do not answer, the last context built from them is used.
        """
        entry = self._entries.get(settings)
        if entry is None:
            entry = _CachedContext(settings, self._turns, self._tasks)
            self._entries[settings] = entry
        return await entry.context()

    async def close(self) -> None:
        """Stop waiting for files."""
        await self._tasks.close()


class _CachedContext:
    """The context of one setting, at most one look at its files under way, and one thread."""

    def __init__(
        self, settings: TlsClientSettings, turns: asyncio.Semaphore, tasks: BackgroundTasks
    ) -> None:
        self._settings = settings
        self._turns = turns
        self._tasks = tasks
        self._built: Built | None = None
        self._problem: ProbeError | None = None
        self._look: asyncio.Task[None] | None = None
        self._stuck = False

    async def context(self) -> ssl.SSLContext:
        if self._look is None or self._look.done():
            self._look = self._tasks.share(self._refresh())
        # A probe that is cancelled must not cancel it for the others.
        await asyncio.shield(self._look)
        if self._problem is not None:
            raise ProbeError(str(self._problem))
        assert self._built is not None
        return self._built[1]

    async def _refresh(self) -> None:
        if self._stuck:
            return
        problem: ProbeError | None = None
        try:
            async with self._turns:
                self._built = await run_blocking(self._current, FILES_LIMIT)
        except TimeoutError:
            text = f"cannot use {self._files()}: no answer within {FILES_LIMIT:g} s"
            log.warning("%s", text)
            problem = ProbeError(text) if self._built is None else None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            problem = ProbeError(f"cannot use {self._files()}: {reason}")
        self._problem = problem

    def _current(self) -> Built:
        """In a thread, which may be given up: until it is back no other one is sent."""
        self._stuck = True
        try:
            stamps = tuple(_stamp(file) for file in self._settings.files())
            if self._built is not None and self._built[0] == stamps:
                return self._built
            return stamps, _build(self._settings)
        finally:
            self._stuck = False

    def _files(self) -> str:
        named = (self._settings.ca_file, self._settings.client_cert, self._settings.client_key)
        return ", ".join(filter(None, named)) or "the system's certificate authorities"


def _stamp(file: str) -> tuple[int, int, int]:
    """What changes when the file does. Raises OSError for what reading might never end of."""
    facts = Path(file).stat()
    if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", file)
    if facts.st_size > FILE_SIZE_LIMIT:
        raise OSError(errno.EFBIG, f"is larger than {FILE_SIZE_LIMIT} bytes", file)
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


def _client_context(settings: TlsClientSettings) -> ssl.SSLContext:
    """As ssl.create_default_context makes it, without Diffie-Hellman over finite fields.

    There the server chooses the numbers, and 10,000 bits cost this process a second.
    """
    context: ssl.SSLContext
    if settings.name:
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.name = settings.name
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lowest = VERSIONS[settings.tls_min]
    context.minimum_version = lowest
    if lowest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers(OLD_CIPHERS)
    ciphers = (cipher["name"] for cipher in context.get_ciphers() if cipher["kea"] != "kx-dhe")
    context.set_ciphers(":".join(ciphers))
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    else:
        context.load_default_certs()
    return context


def _build(settings: TlsClientSettings) -> ssl.SSLContext:
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
