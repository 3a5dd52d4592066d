"""Destinations: `host@prio` or a table, and the fallback hosts."""

from collections.abc import Iterable
from dataclasses import replace

from dnslb_backend.config.addresses import host_refusal, looks_like_an_address
from dnslb_backend.config.models import DestSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.config.rdata import RecordDataError, canonical_content
from dnslb_backend.core.model.labels import build_labels
from dnslb_backend.core.model.names import (
    address_type,
    canonical_address,
    canonical_name,
    is_sinkhole,
)
from dnslb_backend.core.model.records import Dest, RecordKey, joined_views
from dnslb_backend.errors import NameFormatError


class _DestError(ValueError):
    """One destination cannot be used; the text says why."""


def build_dests(
    written: list[str | DestSettings],
    record_type: str,
    zone: str,
    where: Cursor,
) -> tuple[Dest, ...]:
    """Every destination once. The same host twice must be the same, but for the views.

    Destinations of other types than addresses differ by their content as well.
    """
    found: dict[tuple[str, str | None], Dest] = {}
    for index, item in enumerate(written):
        try:
            settings = _parse(item) if isinstance(item, str) else item
            dest = _dest(settings, record_type, zone)
            known = found.get((dest.host, dest.content))
            if known is not None:
                dest = _joined(known, dest)
                if dest == known:
                    where.at(index).warn(f"{dest.host} is listed twice")
            if not dest.is_literal and looks_like_an_address(dest.host):
                where.at(index).warn(f"{dest.host!r} is a host name, but looks like an address")
            found[dest.host, dest.content] = dest
        except _DestError as error:
            where.at(index).refuse(str(error))
    return tuple(found.values())


def _joined(known: Dest, dest: Dest) -> Dest:
    """A destination that is written twice, for the views of both."""
    if known.prio != dest.prio:
        raise _DestError(f"{dest.host} has two priorities, {known.prio} and {dest.prio}")
    joined = replace(dest, views=joined_views(known.views, dest.views))
    if replace(known, views=joined.views) != joined:
        raise _DestError(f"{dest.host} is listed twice; only the views may differ")
    return joined


def build_fallback(
    written: str | list[str],
    record_type: str,
    zone: str,
    where: Cursor,
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
            dest = _fallback(host, record_type, zone)
            found[dest.host] = dest
        except _DestError as error:
            where.refuse(str(error))
    return tuple(found.values())


def refuse_own_name(key: RecordKey, dests: Iterable[Dest], where: Cursor) -> None:
    """Refuse a record that would be looked up to answer for itself."""
    for dest in dests:
        is_name = key.type == "CNAME" or (key.type in ("A", "AAAA") and not dest.is_literal)
        name = dest.content or dest.host
        if is_name and canonical_name(f"{name.removesuffix('.')}.") == key.name:
            where.refuse(f"{name.removesuffix('.')} is the name of this record")


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


def _dest(settings: DestSettings, record_type: str, zone: str) -> Dest:
    probed = settings.check_address
    if probed is not None:
        probed = canonical_address(probed)
        if probed is None:
            raise _DestError(f"check_address {settings.check_address!r} is not an IP address")
    content: str | None = None
    if record_type in ("A", "AAAA"):
        host, is_literal = _host(settings.host, record_type)
        if settings.content is not None:
            raise _DestError(f"content: a record of type {record_type} serves its addresses")
    else:
        host, is_literal = settings.host, True
        content = _content(settings, record_type, zone)
        probed = probed or canonical_address(settings.host)
        if probed is None:
            raise _DestError(
                f"{settings.host!r}: a record of type {record_type} needs check_address, the "
                "address that is probed, unless host is one"
            )
    if probed is not None:
        _refuse_sinkhole(probed)
    return Dest(
        host=host,
        prio=settings.prio,
        weight=settings.weight,
        is_literal=is_literal,
        check_address=probed,
        check_port=settings.check_port,
        content=content,
        views=tuple(settings.views),
        labels=build_labels(settings.labels),
        voters=tuple(sorted(set(settings.voters))),
    )


def _content(settings: DestSettings, record_type: str, zone: str) -> str:
    written = settings.content
    if written is None:
        if record_type != "CNAME":
            raise _DestError(f"a record of type {record_type} needs content, what is served")
        written = f"{settings.host.removesuffix('.')}."
    try:
        return canonical_content(record_type, written, zone)
    except RecordDataError as error:
        raise _DestError(f"content: {error}") from error


def _fallback(host: str, record_type: str, zone: str) -> Dest:
    if record_type in ("A", "AAAA"):
        return _dest(DestSettings(host=host), record_type, zone)
    try:
        content = canonical_content(record_type, host, zone)
    except RecordDataError as error:
        raise _DestError(f"{host!r}: {error}") from error
    return Dest(host=content, is_literal=True)


def _host(text: str, record_type: str) -> tuple[str, bool]:
    literal = canonical_address(text)
    if literal is not None:
        if address_type(literal) != record_type:
            raise _DestError(f"{text!r} is not an address for a record of type {record_type}")
        _refuse_sinkhole(literal)
        return literal, True
    if refusal := host_refusal(text):
        raise _DestError(refusal)
    try:
        name = canonical_name(text)
    except NameFormatError as error:
        raise _DestError(str(error)) from error
    return (f"{name}." if text.endswith(".") else name), False


def _refuse_sinkhole(address: str) -> None:
    if is_sinkhole(address):
        raise _DestError(
            f"{address} is not a server's address: unspecified, multicast and broadcast addresses "
            "are not allowed"
        )
