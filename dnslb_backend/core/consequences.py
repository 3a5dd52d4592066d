"""What orders would do, asked before they are given."""

from collections.abc import Iterable

from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.overrides import Override
from dnslb_backend.core.records import RecordKey


def left_unserved(
    health: HealthMap, orders: Iterable[Override], at: Instant
) -> tuple[RecordKey, ...]:
    """The records where somebody has a serving member now and had none if only `orders` held.

    They may still be answered, by a fallback or as `all_down` says.
    """
    held = tuple(orders)
    return tuple(
        key
        for key, state in health.records.items()
        if health.suppose(key, held, at, only_these=True)[1].starves(state.decision)
    )


def is_about_something(health: HealthMap, order: Override) -> bool:
    """Whether `order` names any member, or any destination, resolved or not."""
    return any(
        any(order.covers(key.name, *member.aliases) for member in state.members)
        or any(order.covers(key.name, dest.host) for dest in state.record.dests)
        for key, state in health.records.items()
    )
