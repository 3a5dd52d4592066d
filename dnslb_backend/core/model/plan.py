"""The configuration as the core sees it: zones, balanced records and views."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dnslb_backend.core.model.quorum import CheckQuestion
from dnslb_backend.core.model.records import Record, RecordKey
from dnslb_backend.core.model.views import View
from dnslb_backend.core.model.zones import PdnsVersion, Zone


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is served. `records` are in the order of the configuration.

    `questions` are what their checks ask, by fingerprint; `ballot` is equal where all of them are.
    """

    zones: dict[str, Zone]
    records: dict[RecordKey, Record]
    views: Mapping[str, View] = field(default_factory=dict)
    questions: Mapping[str, CheckQuestion] = field(default_factory=dict)
    ballot: str = ""

    def for_pdns(self, version: PdnsVersion) -> "Plan":
        """The plan with every zone as a PowerDNS of that version reads it."""
        return replace(self, zones={n: zone.for_pdns(version) for n, zone in self.zones.items()})
