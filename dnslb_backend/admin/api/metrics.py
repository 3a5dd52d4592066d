"""/metrics: the instruments of this process, and the health map as figures.

The map is counted on each request, in slices, so that it delays no lookup; labels are names from
the configuration and fixed words. Only the text is rendered in a thread.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.responses import in_slices
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import Action
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.target import Health
from dnslb_backend.metrics import REGISTRY

OPENMETRICS = openmetrics.CONTENT_TYPE_LATEST

Encode = Callable[[Collector], bytes]


class _All(Collector):
    """What was counted before, then the instruments."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families
        yield from REGISTRY.collect()


async def render_metrics(control: Control, accept: str) -> web.Response:
    """All metrics in the format that `accept` asks for: OpenMetrics, or Prometheus's text."""
    encode, content_type = _encoder(accept)
    body = await asyncio.to_thread(encode, _All(await count_health(control)))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def count_health(control: Control) -> list[Metric]:
    """The health map as metrics, as it is now."""
    overrides = Counter(override.action.value for override in control.health_map.overrides)
    return [
        _gauge("dnslb_start_time_seconds", "Start of this daemon, in Unix time", control.started),
        *await _count_targets(control.health_map),
        *await _count_records(control),
        _by("dnslb_overrides", "Overrides in force", "action", Action, overrides),
    ]


async def _count_targets(health: HealthMap) -> list[Metric]:
    words: Counter[str] = Counter()
    stale = 0
    async for key in in_slices(list(health.target_keys())):
        state = health.target(key)
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


async def _count_records(control: Control) -> list[Metric]:
    labels = ["zone", "name", "type"]
    total = GaugeMetricFamily("dnslb_record_members", "Members of a balanced record", labels=labels)
    serving = GaugeMetricFamily(
        "dnslb_record_members_served", "Members of a balanced record that are served", labels=labels
    )
    members: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    served = held = pending = overdue = 0
    async for key, state in in_slices(list(control.health_map.records.items())):
        rows = [row for row in state.rows if not row.is_fallback]
        its_served = sum(row.is_served for row in rows)
        total.add_metric(list(key), len(rows))
        serving.add_metric(list(key), its_served)
        served += its_served
        members.update(row.effective.value for row in rows)
        kinds[state.decision.kind] += 1
        held += state.is_held
        pending += not state.is_ready
        overdue += _overdue(state, control.now().mono)
    return [
        _by("dnslb_members", "Members, by effective health", "health", Health, members),
        _gauge("dnslb_members_served", "Members that are served", served),
        _by(
            "dnslb_records",
            "Balanced records, by decision",
            "decision",
            DecisionKind,
            kinds,
        ),
        _gauge("dnslb_records_held", "Records whose change waits for the check cycle to end", held),
        _gauge("dnslb_records_pending", "Records without an answer of their own yet", pending),
        _gauge("dnslb_hosts_overdue", "Host names that do not resolve past dns_ttl", overdue),
        total,
        serving,
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


def _encoder(accept: str) -> tuple[Encode, str]:
    # The library's own choice stumbles over versions that are none, and sends them back.
    if "application/openmetrics-text" in accept:
        return openmetrics.generate_latest, OPENMETRICS
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4
