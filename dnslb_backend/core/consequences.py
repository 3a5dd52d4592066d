"""What orders would do, asked before they are given."""

from collections.abc import Iterable

from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.overrides import Override, Rulings
from dnslb_backend.core.records import RecordKey


def left_unserved(
    health: HealthMap, orders: Iterable[Override], moved: Iterable[Override]
) -> tuple[RecordKey, ...]:
    """The records where somebody has a serving member now and had none if only `orders` held.

    They may still be answered, by a fallback or as `all_down` says. `moved` are the orders that
    come or go with that: others than they cover are not looked at.
    """
    rulings = Rulings(orders)
    covered = health.covered(moved)
    return tuple(
        key
        for key, state in health.records.items()
        if key in covered and health.suppose(key, rulings)[1].starves(state.decision)
    )


def is_about_something(health: HealthMap, order: Override) -> bool:
    """Whether `order` names any member, or any destination, resolved or not."""
    return bool(health.covered([order]))
