"""Members by the labels of their destinations, as metrics: a bounded number of series."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.target import Health

VALUES_SHOWN = 100
"""Values of one key that have series of their own: the first, in the order of the alphabet."""

OTHER_VALUES = "(other)"
"""All others together; no label has such a value."""


class LabelSeries:
    """Counts members by the values of their labels, for these keys of labels."""

    def __init__(self, keys: Collection[str]) -> None:
        self._members: dict[str, dict[str, Counter[Health]]] = {key: {} for key in keys}
        self._served: Counter[tuple[str, str]] = Counter()

    def add(self, rows: Iterable[MemberStatus]) -> None:
        for row in rows:
            for label in row.member.labels:
                key, _, value = label.partition("=")
                if key in self._members:
                    self._members[key].setdefault(value, Counter())[row.effective] += 1
                    self._served[key, value] += row.is_served

    def families(self) -> Iterator[Metric]:
        members = GaugeMetricFamily(
            "dnslb_label_members",
            "Members with a label of metric_labels, by effective health",
            labels=("label", "value", "health"),
        )
        served = GaugeMetricFamily(
            "dnslb_label_members_served",
            "Members with a label of metric_labels that are served",
            labels=("label", "value"),
        )
        for key, values in self._members.items():
            for name, merged in _shown(sorted(values)).items():
                counts = sum((values[value] for value in merged), Counter[Health]())
                for health in Health:
                    members.add_metric([key, name, health.value], counts[health])
                served.add_metric([key, name], sum(self._served[key, value] for value in merged))
        yield from (members, served)


def _shown(values: list[str]) -> dict[str, list[str]]:
    """The names of the series, and the values that each counts."""
    shown = {value: [value] for value in values[:VALUES_SHOWN]}
    rest = values[VALUES_SHOWN:]
    return shown | ({OTHER_VALUES: rest} if rest else {})
