"""What overrides would do, checked before they are applied."""

from collections.abc import Iterable

from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import ActiveOverrides, Override
from dnslb_backend.core.model.records import RecordKey


def records_without_service(
    health: HealthMap, overrides: Iterable[Override], moved: Iterable[Override]
) -> tuple[RecordKey, ...]:
    """The records where some clients would lose their serving members if `overrides` were all.

    A fallback or `all_down` may still answer them. `moved` are the overrides that this adds or
    removes: only records that they match are evaluated.
    """
    active_overrides = ActiveOverrides(overrides)
    covered = health.covered(moved)
    return tuple(
        key
        for key, state in health.records.items()
        if key in covered
        and health.evaluate_with(key, active_overrides)[1].loses_service(state.decision)
    )


def matches_anything(health: HealthMap, override: Override) -> bool:
    """Whether `override` matches any member, or any destination, resolved or not."""
    return bool(health.covered([override]))
