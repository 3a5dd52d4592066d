"""Probes on demand: reported, but not counted."""

from dataclasses import dataclass

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
