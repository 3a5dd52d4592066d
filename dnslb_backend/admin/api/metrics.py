"""/metrics: the instruments of this process, and the health map as figures.

The map is counted on each request, and all is written out in slices, so that it delays no lookup;
labels are names from the configuration and fixed words.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from dnslb_backend.admin.api.label_series import LabelSeries
from dnslb_backend.admin.api.record_series import RecordSeries, WrittenGauge
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.responses import LongResponse, Pieces
from dnslb_backend.admin.settings import AdminSettings, RecordMetrics
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import Action
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.tally import Basis
from dnslb_backend.core.health.target import Health
from dnslb_backend.metrics import REGISTRY
from dnslb_backend.slices import in_slices

OPENMETRICS = openmetrics.CONTENT_TYPE_LATEST

Encode = Callable[[Collector], bytes]


class _One(Collector):
    """A single family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


async def render_metrics(control: Control, accept: str, settings: AdminSettings) -> LongResponse:
    """All metrics in the format that `accept` asks for: OpenMetrics, or Prometheus's text."""
    encode, content_type, end = _format(accept)
    counted = await count_health(control, settings.metric_labels, settings.record_metrics)
    text = Pieces()
    # Some of them are read from /proc, which may block.
    instruments = await asyncio.to_thread(list, REGISTRY.collect())
    async for family in in_slices([*counted, *instruments]):
        text.write(encode(_One(family)).removesuffix(end))
        if isinstance(family, WrittenGauge):
            for piece in family.written.take():
                text.write(piece)
    text.write(end)
    return LongResponse(text.take(), content_type)


async def count_health(
    control: Control,
    label_keys: Collection[str] = (),
    record_metrics: RecordMetrics = "all",
) -> list[Metric]:
    """The health map as metrics, as it is now; members also by their labels of these keys."""
    overrides = Counter(override.action.value for override in control.health_map.overrides)
    series = RecordSeries(record_metrics)
    return [
        _gauge("dnslb_start_time_seconds", "Start of this daemon, in Unix time", control.started),
        *await _count_targets(control.health_map),
        *await _count_records(control, series, LabelSeries(label_keys)),
        _by("dnslb_overrides", "Overrides in force", "action", Action, overrides),
        *_count_votes(control.health_map.agreement),
    ]


def _count_votes(agreement: Agreement | None) -> Iterator[Metric]:
    """What nodes that decide together make of the targets; nothing without [quorum]."""
    if agreement is None:
        return
    figures, voters = agreement.figures, len(agreement.peer_table.voters)
    is_voter = agreement.rules.votes and not agreement.abstains
    yield _gauge(
        "dnslb_quorum_voters", "Nodes whose votes count, this one included", voters + is_voter
    )
    yield _gauge(
        "dnslb_quorum_nodes",
        "Nodes with a row in lb_voter, this one included",
        len(agreement.peer_table.peers) + agreement.rules.votes,
    )
    yield _by(
        "dnslb_quorum_targets",
        "Targets that are voted on, by what their health rests on",
        "basis",
        Basis,
        Counter(agreement.bases()),
    )
    yield _gauge(
        "dnslb_quorum_outvoted",
        "Targets of which this node says otherwise than counts",
        len(figures.outvoted),
    )
    yield _gauge(
        "dnslb_quorum_unshared",
        "Targets that only this node votes on while others vote",
        len(figures.unshared),
    )


async def _count_targets(health: HealthMap) -> list[Metric]:
    words: Counter[str] = Counter()
    stale = 0
    async for key in in_slices(list(health.targets)):
        state = health.seen(key)
        words[state.health] += 1
        stale += state.stale
    return [
        _by("dnslb_targets", "Targets, by measured health", "health", Health, words),
        _gauge(
            "dnslb_targets_stale",
            "Targets without a result for longer than stale_after",
            stale,
        ),
    ]


async def _count_records(
    control: Control, series: RecordSeries, labels: LabelSeries
) -> list[Metric]:
    members: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    served = held = pending = overdue = 0
    async for state in in_slices(list(control.health_map.records.values())):
        at = control.now()
        series.add(state.record.key, state, control.health_map, at.wall)
        rows = [row for row in state.rows if not row.is_fallback]
        served += sum(row.is_served for row in rows)
        members.update(row.effective.value for row in rows)
        labels.add(rows)
        kinds[state.decision.kind] += 1
        held += state.is_held
        pending += not state.is_ready
        overdue += _overdue(state, at.mono)
    return [
        _by("dnslb_members", "Members, by effective health", "health", Health, members),
        _gauge("dnslb_members_served", "Members that are served", served),
        _by("dnslb_records", "Balanced records, by decision", "decision", DecisionKind, kinds),
        _gauge("dnslb_records_held", "Records whose change waits for the check cycle to end", held),
        _gauge("dnslb_records_pending", "Records without an answer of their own yet", pending),
        _gauge("dnslb_hosts_overdue", "Host names that do not resolve past dns_ttl", overdue),
        *series.families,
        *labels.families(),
    ]


def _overdue(state: RecordState, mono: float) -> int:
    dns_ttl = state.record.timing.dns_ttl
    return sum(known.is_overdue(mono, dns_ttl) for known in state.hosts.values())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by(
    name: str, text: str, label: str, words: type[StrEnum], counts: Mapping[str, int]
) -> Metric:
    """A gauge with a series for each of `words`, those at 0 included."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for word in words:
        family.add_metric([word.value], counts.get(word.value, 0))
    return family


def _format(accept: str) -> tuple[Encode, str, bytes]:
    """What writes out a family, the type of it all, and its end."""
    # The library's own choice stumbles over versions that are none, and sends them back.
    if "application/openmetrics-text" in accept:
        return openmetrics.generate_latest, OPENMETRICS, b"# EOF\n"
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4, b""
