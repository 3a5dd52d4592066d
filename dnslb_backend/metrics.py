"""The instruments: every figure that some part of the daemon counts or measures.

Prometheus reads them at /metrics, together with what is looked up there and then (health,
members, overrides; `admin/api/metrics.py`). All names begin with `dnslb_`.

No label has a value that a client, a target or an operator could invent: the values
of each are listed in its type here. Instruments may be used from any thread, unless they say
otherwise.
"""

import asyncio
import platform
import time
from bisect import bisect_left
from collections import Counter as Count
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from dnslb_backend import __version__

Transport = Literal["http", "unix", "pipe"]
LookupOutcome = Literal["found", "nodata", "nxdomain", "servfail", "bad_request"]
"""`nodata` is a name without rows of that type; `bad_request` a malformed request."""

ProbeOutcome = Literal["pass", "fail", "error"]
ResolutionStatus = Literal["found", "empty", "nxdomain", "failed"]
HealthWord = Literal["UP", "DOWN", "UNKNOWN"]
Component = Literal[
    "check",
    "resolver",
    "scheduler",
    "publisher",
    "lookup",
    "mirror",
    "quorum",
    "purge",
    "notify",
    "admin",
    "reload",
    "daemon",
]
"""Parts of the daemon that may fail, as docs/metrics.md describes them."""

NotificationReceiver = Literal["webhook", "command"]
NotificationOutcome = Literal["sent", "refused", "expired", "dropped"]
"""`refused`: retrying would not help; `dropped`: the queue was full."""

# A timestamp for every series would double their number.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""All instruments of this process, and what the system says of it (`dnslb_process_*`)."""

ProcessCollector(namespace="dnslb", registry=REGISTRY)

