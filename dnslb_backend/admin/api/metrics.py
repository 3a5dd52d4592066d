"""/metrics: the instruments of this process, and the health map as figures.

The map is counted on each request, in slices, so that it delays no lookup; labels are names from
the configuration and fixed words. Only the text is rendered in a thread.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import StrEnum

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from dnslb_backend.admin.api.label_series import LabelSeries
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.responses import in_slices
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.flapping import FLIPS, WINDOW
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import Action
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.results import first_expiry
from dnslb_backend.core.health.service import overall_kind, served_count, up_count
from dnslb_backend.core.health.tally import Basis
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import RecordKey
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


async def render_metrics(
    control: Control, accept: str, label_keys: Collection[str]
) -> web.Response:
    """All metrics in the format that `accept` asks for: OpenMetrics, or Prometheus's text."""
    encode, content_type = _encoder(accept)
    body = await asyncio.to_thread(encode, _All(await count_health(control, label_keys)))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def count_health(control: Control, label_keys: Collection[str] = ()) -> list[Metric]:
    """The health map as metrics, as it is now; members also by their labels of these keys."""
    overrides = Counter(override.action.value for override in control.health_map.overrides)
    return [
        _gauge("dnslb_start_time_seconds", "Start of this daemon, in Unix time", control.started),
        *await _count_targets(control.health_map),
        *await _count_records(control, LabelSeries(label_keys)),
        _by("dnslb_overrides", "Overrides in force", "action", Action, overrides),
        *_count_votes(control.health_map.agreement),
    ]


def _count_votes(agreement: Agreement | None) -> Iterator[Metric]:
    """What nodes that decide together make of the targets; nothing without [quorum]."""
    if agreement is None:
        return
    figures, voters = agreement.figures, len(agreement.assembly.voters)
    is_voter = agreement.rules.votes and not agreement.abstains
    yield _gauge(
        "dnslb_quorum_voters", "Nodes whose votes count, this one included", voters + is_voter
    )
    yield _gauge(
        "dnslb_quorum_nodes",
        "Nodes with a row in lb_voter, this one included",
        len(agreement.assembly.peers) + agreement.rules.votes,
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
    async for key in in_slices(list(health.target_keys())):
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


class _RecordSeries:
    """Figures of each balanced record, as series of their own."""

    def __init__(self) -> None:
        self.families: list[Metric] = []
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
        self._members.add_metric(list(key), total)
        self._served.add_metric(list(key), served)
        self._up.add_metric(list(key), up_count(state.candidates))
        self._flapping.add_metric(list(key), state.flips.flapping(wall))
        self._decision.add_metric([*key, overall_kind(state.decision, state.candidates)], 1)
        expiry = first_expiry(health.target(target).result for target in state.positions)
        if expiry is not None:
            self._expiry.add_metric(list(key), expiry)

    def _family(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        labels = ("zone", "name", "type", *labels)
        family = GaugeMetricFamily(f"dnslb_record_{name}", text, labels=labels)
        self.families.append(family)
        return family


async def _count_records(control: Control, labels: LabelSeries) -> list[Metric]:
    series = _RecordSeries()
    members: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    served = held = pending = overdue = 0
    async for key, state in in_slices(list(control.health_map.records.items())):
        at = control.now()
        series.add(key, state, control.health_map, at.wall)
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


def _encoder(accept: str) -> tuple[Encode, str]:
    # The library's own choice stumbles over versions that are none, and sends them back.
    if "application/openmetrics-text" in accept:
        return openmetrics.generate_latest, OPENMETRICS
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4
