"""What overrides would do, checked before they are applied."""

from dnslb_backend.core.health.evaluation import evaluate_with
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import ActiveOverrides
from dnslb_backend.core.model.records import RecordKey


def loses_service(health: HealthMap, key: RecordKey, active_overrides: ActiveOverrides) -> bool:
    """Whether some clients of a record would lose their serving members with these overrides.

    A fallback or `all_down` may still answer them.
    """
    state = health.records[key]
    _, decision = evaluate_with(state, health.targets, active_overrides)
    return decision.loses_service(state.decision)
