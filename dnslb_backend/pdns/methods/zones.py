"""The methods about whole zones: the list of zones, transfers, and changes.

A PowerDNS with `primary=yes` asks getUpdatedMasters at its start and every `xfr-cycle-interval`
seconds, sends NOTIFY for what it finds there, and says so with setNotified. If it gets no
answer, it exits. So zones that it notifies through a channel are left out.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping

from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.model.zones import Zone
from dnslb_backend.pdns.methods.dnssec import FALSE, TRUE
from dnslb_backend.pdns.wire.parameters import Parameters, domain_name, integer

log = logging.getLogger(__name__)

HTTP_LIMIT = 2 * 1024 * 1024
"""Bytes of an answer that PowerDNS reads over HTTP."""

_Facts = tuple[int, int, int, bool]
"""The id of a zone, its serial, the one last notified, and whether it has secondaries."""

_OPEN, _CLOSE = b'{"result":[', b"]}"


class ZoneMethods:
    """Answers from the snapshot that `current` returns at that moment.

    `has_secondaries` says whether there is anyone to notify of a zone; `notifies`, whether a
    channel makes PowerDNS notify the secondaries in the configuration.
    """

    def __init__(
        self,
        current: Callable[[], Snapshot],
        has_secondaries: Callable[[Zone], bool],
        notifies: Callable[[], bool],
    ) -> None:
        self._current = current
        self._has_secondaries = has_secondaries
        self._notifies = notifies
        self._notified: dict[int, int] = {}
        self._large: set[str] = set()
        self._domains: dict[str, tuple[_Facts, bytes]] = {}
        """What getAllDomains returned last: with a zone cache it is asked for every second."""
        self.answers: Mapping[str, Callable[[Parameters], bytes]] = {
            "list": self._list,
            "getalldomains": self._get_all_domains,
            "getdomaininfo": self._get_domain_info,
            "getupdatedmasters": self._get_updated_masters,
            "setnotified": self._set_notified,
        }

    def _list(self, parameters: Parameters) -> bytes:
        """Every row of a zone, all of one snapshot.

        By name; by number where there is none, as old versions of the pipe backend ask.
        """
        snapshot = self._current()
        if "zonename" in parameters:
            zone = _named(snapshot, domain_name(parameters, "zonename"))
        else:
            zone = _numbered(snapshot, integer(parameters, "domain_id"))
        if zone is None:
            return FALSE
        answer = _joined(snapshot.transfer(zone.name))
        if len(answer) > HTTP_LIMIT and zone.name not in self._large:
            self._large.add(zone.name)
            log.warning(
                "the transfer of %s has %d bytes; over HTTP PowerDNS reads at most %d",
                zone.name,
                len(answer),
                HTTP_LIMIT,
            )
        return answer

    def _get_all_domains(self, _: Parameters) -> bytes:
        snapshot, before = self._current(), self._domains
        domains = {}
        for zone in _zones(snapshot):
            facts, known = self._facts(snapshot, zone), before.get(zone.name)
            if known is None or known[0] != facts:
                known = facts, _domain(zone.name, facts)
            domains[zone.name] = known
        self._domains = domains
        return _listed(rendered for _, rendered in domains.values())

    def _get_domain_info(self, parameters: Parameters) -> bytes:
        snapshot = self._current()
        zone = _named(snapshot, domain_name(parameters, "name"))
        if zone is None:
            return FALSE
        return b'{"result":%s}' % _domain(zone.name, self._facts(snapshot, zone))

    def _get_updated_masters(self, _: Parameters) -> bytes:
        """Zones that have changed since their secondaries were last notified."""
        snapshot, notifies = self._current(), self._notifies()
        return _listed(
            _domain(zone.name, self._facts(snapshot, zone))
            for zone in _zones(snapshot)
            if self._notified.get(zone.id) != snapshot.serials[zone.name]
            and not (notifies and zone.also_notify)
        )

    def _set_notified(self, parameters: Parameters) -> bytes:
        zone_id = integer(parameters, "id")
        if _numbered(self._current(), zone_id) is None:
            return FALSE
        self._notified[zone_id] = integer(parameters, "serial")
        return TRUE

    def _facts(self, snapshot: Snapshot, zone: Zone) -> _Facts:
        notified = self._notified.get(zone.id, 0)
        return zone.id, snapshot.serials[zone.name], notified, self._has_secondaries(zone)


def _domain(name: str, facts: _Facts) -> bytes:
    """One zone as PowerDNS reads it, in JSON; there may be thousands, and json.dumps is slow."""
    number, serial, notified, has_secondaries = facts
    return (
        f'{{"id":{number},"zone":{json.dumps(f"{name}.")},'
        f'"kind":"{"master" if has_secondaries else "native"}",'
        f'"serial":{serial},"notified_serial":{notified},"last_check":0,"masters":[]}}'
    ).encode("ascii")


def _zones(snapshot: Snapshot) -> Iterable[Zone]:
    return snapshot.name_index.zones.values()


def _named(snapshot: Snapshot, name: str) -> Zone | None:
    return snapshot.name_index.zones.get(name)


def _numbered(snapshot: Snapshot, zone_id: int) -> Zone | None:
    return next((zone for zone in _zones(snapshot) if zone.id == zone_id), None)


def _joined(names: Iterable[bytes]) -> bytes:
    """One answer of what was rendered name by name."""
    return _listed(name[len(_OPEN) : -len(_CLOSE)] for name in names)


def _listed(objects: Iterable[bytes]) -> bytes:
    return _OPEN + b",".join(list(objects)) + _CLOSE
