"""The configuration as the core sees it: zones, balanced records and views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

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


class PlanChange(NamedTuple):
    """The records that are new or `changed` in another plan, in its order, and those `removed`."""

    changed: Sequence[RecordKey] = ()
    removed: Sequence[RecordKey] = ()


def compare_records(
    before: Mapping[RecordKey, Record], after: Mapping[RecordKey, Record]
) -> PlanChange:
    """What is different in `after`."""
    return PlanChange(
        [
            key
            for key, record in after.items()
            if (old := before.get(key)) is not record and old != record
        ],
        [key for key in before if key not in after],
    )
