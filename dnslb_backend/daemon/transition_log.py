"""Changes in the log: one line each, what changed and why."""

import logging
from collections import Counter
from collections.abc import Iterable

from dnslb_backend import logs, metrics
from dnslb_backend.core.health.changes import Changes, Overflow
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.service import Service, ServiceStatus
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.slices import in_slices

log = logging.getLogger("dnslb_backend.health")


def report_changes(changes: Changes) -> None:
    """Count transitions; log them, decisions, and host names with too many addresses."""
    for transition in changes.transitions:
        metrics.TRANSITIONS.labels(transition.to_health).inc()
        log_transition(transition)
    for change in changes.decisions:
        log_decision(change)
    for overflow in changes.overflows:
        log_overflow(overflow)


def log_transition(moved: Transition) -> None:
    parts = []
    if moved.from_health != moved.to_health:
        parts.append(f"{moved.from_health} -> {moved.to_health}")
    if moved.from_served != moved.to_served:
        parts.append("now served" if moved.to_served else "no longer served")
    if moved.from_priority != moved.to_priority and not parts:
        parts.append(f"priority {moved.from_priority} -> {moved.to_priority}")
    log.log(
        logging.DEBUG if _is_expected(moved) else logging.INFO,
        "%s %s: %s%s",
        moved.key,
        moved.content,
        ", ".join(parts),
        f" ({moved.reason})" if moved.reason else "",
        extra=logs.json_fields(
            zone=moved.key.zone,
            name=moved.key.name,
            type=moved.key.type,
            address=moved.address,
            **{"from": moved.from_health, "to": moved.to_health},
            # A number, as of a record: a field of two types is refused by log stores.
            served=int(moved.to_served),
            reason=moved.reason,
            code=moved.code,
        ),
    )


def _is_expected(moved: Transition) -> bool:
    """Whether it is part of a record's first check cycle; a member that is DOWN there is news."""
    is_down = moved.from_health != moved.to_health and moved.to_health is Health.DOWN
    return moved.is_first and not is_down


def log_decision(change: DecisionChange) -> None:
    before, after = change.before, change.after
    steps = dict.fromkeys([before.service, after.service])
    level = logs.LEVELS[after.severity]
    log.log(
        # That a record serves after its first check cycle is in the summary of the start.
        logging.DEBUG if change.is_start and level == logging.INFO else level,
        "%s %s: %s (%s)",
        change.key.name,
        change.key.type,
        " -> ".join(steps),
        change.reason,
        extra=logs.json_fields(
            zone=change.key.zone,
            name=change.key.name,
            type=change.key.type,
            **{"from": before.service, "to": after.service},
            served=after.served,
            total=after.total,
            up=after.up,
            reason=change.reason,
        ),
    )


async def log_ready(found: Iterable[ServiceStatus]) -> None:
    """Log that every first check cycle has ended, with the service of all records as a summary."""
    services = Counter[Service]()
    up = total = 0
    async for status in in_slices(found):
        services[status.service] += 1
        up += status.up
        total += status.total
    counts = ", ".join(f"{services[word]} {word}" for word in Service if services[word])
    log.log(
        logging.WARNING if services.total() > services[Service.SERVING] else logging.INFO,
        "ready: %d records%s, %d of %d members UP",
        services.total(),
        f" ({counts})" if counts else "",
        up,
        total,
    )


def log_overflow(found: Overflow) -> None:
    if found.ignored:
        log.warning(
            "%s: %s has more than max_addresses = %d addresses; ignoring %d",
            *(found.key, found.host, found.limit, found.ignored),
        )
    else:
        log.info("%s: all addresses of %s are used again", found.key, found.host)