MICROSECONDS = (5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 0.1, 1.0)
MILLISECONDS = (1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# -- this process --------------------------------------------------------------------------

BUILD = Info("dnslb_build", "Version of the program and of Python", registry=REGISTRY)
BUILD.info({"version": __version__, "python": platform.python_version()})

EVENT_LOOP_DELAY = Histogram(
    "dnslb_event_loop_delay_seconds",
    "How late the event loop came back to a task that was due",
    buckets=MILLISECONDS,
    registry=REGISTRY,
)
ERRORS = Counter(
    "dnslb_errors",
    "Errors of the daemon itself, by component",
    ["component"],
    registry=REGISTRY,
)
RELOADS = Counter(
    "dnslb_reloads", "Reloads, by how they ended (ok, refused)", ["result"], registry=REGISTRY
)
RELOAD_OK = Gauge(
    "dnslb_last_reload_ok",
    "Whether the configuration that was read last is the one that runs",
    registry=REGISTRY,
)
RELOAD_OK.set(1)

# -- health --------------------------------------------------------------------------------

TRANSITIONS = Counter(
    "dnslb_transitions",
    "Changes of a member's effective health, priority or served state, by the health it has now",
    ["health"],
    registry=REGISTRY,
)
RESOLUTIONS = Counter(
    "dnslb_resolutions",
    "Answers of the resolver for destinations and fallbacks",
    ["status"],
    registry=REGISTRY,
)
CHECK_CYCLES_SKIPPED = Counter(
    "dnslb_check_cycles_skipped",
    "Check cycles that were due while the one before of the same record was still under way",
    registry=REGISTRY,
)
BRAKE_ENGAGED = Gauge(
    "dnslb_brake_engaged", "Whether DOWNs are held: no canary answers", registry=REGISTRY
)
BRAKE_HELD = Gauge("dnslb_brake_held", "DOWNs that are held at this moment", registry=REGISTRY)

# -- answers -------------------------------------------------------------------------------

SNAPSHOTS = Counter(
    "dnslb_snapshots", "Snapshots that went live: changes of what is answered", registry=REGISTRY
)
SNAPSHOT_AGE = Gauge(
    "dnslb_snapshot_age_seconds",
    "Since when nothing has changed in what is answered",
    registry=REGISTRY,
)

# -- PowerDNS's caches ---------------------------------------------------------------------

PURGES = Counter("dnslb_purges", "Names purged from PowerDNS's caches", registry=REGISTRY)
PURGE_FAILURES = Counter(
    "dnslb_purge_failures", "Purges that PowerDNS did not confirm", registry=REGISTRY
)
PURGE_DURATION = Histogram(
    "dnslb_purge_duration_seconds",
    "From a changed answer to PowerDNS's confirmation",
    buckets=MILLISECONDS,
    registry=REGISTRY,
)

# -- the mirror ----------------------------------------------------------------------------

MIRROR_UP = Gauge(
    "dnslb_mirror_up",
    "Whether the last write to the store succeeded: local, mariadb with [mysql]",
    ["store"],
    registry=REGISTRY,
)
MIRROR_LAG = Gauge(
    "dnslb_mirror_lag_seconds", "Age of the oldest row that waits to be written", registry=REGISTRY
)
MIRROR_BACKLOG = Gauge("dnslb_mirror_backlog", "Rows that wait to be written", registry=REGISTRY)
MIRROR_ROWS = Counter("dnslb_mirror_rows", "Rows written", registry=REGISTRY)
MIRROR_ERRORS = Counter("dnslb_mirror_errors", "Writes that failed", registry=REGISTRY)
MIRROR_DROPPED = Counter(
    "dnslb_mirror_dropped", "Transitions given up because too many waited", registry=REGISTRY
)
NEWER_SCHEMA = Gauge(
    "dnslb_newer_schema",
    "Version of the store's schema if it is newer than this program's, else 0",
    ["store"],
    registry=REGISTRY,
)
UNSUPPORTED_ROWS = Gauge(
    "dnslb_unsupported_rows",
    "Overrides and keys in the store that need a newer program, and are not in force here",
    ["store", "table"],
    registry=REGISTRY,
)

# -- votes ---------------------------------------------------------------------------------

VOTES_WRITTEN = Counter("dnslb_votes_written", "Votes of this node written", registry=REGISTRY)
VOTES_READ = Counter("dnslb_votes_read", "Votes of other nodes read", registry=REGISTRY)
EXCHANGE_AGE = Gauge(
    "dnslb_quorum_exchange_age_seconds",
    "Since when no votes were exchanged; 0 without [quorum]",
    registry=REGISTRY,
)

# -- notifications -------------------------------------------------------------------------

NOTIFICATIONS = Counter(
    "dnslb_notifications",
    "Events for receivers of [notify], by the kind of receiver and how they ended",
    ["receiver", "outcome"],
    registry=REGISTRY,
)
NOTIFICATION_FAILURES = Counter(
    "dnslb_notification_failures",
    "Deliveries to receivers of [notify] that failed and are retried",
    ["receiver"],
    registry=REGISTRY,
)
NOTIFICATION_QUEUE = Gauge(
    "dnslb_notification_queue",
    "Events that are not delivered yet to receivers of [notify]",
    ["receiver"],
    registry=REGISTRY,
)

# -- operators -----------------------------------------------------------------------------

ADMIN_REQUESTS = Counter(
    "dnslb_admin_requests",
    "Requests of operators, by class of status (2xx, 4xx, 5xx)",
    ["status"],
    registry=REGISTRY,
)
EVENT_CLIENTS = Gauge(
    "dnslb_event_clients", "Clients that listen to the stream of events", registry=REGISTRY
)
EVENT_CLIENTS_DROPPED = Counter(
    "dnslb_event_clients_dropped", "Clients cut off because they did not read", registry=REGISTRY
)

for _component in get_args(Component):
    ERRORS.labels(_component)
for _word in get_args(HealthWord):
    TRANSITIONS.labels(_word)
for _status in get_args(ResolutionStatus):
    RESOLUTIONS.labels(_status)
for _receiver in get_args(NotificationReceiver):
    NOTIFICATION_FAILURES.labels(_receiver)
    NOTIFICATION_QUEUE.labels(_receiver)
    for _outcome in get_args(NotificationOutcome):
        NOTIFICATIONS.labels(_receiver, _outcome)
for _result in ("ok", "refused"):
    RELOADS.labels(_result)
for _class in ("2xx", "4xx", "5xx"):
    ADMIN_REQUESTS.labels(_class)


class LookupMeter:
    """Counts the lookups of one transport, for the event loop alone.

    There are tens of thousands a second: they are added up in plain numbers, because a counter
    that may be used from any thread costs a third of a lookup. Prometheus is given the sums.
    """

    def __init__(self, transport: Transport) -> None:
        self._outcomes = _LOOKUPS[transport]
        self._durations = _LOOKUP_DURATIONS[transport]

    def count(self, outcome: LookupOutcome, seconds: float) -> None:
        """One more lookup, which took so long."""
        self._outcomes[outcome] += 1
        self._durations.add(seconds)


class _Durations:
    """Durations in plain numbers; `buckets` are not cumulative, the last one has no end."""

    __slots__ = ("bounds", "buckets", "seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds

    def show(self, family: HistogramMetricFamily, *labels: str) -> None:
        ends = [*map(floatToGoString, self.bounds), "+Inf"]
        buckets = list(zip(ends, accumulate(self.buckets), strict=True))
        family.add_metric(labels, buckets=buckets, sum_value=self.seconds)


_LOOKUPS = {each: dict.fromkeys(get_args(LookupOutcome), 0) for each in get_args(Transport)}
_LOOKUP_DURATIONS = {each: _Durations(MICROSECONDS) for each in get_args(Transport)}
_PROBES: Count[tuple[str, ProbeOutcome]] = Count()
_PROBE_DURATIONS: defaultdict[str, _Durations] = defaultdict(lambda: _Durations(MILLISECONDS))
_SCHEDULER_LAG = _Durations(MILLISECONDS)


class _HotCollector(Collector):
    """Shows Prometheus what the event loop counts in plain numbers: lookups and probes."""

    def collect(self) -> Iterator[Metric]:
        yield from _lookups_shown()
        yield from _probes_shown()


def _lookups_shown() -> Iterator[Metric]:
    counts = CounterMetricFamily(
        "dnslb_lookups",
        "Lookups of PowerDNS, by transport and outcome",
        labels=["transport", "outcome"],
    )
    durations = HistogramMetricFamily(
        "dnslb_lookup_duration_seconds",
        "From a request that was read to an answer that is ready",
        labels=["transport"],
    )
    for transport, outcomes in _LOOKUPS.items():
        for outcome, count in outcomes.items():
            counts.add_metric([transport, outcome], count)
        _LOOKUP_DURATIONS[transport].show(durations, transport)
    yield counts
    yield durations


def _probes_shown() -> Iterator[Metric]:
    counts = CounterMetricFamily(
        "dnslb_checks",
        "Probes that ended, by the kind of their check and their outcome",
        labels=["kind", "outcome"],
    )
    durations = HistogramMetricFamily(
        "dnslb_check_duration_seconds",
        "How long a probe took, by the kind of its check",
        labels=["kind"],
    )
    lag = HistogramMetricFamily(
        "dnslb_scheduler_lag_seconds", "How long after it was due a probe began"
    )
    for (kind, outcome), count in list(_PROBES.items()):
        counts.add_metric([kind, outcome], count)
    for kind, found in list(_PROBE_DURATIONS.items()):
        found.show(durations, kind)
    _SCHEDULER_LAG.show(lag)
    yield from (counts, durations, lag)


REGISTRY.register(_HotCollector())


def count_probe(kind: str, outcome: ProbeOutcome, seconds: float) -> None:
    """One more probe, for the event loop alone. `kind` is a name in the registry of checks."""
    _PROBES[kind, outcome] += 1
    _PROBE_DURATIONS[kind].add(seconds)
    if outcome == "error":
        ERRORS.labels("check").inc()


def count_start(lag: float) -> None:
    """One more probe began, so many seconds after it was due; for the event loop alone."""
    _SCHEDULER_LAG.add(max(lag, 0.0))


def count_error(component: Component) -> None:
    """One more error of the daemon itself; `ComponentLog.exception` logs one as well."""
    ERRORS.labels(component).inc()


def count_reload(is_ok: bool) -> None:
    """One more reload; a refused one leaves the older configuration running."""
    RELOADS.labels("ok" if is_ok else "refused").inc()
    RELOAD_OK.set(is_ok)


def snapshot_swapped() -> None:
    """Another snapshot is live from now on."""
    SNAPSHOTS.inc()
    since = time.monotonic()
    SNAPSHOT_AGE.set_function(lambda: time.monotonic() - since)


async def measure_loop_delay(interval: float = 0.5) -> None:
    """Measure how late the event loop is; runs until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        EVENT_LOOP_DELAY.observe(max(loop.time() - due, 0.0))
