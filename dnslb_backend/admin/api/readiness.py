"""Whether this node can answer for all of its balanced records, and what else is worth a look."""

from itertools import islice

from pydantic import Field, JsonValue
from pydantic_core import to_jsonable_python

from dnslb_backend.admin.control import Control, Detail
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.healthmap import HealthMap

log = ComponentLog(__name__, "admin")

MANY = 100
"""Names shown in one list; its count goes on."""


class NameList(ApiModel):
    """How many there are, and the first of them."""

    count: int
    first: tuple[str, ...]


class ReadyReport(ApiModel):
    """Readiness; the detail is for those who may read."""

    ready: bool
    node: str | None = None
    pending: NameList | None = Field(
        default=None, description="records whose first round has not ended, nothing restored"
    )
    stale: NameList | None = Field(
        default=None, description="members of which nothing was heard for too long"
    )
    details: dict[str, JsonValue] | None = Field(
        default=None, description="what other parts of the daemon have to say"
    )


def readiness(control: Control, *, with_detail: bool) -> ReadyReport:
    pending = control.health_map.pending()
    if not with_detail:
        return ReadyReport(ready=not pending)
    return ReadyReport.model_validate(
        {
            "ready": not pending,
            "node": control.node,
            "pending": _names([str(key) for key in pending]),
            "stale": _names(stale_members(control.health_map)),
            "details": with_details(control),
        }
    )


def with_details(control: Control) -> dict[str, JsonValue]:
    """What the other parts of the daemon have to say, by their names; nothing of the silent."""
    told = {name: _log_details(name, detail) for name, detail in control.details.items()}
    return {name: said for name, said in told.items() if said is not None}


def _log_details(name: str, detail: Detail) -> JsonValue:
    """What a part has to say. A bug in saying it must not make the whole node look unready."""
    try:
        said: JsonValue = to_jsonable_python(detail())
    except Exception:
        log.exception("unhandled exception in the detail of %s", name)
        return "not known, see the log"
    return said


def stale_members(health: HealthMap) -> list[str]:
    """`name/type content` of every member that keeps its place although nothing is heard of it."""
    return [
        f"{key} {row.member.content}"
        for key, state in health.records.items()
        for row in state.rows
        if row.state.stale
    ]


def _names(found: list[str]) -> NameList:
    return NameList(count=len(found), first=tuple(islice(found, MANY)))
