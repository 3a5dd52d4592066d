"""Finding a name: its zone, its entry there, and the absolute name behind a relative one."""

from dnslb_backend.core.answers.name_index import NameEntry
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.model.names import canonical_name, name_below, parents
from dnslb_backend.errors import UnresolvedNameError


def resolve_name(snapshot: Snapshot, written: str, *, is_balanced: bool = False) -> str:
    """The canonical name that an operator means.

    With a final dot it is taken as written. Otherwise it is absolute, if it lies in one of the
    zones, or it is relative to the only zone in which it exists; with `is_balanced` only names
    of balanced records exist. Raises NameFormatError, UnresolvedNameError.
    """
    name = canonical_name(f"{written.removesuffix('.')}.")
    if written.endswith("."):
        return name
    if is_record(snapshot, name) if is_balanced else zone_of(snapshot, name) is not None:
        return name
    is_known = is_record if is_balanced else exists
    below = {name_below(written, zone) for zone in snapshot.name_index.zones}
    found = sorted(full for full in below if full and is_known(snapshot, full))
    if len(found) != 1:
        raise UnresolvedNameError(written, tuple(found))
    return found[0]


def is_record(snapshot: Snapshot, name: str) -> bool:
    """Whether a canonical name is that of a balanced record."""
    entry = snapshot.name_index.entries.get(name)
    return entry is not None and bool(entry.records)


def exists(snapshot: Snapshot, name: str) -> bool:
    """Whether one of our zones answers for this name with anything but NXDOMAIN."""
    zone = zone_of(snapshot, name)
    if zone is None:
        return False
    return (
        delegation_of(snapshot, name, zone) is not None
        or entry_of(snapshot, name, zone) is not None
    )


def zone_of(snapshot: Snapshot, name: str) -> str | None:
    """The apex of our zone that a name is in, None where it is in none."""
    labels = [name, *parents(name, "")]
    return next((label for label in labels if label in snapshot.name_index.zones), None)


def entry_of(snapshot: Snapshot, name: str, zone: str) -> NameEntry | None:
    """The entry that answers for a name: its own, or the wildcard of its closest encloser."""
    entries = snapshot.name_index.entries
    if name in entries:
        return entries[name]
    for parent in (*parents(name, zone), zone):
        if parent in entries:
            return entries.get(f"*.{parent}")
    return None


def delegation_of(snapshot: Snapshot, name: str, zone: str) -> str | None:
    """The delegation at or above `name`, None where there is none."""
    entries = snapshot.name_index.entries
    for label in reversed([name, *parents(name, zone)]):
        if label != zone and label in entries and _has_ns(entries[label]):
            return label
    return None


def _has_ns(entry: NameEntry) -> bool:
    return any(row.qtype == "NS" for row in entry.static)
