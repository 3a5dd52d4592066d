"""Changes in the log: one line each, what changed and why."""

import logging

from dnslb_backend import logs, metrics
from dnslb_backend.core.health.changes import Changes, Overflow
from dnslb_backend.core.health.transitions import Transition

log = logging.getLogger("dnslb_backend.health")
# Transitions are logged whatever `loglevel` is.
log.setLevel(logging.INFO)


def report_changes(changes: Changes) -> None:
    """Count and log transitions, and log host names with too many addresses."""
    for transition in changes.transitions:
        metrics.TRANSITIONS.labels(transition.to_health).inc()
        log_transition(transition)
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
    log.info(
        "%s %s: %s%s",
        moved.key,
        moved.content,
        ", ".join(parts),
        f" ({moved.reason})" if moved.reason else "",
        extra=logs.fields(
            zone=moved.key.zone, name=moved.key.name, type=moved.key.type, address=moved.address
        ),
    )


def log_overflow(found: Overflow) -> None:
    if found.ignored:
        log.warning(
            "%s: %s has more than max_addresses = %d addresses; ignoring %d",
            *(found.key, found.host, found.limit, found.ignored),
        )
    else:
        log.info("%s: all addresses of %s are used again", found.key, found.host)
