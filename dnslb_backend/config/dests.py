"""Destinations: `host@prio` or a table, and the fallback hosts."""

import re
import socket

from dnslb_backend.config.diagnosis import Diagnosis, Path
from dnslb_backend.config.models import DestSettings
from dnslb_backend.core.names import address_type, canonical_address, canonical_name
from dnslb_backend.core.records import Dest
from dnslb_backend.errors import NameFormatError

_NUMERIC = re.compile(r"[0-9][0-9a-fA-FxX.]*")


class _DestError(ValueError):
    """One destination cannot be used; the text says why."""


def build_dests(
    written: list[str | DestSettings], record_type: str, diagnosis: Diagnosis, file: str, path: Path
) -> tuple[Dest, ...]:
    """Every destination once. The same host twice must have the same priority."""
    found: dict[str, Dest] = {}
    for index, item in enumerate(written):
        try:
            settings = _parse(item) if isinstance(item, str) else item
            dest = _dest(settings, record_type)
            known = found.setdefault(dest.host, dest)
            if known.prio != dest.prio:
                raise _DestError(
                    f"{dest.host} is listed with two priorities, {known.prio} and {dest.prio}"
                )
        except _DestError as error:
            diagnosis.refuse(file, (*path, index), str(error))
    return tuple(found.values())


def build_fallback(
    written: str | list[str], record_type: str, diagnosis: Diagnosis, file: str, path: Path
) -> tuple[Dest, ...]:
    """The fallback hosts; an empty text is none. A fallback has no priority."""
    hosts = [written] if isinstance(written, str) else written
    found: dict[str, Dest] = {}
    for host in hosts:
        if not host and isinstance(written, str):
            continue
        try:
            if "@" in host:
                raise _DestError(f"{host!r}: a fallback has no priority, '@' is not allowed")
            dest = _dest(DestSettings(host=host), record_type)
            found[dest.host] = dest
        except _DestError as error:
            diagnosis.refuse(file, path, str(error))
    return tuple(found.values())


def _parse(text: str) -> DestSettings:
    host, at, prio = text.partition("@")
    if not at:
        return DestSettings(host=host)
    try:
        return DestSettings(host=host, prio=int(prio))
    except ValueError:
        raise _DestError(
            f"{text!r}: after '@' comes the priority, a whole number, not {prio!r}"
        ) from None


def _dest(settings: DestSettings, record_type: str) -> Dest:
    host, is_literal = _host(settings.host, record_type)
    probed = settings.check_address
    if probed is not None:
        probed = canonical_address(probed)
        if probed is None:
            raise _DestError(f"check_address {settings.check_address!r} is no IP address")
    return Dest(
        host=host,
        prio=settings.prio,
        weight=settings.weight,
        is_literal=is_literal,
        check_address=probed,
        check_port=settings.check_port,
        content=settings.content,
        views=tuple(settings.views),
    )


def _host(text: str, record_type: str) -> tuple[str, bool]:
    literal = _literal(text)
    if literal is not None:
        if address_type(literal) != record_type:
            raise _DestError(f"{text!r} is no address for a record of type {record_type}")
        return literal, True
    if not text or any(c.isspace() or c in ":/%[]" for c in text):
        raise _DestError(f"{text!r} is neither an IP address nor a host name")
    try:
        name = canonical_name(text)
    except NameFormatError as error:
        raise _DestError(str(error)) from error
    return (f"{name}." if text.endswith(".") else name), False


def _literal(text: str) -> str | None:
    """An address in canonical text; also in the short forms that getaddrinfo takes (`10.1`)."""
    literal = canonical_address(text)
    if literal is None and _NUMERIC.fullmatch(text):
        try:
            return socket.inet_ntoa(socket.inet_aton(text))
        except OSError:
            return None
    return literal
