"""Figures of each balanced record as series of their own: of all records, or of those in trouble.

There may be hundreds of thousands: they are written out as they are counted, in slices.
"""

from prometheus_client.core import GaugeMetricFamily

from dnslb_backend.admin.http.responses import Pieces
from dnslb_backend.admin.settings import RecordMetrics
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.flapping import FLIPS, WINDOW
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.results import first_expiry
from dnslb_backend.core.health.service import overall_kind, served_count, up_count
from dnslb_backend.core.model.records import RecordKey

MOST_PROBLEMS = 1000
"""Records in trouble that have series; more would say nothing that `dnslb_records` does not."""

EXPIRES_SOON = 30 * 86400.0
"""Seconds before its expiry in which a certificate is trouble."""

_WELL = (DecisionKind.SERVE, DecisionKind.PENDING)


class WrittenGauge(GaugeMetricFamily):
    """A gauge whose samples are written out already, as they stand in either format."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        super().__init__(name, text, labels=labels)
        self.written = Pieces()

    def add(self, labels: str, value: float) -> None:
        """`labels` are those between the braces."""
        line = f"{self.name}{{{labels}}} {value}\n"
        self.written.write(line.encode())


class RecordSeries:
    """The families of one scrape; `add` takes a record."""

    def __init__(self, wanted: RecordMetrics) -> None:
        self._wanted = wanted
        self._problems = 0
        self.families: list[WrittenGauge] = []
        self._members = self._family("members", "Members of a balanced record")
        self._served = self._family(
            "members_served", "Members of a balanced record that are served"
        )
        self._up = self._family(
            "members_up", "Members of a balanced record that are UP and not drained"
        )
        self._flapping = self._family(
            "members_flapping",
            f"Members that changed {FLIPS} times between UP and DOWN in {WINDOW / 60:g} minutes",
        )
        self._decision = self._family(
            "decision", "1 for the decision of a balanced record", "decision"
        )
        self._expiry = self._family(
            "certificate_expiry_timestamp_seconds",
            "When the first certificate that tls and https checks verified expires, in Unix time",
        )

    def add(self, key: RecordKey, state: RecordState, health: HealthMap, wall: float) -> None:
        served, total = served_count(state.rows)
        up, flapping = up_count(state.candidates), state.flips.flapping(wall)
        kind = overall_kind(state.decision, state.candidates)
        expiry = first_expiry(health.target(target).result for target in state.positions)
        if self._wanted == "problems":
            is_pending = kind is DecisionKind.PENDING
            expires_soon = expiry is not None and expiry < wall + EXPIRES_SOON
            is_problem = kind not in _WELL or flapping or expires_soon or up < total
            if is_pending or not is_problem or self._problems == MOST_PROBLEMS:
                return
            self._problems += 1
        labels = f'name="{_escaped(key.name)}",type="{key.type}",zone="{_escaped(key.zone)}"'
        self._members.add(labels, total)
        self._served.add(labels, served)
        self._up.add(labels, up)
        self._flapping.add(labels, flapping)
        self._decision.add(f'decision="{kind}",{labels}', 1)
        if expiry is not None:
            self._expiry.add(labels, expiry)

    def _family(self, name: str, text: str, *labels: str) -> WrittenGauge:
        family = WrittenGauge(f"dnslb_record_{name}", text, "zone", "name", "type", *labels)
        self.families.append(family)
        return family


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"")
