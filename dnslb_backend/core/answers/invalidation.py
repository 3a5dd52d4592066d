"""Which of PowerDNS's cached answers a change invalidates: more than those of the name itself.

    the name that changed         what to purge
    www                           www
    *.apps                        apps and all below it: the wildcard answers for them
    names that show www's rows    as well, recursively:
      alias CNAME www               alias
      *.any CNAME www               any and all below it
      mail MX, SRV, SVCB … www     mail, for its additional section
      sub NS www                    sub and all below it, for the glue of its referrals
      tree DNAME at or above www    tree and all below it
    the apex, by its serial       the apex; not urgent, unless the zone has secondaries

A name that was added or removed changes what exists below it, and what a wildcard covers: then
the whole zone is purged.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dnslb_backend.core.answers.name_index import NameIndex
from dnslb_backend.core.model.names import key_of, split_labels
from dnslb_backend.core.model.plan import Plan

TARGET_FIELD = {
    "CNAME": 0,
    "ALIAS": 0,
    "DNAME": 0,
    "NS": 0,
    "MX": 1,
    "KX": 1,
    "AFSDB": 1,
    "SVCB": 1,
    "HTTPS": 1,
    "NAPTR": 5,
    "SRV": 3,
}
"""The types whose content refers to another name, and in which field."""


class PurgeItem(NamedTuple):
    """Cached answers to purge: those of `name`, and with `below` those of all names below it.

    Not urgent is what is merely outdated: an old serial.
    """

    name: str
    below: bool = False
    is_urgent: bool = True


@dataclass(frozen=True, slots=True)
class References:
    """Which names show rows of which others.

    `users` are the names that refer to a name, `trees` the owners of DNAMEs to it or above it.
    `below` are the names whose answers are cached under names below them, `serials` the apexes
    where nothing but the serial changes and no secondary needs it at once.
    """

    users: Mapping[str, tuple[str, ...]]
    trees: Mapping[str, tuple[str, ...]]
    below: frozenset[str]
    serials: frozenset[str]

    def names_to_purge(self, changed: Iterable[str]) -> frozenset[PurgeItem]:
        """Everything that a change of these names invalidates, the names included."""
        seen = set(changed)
        waiting = list(seen)
        while waiting:
            for user in self._users(waiting.pop()):
                if user not in seen:
                    seen.add(user)
                    waiting.append(user)
        return frozenset(map(self._item, seen))

    def _users(self, name: str) -> Iterator[str]:
        yield from self.users.get(name, ())
        if self.trees:
            for ancestor in _upwards(name):
                yield from self.trees.get(ancestor, ())

    def _item(self, name: str) -> PurgeItem:
        if name.startswith("*."):
            return PurgeItem(name[2:], below=True)
        return PurgeItem(name, name in self.below, name not in self.serials)


def find_references(plan: Plan, name_index: NameIndex) -> References:
    """The references between the names of the configuration."""
    users: dict[str, set[str]] = {}
    trees: dict[str, set[str]] = {}
    below: set[str] = set()
    for owner, qtype, content in _contents(plan):
        target = _target(qtype, content)
        if target is None:
            continue
        if qtype == "DNAME" or (qtype == "NS" and owner not in plan.zones):
            below.add(owner)
        if qtype == "DNAME":
            trees.setdefault(target, set()).add(owner)
        else:
            for name in _answering(target, name_index):
                users.setdefault(name, set()).add(owner)
    balanced = {key.name for key in plan.records}
    return References(
        {name: tuple(sorted(owners)) for name, owners in users.items()},
        {name: tuple(sorted(owners)) for name, owners in trees.items()},
        frozenset(below),
        frozenset(
            zone.name
            for zone in plan.zones.values()
            if zone.name not in balanced and not zone.also_notify
        ),
    )


def purge_after_reload(
    before: NameIndex,
    after: NameIndex,
    changed: Collection[str],
    references: Iterable[References],
) -> frozenset[PurgeItem]:
    """What a new configuration invalidates.

    `changed` are the names whose answers differ, `references` those of the old configuration and
    of the new one.
    """
    added_or_removed = [
        name for name in changed if (name in before.entries) != (name in after.entries)
    ]
    whole = {
        (after.entries.get(name) or before.entries[name]).zone.name for name in added_or_removed
    } | (before.zones.keys() ^ after.zones.keys())
    found = {PurgeItem(zone, below=True) for zone in whole}
    for known in references:
        found |= {
            item for item in known.names_to_purge(changed) if whole.isdisjoint(_upwards(item.name))
        }
    return frozenset(found)


def _contents(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Owner, type and content of every row that can ever be served, except addresses."""
    for zone in plan.zones.values():
        for name in zone.ns:
            yield zone.name, "NS", f"{name}."
        for row in zone.static:
            yield key_of(f"{row.qname}."), row.qtype, row.content
    for record in plan.records.values():
        for dest in (*record.dests, *record.fallback):
            if dest.content is not None:
                yield record.key.name, record.key.type, dest.content


def _target(qtype: str, content: str) -> str | None:
    field = TARGET_FIELD.get(qtype)
    fields = content.split()
    return None if field is None or len(fields) <= field else key_of(fields[field])


def _answering(target: str, name_index: NameIndex) -> Iterator[str]:
    """The names whose rows answer for `target`: itself, or a wildcard or DNAME above it."""
    yield target
    if target in name_index.entries:
        return
    for ancestor in _upwards(target):
        if f"*.{ancestor}" in name_index.entries:
            yield f"*.{ancestor}"
        if ancestor in name_index.entries:
            # It may have a DNAME. The apex is left out: its serial changes all the time.
            if ancestor not in name_index.zones:
                yield ancestor
            return


def _upwards(name: str) -> Iterator[str]:
    """`name` and every name above it, without the root."""
    labels = split_labels(name)
    for start in range(len(labels)):
        yield ".".join(labels[start:])
