"""Whether this node can answer for all of its balanced records, and details of its components."""

from itertools import islice

from pydantic import Field, JsonValue
from pydantic_core import to_jsonable_python

from dnslb_backend.admin.control import Control, Detail
from dnslb_backend.admin.http.access import Access
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.slices import in_slices

log = ComponentLog(__name__, "admin")

MANY = 100
"""Names shown in one list; its count goes on."""


class NameList(ApiModel):
    """How many there are, and the first of them."""

    count: int
    first: tuple[str, ...]


class ReadyReport(ApiModel):
    """Readiness; the details are for callers that may read."""

    ready: bool
    node: str | None = None
    pending: NameList | None = Field(
        default=None,
        description="records whose first check cycle has not ended, and that were not restored",
    )
    stale: NameList | None = Field(
        default=None, description="members without a result for longer than stale_after"
    )
    read_only: str | None = Field(
        default=None,
        description="why no caller can change anything; empty: a token of role operate can",
    )
    details: dict[str, JsonValue] | None = Field(
        default=None, description="by component of the daemon"
    )


async def readiness(control: Control, access: Access | None) -> ReadyReport:
    """With details for a caller that may read: `access` is who may do what."""
    if access is None:
        return ReadyReport(ready=not control.unanswered())
    stale = await stale_members(control.health_map)
    pending = control.unanswered()
    return ReadyReport.model_validate(
        {
            "ready": not pending,
            "node": control.node,
            "pending": NameList(count=len(pending), first=tuple(map(str, islice(pending, MANY)))),
            "stale": stale,
            "read_only": access.read_only,
            "details": with_details(control),
        }
    )


def with_details(control: Control) -> dict[str, JsonValue]:
    """The details of every component that has some, by name."""
    details = {name: _read_detail(name, detail) for name, detail in control.details.items()}
    return {name: detail for name, detail in details.items() if detail is not None}


def _read_detail(name: str, read: Detail) -> JsonValue:
    """The detail of a component. An exception in it must not make the whole node look unready."""
    try:
        detail: JsonValue = to_jsonable_python(read())
    except Exception:
        log.exception("cannot read the detail of %s", name)
        return "not known, see the log"
    return detail


async def stale_members(health: HealthMap) -> NameList:
    """`name/type content` of the members that are stale."""
    users = health.targets.users
    keys = dict.fromkeys(key for target in health.targets.stale for key in users(target))
    count, first = 0, list[str]()
    async for key in in_slices(keys):
        state = health.records.get(key)
        for row in state.rows if state else ():
            if row.state.stale:
                count += 1
                if count <= MANY:
                    first.append(f"{key} {row.member.content}")
    return NameList(count=count, first=tuple(first))
