"""What overrides would do, checked before they are applied."""

from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import ActiveOverrides
from dnslb_backend.core.model.records import RecordKey


def loses_service(health: HealthMap, key: RecordKey, active_overrides: ActiveOverrides) -> bool:
    """Whether some clients of a record would lose their serving members with these overrides.

    A fallback or `all_down` may still answer them.
    """
    _, decision = health.evaluate_with(key, active_overrides)
    return decision.loses_service(health.records[key].decision)
