"""The methods about whole zones: the list of zones, transfers, and changes.

A PowerDNS with `primary=yes` asks getUpdatedMasters at its start and every `xfr-cycle-interval`
seconds, sends NOTIFY for what it finds there, and says so with setNotified. If it gets no
answer, it exits. So zones that it notifies through a channel are left out.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.model.zones import Zone
from dnslb_backend.pdns.methods.dnssec import FALSE, TRUE
from dnslb_backend.pdns.wire.parameters import Parameters, domain_name, integer
from dnslb_backend.pdns.wire.rows import render_result

log = logging.getLogger(__name__)

HTTP_LIMIT = 2 * 1024 * 1024
"""Bytes of an answer that PowerDNS reads over HTTP."""

_OPEN, _CLOSE = b'{"result":[', b"]}"


class ZoneMethods:
    """Answers from the snapshot that `current` returns at that moment.

    `metadata` returns the metadata of a zone, by its canonical name; `notifies`, whether a channel
    makes PowerDNS notify the secondaries in the configuration.
    """

    def __init__(
        self,
        current: Callable[[], Snapshot],
        metadata: Callable[[str], Mapping[str, Sequence[str]]],
        notifies: Callable[[], bool],
    ) -> None:
        self._current = current
        self._metadata = metadata
        self._notifies = notifies
        self._notified: dict[int, int] = {}
        self._large: set[str] = set()
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
        snapshot = self._current()
        return self._render(snapshot, _zones(snapshot))

    def _get_domain_info(self, parameters: Parameters) -> bytes:
        snapshot = self._current()
        zone = _named(snapshot, domain_name(parameters, "name"))
        return FALSE if zone is None else render_result(self._domain(snapshot, zone))

    def _get_updated_masters(self, _: Parameters) -> bytes:
        """Zones that have changed since their secondaries were last notified."""
        snapshot, notifies = self._current(), self._notifies()
        return self._render(
            snapshot,
            (
                zone
                for zone in _zones(snapshot)
                if self._notified.get(zone.id) != snapshot.serials[zone.name]
                and not (notifies and zone.also_notify)
            ),
        )

    def _set_notified(self, parameters: Parameters) -> bytes:
        zone_id = integer(parameters, "id")
        if _numbered(self._current(), zone_id) is None:
            return FALSE
        self._notified[zone_id] = integer(parameters, "serial")
        return TRUE

    def _render(self, snapshot: Snapshot, zones: Iterable[Zone]) -> bytes:
        return render_result([self._domain(snapshot, zone) for zone in zones])

    def _domain(self, snapshot: Snapshot, zone: Zone) -> dict[str, object]:
        return {
            "id": zone.id,
            "zone": f"{zone.name}.",
            "kind": "master" if self._has_secondaries(zone) else "native",
            "serial": snapshot.serials[zone.name],
            "notified_serial": self._notified.get(zone.id, 0),
            "last_check": 0,
            "masters": [],
        }

    def _has_secondaries(self, zone: Zone) -> bool:
        """Whether there is anyone to notify; pdnsutil may have configured that as well."""
        return bool(self._metadata(zone.name).get("ALSO-NOTIFY"))


def _zones(snapshot: Snapshot) -> Iterable[Zone]:
    return snapshot.name_index.zones.values()


def _named(snapshot: Snapshot, name: str) -> Zone | None:
    return snapshot.name_index.zones.get(name)


def _numbered(snapshot: Snapshot, zone_id: int) -> Zone | None:
    return next((zone for zone in _zones(snapshot) if zone.id == zone_id), None)


def _joined(names: Iterable[bytes]) -> bytes:
    """One answer of what was rendered name by name."""
    return _OPEN + b",".join([name[len(_OPEN) : -len(_CLOSE)] for name in names]) + _CLOSE
