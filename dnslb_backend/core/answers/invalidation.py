"""Which of PowerDNS's cached answers a change makes wrong: more than those that bear its name.

    the name that changed         what PowerDNS must forget
    www                           www
    *.apps                        apps and all below it: it answers for them
    what www's rows are shown in  as well, and so on:
      alias CNAME www               alias
      *.any CNAME www               any and all below it
      mail MX, SRV, SVCB .. www     mail, for its additional section
      sub NS www                    sub and all below it, for the glue of its referrals
      tree DNAME at or above www    tree and all below it
    the apex, by its serial       the apex, but nobody is sent astray while it is late, unless
                                  there are secondaries

A name that was added or removed changes what lies below it, and what a wildcard covers: then
all of its zone is forgotten.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dnslb_backend.core.answers.name_index import NameIndex
from dnslb_backend.core.model.names import is_within, key_of, split_labels
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
"""The types whose content names another name, and which of its fields that is."""


class PurgeItem(NamedTuple):
    """Answers that are wrong now: for `name`, and where `below` is set for all below it.

    What is not urgent is only out of date, a serial that has moved on.
    """

    name: str
    below: bool = False
    is_urgent: bool = True


@dataclass(frozen=True, slots=True)
class References:
    """Who shows rows of whom. `below` are the names whose answers bear other names."""

    users: Mapping[str, tuple[str, ...]]
    trees: Mapping[str, tuple[str, ...]]
    below: frozenset[str]
    serials: frozenset[str]

    def names_to_purge(self, changed: Iterable[str]) -> frozenset[PurgeItem]:
        """All that a change of these names makes wrong, themselves included."""
        seen = set(changed)
        waiting = list(seen)
        while waiting:
            for user in self._users(waiting.pop()):
                if user not in seen:
                    seen.add(user)
                    waiting.append(user)
        return frozenset(map(self._stale, seen))

    def _users(self, name: str) -> Iterator[str]:
        yield from self.users.get(name, ())
        if self.trees:
            for ancestor in _upwards(name):
                yield from self.trees.get(ancestor, ())

    def _stale(self, name: str) -> PurgeItem:
        if name.startswith("*."):
            return PurgeItem(name[2:], below=True)
        return PurgeItem(name, name in self.below, name not in self.serials)


def find_references(plan: Plan, name_index: NameIndex) -> References:
    """Read off the configuration who refers to whom."""
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
    known: Iterable[References],
) -> frozenset[PurgeItem]:
    """What a new configuration makes wrong.

    `changed` are the names that read differently than before, `known` the dependents under
    the old configuration and under the new one.
    """
    come_or_gone = before.entries.keys() ^ after.entries.keys()
    whole = {
        (after.entries.get(name) or before.entries[name]).zone.name for name in come_or_gone
    } | (before.zones.keys() ^ after.zones.keys())
    found = {PurgeItem(zone, below=True) for zone in whole}
    for dependents in known:
        found |= {
            stale
            for stale in dependents.names_to_purge(changed)
            if not any(is_within(stale.name, zone) for zone in whole)
        }
    return frozenset(found)


def _contents(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Owner, type and content of every row that may ever be told, addresses left out."""
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
    """The names whose rows are shown for `target`: itself, or what covers it from above."""
    yield target
    if target in name_index.entries:
        return
    for ancestor in _upwards(target):
        if f"*.{ancestor}" in name_index.entries:
            yield f"*.{ancestor}"
        if ancestor in name_index.entries:
            # It may hold a DNAME. The apex changes all the time, by its serial.
            if ancestor not in name_index.zones:
                yield ancestor
            return


def _upwards(name: str) -> Iterator[str]:
    """`name` and every name above it, the root left out."""
    labels = split_labels(name)
    for start in range(len(labels)):
        yield ".".join(labels[start:])
