"""Probes on demand: reported, but not counted."""

from dataclasses import dataclass

from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.observation import Observation
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import RecordKey


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """One probe on demand: its target, its result, and what that result would change.

    `contents` are the members that use the target. `after` would be its health if the result
    counted, and `streak` the number of results in a row against that health. `probers` are the
    nodes that probe the target on schedule; None: all do.
    """

    key: RecordKey
    contents: tuple[str, ...]
    address: str
    check: str
    result: Result
    before: Health
    after: Health
    streak: int
    probers: tuple[str, ...] | None = None


def probe_report(
    health: HealthMap, key: RecordKey, observed: Observation, check: str
) -> ProbeReport:
    """The report of a probe of one target of a record; `check` says what was asked."""
    target, after = observed.target, observed.after
    return ProbeReport(
        key=key,
        contents=tuple(m.content for m in health.records[key].members if target in m.targets),
        address=target.address,
        check=check,
        result=observed.result,
        before=observed.before.health,
        after=after.health,
        streak=after.streak,
        probers=None if health.agreement is None else health.agreement.probers(target),
    )
