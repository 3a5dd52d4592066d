"""What orders would do, asked before they are given."""

from collections.abc import Iterable

from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import ActiveOverrides, Override
from dnslb_backend.core.model.records import RecordKey


def records_without_service(
    health: HealthMap, overrides: Iterable[Override], moved: Iterable[Override]
) -> tuple[RecordKey, ...]:
    """The records where somebody has a serving member now and had none if only `overrides` held.

    They may still be answered, by a fallback or as `all_down` says. `moved` are the orders that
    come or go with that: others than they cover are not looked at.
    """
    rulings = ActiveOverrides(overrides)
    covered = health.covered(moved)
    return tuple(
        key
        for key, state in health.records.items()
        if key in covered and health.evaluate_with(key, rulings)[1].loses_service(state.decision)
    )


def matches_anything(health: HealthMap, override: Override) -> bool:
    """Whether `override` names any member, or any destination, resolved or not."""
    return bool(health.covered([override]))
