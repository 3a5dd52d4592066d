"""What orders would do, asked before they are given."""

from collections.abc import Iterable

from dnslb_backend.core.decision import Kind
from dnslb_backend.core.health import combine
from dnslb_backend.core.healthmap import HealthMap, RecordState
from dnslb_backend.core.members import Member, assess
from dnslb_backend.core.overrides import Override, ruling
from dnslb_backend.core.records import RecordKey


def left_unserved(health: HealthMap, orders: Iterable[Override]) -> tuple[RecordKey, ...]:
    """The records with a serving member now that had none if `orders` were all that hold.

    They may still be answered, by a fallback or as `all_down` says.
    """
    held = tuple(orders)
    return tuple(
        key
        for key, state in health.records.items()
        if state.decision.kind is Kind.SERVE
        and not any(_may_serve(health, state, member, held) for member in state.members)
    )


def is_about_something(health: HealthMap, order: Override) -> bool:
    """Whether `order` names any member, or any destination, resolved or not."""
    return any(
        any(order.covers(key.name, member.address, member.host) for member in state.members)
        or any(order.covers(key.name, dest.host, dest.host) for dest in state.record.dests)
        for key, state in health.records.items()
    )


def _may_serve(
    health: HealthMap, state: RecordState, member: Member, orders: tuple[Override, ...]
) -> bool:
    probed = combine([health.target(target) for target in member.targets], state.record.require)
    order = ruling(orders, state.record.key.name, member.address, member.host)
    return assess(member, probed, order).candidate().is_eligible
