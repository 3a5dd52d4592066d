"""Probes that are run because somebody wants to see them; they count for nothing."""

from dataclasses import dataclass

from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import RecordKey


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """One probe: what was asked of whom, what came back, and what that would do to the target.

    `contents` are the members that the target counts for. `after` is its health if the result
    had counted, `streak` how many results in a row would then speak against it.
    """

    key: RecordKey
    contents: tuple[str, ...]
    address: str
    is_probed: str
    result: Result
    before: Health
    after: Health
    streak: int
