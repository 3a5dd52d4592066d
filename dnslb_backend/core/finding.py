"""Finding a name: its zone, its place there, and which one is meant when it is written short."""

from dataclasses import dataclass

from dnslb_backend.core.layout import Place
from dnslb_backend.core.names import canonical_name, parents
from dnslb_backend.core.snapshot import Snapshot
from dnslb_backend.errors import NameFormatError


@dataclass(frozen=True, slots=True)
class Meant:
    """The canonical name that is meant.

    `looked_in` are the zones in which a short one was looked for, where that decided nothing.
    """

    name: str
    looked_in: tuple[str, ...] = ()


def meant_name(snapshot: Snapshot, written: str) -> Meant:
    """A name as operators write it: absolute, or below the only zone in which it exists.

    Raises NameFormatError for what is no name.
    """
    name = canonical_name(f"{written.removesuffix('.')}.")
    if written.endswith(".") or zone_of(snapshot, name) is not None:
        return Meant(name)
    zones = tuple(snapshot.layout.zones)
    found = [full for zone in zones if (full := _below(written, zone)) and exists(snapshot, full)]
    return Meant(found[0]) if len(found) == 1 else Meant(name, zones)


def exists(snapshot: Snapshot, name: str) -> bool:
    """Whether a zone of ours says anything of this name but that there is none."""
    zone = zone_of(snapshot, name)
    if zone is None:
        return False
    return (
        delegation_of(snapshot, name, zone) is not None
        or place_of(snapshot, name, zone) is not None
    )


def zone_of(snapshot: Snapshot, name: str) -> str | None:
    """The apex of the zone that a name is in; None: it is in none of ours."""
    labels = [name, *parents(name, "")]
    return next((label for label in labels if label in snapshot.layout.zones), None)


def place_of(snapshot: Snapshot, name: str, zone: str) -> Place | None:
    """The place that answers for a name: its own, or the wildcard beside its closest encloser."""
    places = snapshot.layout.places
    if name in places:
        return places[name]
    for parent in (*parents(name, zone), zone):
        if parent in places:
            return places.get(f"*.{parent}")
    return None


def delegation_of(snapshot: Snapshot, name: str, zone: str) -> str | None:
    """The name at which a part of the zone was handed to others, if `name` is in that part."""
    places = snapshot.layout.places
    for label in reversed([name, *parents(name, zone)]):
        if label != zone and label in places and _has_ns(places[label]):
            return label
    return None


def _below(written: str, zone: str) -> str:
    """The name below a zone; "" where that is too long."""
    try:
        return canonical_name(written, zone)
    except NameFormatError:
        return ""


def _has_ns(place: Place) -> bool:
    return any(row.qtype == "NS" for row in place.static)
